"""The inputs of tool uses, within what the upstream parses.

The upstream refuses a body nested 128 levels deep, and an object with an empty key in a tool's input. What is in order
stays as it is.
"""

from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json
from kiro2api.protocol.kiro.repairs import Repair

MAX_DEPTH = 100
"""Levels of one input or schema: the upstream's bound is 127 for the body, in which a schema begins on level 10."""

EMPTY_KEY_ALIAS = "_"


def clean_tool_input(tool_input: JSONObject, repairs: set[Repair]) -> JSONObject:
    """``tool_input`` without empty keys, and with what is too deep as JSON text."""
    return {_rename_key(key, tool_input, repairs): _clean_value(item, 2, repairs) for key, item in tool_input.items()}


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
