"""Tests of the mild cleaning of schemas."""

from collections.abc import Callable

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.tooljson import MAX_DEPTH
from kiro2api.protocol.kiro.toolschema import MAX_EXPANDED_BYTES, SchemaCleaner
from tests.support.conversations import nest

EMPTY: JSONObject = {"type": "object", "properties": {}}
TEXT: JSONObject = {"type": "string"}


def clean(schema: JSONObject) -> tuple[JSONObject, set[Repair]]:
    """The schema as it goes upstream, and the repairs."""
    repairs: set[Repair] = set()
    return SchemaCleaner(repairs).clean(schema), repairs


def hold(**properties: JSON) -> JSONObject:
    """A schema with these properties."""
    return {"type": "object", "properties": properties}


GOOD: JSONObject = {
    "type": "object",
    "properties": {
        "required": {"type": "array", "items": {"type": "string"}},
        "$schema": {"anyOf": [{"type": "string"}, {"const": {"required": []}}]},
    },
    "required": ["required"],
    "additionalProperties": False,
    "if": {"enum": [[], {"properties": None}, None], "default": {"$schema": "", "$ref": "#/a", "$defs": {}}},
}


@pytest.mark.parametrize("given", [GOOD, GOOD | {"$schema": "https://json-schema.org/draft/2020-12/schema"}])
def test_good_schema_stays(given: JSONObject) -> None:
    """Properties and data that look like keywords are left alone; ``$schema`` goes without a word."""
    assert clean(given) == (GOOD, set())


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ({}, EMPTY),
        ({"type": "string"}, EMPTY),
        ({"type": ["object", "null"]}, EMPTY),
        ({"type": "object", "properties": None, "required": None}, EMPTY),
        ({"type": "object", "properties": ["a"], "required": "a"}, EMPTY),
        ({"type": "object", "properties": {}, "required": []}, EMPTY),
        ({"type": "object", "properties": {}, "required": [1]}, EMPTY),
        (
            {"type": "object", "properties": {"a": {"required": [], "properties": None, "$schema": "x"}}},
            {"type": "object", "properties": {"a": {}}},
        ),
        (hold(a="string", b=None, c=[]), hold(a={}, b={}, c={})),
        (hold(a={"type": "string", "required": True, "items": None}), hold(a=TEXT)),
        (hold(a={"default": None, "description": None}), hold(a={"default": None})),
        (
            {"anyOf": [{"required": None}, True], "items": {"properties": {}}},
            {"anyOf": [{}, True], "items": {}} | EMPTY,
        ),
    ],
)
def test_schema_gets_an_object_root_without_empty_keywords(given: JSONObject, cleaned: JSONObject) -> None:
    """What the upstream refuses is put right, at the root and below."""
    assert clean(given) == (cleaned, {Repair.REPAIRED_SCHEMA})


def measure_depth(value: JSON) -> int:
    """How many objects and lists stand inside one another."""
    match value:
        case dict():
            return 1 + max(map(measure_depth, value.values()), default=0)
        case list():
            return 1 + max(map(measure_depth, value), default=0)
        case _:
            return 0


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: {"items": inner},
        lambda inner: {"anyOf": [inner]},
        lambda inner: {"default": [inner]},
        lambda inner: {"properties": {"a": inner}},
    ],
)
def test_schema_is_cut_where_it_is_too_deep(wrap: Callable[[JSON], JSONObject]) -> None:
    """Deep parts of a schema become empty ones of their kind, at most a map's level below the bound."""
    deep: JSON = {"required": [1]}
    for _ in range(3 * MAX_DEPTH):
        deep = wrap(deep)
    cleaned, found = clean({"type": "object", "properties": {"a": deep}})
    assert MAX_DEPTH <= measure_depth(cleaned) <= MAX_DEPTH + 2
    assert found == {Repair.FLATTENED_NESTING}


def test_schema_at_the_bound_stays() -> None:
    """As many levels as the bound says are not touched."""
    schema = nest(MAX_DEPTH) | EMPTY
    assert clean(schema) == (schema, set())


@pytest.mark.parametrize(
    "definitions",
    [
        {"$defs": {"Name": TEXT}},
        {"definitions": {"Name": TEXT}},
        {"$defs": {"Name": {"$ref": "#/$defs/Word"}, "Word": TEXT}},
    ],
)
def test_reference_stands_as_what_it_refers_to(definitions: JSONObject) -> None:
    """Also over several steps, in lists and in maps; nobody refers to the definitions any more."""
    link: JSONObject = {"$ref": f"#/{next(iter(definitions))}/Name"}
    given = hold(a=link, b={"type": "array", "items": link}, c={"anyOf": [link, {"type": "null"}]}) | definitions
    expected = hold(a=TEXT, b={"type": "array", "items": TEXT}, c={"anyOf": [TEXT, {"type": "null"}]})
    assert clean(given) == (expected, {Repair.INLINED_REFERENCES})


def test_definitions_without_references_go() -> None:
    """The upstream would not look at them."""
    assert clean(hold(a=TEXT) | {"$defs": {"Name": TEXT}}) == (hold(a=TEXT), {Repair.INLINED_REFERENCES})


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/$defs/a~1b", {"title": "slash"}),
        ("#/$defs/a~0b", {"title": "tilde"}),
        ("#/%24defs/a%20b", {"title": "space"}),
        ("#/properties/list/anyOf/1", {"title": "second"}),
    ],
)
def test_reference_is_a_pointer(reference: str, found: JSONObject) -> None:
    """With its escapes, and its numbers for places in a list."""
    definitions: JSONObject = {"a/b": {"title": "slash"}, "a~b": {"title": "tilde"}, "a b": {"title": "space"}}
    alternatives: JSONObject = {"anyOf": [{}, {"title": "second"}]}
    given = hold(x={"$ref": reference}, list=alternatives) | {"$defs": definitions}
    assert clean(given) == (hold(x=found, list=alternatives), {Repair.INLINED_REFERENCES})


def test_words_beside_a_reference_count() -> None:
    """They come before those of the target, whose properties and requirements stay."""
    target: JSONObject = {"type": "object", "description": "Any.", "properties": {"a": TEXT}, "required": ["a"]}
    beside: JSONObject = {"description": "This.", "properties": {"b": TEXT}, "required": ["a", "b"]}
    expected = hold(a=TEXT, b=TEXT) | {"description": "This.", "required": ["a", "b"]}
    assert clean(hold(x={"$ref": "#/$defs/T", **beside}) | {"$defs": {"T": target}}) == (
        hold(x=expected),
        {Repair.INLINED_REFERENCES},
    )


def test_root_may_be_a_reference() -> None:
    """Generators write the type itself among the definitions."""
    given: JSONObject = {"$ref": "#/$defs/T", "$defs": {"T": hold(a=TEXT)}}
    assert clean(given) == (hold(a=TEXT), {Repair.INLINED_REFERENCES})


def test_recursion_is_cut_where_it_begins_again() -> None:
    """The type and a sentence stand for the inner one."""
    node = hold(next={"$ref": "#/$defs/Node"}, all={"$ref": "#", "description": "All."})
    given = hold(first={"$ref": "#/$defs/Node"}) | {"$defs": {"Node": node | {"description": "A node."}}}
    inner: JSONObject = {"type": "object", "description": 'A node. Of the same form as "Node".'}
    whole: JSONObject = {"type": "object", "description": 'All. Of the same form as "whole schema".'}
    expected = hold(first=hold(next=inner, all=whole) | {"description": "A node."})
    assert clean(given) == (expected, {Repair.INLINED_REFERENCES, Repair.CUT_REFERENCE})


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.org/a.json",
        "#/$defs/absent",
        "#anchor",
        "#/title",
        "#/properties/x/anyOf/7",
        "#/enum/x",
        "",
        7,
        None,
    ],
)
def test_reference_to_nothing_leaves_what_stands_beside_it(reference: JSON) -> None:
    """Nothing is fetched, and what cannot be known is allowed."""
    given = hold(x={"$ref": reference, "description": "X."}) | {"title": "T", "enum": [{}]}
    cleaned, repairs = clean(given)
    assert cleaned == hold(x={"description": "X."}) | {"title": "T", "enum": [{}]}
    assert repairs == {Repair.CUT_REFERENCE}


def test_references_that_only_refer_to_each_other_end() -> None:
    """A circle without anything in it allows everything."""
    given = hold(x={"$ref": "#/$defs/a"}) | {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    cleaned, repairs = clean(given)
    assert cleaned == hold(x={"description": 'Of the same form as "a".'})
    assert repairs == {Repair.INLINED_REFERENCES, Repair.CUT_REFERENCE}


def test_few_lines_do_not_unfold_to_gigabytes() -> None:
    """Each of thirty definitions refers to the next one three times; the room is one for all schemas of a request."""
    definitions: JSONObject = {"30": TEXT}
    for number in range(30):
        link: JSON = {"$ref": f"#/$defs/{number + 1}"}
        definitions[str(number)] = hold(a=link, b=link, c=link)
    given = hold(x={"$ref": "#/$defs/0"}) | {"$defs": definitions}
    repairs: set[Repair] = set()
    cleaner = SchemaCleaner(repairs)
    sizes = [len(encode_json(cleaner.clean(given))) for _ in range(3)]
    assert MAX_EXPANDED_BYTES / 2 < sizes[0] < MAX_EXPANDED_BYTES * 2
    assert sizes[1:] == [len(encode_json(hold(x={"type": "object", "description": 'Of the same form as "0".'})))] * 2
    assert repairs == {Repair.INLINED_REFERENCES, Repair.CUT_REFERENCE}
