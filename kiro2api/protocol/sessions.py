"""Which requests belong together: a key that all requests of a conversation share.

It is only there to keep a conversation with its credential, so that a collision does no harm. It is a hash: nothing of
a prompt or of a client's own names can be read in it.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, assert_never

from kiro2api.protocol.conversation import Conversation, Image, Text, ToolResult, UserBlock, UserTurn

KEY_LENGTH: Final = 32
"""Hexadecimal digits."""
MAX_HASHED_CHARS: Final = 8192
"""Of one text, half of them at its beginning and half at its end: hashing a long prompt whole would hold up others."""
SESSION_HEADERS: Final = (
    "x-claude-code-session-id",
    "x-session-id",
    "x-session-affinity",
    "session-id",
    "session_id",
    "x-conversation-id",
    "conversation-id",
    "conversation_id",
)
"""By which clients name their session: Claude Code, opencode (two), Codex (two spellings), and relatives of theirs."""

_BILLING_MARK: Final = "x-anthropic-billing-header:"
_BILLING_LINE: Final = re.compile(rf"^{_BILLING_MARK}.*\n?", re.MULTILINE)
"""A line of Claude Code's system prompt that differs from request to request of one session."""
_BILLING_CHARS: Final = 1024
"""How far into a system prompt that line is looked for; it comes first."""


def build_session_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """The same key for all requests of one conversation, and most likely another one for every other conversation.

    The client's own name for its session decides, in a header or in the body. Without one it is what every request of
    the conversation begins with: system prompts, names of the tools, the user's first turn.

    Args:
        conversation: The request.
        headers: The request's, names in small letters.
    """
    session = _find_session(conversation, headers)
    return _hash(_list_beginning(conversation) if session is None else ("session", session))


def build_thread_key(conversation: Conversation, headers: Mapping[str, str]) -> str:
    """As :func:`build_session_key`, but another one for each of several agents that work in one session."""
    session = _find_session(conversation, headers)
    return _hash(("thread", session or "", *_list_beginning(conversation)))


def _find_session(conversation: Conversation, headers: Mapping[str, str]) -> str | None:
    named = (headers.get(name, "").strip() for name in SESSION_HEADERS)
    return next(filter(None, named), conversation.session_id)


def _hash(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(data))  # so that no part runs into the next
        digest.update(data)
    return digest.hexdigest()[:KEY_LENGTH]


def _list_beginning(conversation: Conversation) -> Iterator[str]:
    yield "system"
    for text in conversation.system:
        is_billed = _BILLING_MARK in text[:_BILLING_CHARS]
        yield _sample(_BILLING_LINE.sub("", text, count=1) if is_billed else text)
    yield "tools"
    for tool in conversation.tools:
        yield tool.name
    yield "user"
    first = next((turn for turn in conversation.turns if isinstance(turn, UserTurn)), None)
    for block in first.blocks if first is not None else ():
        yield _describe_block(block)


def _describe_block(block: UserBlock) -> str:
    match block:
        case Text(text=text):
            return _sample(text)
        case Image(data=data):
            return _sample(data)
        case ToolResult(tool_use_id=tool_use_id):
            return tool_use_id
        case _:
            assert_never(block)


def _sample(text: str) -> str:
    """``text``, or its length with its beginning and its end if it is long."""
    if len(text) <= MAX_HASHED_CHARS:
        return text
    half = MAX_HASHED_CHARS // 2
    return f"{len(text)}:{text[:half]}{text[-half:]}"
