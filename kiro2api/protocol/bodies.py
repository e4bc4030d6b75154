"""From the bytes of a client's request to the fields of its schema, or an error in the client's words.

Unions in the schemas have tags of their own, which begin with :data:`MARK` and are left out of the paths in errors.
"""

from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, parse_and_repair_json

MARK: Final = "|"
"""Begins every tag; no field of a schema begins so."""
UNKNOWN: Final = f"{MARK}unknown"
"""The tag of what is no part of a schema."""
FIELD_REQUIRED: Final = "Field required"
"""What is said of a field that is missing, here and wherever else one is missed."""
REPLACED_SURROGATES: Final = "replaced_surrogates"
"""The repair of a body that has half a character somewhere."""

_SENTENCES: Final = {
    "model_type": "Input should be an object",
    "dict_type": "Input should be an object",
    "list_type": "Input should be an array",
    "too_short": "Input should have at least one member",
    "string_too_short": "Input should not be empty",
}
"""By pydantic's error type, where its own words speak of Python: the others are those of Anthropic's service."""


type Name = Annotated[str, Field(min_length=1)]


class Fields(BaseModel):
    """An object of a request: unknown fields are skipped, and no text is taken for a number."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def tag_by_type(*known: str, untyped: str | None = None) -> Callable[[object], str]:
    """What tells the members of a union apart by their type.

    Args:
        known: The types that are members.
        untyped: The type of a value without one that has a field of this name.
    """

    def tag(value: object) -> str:
        if not isinstance(value, dict):
            return UNKNOWN
        name = value.get("type")
        if name is None and untyped in value:
            name = untyped
        return f"{MARK}{name}" if name in known else UNKNOWN

    return tag


def require_list(value: object) -> object:
    """``value`` where a list may stand and a text may not, which has been looked at before.

    Raises:
        PydanticCustomError: It is no list.
    """
    if not isinstance(value, list):
        raise PydanticCustomError("text_or_list", "Input should be a string or an array")
    return value


class ParsedBody(NamedTuple):
    """The JSON object that a request is."""

    value: JSONObject
    repairs: tuple[str, ...]
    """What of the text had to be changed."""


def parse_object(body: bytes) -> ParsedBody:
    """The JSON object that the bytes of a request are.

    Raises:
        InvalidRequestError: Not JSON, or no object.
    """
    try:
        value, is_repaired = parse_and_repair_json(body)
    except InvalidJSONError as error:
        raise InvalidRequestError(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidRequestError("The request body must be a JSON object.")
    return ParsedBody(value, (REPLACED_SURROGATES,) if is_repaired else ())


def read_fields[M: BaseModel](schema: type[M], value: JSONObject) -> M:
    """The fields of a request.

    Raises:
        InvalidRequestError: A field is missing or of the wrong type; names the first one.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        sentence = _SENTENCES.get(first["type"], first["msg"])
        raise InvalidRequestError(sentence, path=_render_path(first["loc"])) from None


def _render_path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for step in loc:
        match step:
            case int():
                path += f"[{step}]"
            case _ if not step.startswith(MARK):
                path += f".{step}" if path else step
            case _:
                pass
    return path
