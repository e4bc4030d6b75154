"""A chat completion request as a :class:`Conversation`.

What the upstream has no place for is left out and noted among the conversation's repairs, so that the log can say so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kiro2api.protocol.answerformat import read_answer_format
from kiro2api.protocol.attachments import NOTHING_CONVERTED, AttachmentReader, Converted
from kiro2api.protocol.bodies import FIELD_REQUIRED, parse_object
from kiro2api.protocol.conversation import AnswerFormat, Conversation, ThinkingChoice
from kiro2api.protocol.efforts import read_effort
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.openai.messages import parse_messages
from kiro2api.protocol.openai.schema import ChatBody, JSONSchemaFormat, ResponseFormat, parse_chat_body
from kiro2api.protocol.openai.tools import parse_tools

_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_FORMATS = frozenset({"text", "json_object", "json_schema"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What the client asks for, and in which form it wants the answer."""

    conversation: Conversation
    stream: bool
    include_usage: bool
    """Whether a stream ends with a usage chunk."""


def parse_chat_request(body: bytes, converted: Mapping[str, Converted] = NOTHING_CONVERTED) -> ChatRequest:
    """The request in ``body``, of whose attachments these are ``converted``.

    Raises:
        InvalidRequestError: The body cannot be understood, or asks for what cannot be served; names the first place.
        UnconvertedError: Some attachments have to be converted first; nothing else is amiss.
    """
    value, text_repairs = parse_object(body)
    chat = parse_chat_body(value)
    if chat.n is not None and chat.n > 1:
        raise InvalidRequestError("only one choice per request is supported.", path="n")
    attachments = AttachmentReader(converted)
    transcript = parse_messages(chat.messages, attachments)
    settings = parse_tools(chat)
    thinking = read_effort(chat.reasoning_effort)
    repairs = (*text_repairs, *transcript.repairs, *settings.repairs, *_note_ignored(chat))
    conversation = Conversation(
        model=chat.model,
        turns=transcript.turns,
        system=transcript.system,
        tools=settings.tools,
        tool_choice=settings.tool_choice,
        thinking=thinking or ThinkingChoice(),
        max_tokens=chat.max_completion_tokens or chat.max_tokens,
        stop_sequences=tuple(stop for stop in chat.stop or () if stop),
        answer_format=_read_format(chat),
        session_id=_read_session_id(chat),
        repairs=tuple(dict.fromkeys(repairs)),
    )
    attachments.require_converted()
    return ChatRequest(
        conversation=conversation,
        stream=bool(chat.stream),
        include_usage=chat.stream_options is not None and bool(chat.stream_options.include_usage),
    )


def _read_format(chat: ChatBody) -> AnswerFormat | None:
    match chat.response_format:
        case ResponseFormat(type="json_object"):
            return AnswerFormat()
        case ResponseFormat(type="json_schema", json_schema=None):
            raise InvalidRequestError(FIELD_REQUIRED, path="response_format.json_schema")
        case ResponseFormat(type="json_schema", json_schema=JSONSchemaFormat(schema_=schema)):
            path = "response_format.json_schema.schema"
            return AnswerFormat() if schema is None else read_answer_format(schema, path)
        case _:
            return None


def _read_session_id(chat: ChatBody) -> str | None:
    in_metadata = chat.metadata.get("session_id") if isinstance(chat.metadata, dict) else None
    for candidate in (in_metadata, chat.prompt_cache_key):
        if isinstance(candidate, str) and _SESSION_ID.fullmatch(candidate):
            return candidate
    return None


def _note_ignored(chat: ChatBody) -> Iterator[str]:
    sampling = (
        chat.temperature,
        chat.top_p,
        chat.presence_penalty,
        chat.frequency_penalty,
        chat.seed,
        chat.logit_bias,
    )
    if any(value is not None for value in sampling):
        yield "ignored:sampling"
    if chat.logprobs:
        yield "ignored:logprobs"
    if chat.response_format is not None and chat.response_format.type not in _FORMATS:
        yield "ignored:response_format"
    if read_effort(chat.reasoning_effort) is None:
        yield "ignored:reasoning_effort"
    for name in ("verbosity", "prediction", "web_search_options", "audio"):
        if getattr(chat, name) is not None:
            yield f"ignored:{name}"
