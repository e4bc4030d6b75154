"""Bodies of ``POST /v1/messages`` and its token count as conversations.

What the upstream has no place for is left out; where that changes what the answer will be, a note in
``Conversation.repairs`` says so.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import assert_never

from kiro2api.protocol.anthropic.content import ContentReader, read_plain
from kiro2api.protocol.anthropic.formats import find_ignored_format, read_format
from kiro2api.protocol.anthropic.schema import CountTokensBody, Message, MessagesBody, read_body
from kiro2api.protocol.anthropic.thinking import find_ignored_thinking, read_thinking
from kiro2api.protocol.anthropic.tools import read_tools
from kiro2api.protocol.attachments import NOTHING_CONVERTED, AttachmentReader, Converted
from kiro2api.protocol.bodies import parse_object
from kiro2api.protocol.conversation import AssistantTurn, Conversation, Text, UserTurn
from kiro2api.protocol.jsontext import InvalidJSONError, parse_json

_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SESSION_SUFFIX = re.compile(r"_session_([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRequest:
    """A Messages request, understood."""

    conversation: Conversation
    stream: bool


def parse_messages_request(body: bytes, converted: Mapping[str, Converted] = NOTHING_CONVERTED) -> MessagesRequest:
    """The request in the body of ``POST /v1/messages``, of whose attachments these are ``converted``.

    Raises:
        InvalidRequestError: The body is wrong or cannot be served; the error says where.
        UnconvertedError: Some attachments have to be converted first; nothing else is amiss.
    """
    value, repairs = parse_object(body)
    request = read_body(value, MessagesBody)
    attachments = AttachmentReader(converted)
    conversation = _read_conversation(request, attachments, repairs)
    conversation = dataclasses.replace(
        conversation,
        thinking=read_thinking(request),
        max_tokens=request.max_tokens,
        stop_sequences=tuple(filter(None, request.stop_sequences or ())),
        answer_format=read_format(request),
        session_id=_read_session_id(request.metadata.user_id if request.metadata else None),
        repairs=(*conversation.repairs, *(f"ignored:{name}" for name in _find_ignored(request))),
    )
    attachments.require_converted()
    return MessagesRequest(conversation=conversation, stream=bool(request.stream))


def parse_count_tokens_request(body: bytes, converted: Mapping[str, Converted] = NOTHING_CONVERTED) -> Conversation:
    """The conversation in the body of ``POST /v1/messages/count_tokens``.

    Raises:
        InvalidRequestError: As for :func:`parse_messages_request`.
        UnconvertedError: The same.
    """
    value, repairs = parse_object(body)
    attachments = AttachmentReader(converted)
    conversation = _read_conversation(read_body(value, CountTokensBody), attachments, repairs)
    attachments.require_converted()
    return conversation


def _read_conversation(
    request: CountTokensBody, attachments: AttachmentReader, repairs: tuple[str, ...]
) -> Conversation:
    reader = ContentReader(attachments)
    turns = tuple(
        _read_turn(reader, message, f"messages[{index}].content") for index, message in enumerate(request.messages)
    )
    tool_set = read_tools(request.tools or (), request.tool_choice)
    return Conversation(
        model=request.model,
        turns=turns,
        system=read_plain(request.system or "", "system", "system prompts"),
        tools=tool_set.tools,
        tool_choice=tool_set.choice,
        repairs=tuple(dict.fromkeys((*repairs, *tool_set.repairs, *reader.repairs))),
    )


def _read_turn(reader: ContentReader, message: Message, path: str) -> UserTurn | AssistantTurn:
    match message.role:
        case "user":
            return UserTurn(blocks=reader.read_user(message.content, path))
        case "assistant":
            return AssistantTurn(blocks=reader.read_assistant(message.content, path))
        case "system" | "developer":
            # Claude Code sends them between turns and often last; what they say belongs there.
            texts = read_plain(message.content, path, "a system message")
            return UserTurn(blocks=tuple(Text(text=text) for text in texts))
        case _:
            assert_never(message.role)


def _find_ignored(request: MessagesBody) -> Iterable[str]:
    """Names of the fields that ask for what the answer will not have."""
    yield from find_ignored_thinking(request)
    yield from find_ignored_format(request)
    for name in ("temperature", "top_p", "top_k", "mcp_servers"):
        if getattr(request, name) not in (None, []):
            yield name


def _read_session_id(user_id: str | None) -> str | None:
    """The session that Claude Code names in ``metadata.user_id``: in a JSON document, or at its end."""
    if user_id is None:
        return None
    suffix = _SESSION_SUFFIX.search(user_id)
    if suffix is not None:
        return suffix[1]
    try:
        document = parse_json(user_id.encode())
    except (InvalidJSONError, RecursionError):
        return None
    session_id = document.get("session_id") if isinstance(document, dict) else None
    return session_id if isinstance(session_id, str) and _SESSION_ID.fullmatch(session_id) else None
