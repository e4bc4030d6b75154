"""Answers against the form that was asked for."""

import json
import time

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.answerformat import AnswerFormatError, FormattedAnswer, check_answer
from kiro2api.protocol.answerformat.check import KEYWORD_COST, MAX_COST, MAX_REASON_CHARS
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.jsontext import JSON, MAX_DEPTH, JSONObject

TITLE = AnswerFormat(
    schema={
        "type": "object",
        "properties": {"title": {"type": "string"}},
        "required": ["title"],
        "additionalProperties": False,
    }
)
OBJECT = AnswerFormat()
LIST = AnswerFormat(schema={"type": "array", "items": {"type": "integer"}})
ANSWER = '{"title": "Fix the tests"}'


def check(text: str, answer_format: AnswerFormat = TITLE) -> FormattedAnswer:
    """What is found in ``text``."""
    return check_answer(text, answer_format)


def find_reason(text: str, schema: JSONObject) -> str:
    """What is wrong with ``text``."""
    with pytest.raises(AnswerFormatError) as refused:
        check_answer(text, AnswerFormat(schema=schema))
    return refused.value.reason


@pytest.mark.parametrize("text", [ANSWER, f"\n {ANSWER} \n", '{"title":\n"\\u00e9\\ud83d"}'])
def test_json_is_passed_on_as_it_was_written(text: str) -> None:
    """Without the space around it, and otherwise character by character."""
    assert check(text) == FormattedAnswer(text=text.strip(), is_unwrapped=False, is_partly_checked=False)


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{ANSWER}\n```",
        f"```\n{ANSWER}\n```",
        f"```json {ANSWER}```",
        f"Sure {{as always}}:\n\n  ```json\n{ANSWER}\n  ```\n\nAnything else {{or}} not?",
        f"Not this:\n```\nprint()\n```\nbut this:\n```json\n{ANSWER}\n```",
        f"Here is the title: {ANSWER}",
        f"{ANSWER}\n\nI hope this helps.",
    ],
)
def test_json_is_unwrapped(text: str) -> None:
    """What stands around it is no part of the answer."""
    assert check(text) == FormattedAnswer(text=ANSWER, is_unwrapped=True, is_partly_checked=False)


@pytest.mark.parametrize(
    ("text", "answer_format", "keyword"),
    [
        ("", TITLE, "not JSON"),
        ("Fix the tests", TITLE, "not JSON"),
        ("}{", OBJECT, "not JSON"),
        ('{"title": "Fix', TITLE, "not JSON"),
        ('[{"title": "a"}, {"tit', TITLE, "not JSON"),
        ('[{"title": "a"}, {"tit', OBJECT, "not JSON"),
        ('{"a": [1], "b', LIST, "not JSON"),
        ('{"title": NaN}', OBJECT, "not JSON"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), LIST, "not JSON"),
        ("[1]", OBJECT, "no object"),
        ('"{}"', OBJECT, "no object"),
        ('{"items": [1]}', LIST, "type"),
        ('Numbers: {"items": [1]}', LIST, "type"),
        ('[{"title": "a"}]', TITLE, "type"),
        ('```json\n{"name": "a"}\n```', TITLE, "required"),
        ("{}", AnswerFormat(schema={"not": {}}), "not"),
        ('{"a": 1}', AnswerFormat(schema={"properties": {"a": False}}), "false"),
    ],
)
def test_what_has_not_the_form_is_refused(text: str, answer_format: AnswerFormat, keyword: str) -> None:
    """Nothing inside other JSON is taken for the answer, nor what is left of one that was cut.

    Neither the client nor the log is told what the answer was.
    """
    with pytest.raises(AnswerFormatError) as refused:
        check(text, answer_format)
    assert (refused.value.kind, refused.value.text) == (ErrorKind.ANSWER_FORMAT, text)
    assert refused.value.detail == f"answer format: {keyword}"


@pytest.mark.parametrize(
    ("text", "schema", "reason"),
    [
        ("no", {}, "it is not JSON: Input data was truncated (line 1, column 3)"),
        ("{}", {"required": ["a"]}, "at $: 'a' is a required property"),
        (
            '{"a": [0, "x"]}',
            {"properties": {"a": {"items": {"type": "integer"}}}},
            "at $.a[1]: 'x' is not of type 'integer'",
        ),
        ('"c"', {"enum": ["a", "b"]}, "at $: 'c' is not one of ['a', 'b']"),
        ('{"a": {}}', {"properties": {"a": {"type": "array"}}}, "at $.a: {…} is not of type 'array'"),
        ("[[1]]", {"maxItems": 0}, "at $: […] is expected to be empty"),
        ("[1, 1.0]", {"uniqueItems": True}, "at $: it has the same item twice"),
        ('[{"a": 1, "b": 2}, {"b": 2, "a": 1}]', {"uniqueItems": True}, "at $: it has the same item twice"),
    ],
)
def test_the_model_is_told_what_is_wrong(text: str, schema: JSONObject, reason: str) -> None:
    """With the place; long values are not spelled out."""
    assert find_reason(text, schema) == reason


def test_a_reason_is_short() -> None:
    """However long the value is that it quotes."""
    assert len(find_reason(json.dumps("a" * 5000), {"type": "null"})) == MAX_REASON_CHARS
    assert find_reason(json.dumps({"a": 1}), {"enum": ["x" * 100]}) == "at $: {…} is not one of […]"


@pytest.mark.parametrize("value", [[1, 2], [], {"a": 1}, "text", [True, 1], [[1], [2], {"a": 1}, {"a": 2}]])
def test_what_is_unique_is_unique(value: JSON) -> None:
    """Neither other types nor ``false`` make a difference."""
    assert not check(json.dumps(value), AnswerFormat(schema={"uniqueItems": True})).is_unwrapped
    assert not check("[1, 1]", AnswerFormat(schema={"uniqueItems": False})).is_unwrapped


TREE: JSONObject = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["children"],
        }
    },
}


def test_references_are_followed() -> None:
    """As deep as the answer goes."""
    tree = '{"children":[' * 45 + '{"children":[]}' + "]}" * 45
    assert check(tree, AnswerFormat(schema=TREE)) == FormattedAnswer(
        text=tree, is_unwrapped=False, is_partly_checked=False
    )
    assert find_reason('{"children":[{}]}', TREE) == "at $.children[0]: 'children' is a required property"


NULL: JSON = {"type": "null"}
PICKY: JSONObject = {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}
HOSTILE: dict[str, tuple[str, JSONObject]] = {
    "endless": ("{}", {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}),
    "doubling": (
        '{"a":' * 50 + "{}" + "}" * 50,
        {**PICKY, "$defs": {"a": {"properties": {"a": PICKY}, "required": ["b"]}}},
    ),
    "wide": (json.dumps([{}] * 40_000), {"items": {"anyOf": [*[NULL] * 200, {}]}}),
    "members": (json.dumps(dict.fromkeys(map(str, range(20_000)))), {"allOf": [{"additionalProperties": {}}] * 200}),
    "texts": (json.dumps("x" * 200_000), {"allOf": [{"type": "string"}] * 2000}),
    "choices": (json.dumps([0] * 5000), {"items": {"enum": [*range(1, 5000), 0]}}),
}


@pytest.mark.parametrize(("text", "schema"), HOSTILE.values(), ids=HOSTILE)
def test_a_check_has_an_end(text: str, schema: JSONObject) -> None:
    """What would take minutes or never end is let through, and soon; that not all was looked at is told."""
    begun = time.process_time()
    assert check(text, AnswerFormat(schema=schema)).is_partly_checked
    assert time.process_time() - begun < 5


def test_a_large_answer_is_checked_as_far_as_it_goes() -> None:
    """Up to the limit a fault is found, beyond it none."""
    schema: JSONObject = {"items": {"type": "integer"}}
    size = (MAX_COST - KEYWORD_COST) // (KEYWORD_COST + 1)
    assert "at $[999]: 'x'" in find_reason(json.dumps([0] * 999 + ["x"] + [0] * 900), schema)
    late = check(json.dumps([0] * size + ["x"]), AnswerFormat(schema=schema))
    assert late.is_partly_checked
    assert not check(json.dumps([0] * (size - 1)), AnswerFormat(schema=schema)).is_partly_checked
