"""The one machine that turns what the upstream says into a legal answer.

A tool use is open until its ``stop``; what comes meanwhile (another tool use's fragments, late text) waits behind it
and follows in the order of first appearance.

A tool use ends only when its input is whole: an object, or nothing at all where the upstream says that nothing is all.
Anything else fails the turn. It is never closed, never repaired, never ``{}``: a client acts on what is closed.
"""

import enum
from collections import deque
from collections.abc import Callable, Iterable
from typing import assert_never

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import TRY_AGAIN
from kiro2api.protocol.jsontext import JSONObject, encode_json
from kiro2api.protocol.kiro.events import (
    AssistantText,
    ContextUsage,
    Failed,
    Ignored,
    Metadata,
    Metering,
    OutputLimit,
    Reasoning,
    Refusal,
    ToolUseFragment,
    UpstreamEvent,
)
from kiro2api.protocol.turn.blocks import (
    AnyBlock,
    RedactedBlock,
    TextBlock,
    ThinkingBlock,
    ToolBlock,
    build_delta,
    build_start,
    is_whole,
)
from kiro2api.protocol.turn.events import (
    BlockStopped,
    SignatureDelta,
    StopReason,
    TextDelta,
    TurnEnded,
    TurnEvent,
    TurnFailed,
    TurnStarted,
)
from kiro2api.protocol.turn.stops import StopSequenceMatcher
from kiro2api.protocol.usage import Context, OutputMeter, Usage, WireUsage, is_share, settle_usage


class TruncatedToolUseError(Kiro2ApiError):
    """The answer ended, or went wrong, inside a tool use.

    Attributes:
        name: The tool's, in the client's own spelling.
        size: Characters of its input that came.
        stopped: Whether the upstream took it for whole.
    """

    kind = ErrorKind.UPSTREAM
    retry_safe = True

    def __init__(self, *, name: str, size: int, stopped: bool) -> None:
        super().__init__(
            "The model's answer was cut in the middle of a tool call, which was not passed on as complete; "
            f"{TRY_AGAIN}, or ask for smaller steps.",
            detail=f"tool use truncated after {size} characters of input, stopped={stopped}",
        )
        self.name = name
        self.size = size
        self.stopped = stopped


class EmptyAnswerError(Kiro2ApiError):
    """The upstream ended its answer properly and said nothing."""

    kind = ErrorKind.UPSTREAM
    retry_safe = True

    def __init__(self) -> None:
        super().__init__(f"The upstream sent an empty answer; {TRY_AGAIN}.", detail="empty answer")


_STOP_REASONS = {
    "MAX_TOKENS": StopReason.MAX_TOKENS,
    "MODEL_CONTEXT_WINDOW_EXCEEDED": StopReason.CONTEXT_WINDOW,
    "CONTENT_FILTERED": StopReason.REFUSAL,
    "PAUSE_TURN": StopReason.PAUSE_TURN,
}
_FULL_CONTEXT = 100.0
"""Percent of the context window."""


class _State(enum.Enum):
    RUNNING = enum.auto()
    ENDED = enum.auto()
    FAILED = enum.auto()


class Turn:
    """One answer in the making: upstream events in, turn events out.

    Args:
        estimated_input: Tokens of the request, for as long as the wire says nothing better; the client is told so many
            when the answer begins, and was told as many if it has begun.
        context_window: Tokens that the model holds, if known; without it a context percentage tells nothing.
        stop_sequences: Strings of the client's that end the text; the upstream knows none.
        client_tool_name: Restores a tool's name as the client declared it.
        started: Whether the client has had its :class:`TurnStarted` from an earlier attempt.
    """

    def __init__(
        self,
        *,
        estimated_input: int,
        context_window: int | None = None,
        stop_sequences: Iterable[str] = (),
        client_tool_name: Callable[[str], str] = str,
        started: bool = False,
    ) -> None:
        self._estimated_input = estimated_input
        self._context_window = context_window
        self._client_tool_name = client_tool_name
        self._matcher = StopSequenceMatcher(stop_sequences)
        self._meter = OutputMeter()
        self._state = _State.RUNNING
        self._started = started
        self._blocks: deque[AnyBlock] = deque()
        self._next_index = 0
        self._tools: dict[str, ToolBlock] = {}
        self._stop_sequence: str | None = None
        self._wire_usage: WireUsage | None = None
        self._wire_stop = ""
        self._refusal: Refusal | None = None
        self._context_percentage: float | None = None
        self._is_context_full = False
        self._texts = 0
        self._thoughts = 0
        self.credits: float | None = None
        """What the upstream charged, in its own unit; ``None`` until it says so."""
        self.has_trailers = False
        """Whether the upstream closed the answer with accounting of its own."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come out."""
        return self._state is not _State.RUNNING

    @property
    def usage(self) -> Usage:
        """Token counts as far as they are known now."""
        return settle_usage(
            wire=self._wire_usage,
            context=self.context,
            estimated_input=self._estimated_input,
            estimated_output=self._meter.tokens,
        )

    @property
    def context(self) -> Context:
        """How full the upstream says the model's window is."""
        return Context(percentage=self._context_percentage, window=self._context_window)

    def open(self) -> list[TurnEvent]:
        """The event that begins the answer, once; also sent by itself before the first block."""
        if self._started:
            return []
        self._started = True
        usage = Usage(input_tokens=self._estimated_input, output_tokens=0)
        return [TurnStarted(usage=usage)]

    def receive_event(self, event: UpstreamEvent) -> list[TurnEvent]:
        """What follows from ``event``; nothing once the turn is over."""
        if self.is_over:
            return []
        match event:
            case AssistantText():
                return self._receive_text(event.text)
            case ToolUseFragment():
                return self._receive_tool_use(event)
            case Reasoning():
                return self._receive_reasoning(event)
            case Failed():
                return self.receive_failure(event.fault)
            case Metadata() | ContextUsage() | Metering() | OutputLimit():
                self._receive_accounting(event)
                return []
            case Ignored():
                return []
            case _:
                assert_never(event)

    def receive_hidden(self, thought: str) -> None:
        """Reasoning that the client does not want to see: it counts, and that is all."""
        self._thoughts += 1
        self._meter.add_text(thought)

    def receive_eof(self) -> list[TurnEvent]:
        """The end of the answer, given that the upstream's stream ended whole."""
        if self.is_over:
            return []
        events = self._flush_text()
        for block in self._tools.values():
            if not block.complete and not self._complete_tool_at_eof(block):
                return self._fail(events, _truncated(block, stopped=False))
        self._complete_last()
        events += self._drain()
        if not self._next_index and not self._is_deliberately_empty():
            return self._fail(events, EmptyAnswerError())
        return self._end(events)

    def receive_failure(self, error: Kiro2ApiError) -> list[TurnEvent]:
        """The end of an answer that cannot go on: what was held back is delivered first."""
        if self.is_over:
            return []
        return self._fail(self._flush_text(), error)

    def _receive_text(self, text: str) -> list[TurnEvent]:
        if not text or self._stop_sequence is not None:
            return []
        self._meter.add_text(text)
        self._texts += 1
        text, self._stop_sequence = self._matcher.receive_text(text)
        events = self._append_text(text)
        if self._stop_sequence is None or not all(block.complete for block in self._tools.values()):
            return events
        self._complete_last()
        return self._end(events + self._drain())

    def _append_text(self, text: str) -> list[TurnEvent]:
        if not text:
            return []
        last = self._blocks[-1] if self._blocks else None
        if not isinstance(last, TextBlock):
            last = TextBlock()
            self._append_block(last)
        elif last.started:
            return [TextDelta(index=last.index, text=text)]
        last.waiting.append(text)
        return self._drain()

    def _receive_reasoning(self, event: Reasoning) -> list[TurnEvent]:
        if self._stop_sequence is not None or not (event.text or event.signature or event.redacted):
            return []
        events = self._flush_text()
        self._thoughts += 1
        if event.redacted:
            self._append_block(RedactedBlock(data=event.redacted, complete=True))
        if event.text or event.signature:
            last = self._blocks[-1] if self._blocks else None
            if not isinstance(last, ThinkingBlock) or last.complete:
                last = ThinkingBlock()
                self._append_block(last)
            if event.text:
                self._meter.add_text(event.text)
                last.waiting.append(event.text)
            if event.signature:
                last.signature = event.signature
                last.complete = True
        return events + self._drain()

    def _receive_tool_use(self, event: ToolUseFragment) -> list[TurnEvent]:
        block = self._tools.get(event.tool_use_id)
        if block is not None and block.complete:
            return []  # the service repeats whole calls now and then; the id is the only key
        events: list[TurnEvent] = []
        if block is None:
            if self._stop_sequence is not None:
                return []
            events = self._flush_text()
            name = self._client_tool_name(event.name)
            block = ToolBlock(tool_use_id=event.tool_use_id, name=name)
            self._tools[event.tool_use_id] = block
            self._meter.add_tool_use(name)
            self._append_block(block)
        self._append_input(block, event.input)
        if event.stop:
            if not is_whole(block):
                return self._fail(events + self._drain(), _truncated(block, stopped=True))
            self._complete_tool(block)
        return events + self._drain()

    def _append_input(self, block: ToolBlock, piece: str | JSONObject) -> None:
        if isinstance(piece, dict):
            if piece or not (block.replacement or block.parts):  # nothing takes back what was said
                block.replacement = piece
        elif piece and (block.parts or not piece.isspace()):
            if block.replacement == {}:
                block.replacement = None  # an empty object that only announced the fragments
            block.parts.append(piece)
            block.waiting.append(piece)
            self._meter.add_tool_input(piece)

    def _complete_tool(self, block: ToolBlock) -> None:
        if block.replacement and not block.parts:
            text = encode_json(block.replacement).decode()
            block.parts.append(text)
            block.waiting.append(text)
            self._meter.add_tool_input(text)
        block.complete = True

    def _complete_tool_at_eof(self, block: ToolBlock) -> bool:
        """Completes a tool use whose ``stop`` never came, if its input is certainly all.

        An object's text is whole by itself: no true beginning of it parses. Emptiness proves nothing, unless the
        upstream states that it ended for a tool use (seen for tools without input).
        """
        is_empty = not block.replacement and not block.parts
        if is_empty and self._wire_stop != "TOOL_USE":
            return False
        if not is_whole(block):
            return False
        self._complete_tool(block)
        return True

    def _receive_accounting(self, event: Metadata | ContextUsage | Metering | OutputLimit) -> None:
        match event:
            case Metadata():
                self._wire_usage = event.usage or self._wire_usage
                self._wire_stop = event.stop_reason or self._wire_stop
                self._refusal = event.refusal or self._refusal
            case ContextUsage():
                self._is_context_full |= event.percentage >= _FULL_CONTEXT
                if is_share(event.percentage):
                    self._context_percentage = event.percentage
            case Metering():
                self.credits = (self.credits or 0.0) + event.usage
            case OutputLimit():
                self._wire_stop = "MAX_TOKENS"
            case _:
                assert_never(event)
        self.has_trailers = True

    def _append_block(self, block: AnyBlock) -> None:
        self._complete_last()
        self._blocks.append(block)

    def _complete_last(self) -> None:
        """Text and thinking are whole when something else follows; a tool use only by its own ``stop``."""
        if self._blocks and not isinstance(self._blocks[-1], ToolBlock):
            self._blocks[-1].complete = True

    def _flush_text(self) -> list[TurnEvent]:
        return self._append_text(self._matcher.flush())

    def _drain(self) -> list[TurnEvent]:
        """Delivers from the first block on, up to one that is not whole yet."""
        events: list[TurnEvent] = []
        while self._blocks:
            block = self._blocks[0]
            if not block.started:
                events += self.open()
                block.started = True
                block.index = self._next_index
                self._next_index += 1
                events.append(build_start(block))
            events += [build_delta(block, text) for text in block.waiting]
            block.waiting.clear()
            if not block.complete:
                break
            if isinstance(block, ThinkingBlock) and block.signature:
                events.append(SignatureDelta(index=block.index, signature=block.signature))
            events.append(BlockStopped(index=block.index))
            self._blocks.popleft()
        return events

    def _end(self, events: list[TurnEvent]) -> list[TurnEvent]:
        self._state = _State.ENDED
        reason = self._decide_stop_reason()
        end = TurnEnded(
            stop_reason=reason,
            stop_sequence=self._stop_sequence if reason is StopReason.STOP_SEQUENCE else None,
            usage=self.usage,
            refusal=self._refusal if reason is StopReason.REFUSAL else None,
        )
        return [*events, *self.open(), end]

    def _fail(self, events: list[TurnEvent], error: Kiro2ApiError) -> list[TurnEvent]:
        self._state = _State.FAILED
        return [*events, TurnFailed(error=error)]

    def _is_deliberately_empty(self) -> bool:
        """Whether the upstream says that the model gave nothing, or why it could give nothing."""
        counted = self._wire_usage.output_tokens if self._wire_usage else None
        return self._decide_stop_reason() is not StopReason.END_TURN or bool(counted and counted > 0)

    def _decide_stop_reason(self) -> StopReason:
        """The first that holds. Tool uses outrank the wire's word: it says END_TURN beside them every third time."""
        if self._tools:
            return StopReason.TOOL_USE
        if self._stop_sequence is not None:
            return StopReason.STOP_SEQUENCE
        if self._wire_stop in _STOP_REASONS:
            return _STOP_REASONS[self._wire_stop]
        if self._refusal is not None:
            return StopReason.REFUSAL
        if self._is_context_full:
            return StopReason.CONTEXT_WINDOW
        if self._thoughts and not self._texts:
            return StopReason.MAX_TOKENS
        return StopReason.END_TURN


def _truncated(block: ToolBlock, *, stopped: bool) -> TruncatedToolUseError:
    return TruncatedToolUseError(name=block.name, size=sum(map(len, block.parts)), stopped=stopped)
