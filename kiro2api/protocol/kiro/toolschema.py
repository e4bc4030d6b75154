"""The schemas of tools, within what the upstream parses: mild cleaning, which keeps what a schema says.

- The root is an object with ``properties``; ``properties`` and ``required`` are what they should be, or absent.
- Local references stand as what they refer to, and definitions go: the upstream looks none up. Where a reference leads
  back into what it stands in, to another document or to nothing, or where the room for expansions is used up, only the
  type and a sentence stand. The room is one for all tools of a request: a few lines may unfold to gigabytes.
- A keyword that is ``null`` is absent, as the upstream reads it; ``$schema`` goes without a word.
- What is nested too deep becomes an empty object or list there.
"""

from typing import NamedTuple
from urllib.parse import unquote

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.tooljson import MAX_DEPTH

MAX_EXPANDED_BYTES = 400_000
"""Of schema that references unfold to in one request: a third of the largest body known to have passed."""

_MAPS_OF_SCHEMAS = frozenset({"properties", "patternProperties", "dependentSchemas"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_PLAIN_VALUES = frozenset({"const", "default", "enum", "example", "examples"})
"""Keywords whose values are data: nothing in them is a schema, whatever it looks like."""
_MAYBE_NULL = frozenset({"const", "default", "example"})
_WHOLE = "whole schema"

type Path = tuple[str, ...]
"""Of a reference: the keys from the root to what it refers to."""


class _Inlined(NamedTuple):
    """What stands in the place of a schema with a reference, and the references that it stands in itself."""

    schema: JSONObject
    within: frozenset[Path]


class SchemaCleaner:
    """Cleans the schemas of one request, in their order.

    Args:
        repairs: Takes what had to be changed.
    """

    __slots__ = ("_repairs", "_room", "_root")

    def __init__(self, repairs: set[Repair]) -> None:
        self._repairs = repairs
        self._room = MAX_EXPANDED_BYTES
        self._root: JSONObject = {}

    def clean(self, schema: JSONObject) -> JSONObject:
        """``schema`` as the upstream takes it; ``schema`` itself stays as it is."""
        self._root = schema
        cleaned = self._clean_schema(schema, 1, frozenset({()}))
        if cleaned.get("type") != "object" or "properties" not in cleaned:
            self._repairs.add(Repair.REPAIRED_SCHEMA)
        return cleaned | {"type": "object", "properties": cleaned.get("properties", {})}

    def _clean_schema(self, schema: JSONObject, depth: int, within: frozenset[Path]) -> JSONObject:
        if "$ref" in schema:
            schema, within = self._inline(schema, within)
        cleaned: JSONObject = {}
        for key, value in schema.items():
            if key in _DEFINITIONS:
                self._repairs.add(Repair.INLINED_REFERENCES)
            elif _is_void(key, value) and not (depth == 1 and key == "properties" and value == {}):
                self._repairs.add(Repair.REPAIRED_SCHEMA)
            elif key in _MAPS_OF_SCHEMAS and isinstance(value, dict):
                cleaned[key] = {name: self._clean_member(item, depth + 2, within) for name, item in value.items()}
            elif key in _PLAIN_VALUES:
                cleaned[key] = self._bound(value, depth + 1)
            elif key != "$schema":
                cleaned[key] = self._clean_subschema(value, depth + 1, within)
        return cleaned

    def _clean_member(self, value: JSON, depth: int, within: frozenset[Path]) -> JSON:
        """The schema of a property; what can be none becomes the one that allows everything."""
        if isinstance(value, dict | bool):
            return self._clean_subschema(value, depth, within)
        self._repairs.add(Repair.REPAIRED_SCHEMA)
        return {}

    def _clean_subschema(self, value: JSON, depth: int, within: frozenset[Path]) -> JSON:
        match value:
            case dict() if depth <= MAX_DEPTH:
                return self._clean_schema(value, depth, within)
            case list() if depth <= MAX_DEPTH:
                return [self._clean_subschema(item, depth + 1, within) for item in value]
            case _:
                return self._bound(value, depth)

    def _inline(self, schema: JSONObject, within: frozenset[Path]) -> _Inlined:
        """``schema`` with what its reference refers to; its own keywords count before those."""
        while "$ref" in schema:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            path = _parse_reference(schema["$ref"])
            target = None if path is None else _find(self._root, path)
            if path is None or target is None or path in within or not self._has_room(target):
                self._repairs.add(Repair.CUT_REFERENCE)
                return _Inlined(_cut(target or {}, beside, path), within)
            self._repairs.add(Repair.INLINED_REFERENCES)
            within |= {path}
            schema = _merge(target, beside)
        return _Inlined(schema, within)

    def _has_room(self, target: JSONObject) -> bool:
        """Whether ``target`` may be written once more; its references are counted when they are written."""
        size = len(encode_json(target)) if self._room else 0
        self._room = max(self._room - size, 0)
        return self._room > 0

    def _bound(self, value: JSON, depth: int) -> JSON:
        """``value`` with empty containers for those below :data:`MAX_DEPTH`."""
        match value:
            case dict() | list() if value and depth > MAX_DEPTH:
                self._repairs.add(Repair.FLATTENED_NESTING)
                return {} if isinstance(value, dict) else []
            case dict():
                return {key: self._bound(item, depth + 1) for key, item in value.items()}
            case list():
                return [self._bound(item, depth + 1) for item in value]
            case _:
                return value


def _is_void(key: str, value: JSON) -> bool:
    """Whether the keyword says nothing, or what it must not say."""
    match key:
        case "required":
            return not (isinstance(value, list) and value and all(isinstance(name, str) for name in value))
        case "properties":
            return not (isinstance(value, dict) and value)
        case _:
            return value is None and key not in _MAYBE_NULL


def _parse_reference(reference: JSON) -> Path | None:
    """The path of a reference within the schema; ``None`` for any other."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    keys = unquote(reference).split("/")[1:]
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)


def _find(root: JSONObject, path: Path) -> JSONObject | None:
    value: JSON = root
    for key in path:
        match value:
            case dict() if key in value:
                value = value[key]
            case list() if key.isascii() and key.isdigit() and int(key[:9]) < len(value):
                value = value[int(key[:9])]
            case _:
                return None
    return value if isinstance(value, dict) else None


def _merge(target: JSONObject, beside: JSONObject) -> JSONObject:
    """Both as one schema, as far as it can be said in one: of a keyword in both, that of ``beside`` counts."""
    merged = target | beside
    theirs, own = target.get("properties"), beside.get("properties")
    if isinstance(theirs, dict) and isinstance(own, dict):
        merged["properties"] = theirs | own
    needed, also_needed = target.get("required"), beside.get("required")
    if isinstance(needed, list) and isinstance(also_needed, list):
        merged["required"] = [*needed, *(name for name in also_needed if name not in needed)]
    return merged


def _cut(target: JSONObject, beside: JSONObject, path: Path | None) -> JSONObject:
    """What remains of a reference that is not followed: the type, and words."""
    kept = {key: target[key] for key in ("type", "description") if key in target} | beside
    if target:
        name = path[-1] if path else _WHOLE
        words = (kept.get("description"), f'Of the same form as "{name}".')
        kept["description"] = " ".join(text for text in words if isinstance(text, str))
    return kept
