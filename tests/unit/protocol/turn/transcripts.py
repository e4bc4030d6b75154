"""Short spellings of upstream events and of the blocks that a turn makes of them."""

from collections.abc import Callable, Iterable

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.events import AssistantText, Metadata, Reasoning, ToolUseFragment, UpstreamEvent
from kiro2api.protocol.turn import (
    BlockStopped,
    RedactedThinkingStarted,
    SignatureDelta,
    StopReason,
    TextDelta,
    TextStarted,
    ThinkingDelta,
    ThinkingStarted,
    ToolInputDelta,
    ToolUseStarted,
    Turn,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from kiro2api.protocol.usage import Usage, WireUsage

ESTIMATED_INPUT = 7
STARTED = TurnStarted(usage=Usage(input_tokens=ESTIMATED_INPUT, output_tokens=0))
USAGE = Usage(input_tokens=120, output_tokens=31)
ACCOUNT = Metadata(usage=WireUsage(uncached_input_tokens=120, output_tokens=31), stop_reason="")
"""Makes the usage at the end a known one."""


def say(*texts: str) -> list[UpstreamEvent]:
    """Text events."""
    return [AssistantText(text=text) for text in texts]


def think(*texts: str, signature: str = "") -> list[UpstreamEvent]:
    """Reasoning events, then one with the signature if there is one."""
    end: list[UpstreamEvent] = [Reasoning(signature=signature)] if signature else []
    return [*(Reasoning(text=text) for text in texts), *end]


def use(tool_use_id: str, *pieces: str | JSONObject, stop: bool = True, name: str = "read") -> list[UpstreamEvent]:
    """The events of a tool use: one without input, one for each piece, and the stop."""

    def fragment(piece: str | JSONObject, *, stop: bool = False) -> ToolUseFragment:
        return ToolUseFragment(tool_use_id=tool_use_id, name=name, input=piece, stop=stop)

    return [fragment(""), *map(fragment, pieces), *([fragment("", stop=True)] if stop else [])]


def stated(reason: str, output_tokens: int | None = None) -> Metadata:
    """The upstream's stop reason."""
    usage = None if output_tokens is None else WireUsage(output_tokens=output_tokens)
    return Metadata(usage=usage, stop_reason=reason)


def text(index: int, *texts: str, whole: bool = True) -> list[TurnEvent]:
    """A text block."""
    return _block(TextStarted(index=index), [TextDelta(index=index, text=text) for text in texts], whole=whole)


def thinking(index: int, *texts: str, signature: str = "", whole: bool = True) -> list[TurnEvent]:
    """A thinking block."""
    deltas: list[TurnEvent] = [ThinkingDelta(index=index, text=text) for text in texts]
    deltas += [SignatureDelta(index=index, signature=signature)] if signature else []
    return _block(ThinkingStarted(index=index), deltas, whole=whole)


def redacted(index: int, data: str) -> list[TurnEvent]:
    """A block of redacted thinking."""
    return _block(RedactedThinkingStarted(index=index, data=data), [], whole=True)


def tool(index: int, tool_use_id: str, *pieces: str, name: str = "read", whole: bool = True) -> list[TurnEvent]:
    """A tool-use block."""
    deltas = [ToolInputDelta(index=index, partial_json=piece) for piece in pieces]
    return _block(ToolUseStarted(index=index, tool_use_id=tool_use_id, name=name), deltas, whole=whole)


def ended(reason: StopReason, *, sequence: str | None = None, usage: Usage = USAGE) -> TurnEnded:
    """The end of a turn."""
    return TurnEnded(stop_reason=reason, stop_sequence=sequence, usage=usage)


def new_turn(
    *,
    context_window: int | None = None,
    stop_sequences: Iterable[str] = (),
    client_tool_name: Callable[[str], str] = str,
    started: bool = False,
) -> Turn:
    """A turn whose input is estimated as :data:`ESTIMATED_INPUT`."""
    return Turn(
        estimated_input=ESTIMATED_INPUT,
        context_window=context_window,
        stop_sequences=stop_sequences,
        client_tool_name=client_tool_name,
        started=started,
    )


def play(turn: Turn, events: Iterable[UpstreamEvent], *, eof: bool = True) -> list[TurnEvent]:
    """What comes out of ``turn`` for ``events`` and, unless told otherwise, for the end of the stream."""
    result = [out for event in events for out in turn.receive_event(event)]
    return result + turn.receive_eof() if eof else result


def split_failure(events: list[TurnEvent]) -> tuple[list[TurnEvent], Kiro2ApiError]:
    """The events before the failure that ends them, and its error."""
    failed = events[-1]
    assert isinstance(failed, TurnFailed)
    return events[:-1], failed.error


def _block(start: TurnEvent, deltas: Iterable[TurnEvent], *, whole: bool) -> list[TurnEvent]:
    index = getattr(start, "index", None)
    assert isinstance(index, int)
    return [start, *deltas, *([BlockStopped(index=index)] if whole else [])]
