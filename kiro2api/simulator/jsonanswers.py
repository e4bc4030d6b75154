"""Answers in JSON, where a request asks in words for nothing else: the smallest that its schema allows."""

import json
from typing import Final

from kiro2api.protocol.jsontext import JSON, JSONObject

_DEMAND: Final = "Your answer must be JSON alone"
_SCHEMA: Final = "It must fit this JSON schema: "
_DECODER: Final = json.JSONDecoder()
_EXAMPLE: Final = "example"
_FORMATS: Final = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "duration": "PT1S",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_MAX_DEPTH: Final = 20
"""Schemas inside one another: one that requires itself has no example."""


def build_json_answer(content: str) -> str | None:
    """The answer to a user's message that demands JSON; ``None`` if it does not."""
    _, found, demand = content.rpartition(_DEMAND)
    if not found:
        return None
    _, found, rest = demand.partition(_SCHEMA)
    if not found:
        return json.dumps({"answer": _EXAMPLE})
    try:
        schema, _ = _DECODER.raw_decode(rest)
    except ValueError:
        return None
    return json.dumps(_build_example(schema, schema, 0))


def _build_example(schema: JSON, root: JSON, depth: int) -> JSON:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return _EXAMPLE
    match schema:
        case {"$ref": str() as reference}:
            return _build_example(_find(root, reference), root, depth + 1)
        case {"const": value} | {"enum": [value, *_]}:
            return value
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
            return _build_example(first, root, depth + 1)
        case {"type": [str() as kind, *_]} | {"type": str() as kind}:
            return _build_value(kind, schema, root, depth)
        case {"properties": _}:
            return _build_value("object", schema, root, depth)
        case _:
            return _EXAMPLE


def _build_value(kind: str, schema: JSONObject, root: JSON, depth: int) -> JSON:
    match kind:
        case "object":
            properties = schema.get("properties")
            known = properties if isinstance(properties, dict) else {}
            required = schema.get("required")
            names = required if isinstance(required, list) else []
            return {str(name): _build_example(known.get(str(name)), root, depth + 1) for name in names}
        case "array":
            count = schema.get("minItems", 1)
            return [_build_example(schema.get("items"), root, depth + 1)] * (count if isinstance(count, int) else 1)
        case "integer" | "number":
            least = schema.get("minimum", 1)
            return least if isinstance(least, int | float) else 1
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _FORMATS.get(str(schema.get("format")), _EXAMPLE)


def _find(root: JSON, reference: str) -> JSON:
    value = root
    for key in reference.split("/")[1:]:
        value = value.get(key) if isinstance(value, dict) else None
    return value
