"""Requests in each dialect as a test has them: plain values that are read as the routes read them, and mended."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.attachments import (
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    Refusal,
    UnconvertedError,
)
from kiro2api.protocol.conversation import AssistantBlock, Conversation, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON
from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.request import build_responses_request, parse_responses_inquiry
from tests.support.client_bodies import chat_bodies, messages_bodies, responses_bodies
from tests.support.conversations import MAGIC, assistant, use, user
from tests.support.schema_bodies import Strategy

WHOLE = "The request body"
"""Begins what is said of a body that is no JSON object, in which there are no places."""

_KEPT = History(turns=(user("Hi"), assistant("Wait.", use("call_1"))))
_REFERENCES: dict[str, AssistantBlock] = {"rs_1": Text(text="Hm."), "fc_1": use("call_2")}
_STEP = re.compile(r"\[(\d+)\]|(?:^|\.)([^.\[]+)")

type Conversions = dict[str, Converted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One of the three."""

    parse: Callable[[bytes, Conversions], Conversation]
    bodies: Strategy = field(repr=False)
    says: str
    """The field that holds what was said."""

    def read(self, body: JSON) -> Conversation | InvalidRequestError:
        """The conversation in ``body``, or why it is refused; anything else is raised."""
        converted: Conversions = {}
        while True:
            try:
                return self.parse(json.dumps(body).encode(), converted)
            except InvalidRequestError as error:
                return error
            except UnconvertedError as error:
                missing = {conversion.digest: _convert(conversion) for conversion in error.conversions}
            assert missing.keys() - converted.keys()
            converted |= missing

    def mend(self, body: JSON) -> Conversation | None:
        """The conversation in ``body`` when what refusals name is taken out of it; ``None`` if nothing is left.

        Asserts that each of them names a place that there is.
        """
        while isinstance(found := self.read(body), InvalidRequestError):
            if found.message.startswith(WHOLE):
                return None
            assert found.path
            assert found.message.startswith(f"{found.path}: ")
            if not _take_out(body, found.path):
                return None
        return found


def _parse_messages(body: bytes, converted: Conversions) -> Conversation:
    return parse_messages_request(body, converted).conversation


def _parse_chat(body: bytes, converted: Conversions) -> Conversation:
    return parse_chat_request(body, converted).conversation


def _parse_responses(body: bytes, converted: Conversions) -> Conversation:
    """May go on with a conversation that is kept."""
    inquiry = parse_responses_inquiry(body)
    before = History() if inquiry.previous_response_id is None else _KEPT
    return build_responses_request(inquiry, converted, before=before, references=_REFERENCES).conversation


def _convert(conversion: Conversion) -> Converted:
    """A result of each kind, and a refusal of every fourth attachment."""
    if int(conversion.digest, 16) % 4 == 0:
        return Refusal(message="it is damaged.")
    if conversion.kind is ConversionKind.PDF:
        return PdfText(pages=("One.", "", None))
    return ConvertedImage(format=ImageFormat.PNG, data=base64.b64encode(MAGIC[ImageFormat.PNG]).decode())


def _take_out(body: Any, path: str) -> bool:  # noqa: ANN401 - the test walks through plain JSON
    """Whether there is such a place in ``body``, or one that lacks just the last step; if so it is taken out."""
    steps = list(_STEP.finditer(path))
    assert "".join(step[0] for step in steps) == path
    way: list[tuple[Any, str | int]] = []
    for at, step in enumerate(steps):
        key = int(step[1]) if step[1] else step[2]
        try:
            found = body[key]
        except (LookupError, TypeError):
            assert at == len(steps) - 1
            break
        way.append((body, key))
        body = found
    if way:
        holder, key = way[-1]
        del holder[key]
    return bool(way)


DIALECTS = {
    "messages": Dialect(parse=_parse_messages, bodies=messages_bodies(), says="messages"),
    "chat": Dialect(parse=_parse_chat, bodies=chat_bodies(), says="messages"),
    "responses": Dialect(parse=_parse_responses, bodies=responses_bodies(), says="input"),
}
