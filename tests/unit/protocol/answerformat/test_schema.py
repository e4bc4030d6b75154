"""Schemas of answers as they are read from requests."""

import pytest

from kiro2api.protocol.answerformat import read_answer_format
from kiro2api.protocol.answerformat.schema import SchemaReader
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, MAX_DEPTH, JSONObject

EVERYTHING: JSONObject = {
    "type": ["object", "null"],
    "enum": [{}, None],
    "const": None,
    "properties": {"a": {"type": "string", "minLength": 1, "maxLength": 2.0}, "b": True},
    "required": ["a"],
    "additionalProperties": False,
    "propertyNames": {"maxLength": 3},
    "minProperties": 0,
    "maxProperties": 2,
    "items": {"minimum": -1, "maximum": 1, "exclusiveMinimum": -2.5, "exclusiveMaximum": 2, "multipleOf": 0.5},
    "prefixItems": [{"not": {"type": "integer"}}],
    "contains": {"if": True, "then": True, "else": False},
    "minContains": 1,
    "maxContains": 2,
    "minItems": 1,
    "maxItems": 2,
    "uniqueItems": True,
    "allOf": [True],
    "anyOf": [{"oneOf": [{"type": "string"}]}],
}


def test_what_is_checked_stays_as_it_is() -> None:
    """Every keyword that counts comes out with its value."""
    assert SchemaReader(EVERYTHING).read() == EVERYTHING
    assert read_answer_format(EVERYTHING, "p") == AnswerFormat(schema=EVERYTHING)


@pytest.mark.parametrize(
    ("schema", "read"),
    [
        ({"$schema": "http://[", "$id": 7, "title": [], "format": 1, "pattern": "(", "default": {"$ref": 1}}, {}),
        (
            {"properties": {"pattern": False, "$ref": {"type": "string"}}},
            {"properties": {"pattern": False, "$ref": {"type": "string"}}},
        ),
        ({"patternProperties": {"(": 1}, "additionalProperties": False}, {}),
        ({"minimum": 1, "exclusiveMinimum": True, "exclusiveMaximum": False}, {"minimum": 1}),
        ({"items": [{}, False], "additionalItems": False}, {"prefixItems": [True, False], "items": False}),
        ({"items": {"title": "A"}, "additionalItems": False}, {"items": True}),
        ({"additionalItems": "unread", "not": {"title": "A"}}, {"not": True}),
        ({"unevaluatedProperties": "unread", "dependentSchemas": []}, {}),
    ],
)
def test_what_is_not_checked_does_not_count(schema: JSONObject, read: JSONObject) -> None:
    """Whatever its value is; what older drafts say in other words is said in those of today."""
    assert SchemaReader(schema).read() == read


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        (None, "p"),
        ([], "p"),
        (True, "p"),
        ({"type": "text"}, "p.type"),
        ({"type": []}, "p.type"),
        ({"type": [["string"]]}, "p.type"),
        ({"enum": "a"}, "p.enum"),
        ({"required": ["a", 1]}, "p.required"),
        ({"required": "a"}, "p.required"),
        ({"uniqueItems": 1}, "p.uniqueItems"),
        ({"multipleOf": 0}, "p.multipleOf"),
        ({"multipleOf": True}, "p.multipleOf"),
        ({"minimum": "1"}, "p.minimum"),
        ({"maximum": True}, "p.maximum"),
        ({"minLength": -1}, "p.minLength"),
        ({"minLength": 1.5}, "p.minLength"),
        ({"maxItems": True}, "p.maxItems"),
        ({"properties": []}, "p.properties"),
        ({"properties": {"a": {"items": {"type": 1}}}}, "p.properties.a.items.type"),
        ({"properties": {"a": None}}, "p.properties.a"),
        ({"anyOf": {}}, "p.anyOf"),
        ({"anyOf": [True, "x"]}, "p.anyOf[1]"),
        ({"items": [True, 1]}, "p.items[1]"),
        ({"items": [], "additionalItems": 1}, "p.additionalItems"),
        ({"not": 1}, "p.not"),
        ({"$ref": 1}, "p.$ref"),
    ],
)
def test_what_is_no_schema_is_refused_where_it_stands(schema: JSON, path: str) -> None:
    """The first place, in the client's own spelling."""
    with pytest.raises(InvalidRequestError, match="Input should be") as refused:
        read_answer_format(schema, "p")
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("#", {"$ref": "#"}),
        ("#/$defs/a", {"type": "string"}),
        ("#/$defs/a~1b~0c", {"type": "null"}),
        ("#/$defs/a%20b", True),
        ("#/$defs/l/1", {"type": "boolean"}),
    ],
)
def test_references_lead_to_places_in_the_schema(reference: str, target: JSON) -> None:
    """Also through what is no schema itself."""
    definitions: JSONObject = {
        "a": {"type": "string", "title": "A"},
        "a/b~c": {"type": "null"},
        "a b": True,
        "l": [0, {"type": "boolean"}],
    }
    root: JSONObject = {"$ref": reference, "$defs": definitions}
    reader = SchemaReader(root)
    assert reader.read() == {"$ref": reference}
    assert reader.targets == {reference: target}


def test_definitions_may_refer_to_each_other() -> None:
    """Each is read once, and those that nothing refers to are not read at all."""
    definitions: JSONObject = {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}, "c": 1}
    reader = SchemaReader({"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": definitions})
    reader.read()
    assert reader.targets == {"#/$defs/a": definitions["a"], "#/$defs/b": definitions["b"]}


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("https://example.com/schema.json", "p.items.$ref"),
        ("other.json#/a", "p.items.$ref"),
        ("#anchor", "p.items.$ref"),
        ("", "p.items.$ref"),
        ("#/$defs/nobody", "p.items.$ref"),
        ("#/$defs/list/2", "p.items.$ref"),
        ("#/$defs/list/-1", "p.items.$ref"),
        ("#/$defs/list/²", "p.items.$ref"),
        ("#/$defs/list/0/deeper", "p.items.$ref"),
        ("#/$defs/list", "p.$defs.list"),
        ("#/$defs/list/1", "p.$defs.list[1].type"),
    ],
)
def test_a_reference_that_leads_elsewhere_is_refused(reference: str, path: str) -> None:
    """Where it stands, or where the fault is that it leads to. Nothing is fetched."""
    with pytest.raises(InvalidRequestError) as refused:
        read_answer_format({"items": {"$ref": reference}, "$defs": {"list": ["a", {"type": "x"}]}}, "p")
    assert refused.value.path == path


def test_a_schema_may_be_as_deep_as_a_body() -> None:
    """The stack suffices."""
    schema: JSONObject = {"type": "string"}
    for _ in range(MAX_DEPTH - 1):
        schema = {"not": schema}
    assert SchemaReader(schema).read() == schema
