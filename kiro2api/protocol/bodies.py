"""From the bytes of a client's request to the fields of its schema, or an error in the client's words.

Unions in the schemas have tags of their own, which begin with :data:`MARK` and are left out of the paths in errors.
"""

from typing import Final

from pydantic import BaseModel, ValidationError

from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import InvalidJSONError, JSONObject, parse_json

MARK: Final = "|"
"""Begins every tag; no field of a schema begins so."""

_PHRASES: Final = {
    "missing": "is required",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be an array",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
}
"""Pydantic's error types whose own words speak of Python."""


def parse_object(body: bytes) -> JSONObject:
    """The JSON object that the bytes of a request are.

    Raises:
        InvalidRequestError: Not JSON, or no object.
    """
    try:
        value = parse_json(body)
    except InvalidJSONError as error:
        raise InvalidRequestError(f"The request body is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidRequestError("The request body must be a JSON object.")
    return value


def read_fields[M: BaseModel](schema: type[M], value: JSONObject) -> M:
    """The fields of a request.

    Raises:
        InvalidRequestError: A field is missing or of the wrong type; names the first one.
    """
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        message = _PHRASES.get(first["type"], first["msg"])
        raise InvalidRequestError(f"{message}.", path=_render_path(first["loc"])) from None


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
