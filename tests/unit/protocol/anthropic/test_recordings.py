"""Requests that real clients sent to a test server: all of them are understood."""

import json
from pathlib import Path

import pytest

from kiro2api.protocol.anthropic.request import parse_count_tokens_request, parse_messages_request
from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON

RECORDINGS = Path(__file__).parents[5] / "shared" / "recordings"
CUT = "\N{HORIZONTAL ELLIPSIS}"
"""Where a recording was shortened: in the middle of a long string, or as a member of a long list."""
MESSAGES = sorted(RECORDINGS.glob("*/*/*-POST-v1-messages.json"))
COUNTS = sorted(RECORDINGS.glob("*/*/*-POST-v1-messages-count-tokens.json"))

pytestmark = pytest.mark.skipif(not MESSAGES, reason="the recorded requests are not here")


def read_body(path: Path) -> bytes:
    """The body as it was, but for what was cut out of it."""
    body = json.loads(path.read_text("utf-8"))["body"]
    tools = body.get("tools") or []
    body["tools"] = [tool for tool in tools if not (isinstance(tool, dict) and _is_cut(tool))]
    return json.dumps(body).encode()


def _is_cut(tool: dict[str, JSON]) -> bool:
    return any(key.startswith(CUT) for key in tool)


def read_conversation(path: Path) -> Conversation:
    """What the request says."""
    body = read_body(path)
    if path in COUNTS:
        return parse_count_tokens_request(body)
    return parse_messages_request(body).conversation


def identify(path: Path) -> str:
    """A short name for a recording."""
    return "/".join(path.with_suffix("").parts[-3:])


@pytest.mark.parametrize("path", [*MESSAGES, *COUNTS], ids=identify)
def test_recorded_request_is_understood(path: Path) -> None:
    """A turn for each message and a tool for each of the client's own, or the refusal of threads."""
    body = json.loads(read_body(path))
    if "thread" in body:
        with pytest.raises(InvalidRequestError) as caught:
            read_conversation(path)
        assert caught.value.code == "thread_unsupported_request"
        return
    conversation = read_conversation(path)
    own = [tool["name"] for tool in body["tools"] if tool.get("type") in {None, "custom"}]
    assert (conversation.model, len(conversation.turns), [t.name for t in conversation.tools]) == (
        body["model"],
        len(body["messages"]),
        own,
    )


@pytest.mark.parametrize("path", [path for path in MESSAGES if "claude-code" in str(path)], ids=identify)
def test_claude_code_names_its_session(path: Path) -> None:
    """Its requests of one session can be told from those of others."""
    body = json.loads(read_body(path))
    expected = json.loads(body["metadata"]["user_id"])["session_id"]
    assert read_conversation(path).session_id == expected
