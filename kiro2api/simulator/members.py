"""Members of raw JSON objects, each read under the rule that its absence or its type would break.

``null`` equals absent, as in the service's own parser; only a union counts every key, whatever its value.
"""

import re
from collections.abc import Collection

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.refusals import RefusedError, Rule


def read_object(value: JSON, rule: Rule) -> JSONObject:
    """``value`` as an object."""
    if not isinstance(value, dict):
        raise RefusedError(rule)
    return value


def read_optional_object(parent: JSONObject, key: str, rule: Rule) -> JSONObject:
    """The object at ``key``; empty when it is absent."""
    value = parent.get(key)
    return {} if value is None else read_object(value, rule)


def read_list(parent: JSONObject, key: str, rule: Rule) -> list[JSON]:
    """The list at ``key``; empty when it is absent."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise RefusedError(rule)
    return value


def read_string(parent: JSONObject, key: str, rule: Rule) -> str:
    """The string at ``key``, which must be there."""
    value = parent.get(key)
    if not isinstance(value, str):
        raise RefusedError(rule)
    return value


def read_matching(parent: JSONObject, key: str, pattern: re.Pattern[str], limit: int, rule: Rule) -> str:
    """The string at ``key``, which must fit ``pattern`` as a whole and have at most ``limit`` characters."""
    value = read_string(parent, key, rule)
    if len(value) > limit or pattern.fullmatch(value) is None:
        raise RefusedError(rule)
    return value


def check_enum(parent: JSONObject, key: str, known: Collection[str], rule: Rule) -> None:
    """The value at ``key`` is one of ``known``, or absent."""
    if parent.get(key) is not None and read_string(parent, key, rule) not in known:
        raise RefusedError(rule)


def check_length(parent: JSONObject, key: str, bounds: range, rule: Rule) -> None:
    """The string at ``key`` has a length within ``bounds``, or is absent."""
    if parent.get(key) is not None and len(read_string(parent, key, rule)) not in bounds:
        raise RefusedError(rule)


def read_union(value: JSON, known: Collection[str], rule: Rule) -> tuple[str, JSON]:
    """The one key of a union and its value; unions take no unknown key, and not two."""
    members = read_object(value, rule)
    if len(members) != 1:
        raise RefusedError(rule)
    [(key, member)] = members.items()
    if key not in known or member is None:
        raise RefusedError(rule)
    return key, member
