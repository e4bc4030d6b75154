"""A request for a response as a :class:`Conversation`.

What the upstream has no place for is left out and noted among the conversation's repairs, so that the log can say so.
Reading takes two steps, since a request may continue what is kept elsewhere: first what it says, then, with that in
hand, what it means.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kiro2api.protocol.answerformat import read_answer_format
from kiro2api.protocol.attachments import NOTHING_CONVERTED, AttachmentReader, Converted
from kiro2api.protocol.bodies import FIELD_REQUIRED, parse_object
from kiro2api.protocol.conversation import AnswerFormat, AssistantBlock, Conversation, ThinkingChoice
from kiro2api.protocol.efforts import read_effort
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.responses.items import History, list_references, parse_items
from kiro2api.protocol.responses.schema import ResponsesBody, parse_responses_body
from kiro2api.protocol.responses.tools import ToolForm, parse_tools

ANY_MODEL = "auto"
"""Stands for the model of a request that names none: counting does not depend on it."""

_SESSION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_FORMATS = (None, "text", "json_object", "json_schema")
_DEFAULTS: JSONObject = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and says where the request says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesInquiry:
    """What the client says, by itself."""

    body: ResponsesBody
    settings: JSONObject
    """What the response repeats."""
    references: tuple[str, ...]
    """Ids of earlier items that the request refers to."""
    repairs: tuple[str, ...]
    """What of its text had to be changed."""

    @property
    def previous_response_id(self) -> str | None:
        """Which response the request continues."""
        return self.body.previous_response_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesRequest:
    """What the client asks for, and in which form it wants the answer."""

    conversation: Conversation
    stream: bool
    store: bool
    """Whether the response is to be kept, so that it can be continued."""
    settings: JSONObject
    """What the response repeats."""
    forms: Mapping[str, ToolForm]
    """How calls of tools are put to the client, by the name under which the model sees them."""
    history: History
    """What is kept of the request."""


def parse_responses_inquiry(body: bytes) -> ResponsesInquiry:
    """The request in ``body``, as far as it can be read by itself.

    Raises:
        InvalidRequestError: The body cannot be understood, or asks for what cannot be served; names the first place.
    """
    return _read_inquiry(*parse_object(body))


def parse_count_inquiry(body: bytes) -> ResponsesInquiry:
    """The request in ``body`` whose tokens are to be counted; it need not name a model.

    Raises:
        InvalidRequestError: As for :func:`parse_responses_inquiry`.
    """
    value, repairs = parse_object(body)
    return _read_inquiry(value if value.get("model") is not None else {**value, "model": ANY_MODEL}, repairs)


def _read_inquiry(value: JSONObject, repairs: tuple[str, ...]) -> ResponsesInquiry:
    fields = parse_responses_body(value)
    for name in ("background", "prompt", "conversation"):
        if getattr(fields, name):
            raise InvalidRequestError("is not supported.", path=name)
    if fields.input is None and fields.previous_response_id is None:
        raise InvalidRequestError(FIELD_REQUIRED, path="input")
    return ResponsesInquiry(
        body=fields,
        settings=_build_settings(value),
        references=tuple(list_references(fields.input or ())),
        repairs=repairs,
    )


def build_responses_request(
    inquiry: ResponsesInquiry,
    converted: Mapping[str, Converted] = NOTHING_CONVERTED,
    *,
    before: History,
    references: Mapping[str, AssistantBlock],
) -> ResponsesRequest:
    """What ``inquiry`` means.

    Args:
        inquiry: The request.
        converted: What there is of the attachments that have to be converted, by digest.
        before: The conversation that it continues.
        references: Those of the items that it refers to which are known, by id.

    Raises:
        InvalidRequestError: It cannot be understood, or asks for what cannot be served; names the first place.
        UnconvertedError: Some attachments have to be converted first; nothing else is amiss.
    """
    body = inquiry.body
    attachments = AttachmentReader(converted)
    transcript = parse_items(body.input or (), attachments, before=before, references=references)
    history = transcript.history
    tools = parse_tools(body, history.tools)
    repairs = (*inquiry.repairs, *transcript.repairs, *tools.repairs, *_note_ignored(body))
    conversation = Conversation(
        model=body.model,
        turns=history.turns,
        system=(body.instructions, *history.system) if body.instructions else history.system,
        tools=tools.tools,
        tool_choice=tools.tool_choice,
        thinking=read_effort(_select_effort(body)) or ThinkingChoice(),
        max_tokens=body.max_output_tokens,
        answer_format=_read_format(body),
        session_id=_read_session_id(body),
        repairs=tuple(dict.fromkeys(repairs)),
    )
    attachments.require_converted()
    return ResponsesRequest(
        conversation=conversation,
        stream=bool(body.stream),
        store=body.store is not False,
        settings=inquiry.settings,
        forms=tools.forms,
        history=history,
    )


def _build_settings(value: JSONObject) -> JSONObject:
    given: JSONObject = {name: value[name] for name in _DEFAULTS if value.get(name) is not None}
    return {
        **_DEFAULTS,
        **given,
        "reasoning": {"effort": None, "summary": None, **_as_object(value.get("reasoning"))},
        "text": {"format": {"type": "text"}, **_as_object(value.get("text"))},
    }


def _as_object(value: object) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _read_format(body: ResponsesBody) -> AnswerFormat | None:
    match _as_object(body.text).get("format"):
        case {"type": "json_object"}:
            return AnswerFormat()
        case {"type": "json_schema", "schema": schema}:
            return read_answer_format(schema, "text.format.schema")
        case {"type": "json_schema"}:
            raise InvalidRequestError(FIELD_REQUIRED, path="text.format.schema")
        case _:
            return None


def _select_effort(body: ResponsesBody) -> JSON:
    return _as_object(body.reasoning).get("effort")


def _read_session_id(body: ResponsesBody) -> str | None:
    candidates = (
        _as_object(body.metadata).get("session_id"),
        body.prompt_cache_key,
        _as_object(body.client_metadata).get("session_id"),
    )
    for candidate in candidates:
        if isinstance(candidate, str) and _SESSION_ID.fullmatch(candidate):
            return candidate
    return None


def _note_ignored(body: ResponsesBody) -> Iterator[str]:
    if body.temperature is not None or body.top_p is not None:
        yield "ignored:sampling"
    if body.top_logprobs:
        yield "ignored:logprobs"
    if _as_object(_as_object(body.text).get("format")).get("type") not in _FORMATS:
        yield "ignored:response_format"
    if body.truncation not in (None, "disabled"):
        yield "ignored:truncation"
    if body.max_tool_calls is not None:
        yield "ignored:max_tool_calls"
    if _as_object(body.text).get("verbosity") is not None:
        yield "ignored:verbosity"
    if read_effort(_select_effort(body)) is None:
        yield "ignored:reasoning_effort"
