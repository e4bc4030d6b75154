"""Rules for the schemas of tools: those that the service is known to have, and those that some observers report.

Captured traffic of the service's own editor holds ``$schema``, ``additionalProperties``, ``anyOf`` and ``not``, and was
taken; references were never seen to be. Some clients were refused far more, and cut it out: what they cut is refused
here by a service that is strict.
"""

from collections.abc import Iterator

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.members import read_object
from kiro2api.simulator.refusals import RefusedError, Rule

_REFERENCES = frozenset({"$ref", "$defs", "definitions"})
_CUT_BY_SOME = frozenset(
    {
        "$schema",
        "additionalProperties",
        "allOf",
        "anyOf",
        "const",
        "default",
        "else",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "propertyNames",
        "then",
        "uniqueItems",
    }
)
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose values hold schemas under names of the client's."""
_DATA = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose values are no schemas."""


def check_schema(schema: JSONObject) -> None:
    """The root is an object's, ``properties`` and ``required`` are well formed where there are any, nothing refers."""
    if schema.get("type") != "object":
        raise RefusedError(Rule.TOOL_SCHEMA)
    for part in _walk(schema):
        read_object(part.get("properties", {}), Rule.TOOL_SCHEMA)
        required = part.get("required", [])
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise RefusedError(Rule.TOOL_SCHEMA)
        if not _REFERENCES.isdisjoint(part):
            raise RefusedError(Rule.TOOL_SCHEMA_REFERENCES)


def check_plain_schema(schema: JSONObject) -> None:
    """``schema`` has nothing of what the most careful clients leave out."""
    for part in _walk(schema):
        if not _CUT_BY_SOME.isdisjoint(part) or part.get("required") == [] or isinstance(part.get("type"), list):
            raise RefusedError(Rule.TOOL_SCHEMA_PLAIN)


def _walk(schema: JSON) -> Iterator[JSONObject]:
    """``schema`` and those in it."""
    pending: list[JSON] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            yield part
            for key, value in part.items():
                if key in _BY_NAME and isinstance(value, dict):
                    pending += value.values()
                elif key not in _DATA:
                    pending.append(value)
