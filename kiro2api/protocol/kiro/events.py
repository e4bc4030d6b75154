"""Event-stream messages as the typed events that a turn is made of.

Every member of the service's response union is known here: those that carry content or accounting become an event of
their own, the rest and whatever is new become :class:`Ignored`. Text arrives whole and valid: when the service cuts a
character's surrogate pair in two (each half escaped in its own message), the halves are joined here.
"""

from dataclasses import dataclass
from typing import cast

import msgspec

from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.eventstream.messages import Message
from kiro2api.protocol.jsontext import (
    JSON,
    REPLACEMENT,
    InvalidJSONError,
    JSONObject,
    parse_json_with_surrogates,
    replace_surrogates,
)
from kiro2api.protocol.kiro.faults import (
    UpstreamFaultError,
    is_exception_document,
    read_error_frame,
    read_stream_fault,
)
from kiro2api.protocol.usage import WireUsage

MAX_IGNORED_NAMES = 32
"""Kinds of message that are counted apart; the protocol has fewer. The counts go into the log."""
MAX_IGNORED_NAME = 64
"""Characters of such a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantText:
    """More of the answer's text: a delta, never cumulative; may be empty or equal to the one before."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """More of the model's reasoning; usually one field is set."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    """Base64 that only the service can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUseFragment:
    """Part of a tool use, possibly the whole of it."""

    tool_use_id: str
    name: str
    """May be empty after the first fragment."""
    input: str | JSONObject
    """A piece of JSON source text, or the whole input as an object."""
    stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the service says of an answer that the model, or what watches over it, refused."""

    category: str = ""
    """Upper case as on the wire; empty when the service names none."""
    explanation: str = ""
    """For the person at the client; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The service's own account of a finished generation."""

    usage: WireUsage | None
    stop_reason: str
    """Upper case as on the wire; empty when the service does not say."""
    refusal: Refusal | None = None
    """``None`` unless the model refused and the service says more of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextUsage:
    """How full the model's context window is, this answer included."""

    percentage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What the answer cost the user: credits, not tokens."""

    usage: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLimit:
    """The answer ends here because it reached the output limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The service gave up; nothing of worth follows."""

    fault: UpstreamFaultError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """A message without meaning for us, by its event type."""

    name: str


type UpstreamEvent = (
    AssistantText | Reasoning | ToolUseFragment | Metadata | ContextUsage | Metering | OutputLimit | Failed | Ignored
)


class _Text(msgspec.Struct):
    content: str | None = None


class _Reasoning(msgspec.Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str | None = None
    input: str | dict[str, object] | None = None
    stop: bool | None = None


class _TokenUsage(msgspec.Struct, rename="camel"):
    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


class _Refusal(msgspec.Struct):
    category: str | None = None
    explanation: str | None = None


class _StopDetails(msgspec.Struct):
    refusal: _Refusal | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    token_usage: _TokenUsage | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _ContextUsage(msgspec.Struct, rename="camel"):
    context_usage_percentage: float | None = None


class _Metering(msgspec.Struct):
    usage: float | None = None
    unit: str | None = None


_TEXT = msgspec.json.Decoder(_Text)
_REASONING = msgspec.json.Decoder(_Reasoning)
_TOOL_USE = msgspec.json.Decoder(_ToolUse)
_NO_REASONING = _Reasoning()
_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_TEXT_CHANNEL = "text"
_REASONING_CHANNEL = "reasoning"
_TOOL_CHANNEL = "tool:"

_OUTPUT_LIMIT_EXCEPTION = "ContentLengthExceededException"


class EventReader:
    """Messages in, events out; holds at most half a character of each channel.

    Accounting that cannot be read is passed over, since the answer itself is whole without it; content that cannot be
    read is an error, since dropping it would forge the answer.
    """

    def __init__(self) -> None:
        self._held: dict[str, str] = {}
        self.ignored: dict[str, int] = {}
        """How many messages of each type meant nothing to us."""

    def receive_message(self, message: Message) -> UpstreamEvent:
        """The event that ``message`` stands for.

        Raises:
            UpstreamProtocolError: A content event whose payload is not what the protocol says.
        """
        match message.text_header(":message-type"):
            case "event":
                try:
                    return self._receive_event(message.text_header(":event-type") or "", message.payload)
                except UpstreamFaultError as fault:
                    return Failed(fault=fault)
            case "exception":
                name = message.text_header(":exception-type") or ""
                if name == _OUTPUT_LIMIT_EXCEPTION:
                    return OutputLimit()
                return Failed(fault=read_stream_fault(name, message.payload))
            case "error":
                code = message.text_header(":error-code") or ""
                text = message.text_header(":error-message") or ""
                return Failed(fault=read_error_frame(code, text))
            case other:
                return self._ignore(other or "")

    def receive_eof(self) -> list[UpstreamEvent]:
        """What was held back for a second half that never came."""
        held, self._held = self._held, {}
        return [_build_held(channel) for channel in held]

    def _receive_event(self, name: str, payload: bytes) -> UpstreamEvent:
        match name:
            case "assistantResponseEvent" | "codeEvent":
                return self._read_text(name, payload)
            case "toolUseEvent":
                return self._read_tool_use(name, payload)
            case "reasoningContentEvent":
                return self._read_reasoning(name, payload)
            case "metadataEvent" | "contextUsageEvent" | "meteringEvent":
                return _read_accounting(name, payload) or self._ignore(name)
            case "invalidStateEvent":
                return Failed(fault=read_stream_fault("InvalidStateException", payload))
            case _:
                return self._ignore(name)

    def _read_text(self, name: str, payload: bytes) -> UpstreamEvent:
        try:
            value = _TEXT.decode(payload)
        except _DECODE_ERRORS:
            value = _read_slowly(name, payload, _Text)
        if value.content is None:
            value = _read_slowly(name, payload, _Text)
        return AssistantText(text=self._join(_TEXT_CHANNEL, value.content or ""))

    def _read_tool_use(self, name: str, payload: bytes) -> UpstreamEvent:
        try:
            value = _TOOL_USE.decode(payload)
        except _DECODE_ERRORS:
            value = _read_slowly(name, payload, _ToolUse)
        if isinstance(value.input, dict):
            value = _read_slowly(name, payload, _ToolUse)  # which bounds its depth
            content: str | JSONObject = cast("JSONObject", replace_surrogates(cast("JSON", value.input)))
        else:
            content = self._join(_TOOL_CHANNEL + value.tool_use_id, value.input or "")
        return ToolUseFragment(
            tool_use_id=value.tool_use_id,
            name=value.name or "",
            input=content,
            stop=bool(value.stop),
        )

    def _read_reasoning(self, name: str, payload: bytes) -> Reasoning:
        try:
            value = _REASONING.decode(payload)
        except _DECODE_ERRORS:
            value = _read_slowly(name, payload, _Reasoning)
        if value == _NO_REASONING:
            value = _read_slowly(name, payload, _Reasoning)
        return Reasoning(
            text=self._join(_REASONING_CHANNEL, value.text or ""),
            signature=value.signature or "",
            redacted=value.redacted_content or "",
        )

    def _join(self, channel: str, text: str) -> str:
        """``text`` with the half character that was held before it, less the half that it ends with."""
        if self._held:
            text = self._held.pop(channel, "") + text
        if text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held[channel] = text[-1]
            text = text[:-1]
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text

    def _ignore(self, name: str) -> Ignored:
        name = name[:MAX_IGNORED_NAME]
        if name not in self.ignored and len(self.ignored) >= MAX_IGNORED_NAMES:
            name = "other"
        self.ignored[name] = self.ignored.get(name, 0) + 1
        return Ignored(name=name)


def _read_slowly[T](name: str, payload: bytes, form: type[T]) -> T:
    """The payload of a content event that says nothing to the fast decoder: half characters, or an extra wrapping.

    Raises:
        UpstreamFaultError: It is an error in disguise.
        UpstreamProtocolError: It is not what the protocol says.
    """
    document = _read_event(name, payload)
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise UpstreamProtocolError(f"payload of {name}: {error}") from None


def _read_object(name: str, payload: bytes) -> JSONObject:
    try:
        document = parse_json_with_surrogates(payload or b"{}")
    except InvalidJSONError as error:
        raise UpstreamProtocolError(f"payload of {name}: {error}") from None
    if not isinstance(document, dict):
        raise UpstreamProtocolError(f"payload of {name}: no object")
    return document


def _read_event(name: str, payload: bytes) -> object:
    """The event's own structure, whether or not its name is wrapped round it."""
    document = _read_object(name, payload)
    if is_exception_document(document):
        raise read_stream_fault("error", payload)
    return document.get(name, document)


def _read_accounting(name: str, payload: bytes) -> UpstreamEvent | None:
    try:
        document = _read_event(name, payload)
        match name:
            case "metadataEvent":
                return _build_metadata(msgspec.convert(document, _Metadata))
            case "contextUsageEvent":
                percentage = msgspec.convert(document, _ContextUsage).context_usage_percentage
                return None if percentage is None else ContextUsage(percentage=percentage)
            case _:
                metering = msgspec.convert(document, _Metering)
                return None if metering.usage is None else Metering(usage=metering.usage, unit=metering.unit or "")
    except (UpstreamProtocolError, msgspec.ValidationError):
        return None


def _build_metadata(value: _Metadata) -> Metadata:
    counts = value.token_usage
    refusal = value.stop_details.refusal if value.stop_details else None
    return Metadata(
        usage=None
        if counts is None
        else WireUsage(
            uncached_input_tokens=counts.uncached_input_tokens,
            cache_read_input_tokens=counts.cache_read_input_tokens,
            cache_write_input_tokens=counts.cache_write_input_tokens,
            output_tokens=counts.output_tokens,
            total_tokens=counts.total_tokens,
        ),
        stop_reason=value.stop_reason or "",
        refusal=Refusal(category=refusal.category or "", explanation=refusal.explanation or "") if refusal else None,
    )


def _build_held(channel: str) -> UpstreamEvent:
    if channel == _TEXT_CHANNEL:
        return AssistantText(text=REPLACEMENT)
    if channel == _REASONING_CHANNEL:
        return Reasoning(text=REPLACEMENT)
    tool_use_id = channel.removeprefix(_TOOL_CHANNEL)
    return ToolUseFragment(tool_use_id=tool_use_id, name="", input=REPLACEMENT, stop=False)
