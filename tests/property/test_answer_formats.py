"""Answers in JSON, whatever schema, answer and cuts there are."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from kiro2api.protocol.answerformat import AnswerFormatError, check_answer, read_answer_format
from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import AnswerFormat, Conversation
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.turn import Answer
from tests.support.conversations import json_values, user
from tests.support.upstream_events import encode_stream, text_message

MODEL = ResolvedModel(public_name="m", upstream_id="m", context_window=None, max_output_tokens=None)

patient = settings(deadline=None)


_LEAVES: st.SearchStrategy[JSON] = st.sampled_from([None, True, 0, 1, 1.0, 2.5, -3, "", "a", "ab"])
VALUES: st.SearchStrategy[JSON] = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "$ref"]), inner, max_size=3),
    max_leaves=6,
)
"""JSON with few names and few values, so that schemas and answers meet."""


def _entry(names: Iterable[str], value: st.SearchStrategy[Any]) -> st.SearchStrategy[JSONObject]:
    """A schema of one of these keywords."""
    return st.builds(lambda name, item: {name: item}, st.sampled_from([*names]), value)


def _combine(parts: Iterable[JSONObject]) -> JSONObject:
    return {name: value for part in parts for name, value in part.items()}


def _schemas(inner: st.SearchStrategy[JSON]) -> st.SearchStrategy[JSONObject]:
    """Schemas of a few keywords, around smaller ones."""
    kinds = st.sampled_from(["array", "boolean", "integer", "null", "number", "object", "string"])
    names = st.sampled_from(["a", "b"])
    entries = (
        _entry(["type"], kinds | st.lists(kinds, min_size=1, max_size=2, unique=True)),
        _entry(["enum"], st.lists(VALUES, min_size=1, max_size=3)) | _entry(["const"], VALUES),
        _entry(["properties"], st.dictionaries(names, inner, max_size=2)),
        _entry(["required"], st.lists(names, max_size=2, unique=True)),
        _entry(["additionalProperties", "propertyNames", "items", "contains"], inner),
        _entry(["not", "if", "then", "else"], inner),
        _entry(["allOf", "anyOf", "oneOf", "prefixItems"], st.lists(inner, min_size=1, max_size=2)),
        _entry(["minProperties", "maxProperties", "minItems", "maxItems"], st.integers(0, 2)),
        _entry(["minLength", "maxLength", "minContains", "maxContains"], st.integers(0, 2)),
        _entry(
            ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
            st.sampled_from([-1, 0, 0.5, 1, 2]),
        ),
        _entry(["multipleOf"], st.sampled_from([0.5, 1, 2])),
        _entry(["uniqueItems"], st.booleans()),
        _entry(["$ref"], st.sampled_from(["#/$defs/a", "#/$defs/b"])),
    )
    return st.lists(st.one_of(entries), max_size=4).map(_combine)


_SMALL: st.SearchStrategy[JSON] = st.booleans() | st.just({}) | _schemas(st.booleans() | st.just({"type": "integer"}))
_DEFINITIONS: JSONObject = {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"type": ["integer", "object"]}}
SCHEMAS = _schemas(_SMALL).map(lambda schema: schema | {"$defs": _DEFINITIONS})
"""With definitions, of which one refers to the other."""


def is_fit(value: JSON, schema: JSONObject) -> bool:
    """What we say."""
    try:
        checked = check_answer(json.dumps(value), AnswerFormat(schema=schema))
    except AnswerFormatError:
        return False
    assert not checked.is_partly_checked
    return True


@given(schema=SCHEMAS, value=VALUES)
@settings(deadline=None, max_examples=300)
def test_a_check_says_what_jsonschema_says(schema: JSONObject, value: JSON) -> None:
    """Of every keyword that is looked at, though it gets there by its own ways."""
    assert is_fit(value, read_answer_format(schema, "p").schema or {}) == Draft202012Validator(schema).is_valid(value)


@given(schema=json_values())
@patient
def test_any_schema_is_read_or_refused_with_its_place(schema: JSON) -> None:
    """Nothing else is ever raised, neither then nor by a check."""
    try:
        answer_format = read_answer_format(schema, "p")
    except InvalidRequestError as refused:
        assert refused.path.startswith("p")  # noqa: PT017  what is not refused is checked
    else:
        is_fit(schema, answer_format.schema or {})


def new_exchange(*, stream: bool) -> tuple[Exchange, Callable[[], Answer]]:
    """An exchange for JSON, and what came of it in the end."""
    answers: list[Answer] = []

    def keep(answer: Answer) -> bytes:
        answers.append(answer)
        return b"{}"

    exchange = Exchange(
        conversation=Conversation(model="m", turns=(user("Hi"),), answer_format=AnswerFormat(schema={})),
        model=MODEL,
        conversation_id="c",
        new_renderer=lambda: MessagesRenderer(message_id="msg_1", model="m") if stream else FoldRenderer(keep),
        max_tool_description_length=100,
    )
    return exchange, lambda: answers[-1]


def read_deltas(sent: bytes) -> str:
    """The text of a stream of the Messages API."""
    lines = [line.removeprefix("data: ") for line in sent.decode().split("\n") if line.startswith("data: ")]
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")


def cut[T: (str, bytes)](data: T, places: Iterable[int]) -> list[T]:
    """``data`` in pieces that end at ``places``."""
    ends: list[int] = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("wrapping", ["{}", " {}\n", "```json\n{}\n```"])
@given(
    value=json_values().filter(lambda value: isinstance(value, dict | list)),
    places=st.lists(st.integers(0, 5000), max_size=6),
    reads=st.lists(st.integers(0, 5000), max_size=6),
)
@patient
def test_streamed_and_whole_answers_agree(wrapping: str, value: JSON, places: list[int], reads: list[int]) -> None:
    """However the text is cut into events and the bytes into reads, the client gets the JSON, and that alone."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    frames = encode_stream(text_message(part) for part in cut(wrapping.replace("{}", text), places))
    streamed, _ = new_exchange(stream=True)
    whole, read_answer = new_exchange(stream=False)
    sent = b"".join([*map(streamed.receive_data, cut(frames, reads)), streamed.receive_eof()])
    for chunk in cut(frames, reads):
        assert whole.receive_data(chunk) == b""
    assert whole.receive_eof() == b"{}"
    [block] = read_answer().blocks
    assert read_deltas(sent) == getattr(block, "text", None) == text
    assert streamed.repairs == whole.repairs


@given(text=st.text('{}[]"a:,1 \n`', max_size=20))
@patient
def test_any_answer_is_json_or_refused(text: str) -> None:
    """What goes out is JSON and part of what the model said."""
    try:
        checked = check_answer(text, AnswerFormat(schema={}))
    except AnswerFormatError:
        return
    json.loads(checked.text)
    assert checked.text in text
