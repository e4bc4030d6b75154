"""JSON bodies as wide as a pydantic schema lets them be, drawn from the JSON schema that pydantic makes of it.

A field that is added to a schema is drawn from then on without a change here. What a JSON schema cannot tell, such as
which ``type`` goes with which member of a union, the caller adds.
"""

import copy
import functools
import operator
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from kiro2api.protocol.jsontext import JSON, JSONObject

type Strategy = st.SearchStrategy[Any]

MAX_ITEMS = 6
"""Of a list; bodies grow with its power."""
WEIGHT, RARE = 4, 1
"""How often a member of a union is drawn, if no other weight is given for it, and how often ``null`` is."""
NULL: JSONObject = {"type": "null"}
UNKNOWN_FIELD = "x_unknown"

JUNK: Strategy = st.sampled_from(
    [None, True, -1, 0.5, 2**70, "", "a", "\ud83d", [], [None], ["a"], [[]], {}, {"type": "a"}, {"type": None}, {"": 0}]
)
"""What may stand in the place of anything else."""


class Bodies:
    """Strategies for the parts of one schema.

    Args:
        fields: Values by ``Model.field`` or, for all models, ``field``; a model gets fields of its own that it lacks.
        also: The same, for values that a field takes beside those that its schema tells of.
        weights: How often models are drawn where others may be, against the usual ``WEIGHT``.
        present: Optional fields, as ``Model.field``, without which little is left of a body.
        texts: Strings of no other description.
        values: Any JSON.
        objects: Any JSON objects.
    """

    def __init__(
        self,
        model: type[BaseModel],
        *,
        fields: Mapping[str, Strategy],
        also: Mapping[str, Strategy],
        weights: Mapping[str, int],
        present: Collection[str],
        texts: Strategy,
        values: Strategy,
        objects: Strategy,
    ) -> None:
        self._fields = fields
        self._also = also
        self._weights = {f"#/$defs/{name}": weight for name, weight in weights.items()}
        self._present = present
        self._texts, self._values, self._objects = texts, values, objects
        root = model.model_json_schema()
        self._definitions: dict[str, JSONObject] = root.get("$defs", {})
        self._cache: dict[str, Strategy] = {}
        self.bodies = self._build(root).map(copy.deepcopy)
        """Each one the caller's own, to change as it likes."""

    def _build(self, schema: JSONObject) -> Strategy:
        """Values that fit ``schema``."""
        match schema:
            case {"$ref": str() as reference}:
                return self._get_definition(reference.rpartition("/")[2])
            case {"oneOf": list() as members} | {"anyOf": list() as members}:
                return self._build_union([member for member in members if isinstance(member, dict)])
            case {"enum": list() as choices}:
                return st.sampled_from(choices)
            case {"type": "array", "items": dict() as items}:
                size = schema.get("minItems", 0)
                assert isinstance(size, int)
                return st.lists(self._build(items), min_size=size, max_size=MAX_ITEMS)
            case {"type": "object", "properties": dict() as properties}:
                return self._build_object(str(schema["title"]), properties, schema.get("required", []))
            case _:
                return self._build_simple(schema)

    def _build_union(self, members: list[JSONObject]) -> Strategy:
        weights = [self._weights.get(str(member.get("$ref")), WEIGHT) for member in members]
        weights = [RARE if member == NULL else weight for member, weight in zip(members, weights, strict=True)]
        return choose(zip(map(self._build, members), weights, strict=True))

    def _get_definition(self, name: str) -> Strategy:
        if name not in self._cache:
            self._cache[name] = self._build(self._definitions[name])
        return self._cache[name]

    def _build_simple(self, schema: JSONObject) -> Strategy:
        minimum = schema.get("minimum")
        match schema.get("type"):
            case "string":
                return self._texts.filter(bool) if schema.get("minLength") else self._texts
            case "integer":
                return st.integers(min_value=minimum if isinstance(minimum, int) else None, max_value=2**40)
            case "number":
                return st.floats(allow_nan=False, allow_infinity=False)
            case "boolean":
                return st.booleans()
            case "null":
                return st.none()
            case "object":
                return self._objects
            case None:
                return self._values
            case unknown:
                raise AssertionError(unknown)

    def _build_object(self, title: str, properties: JSONObject, required: JSON) -> Strategy:
        assert isinstance(required, list)
        own = [name.partition(".")[2] for name in self._fields if name.startswith(f"{title}.")]
        added = [name for name in own if name not in properties]
        values = {name: self._build_field(title, name, properties.get(name)) for name in [*properties, *added]}
        always = {*required, *added, *(name for name in values if f"{title}.{name}" in self._present)}
        needed = {name: value for name, value in values.items() if name in always}
        optional = {name: value for name, value in values.items() if name not in needed}
        return _hide(st.fixed_dictionaries(needed, optional=optional | {UNKNOWN_FIELD: self._values}))

    def _build_field(self, title: str, name: str, schema: JSON) -> Strategy:
        replaced = self._fields.get(f"{title}.{name}", self._fields.get(name))
        if isinstance(schema, dict):
            built = self._build(schema) if replaced is None else replaced
            if replaced is not None and NULL in _list_members(schema):
                built = choose([(replaced, WEIGHT), (st.none(), RARE)])
        else:
            assert replaced is not None
            built = replaced
        more = self._also.get(f"{title}.{name}", self._also.get(name))
        return built if more is None else choose([(built, WEIGHT), (more, RARE)])


def choose(weighted: Iterable[tuple[Strategy, int]]) -> Strategy:
    """One of several, by weight; drawn by its number, as hypothesis counts equal branches once."""
    branches = [strategy for strategy, weight in weighted for _ in range(weight)]

    @st.composite
    def chosen(draw: st.DrawFn) -> object:
        return draw(branches[draw(st.integers(0, len(branches) - 1))])

    return chosen()


def _hide(strategy: Strategy) -> Strategy:
    """The same with a short name: hypothesis would spell out all that is in it, some of it thousands of times."""

    @st.composite
    def part(draw: st.DrawFn) -> object:
        return draw(strategy)

    return part()


def _list_members(schema: JSONObject) -> list[JSON]:
    members = schema.get("anyOf", [])
    assert isinstance(members, list)
    return members


@st.composite
def damaged(draw: st.DrawFn, bodies: Strategy) -> JSONObject:
    """Bodies with one place that holds something else, or nothing."""
    body = draw(bodies)
    assert isinstance(body, dict)
    *way, last = draw(st.sampled_from(list(iter_places(body))))
    parent = functools.reduce(operator.getitem, way, body)
    if draw(st.booleans()):
        parent[last] = copy.deepcopy(draw(JUNK))
    else:
        del parent[last]
    return body


def iter_places(value: JSON) -> Iterator[tuple[str | int, ...]]:
    """The ways from ``value`` to all that it holds."""
    items: list[tuple[str | int, JSON]] = []
    match value:
        case dict():
            items += value.items()
        case list():
            items += enumerate(value)
        case _:
            pass
    for key, item in items:
        yield (key,)
        yield from ((key, *way) for way in iter_places(item))
