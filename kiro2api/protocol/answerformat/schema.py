"""The schema of an answer, read from a request: as much of it as answers are checked against.

- A keyword that is not named here does not count, and may say whatever it likes. Patterns and formats are among those:
  a regular expression may take hours.
- References lead to places in the schema; a request with any other is refused, and nothing is ever fetched.
- What comes out has the form of JSON Schema 2020-12, whatever draft was written.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject

_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})


def _is_type(value: JSON) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(name, str) and name in _TYPES for name in names)


def _is_list_of_strings(value: JSON) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_divisor(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value)


_COUNT: Final = (_is_count, "Input should be a whole number, not below 0")
_LIMIT: Final = (_is_number, "Input should be a number")
PLAIN: Final[dict[str, tuple[Callable[[JSON], bool], str]]] = {
    "type": (_is_type, "Input should be the name of a JSON type, or an array of such names"),
    "enum": (lambda value: isinstance(value, list), "Input should be an array"),
    "const": (lambda _: True, ""),
    "required": (_is_list_of_strings, "Input should be an array of strings"),
    "minProperties": _COUNT,
    "maxProperties": _COUNT,
    "minItems": _COUNT,
    "maxItems": _COUNT,
    "uniqueItems": (lambda value: isinstance(value, bool), "Input should be true or false"),
    "minContains": _COUNT,
    "maxContains": _COUNT,
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "minimum": _LIMIT,
    "maximum": _LIMIT,
    "exclusiveMinimum": _LIMIT,
    "exclusiveMaximum": _LIMIT,
    "multipleOf": (_is_divisor, "Input should be a number above 0"),
}
"""Keywords without schemas in them: what their value has to be, and how a client is told."""
SCHEMA: Final = frozenset({"items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"})
"""Keywords whose value is a schema."""
SCHEMAS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""


def read_answer_format(schema: object, path: str) -> AnswerFormat:
    """The form of answers that ``schema`` describes.

    Args:
        schema: What the client gave.
        path: Where in its request.

    Raises:
        InvalidRequestError: No schema, or one of which a part is none or leads out of it; names the place.
    """
    schema = _require(schema, dict, "Input should be an object: the JSON schema of the answer", path)
    SchemaReader(schema, path).read()
    return AnswerFormat(schema=schema)


class SchemaReader:
    """Reads one schema.

    Args:
        root: The schema, as the client wrote it.
        path: Where it stands in the request.
    """

    def __init__(self, root: JSONObject, path: str = "") -> None:
        self._root = root
        self._path = path
        self._references: list[tuple[str, str]] = []
        self.targets: dict[str, JSON] = {}
        """What each reference leads to, read as well."""

    def read(self) -> JSONObject:
        """The whole schema.

        Raises:
            InvalidRequestError: A part of it is no schema, or leads out of it; names the place.
        """
        schema = self._read_object(self._root, self._path)
        while self._references:
            reference, path = self._references.pop()
            if reference not in self.targets:
                self.targets[reference] = self._read_schema(*self._find(reference, path))
        return schema

    def _read_schema(self, value: JSON, path: str) -> JSON:
        if isinstance(value, bool):
            return value
        members = _require(value, dict, "Input should be a schema: an object, true or false", path)
        return self._read_object(members, path) or True  # which is looked at faster, and means the same

    def _read_object(self, schema: JSONObject, path: str) -> JSONObject:
        counting: JSONObject = {}
        for name, value in schema.items():
            counting |= self._read_keyword(name, value, schema, f"{path}.{name}")
        return counting

    def _read_keyword(self, name: str, value: JSON, beside: JSONObject, path: str) -> JSONObject:
        """The keyword as it counts; empty if it does not."""
        match name:
            case "$ref":
                reference = _require(value, str, "Input should be a string", path)
                self._references.append((reference, path))
                return {name: reference}
            case "properties":
                schemas = _require(value, dict, "Input should be an object", path)
                return {name: {key: self._read_schema(item, f"{path}.{key}") for key, item in schemas.items()}}
            case "additionalProperties" if "patternProperties" in beside:
                return {}  # which properties these are, only the patterns tell
            case "exclusiveMinimum" | "exclusiveMaximum" if isinstance(value, bool):
                return {}  # of draft 4, where the limit stands beside it
            case "items" if isinstance(value, list):
                return {"prefixItems": self._read_list(value, path)}
            case "additionalItems" if isinstance(beside.get("items"), list):
                return {"items": self._read_schema(value, path)}
            case _ if name in SCHEMA:
                return {name: self._read_schema(value, path)}
            case _ if name in SCHEMAS:
                return {name: self._read_list(value, path)}
            case _ if name in PLAIN:
                return {name: _check_plain(name, value, path)}
            case _:
                return {}

    def _read_list(self, value: JSON, path: str) -> list[JSON]:
        schemas = _require(value, list, "Input should be an array of schemas", path)
        return [self._read_schema(item, f"{path}[{index}]") for index, item in enumerate(schemas)]

    def _find(self, reference: str, path: str) -> tuple[JSON, str]:
        """What ``reference`` leads to, and where that stands; ``path`` is the reference's own place."""
        if reference != "#" and not reference.startswith("#/"):
            raise InvalidRequestError("Input should lead to a place in the schema, such as #/$defs/name", path=path)
        value: JSON = self._root
        place = self._path
        for escaped in unquote(reference).split("/")[1:]:
            key = escaped.replace("~1", "/").replace("~0", "~")
            match value:
                case dict() if key in value:
                    value, place = value[key], f"{place}.{key}"
                case list() if key.isascii() and key.isdigit() and int(key[:9]) < len(value):
                    value, place = value[int(key[:9])], f"{place}[{key}]"
                case _:
                    raise InvalidRequestError("Input leads to nothing in the schema", path=path)
        return value, place


def _check_plain(name: str, value: JSON, path: str) -> JSON:
    is_right, sentence = PLAIN[name]
    if not is_right(value):
        raise InvalidRequestError(sentence, path=path)
    return value


def _require[T](value: object, kind: type[T], sentence: str, path: str) -> T:
    if not isinstance(value, kind):
        raise InvalidRequestError(sentence, path=path)
    return value
