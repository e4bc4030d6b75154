"""The JSON of tools, inputs and schemas, within what the upstream parses.

The upstream refuses a body nested 128 levels deep and an object with an empty key in a tool's input; for a schema it
wants an object at the root and no ``null`` where a list or an object belongs. What is in order stays as it is.
"""

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.kiro.repairs import Repair

MAX_DEPTH = 100
"""Levels of one input or schema: the upstream's bound is 127 for the body, in which a schema begins on level 10."""

EMPTY_KEY_ALIAS = "_"

_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_PLAIN_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose values are data: nothing in them is a schema, whatever it looks like."""


def clean_tool_input(tool_input: JSONObject, repairs: set[Repair]) -> JSONObject:
    """``tool_input`` without empty keys, and with what is too deep as JSON text."""
    return {_rename_key(key, tool_input, repairs): _clean_value(item, 2, repairs) for key, item in tool_input.items()}


def clean_tool_schema(schema: JSONObject, repairs: set[Repair]) -> JSONObject:
    """``schema`` with an object at its root, without ``$schema``, and without empty ``required`` and ``properties``.

    What is nested too deep becomes an empty object or list there. Local references pass.
    """
    cleaned = _clean_schema(schema, 1, repairs)
    properties = cleaned.get("properties")
    cleaned["type"] = "object"
    cleaned["properties"] = properties if isinstance(properties, dict) else {}
    required = cleaned.get("required", [])
    if not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        del cleaned["required"]
    original = {key: item for key, item in schema.items() if key != "$schema"}
    if cleaned != original:
        repairs.add(Repair.REPAIRED_SCHEMA)
    return cleaned


def _clean_value(value: JSON, depth: int, repairs: set[Repair]) -> JSON:
    """``value``, which stands on level ``depth``, as it may stand in a tool input."""
    match value:
        case dict() | list() if depth > MAX_DEPTH:
            repairs.add(Repair.FLATTENED_NESTING)
            return encode_json(value).decode()
        case dict():
            return {
                _rename_key(key, value, repairs): _clean_value(item, depth + 1, repairs) for key, item in value.items()
            }
        case list():
            return [_clean_value(item, depth + 1, repairs) for item in value]
        case _:
            return value


def _rename_key(key: str, parent: JSONObject, repairs: set[Repair]) -> str:
    if key:
        return key
    repairs.add(Repair.RENAMED_INPUT_KEY)
    alias = EMPTY_KEY_ALIAS
    while alias in parent:
        alias += EMPTY_KEY_ALIAS
    return alias


def _clean_schema(schema: JSONObject, depth: int, repairs: set[Repair]) -> JSONObject:
    cleaned: JSONObject = {}
    for key, value in schema.items():
        if key == "$schema" or (key in {"required", "properties"} and not value):
            continue
        if key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            cleaned[key] = {name: _clean_subschema(item, depth + 2, repairs) for name, item in value.items()}
        elif key in _PLAIN_VALUES:
            cleaned[key] = _bound(value, depth + 1, repairs)
        else:
            cleaned[key] = _clean_subschema(value, depth + 1, repairs)
    return cleaned


def _clean_subschema(value: JSON, depth: int, repairs: set[Repair]) -> JSON:
    match value:
        case dict() if depth <= MAX_DEPTH:
            return _clean_schema(value, depth, repairs)
        case list() if depth <= MAX_DEPTH:
            return [_clean_subschema(item, depth + 1, repairs) for item in value]
        case _:
            return _bound(value, depth, repairs)


def _bound(value: JSON, depth: int, repairs: set[Repair]) -> JSON:
    """``value`` with empty containers for those below :data:`MAX_DEPTH`."""
    match value:
        case dict() | list() if value and depth > MAX_DEPTH:
            repairs.add(Repair.FLATTENED_NESTING)
            return {} if isinstance(value, dict) else []
        case dict():
            return {key: _bound(item, depth + 1, repairs) for key, item in value.items()}
        case list():
            return [_bound(item, depth + 1, repairs) for item in value]
        case _:
            return value
