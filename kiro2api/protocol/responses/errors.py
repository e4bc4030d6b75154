"""Failures inside a stream of events, in the codes that clients of OpenAI's Responses API act on.

Codex compacts on ``context_length_exceeded``, waits on ``rate_limit_exceeded`` for as long as the message says, shows
the message on ``invalid_prompt`` and ``insufficient_quota``, and repeats the request on everything else. Before the
stream has begun, errors are those of OpenAI's API in general.
"""

import math
from dataclasses import dataclass
from typing import assert_never

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import InvalidRequestError, UnknownModelError
from kiro2api.protocol.kiro.overflow import ContextOverflowError

INTERNAL_MESSAGE = (
    "The proxy failed to answer because of a defect of its own; its log has more under the id of this request."
)
OVERFLOW_PHRASE = "prompt is too long"
"""Agents look for these words to compact the conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a response could not be finished."""

    code: str
    message: str
    param: str | None


def describe_failure(error: Kiro2ApiError) -> Failure:
    """``error`` as the client is told of it."""
    param = error.path or None if isinstance(error, InvalidRequestError) else None
    return Failure(code=_select_code(error), message=_build_message(error), param=param)


def _build_message(error: Kiro2ApiError) -> str:
    message = error.message
    if error.kind is ErrorKind.INTERNAL:
        return INTERNAL_MESSAGE
    if isinstance(error, ContextOverflowError) and error.context_window is not None:
        return f"{message.removesuffix('.')}. This model's maximum context length is {error.context_window} tokens."
    if error.kind is ErrorKind.CONTEXT_OVERFLOW and OVERFLOW_PHRASE not in message:
        return f"{OVERFLOW_PHRASE}: {message}"
    if error.kind is ErrorKind.RATE_LIMITED and error.retry_after is not None:
        return f"{message} Please try again in {math.ceil(error.retry_after)}s."
    if isinstance(error, UnknownModelError):
        return f"The model {error.model!r} does not exist; GET /v1/models lists those that do."
    return message


def _select_code(error: Kiro2ApiError) -> str:
    match error.kind:
        case ErrorKind.CONTEXT_OVERFLOW:
            return "context_length_exceeded"
        case ErrorKind.QUOTA_EXHAUSTED:
            return "insufficient_quota"
        case ErrorKind.RATE_LIMITED:
            return "rate_limit_exceeded"
        case (
            ErrorKind.BAD_REQUEST
            | ErrorKind.CLIENT_KEY
            | ErrorKind.NOT_FOUND
            | ErrorKind.MODEL_NOT_FOUND
            | ErrorKind.METHOD_NOT_ALLOWED
            | ErrorKind.BODY_TIMEOUT
            | ErrorKind.BODY_TOO_LARGE
            | ErrorKind.NO_CREDENTIAL  # it lasts until somebody logs in, which the message says
            | ErrorKind.ANSWER_FORMAT  # repeated, it would be charged for once more
        ):
            return "invalid_prompt"
        case ErrorKind.OVERLOADED | ErrorKind.UPSTREAM | ErrorKind.UPSTREAM_TIMEOUT | ErrorKind.INTERNAL:
            return "server_error"
        case _:
            assert_never(error.kind)
