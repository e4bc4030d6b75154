"""Whatever a client sends, the Anthropic dialect understands it or says what is wrong."""

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.anthropic.errors import render_error
from kiro2api.protocol.anthropic.request import parse_count_tokens_request, parse_messages_request
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, encode_json

WORDS = (
    "type", "text", "role", "content", "source", "data", "name", "input", "id", "tool_use_id", "title",
    "user", "assistant", "system", "developer", "image", "document", "tool_use", "tool_result", "base64",
    "thinking", "redacted_thinking", "search_result", "tool_reference", "server_tool_use", "compaction",
    "web_search_tool_result", "url", "file", "bash_20250124", "custom", "tool", "any", "iVBORw0KGgo=",
    "tool_name", "signature", "input_schema", "description", "user_id", "media_type", "image/png",
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=4)


def nest(values: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSON]:
    """Arrays and objects of ``values``."""
    return st.lists(values, max_size=4) | st.dictionaries(KEYS, values, max_size=6)


JUNK: st.SearchStrategy[JSON] = st.recursive(SCALARS, nest, max_leaves=20)
KINDS = st.sampled_from(WORDS)
BLOCKS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "text": st.text(max_size=8),
        "thinking": st.text(max_size=8),
        "data": st.text(max_size=8),
        "tool_use_id": st.text(max_size=8),
        "id": st.text(max_size=8),
        "name": st.text(max_size=8),
        "input": JUNK,
        "content": JUNK,
        "source": st.fixed_dictionaries(
            {"type": KINDS}, optional={"data": SCALARS, "content": JUNK, "media_type": SCALARS}
        ),
        "title": SCALARS,
        "tool_name": SCALARS,
    },
)
MESSAGES = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "assistant", "system", "developer"]),
        "content": st.text(max_size=8) | st.lists(BLOCKS, max_size=4) | JUNK,
    }
)
OPTIONAL = (
    "system", "tools", "tool_choice", "stream", "stop_sequences", "metadata", "thinking", "thread",
    "output_config", "temperature",
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {
        "model": st.just("claude-sonnet-4-5"),
        "max_tokens": st.just(1),
        "messages": st.lists(MESSAGES, min_size=1, max_size=3),
    },
    optional=dict.fromkeys(OPTIONAL, JUNK),
)


def understand_or_refuse(body: bytes) -> None:
    """Both parsers return, or raise the one error that a client can read."""
    for parse in (parse_messages_request, parse_count_tokens_request):
        error = find_error(parse, body)
        assert error is None or render_error(error, request_id="req_1").status == 400
        assert error is None or "|" not in error.path


def find_error(parse: Callable[[bytes], object], body: bytes) -> InvalidRequestError | None:
    """Why ``body`` is refused, if it is."""
    try:
        parse(body)
    except InvalidRequestError as error:
        return error
    return None


@given(JUNK)
def test_any_json_is_understood_or_refused(value: JSON) -> None:
    """Values without any likeness to a request."""
    understand_or_refuse(encode_json(value))


@given(BODIES)
def test_any_body_in_shape_is_understood_or_refused(value: dict[str, JSON]) -> None:
    """Bodies that get past the first checks; escapes of single surrogates among them."""
    understand_or_refuse(json.dumps(value).encode())


@given(st.binary(max_size=64))
def test_any_bytes_are_understood_or_refused(body: bytes) -> None:
    """Bodies that are no JSON."""
    understand_or_refuse(body)
