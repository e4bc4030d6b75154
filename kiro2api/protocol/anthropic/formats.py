"""``output_config.format`` of a Messages request, and ``output_format``, its name in older betas."""

from collections.abc import Iterator

from kiro2api.protocol.answerformat import read_answer_format
from kiro2api.protocol.anthropic.schema import MessagesBody
from kiro2api.protocol.bodies import FIELD_REQUIRED
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.errors import InvalidRequestError


def read_format(request: MessagesBody) -> AnswerFormat | None:
    """The form that the answer is to have, as far as it is understood.

    Raises:
        InvalidRequestError: It has no schema, or one that is none; names the place.
    """
    for path, value in _list_formats(request):
        match value:
            case {"type": "json_schema", "schema": schema}:
                return read_answer_format(schema, f"{path}.schema")
            case {"type": "json_schema"}:
                raise InvalidRequestError(FIELD_REQUIRED, path=f"{path}.schema")
            case _:
                pass
    return None


def find_ignored_format(request: MessagesBody) -> Iterator[str]:
    """Names of the fields that ask for a form that is not understood."""
    for path, value in _list_formats(request):
        if not (isinstance(value, dict) and value.get("type") == "json_schema"):
            yield path


def _list_formats(request: MessagesBody) -> Iterator[tuple[str, object]]:
    """The fields that are there, by their paths, the newer one first."""
    config = request.output_config
    if isinstance(config, dict) and config.get("format") is not None:
        yield "output_config.format", config["format"]
    if request.output_format is not None:
        yield "output_format", request.output_format
