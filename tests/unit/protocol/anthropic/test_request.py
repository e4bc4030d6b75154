"""Bodies of the Messages API as conversations."""

import base64
import json

import pytest

from kiro2api.protocol.anthropic.request import (
    MessagesRequest,
    parse_count_tokens_request,
    parse_messages_request,
)
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON

UUID = "0a32f77a-121d-4d92-b67a-fa2bdb740bc9"


def parse(**fields: JSON) -> Conversation:
    """The conversation of a body that is plain but for ``fields``."""
    plain: dict[str, JSON] = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
    }
    return parse_messages_request(json.dumps(plain | fields).encode()).conversation


def say(text: str) -> UserTurn:
    """A user's turn of one text."""
    return UserTurn(blocks=(Text(text=text),))


def test_whole_request_becomes_a_conversation() -> None:
    """Every field that has a place gets there."""
    data: JSON = {
        "model": "claude-opus-4-6",
        "max_tokens": 128000,
        "stream": True,
        "system": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}],
        "messages": [{"role": "user", "content": "hi"}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "stop_sequences": ["END", ""],
        "metadata": {"user_id": json.dumps({"session_id": UUID})},
    }
    assert parse_messages_request(json.dumps(data).encode()) == MessagesRequest(
        conversation=Conversation(
            model="claude-opus-4-6",
            turns=(say("hi"),),
            system=("a",),
            tools=(Tool(name="f", description="", input_schema={"type": "object"}),),
            tool_choice=ToolChoice(mode=ToolChoiceMode.NAMED, name="f", parallel=False),
            max_tokens=128000,
            stop_sequences=("END",),
            session_id=UUID,
        ),
        stream=True,
    )


def test_null_means_absent() -> None:
    """Clients send back keys that they once received as null."""
    names = (
        "system", "tools", "tool_choice", "stream", "stop_sequences", "metadata", "thinking", "thread",
        "output_config", "temperature", "mcp_servers",
    )  # fmt: skip
    nothing: dict[str, JSON] = dict.fromkeys(names)
    assert parse(**nothing) == parse()
    assert parse(metadata={"user_id": None}, mcp_servers=[]) == parse()


def test_token_count_reads_the_same_conversation() -> None:
    """What is no part of the prompt is not looked at."""
    data = b"""{"model":"claude-sonnet-4-5","system":"s","messages":[{"role":"user","content":"hi"}],
        "tools":[],"temperature":1,"max_tokens":"many"}"""
    assert parse_count_tokens_request(data) == Conversation(
        model="claude-sonnet-4-5", turns=(say("hi"),), system=("s",)
    )


def test_turns_keep_their_order_and_are_not_merged() -> None:
    """System messages stand as user turns where they are, last or not."""
    conversation = parse(
        messages=[
            {"role": "assistant", "content": "before"},
            {"role": "system", "content": [{"type": "text", "text": "env"}], "output_config": {}},
            {"role": "user", "content": "one"},
            {"role": "user", "content": ""},
            {"role": "assistant", "content": []},
            {"role": "developer", "content": "last"},
        ]
    )
    assert conversation.turns == (
        AssistantTurn(blocks=(Text(text="before"),)),
        say("env"),
        say("one"),
        UserTurn(blocks=()),
        AssistantTurn(blocks=()),
        say("last"),
    )


def test_assistant_history_keeps_reasoning_and_tool_uses() -> None:
    """Blocks come back as they were sent, empty texts excepted."""
    content: JSON = [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "thinking", "thinking": "", "signature": None},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "", "citations": None},
        {"type": "text", "text": "ok"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}, "caller": None},
        {"type": "tool_use", "id": "t2", "name": "g", "input": None},
    ]
    assert parse(messages=[{"role": "assistant", "content": content}]).turns == (
        AssistantTurn(
            blocks=(
                Thinking(text="hm", signature="c2ln"),
                Thinking(text=""),
                RedactedThinking(data="xyz"),
                Text(text="ok"),
                ToolUse(tool_use_id="t1", name="f", input={"a": 1}),
                ToolUse(tool_use_id="t2", name="g", input={}),
            )
        ),
    )


@pytest.mark.parametrize(
    ("user_id", "session_id"),
    [
        (json.dumps({"device_id": "d", "session_id": UUID}), UUID),
        (f"user_12ab_account__session_{UUID}", UUID),
        ("user_12ab_account__session_", None),
        ("somebody", None),
        ("", None),
        ("[1]", None),
        ('{"session_id": 7}', None),
        ('{"session_id": ""}', None),
        ('{"session_id": "a b"}', None),
        (json.dumps({"session_id": "x" * 128}), "x" * 128),
        (json.dumps({"session_id": "x" * 129}), None),
    ],
)
def test_session_is_read_from_the_user_id(user_id: str, session_id: str | None) -> None:
    """Only a name that is short and plain counts."""
    assert parse(metadata={"user_id": user_id}).session_id == session_id


@pytest.mark.parametrize(
    ("field", "value", "repairs"),
    [
        ("thinking", {"type": "adaptive"}, ()),
        ("thinking", {"type": "disabled"}, ()),
        ("thinking", {"type": "between_tools"}, ("ignored:thinking.between_tools",)),
        ("thinking", {"type": ["adaptive"]}, ("ignored:thinking",)),
        ("thinking", "much", ("ignored:thinking",)),
        ("thinking", None, ()),
        ("output_config", {"effort": "high"}, ()),
        ("output_config", {"effort": "utmost"}, ("ignored:output_config.effort",)),
        ("output_config", {"format": {"type": "grammar"}}, ("ignored:output_config.format",)),
        ("output_config", {"effort": "low"}, ()),
        ("output_config", 7, ()),
        ("output_format", "json", ("ignored:output_format",)),
        ("temperature", "hot", ("ignored:temperature",)),
        ("temperature", 0, ("ignored:temperature",)),
        ("top_p", 0.5, ("ignored:top_p",)),
        ("top_k", 5, ("ignored:top_k",)),
        ("mcp_servers", [{"url": "x"}], ("ignored:mcp_servers",)),
        ("context_management", {"edits": []}, ()),
        ("no_such_field", 1, ()),
    ],
)
def test_what_has_no_effect_is_noted_if_it_matters(field: str, value: JSON, repairs: tuple[str, ...]) -> None:
    """Nothing of all this is refused."""
    assert parse(**{field: value}).repairs == repairs


def test_repairs_are_named_once_each() -> None:
    """However often something was repaired, the log says it once."""
    gif = base64.b64encode(b"GIF89a").decode()
    image: JSON = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": gif}}
    conversation = parse(
        messages=[{"role": "user", "content": [image, image]}],
        tools=[{"type": "web_search_20250305", "name": "web_search"}],
        temperature=1,
    )
    assert conversation.repairs == (
        "dropped_tool:web_search_20250305",
        "corrected_image_type",
        "ignored:temperature",
    )


def test_system_prompt_takes_text_only() -> None:
    """Another block is refused with its place and its type."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(system=[{"type": "text", "text": "a"}, {"type": "image"}])
    assert caught.value.message == ("system[1]: content blocks of type 'image' are not supported in system prompts")
