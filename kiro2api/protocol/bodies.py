"""From the bytes of a client's request to the fields of its schema, or an error in the client's words.

Unions in the schemas have tags of their own, which begin with :data:`MARK` and are left out of the paths in errors.
"""

from typing import Final, NamedTuple

from pydantic import BaseModel, ValidationError

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, parse_and_repair_json

MARK: Final = "|"
"""Begins every tag; no field of a schema begins so."""
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
