"""Prompts that the upstream finds too long, in the words that make agents compact a conversation by themselves.

Agents look for "prompt is too long"; Claude Code also reads the two numbers behind it. Numbers are given only when they
show what is claimed: an estimate beyond a context window that is known.

Too large a body is told in the same words, though the upstream has others for it, or none: the older hosts call it
improperly formed. To compact is the only thing that helps there. It cannot go on in a circle, as a conversation that
has become short enough has no warning of its size any more, and is told the refusal as it is.
"""

from http import HTTPStatus

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.kiro.faults import FaultClass, UpstreamFaultError

SIZE_MESSAGE = (
    "prompt is too long: the upstream refused a request of this size, whatever the model's context window holds; "
    "shorten or compact the conversation."
)


class ContextOverflowError(Kiro2ApiError):
    """The prompt is longer than the model's context window, or larger than the upstream takes.

    Attributes:
        context_window: What the model holds, in its tokens; ``None`` if that is not known, or not what matters.
    """

    kind = ErrorKind.CONTEXT_OVERFLOW

    def __init__(self, message: str, *, context_window: int | None, detail: str) -> None:
        super().__init__(message, detail=detail)
        self.context_window = context_window


def explain_fault(
    fault: UpstreamFaultError, *, input_tokens: int, context_window: int | None, is_large: bool
) -> Kiro2ApiError:
    """What the client is told of ``fault``: itself, unless it means that the prompt is too long.

    Args:
        fault: What the upstream said.
        input_tokens: The best estimate of the prompt.
        context_window: Tokens that the model holds, if that is known.
        is_large: Whether the body is larger than the upstream has been known to take.
    """
    is_of_size = (fault.is_unexplained and is_large) or fault.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if fault.fault_class is not FaultClass.CONTEXT_OVERFLOW and not is_of_size:
        return fault
    if context_window is not None and input_tokens > context_window:
        message = f"prompt is too long: {input_tokens} tokens > {context_window} maximum"
    elif is_of_size:
        message, context_window = SIZE_MESSAGE, None
    else:
        message = fault.message
    return ContextOverflowError(message, context_window=context_window, detail=fault.detail)
