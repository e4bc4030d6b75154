"""What a model's own schema lets a request carry beside the conversation.

Read of JSON Schema is what the upstream uses, and what its kind of schema might: types, values, bounds, properties,
alternatives. A property that the schema does not name is refused by the upstream, so it is not admitted here either;
neither is anything that hangs on a reference.
"""

from collections.abc import Mapping
from typing import Final

from kiro2api.protocol.jsontext import JSON, JSONObject

type Schema = Mapping[str, object]

MAX_SCHEMA_DEPTH: Final = 16
"""Schemas inside one another that are read; those of the upstream have three."""

_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
}


def find_property(schema: object, name: str, depth: int = MAX_SCHEMA_DEPTH) -> Schema | None:
    """The schema of the property called ``name``, in whichever alternative it stands."""
    if not isinstance(schema, Mapping) or not depth:
        return None
    found = _get_mapping(schema, "properties").get(name)
    if isinstance(found, Mapping):
        return found
    inner = (find_property(option, name, depth - 1) for option in _list_options(schema))
    return next((option for option in inner if option is not None), None)


def clamp(schema: Schema, number: int) -> int:
    """``number``, or the bound of ``schema`` that it is beyond."""
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if isinstance(highest, int) and number > highest:
        number = highest
    return lowest if isinstance(lowest, int) and number < lowest else number


def admits(schema: object, value: JSON, depth: int = MAX_SCHEMA_DEPTH) -> bool:
    """Whether ``value``, of the kinds that requests here carry, is what ``schema`` asks for."""
    if not isinstance(schema, Mapping) or not depth or "$ref" in schema:
        return schema is True
    return (
        _has_type(schema, value)
        and _is_among(schema, value)
        and _is_within(schema, value)
        and _fits_alternatives(schema, value, depth)
        and (not isinstance(value, dict) or _has_properties(schema, value, depth))
    )


def _has_type(schema: Schema, value: JSON) -> bool:
    wanted = schema.get("type")
    names = wanted if isinstance(wanted, list) else [wanted]
    return wanted is None or any(isinstance(value, _TYPES.get(str(name), ())) for name in names)


def _is_among(schema: Schema, value: JSON) -> bool:
    values = schema.get("enum")
    return ("const" not in schema or schema["const"] == value) and (not isinstance(values, list) or value in values)


def _is_within(schema: Schema, value: JSON) -> bool:
    return not isinstance(value, int) or clamp(schema, value) == value


def _fits_alternatives(schema: Schema, value: JSON, depth: int) -> bool:
    for name in _ALTERNATIVES:
        options = schema.get(name)
        if isinstance(options, list):
            fits = [admits(option, value, depth - 1) for option in options]
            if not (all(fits) if name == "allOf" else any(fits)):
                return False
    return True


def _has_properties(schema: Schema, value: JSONObject, depth: int) -> bool:
    required = schema.get("required")
    if isinstance(required, list) and not all(name in value for name in required):
        return False
    if "properties" not in schema:
        return True
    properties = _get_mapping(schema, "properties")
    return all(name in properties and admits(properties[name], item, depth - 1) for name, item in value.items())


def _list_options(schema: Schema) -> list[object]:
    return [option for name in _ALTERNATIVES if isinstance(options := schema.get(name), list) for option in options]


def _get_mapping(schema: Schema, name: str) -> Schema:
    value = schema.get(name)
    return value if isinstance(value, Mapping) else {}
