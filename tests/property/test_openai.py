"""Any body is either understood or refused in words, and any turn streams as the grammar says."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, encode_json
from kiro2api.protocol.openai.request import ChatRequest, parse_chat_request
from kiro2api.protocol.openai.response import StreamRenderer
from kiro2api.protocol.turn import TextDelta, ToolInputDelta, ToolUseStarted

WORDS = st.sampled_from(
    ["user", "assistant", "tool", "function", "system", "text", "image_url", "custom", "auto", "data:,", "{}", ""]
)
KEYS = st.sampled_from(
    [
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "tool_call_id",
        "id",
        "name",
        "function",
        "arguments",
        "image_url",
    ]
)
JUNK: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries({"role": WORDS | JUNK}, optional={"content": WORDS | JUNK, "tool_calls": JUNK})
BODY = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": st.lists(MESSAGE, max_size=4) | JUNK},
    optional={"tools": JUNK, "tool_choice": JUNK, "stop": JUNK, "stream": JUNK, "metadata": JUNK, "functions": JUNK},
)


def is_understood_or_refused(body: bytes) -> bool:
    """Whether the body is a request, or is refused with a sentence; anything else raises."""
    try:
        return isinstance(parse_chat_request(body), ChatRequest)
    except InvalidRequestError as error:
        return bool(error.message)


@settings(deadline=None)
@given(BODY)
def test_any_json(body: dict[str, JSON]) -> None:
    """Junk in the place of any field is understood or refused, never another error."""
    assert is_understood_or_refused(encode_json(body))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Any bytes are refused as what they are."""
    assert is_understood_or_refused(body)


@settings(deadline=None)
@given(st.lists(st.text(min_size=1), max_size=5))
def test_any_text_streams(texts: list[str]) -> None:
    """Whatever the text, each delta is one line of JSON that holds it, as content and as arguments alike."""
    renderer = StreamRenderer(completion_id="c", created=0, model="m", include_usage=True)
    start = ToolUseStarted(index=1, tool_use_id="a", name="f")
    contents = [TextDelta(index=0, text=text) for text in texts]
    arguments = [ToolInputDelta(index=1, partial_json=text) for text in texts]
    lines = renderer.render([*contents, start, *arguments]).decode().splitlines()
    deltas = [json.loads(line.removeprefix("data: "))["choices"][0]["delta"] for line in lines if line]
    assert [delta["content"] for delta in deltas[: len(texts)]] == texts
    calls = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas[len(texts) :]]
    assert calls == ["", *texts]
