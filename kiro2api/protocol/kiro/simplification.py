"""Schemas once more, for an upstream that has refused them: only what every service understands is left.

That is types, names, descriptions, lists of allowed values, and what is required. Alternatives become one schema that
allows each of them; bounds, patterns, formats and conditions go. The model knows less of what a tool takes, and the
client still checks what it gets.
"""

import dataclasses
from collections.abc import Sequence

import msgspec

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.kiro.repairs import Repair, list_repairs
from kiro2api.protocol.kiro.request import UpstreamRequest
from kiro2api.protocol.kiro.schema import InputSchema, ToolEntry

_ALTERNATIVES = ("anyOf", "oneOf")


def simplify_schemas(request: UpstreamRequest) -> UpstreamRequest | None:
    """``request`` with the simplest schemas, for one more attempt; ``None`` if they are that already.

    The conversation is not encoded again: its tools are exchanged where they stand.
    """
    tools = tuple(_simplify_entry(entry) for entry in request.tools)
    if tools == request.tools:
        return None
    # The declarations come before the history, and no string before them can hold a quotation mark as it is.
    state = request.conversation_state.replace(encode_json(request.tools), encode_json(tools), 1)
    repairs = {*map(Repair, request.repairs), Repair.SIMPLIFIED_SCHEMAS}
    return dataclasses.replace(request, tools=tools, conversation_state=state, repairs=list_repairs(repairs))


def _simplify_entry(entry: ToolEntry) -> ToolEntry:
    specification = entry.tool_specification
    schema = simplify_schema(specification.input_schema.json)
    schema = {**schema, "type": "object", "properties": schema.get("properties", {})}
    specification = msgspec.structs.replace(specification, input_schema=InputSchema(json=schema))
    return ToolEntry(tool_specification=specification)


def simplify_schema(schema: JSONObject) -> JSONObject:
    """``schema``, whose references are resolved, without all that not every service takes."""
    schema = _merge_branches(schema)
    simple: JSONObject = {}
    if (name := _read_type(schema)) is not None:
        simple["type"] = name
    if isinstance(description := schema.get("description"), str):
        simple["description"] = description
    if choices := _read_choices(schema):
        simple["enum"] = choices
    if isinstance(properties := schema.get("properties"), dict):
        simple["properties"] = {key: _simplify_any(item) for key, item in properties.items()}
        required = schema.get("required")
        if isinstance(required, list):
            known: list[JSON] = [key for key in required if key in properties]
            simple |= {"required": known} if known else {}
    if name == "array":
        simple["items"] = _simplify_any(schema.get("items"))
    return simple


def _simplify_any(value: JSON) -> JSONObject:
    """A schema, the first of several, or the one that allows everything."""
    match value:
        case dict():
            return simplify_schema(value)
        case [dict() as first, *_]:
            return simplify_schema(first)
        case _:
            return {}


def _read_type(schema: JSONObject) -> str | None:
    match schema.get("type"):
        case str() as name:
            return name
        case list() as names:
            return next((name for name in names if isinstance(name, str) and name != "null"), None)
        case _ if "properties" in schema:
            return "object"
        case _:
            return "array" if "items" in schema else None


def _read_choices(schema: JSONObject) -> list[JSON]:
    choices = schema.get("enum")
    if not isinstance(choices, list):
        choices = [schema.get("const")]
    return [choice for choice in choices if choice is not None]


def _merge_branches(schema: JSONObject) -> JSONObject:
    """``schema`` without branches; what they say beyond that stands beside its own words, which count first."""
    merged = {key: value for key, value in schema.items() if key not in {"allOf", *_ALTERNATIVES}}
    for branch in _list_branches(schema, "allOf"):
        merged = _join(merged, branch, is_needed=True)
    for keyword in _ALTERNATIVES:
        branches = _list_branches(schema, keyword)
        if len(branches) == 1:
            merged = _join(merged, branches[0], is_needed=True)
        elif branches:
            merged = _join(merged, _unite(branches), is_needed=False)
    return merged


def _list_branches(schema: JSONObject, keyword: str) -> list[JSONObject]:
    branches = schema.get(keyword)
    found = branches if isinstance(branches, list) else []
    return [_merge_branches(branch) for branch in found if isinstance(branch, dict) and branch.get("type") != "null"]


def _unite(branches: Sequence[JSONObject]) -> JSONObject:
    """What holds for all of ``branches``, and the properties and the choices of any."""
    united: JSONObject = {}
    types = {_read_type(branch) for branch in branches}
    if len(types) == 1 and (name := types.pop()) is not None:
        united["type"] = name
    choices = [_read_choices(branch) for branch in branches]
    if all(choices):
        united["enum"] = [choice for group in choices for choice in group]
    for branch in branches:
        if isinstance(branch.get("properties"), dict):
            united = _join(united, {"properties": branch["properties"]}, is_needed=False)
    return united


def _join(schema: JSONObject, other: JSONObject, *, is_needed: bool) -> JSONObject:
    """``other`` beside ``schema``, whose words count first; whether what ``other`` requires is required."""
    joined = other | schema
    own, theirs = schema.get("properties"), other.get("properties")
    if isinstance(own, dict) and isinstance(theirs, dict):
        joined["properties"] = theirs | own
    required = [schema.get("required"), other.get("required") if is_needed else None]
    names = [name for group in required if isinstance(group, list) for name in group]
    joined.pop("required", None)
    if names:
        joined["required"] = list(dict.fromkeys(map(str, names)))
    return joined
