"""What holds of estimates, usage and corrections for any input."""

import itertools
import json
import math
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.anthropic.response import render_answer as render_message
from kiro2api.protocol.kiro.events import Metadata, UpstreamEvent
from kiro2api.protocol.openai.response import StreamRenderer as ChunkRenderer
from kiro2api.protocol.openai.response import render_answer as render_completion
from kiro2api.protocol.responses.output import ResponseHead
from kiro2api.protocol.responses.response import StreamRenderer as ResponsesRenderer
from kiro2api.protocol.responses.response import render_answer as render_response
from kiro2api.protocol.turn import AnswerFold, Turn, TurnEnded, TurnEvent, TurnStarted
from kiro2api.protocol.usage import (
    Calibration,
    Context,
    Measurement,
    OutputMeter,
    Usage,
    UsageSource,
    WireUsage,
    estimate_text,
    settle_usage,
)
from tests.support.upstream_events import scripts

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("中文aZ7 .{\n\ud84e")), max_size=80)
PIECES = st.lists(TEXTS, max_size=30)
COUNTS = st.none() | st.integers(min_value=-(10**6), max_value=10**9)
ESTIMATES = st.integers(min_value=0, max_value=10**7)
WIRES = st.builds(
    WireUsage,
    uncached_input_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
    cache_write_input_tokens=COUNTS,
    output_tokens=COUNTS,
    total_tokens=COUNTS,
)
CONTEXTS = st.builds(
    Context, percentage=st.none() | st.floats(), window=st.none() | st.integers(min_value=1, max_value=10**7)
)
MEASUREMENTS = st.builds(
    Measurement,
    model_id=st.sampled_from("mn"),
    credential_id=st.sampled_from(["", "a", "b"]),
    estimated_input=ESTIMATES,
    measured_input=st.integers(min_value=1, max_value=10**12),
    output_tokens=ESTIMATES,
    is_exact=st.booleans(),
    context_percentage=st.none() | st.floats(),
)
WEIGHTS = (
    (" ", 2), ("0123456789", 80), ("\"'`", 15), (".,-_=*#~", 35), ("!$%&()+/:;<>?@[\\]^{|}", 100),
)  # fmt: skip
LAST_CHARS = (
    (0x7F, 100), (0x2FF, 260), (0x3FF, 115), (0x4FF, 66), (0x7FF, 115), (0xFFF, 200), (0x1FFF, 265), (0x2FFF, 50),
    (0x9FFF, 102), (0xDFFF, 145), (0xFFFF, 50), (0x10FFFF, 280),
)  # fmt: skip


def weigh(char: str) -> int:
    """The weight of a character, looked up the slow way."""
    if "a" <= char <= "z":
        return 26
    if "A" <= char <= "Z":
        return 54
    by_sign = (weight for chars, weight in WEIGHTS if char in chars)
    return next(by_sign, next(weight for last, weight in LAST_CHARS if ord(char) <= last))


def estimate_one_by_one(text: str) -> int:
    """The estimate, character by character."""
    lower = sum("a" <= char <= "z" for char in text)
    upper = sum("A" <= char <= "Z" for char in text)
    return math.ceil((sum(map(weigh, text)) + 25 * max(0, 3 * min(lower, upper) - lower - upper)) / 100)


@given(text=TEXTS, repeat=st.integers(min_value=1, max_value=40))
def test_estimate_is_the_formula(text: str, repeat: int) -> None:
    """Counting at the interpreter's speed gives what counting one by one gives."""
    assert estimate_text(text * repeat) == estimate_one_by_one(text * repeat)


@given(pieces=PIECES)
def test_meter_ignores_cuts(pieces: list[str]) -> None:
    """However an answer is cut, the meter says what the whole is worth, at least 1 if any, and never falls."""
    meter = OutputMeter()
    said = [meter.tokens]
    for number, piece in enumerate(pieces):
        (meter.add_tool_input if number % 3 else meter.add_text)(piece)
        said.append(meter.tokens)
    text = "".join(pieces)
    assert said == sorted(said)
    assert said[-1] == estimate_text(text)
    assert (said[-1] > 0) == bool(text)


@given(first=TEXTS, second=TEXTS)
def test_parts_are_less_than_the_whole(first: str, second: str) -> None:
    """A text is worth at least as much as each of its two halves."""
    assert estimate_text(first + second) >= max(estimate_text(first), estimate_text(second))


@given(wire=st.none() | WIRES, context=CONTEXTS, estimated_input=ESTIMATES, estimated_output=ESTIMATES)
def test_settled_usage(wire: WireUsage | None, context: Context, estimated_input: int, estimated_output: int) -> None:
    """No figure is negative, no cache figure is made up, and no total but the wire's is below what was said first."""
    usage = settle_usage(wire=wire, context=context, estimated_input=estimated_input, estimated_output=estimated_output)
    assert min(usage.input_tokens, usage.output_tokens) >= 0
    assert usage.cache_read_tokens in {None, wire and wire.cache_read_input_tokens}
    assert usage.cache_write_tokens in {None, wire and wire.cache_write_input_tokens}
    assert min(usage.cache_read_tokens or 0, usage.cache_write_tokens or 0) >= 0
    if usage.source is not UsageSource.WIRE:
        assert usage.total_input_tokens >= estimated_input
    if usage.source is UsageSource.CONTEXT:
        assert context.percentage is not None
        assert 0 < context.percentage <= 100


@given(
    uncached=st.integers(min_value=1, max_value=10**9),
    cached=st.integers(min_value=0, max_value=10**9),
    output=st.integers(min_value=1, max_value=10**9),
    estimate=ESTIMATES,
    context=CONTEXTS,
)
def test_full_counts_are_taken_as_they_are(
    uncached: int, cached: int, output: int, estimate: int, context: Context
) -> None:
    """Counts that are all there are reported without change, whatever the other sources say."""
    wire = WireUsage(
        uncached_input_tokens=uncached,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=cached,
        output_tokens=output,
        total_tokens=1,
    )
    usage = settle_usage(wire=wire, context=context, estimated_input=estimate, estimated_output=estimate)
    assert usage.source is UsageSource.WIRE
    assert usage == Usage(
        input_tokens=uncached, output_tokens=output, cache_read_tokens=cached, cache_write_tokens=cached
    )


def play(script: Sequence[UpstreamEvent], estimate: int) -> list[TurnEvent]:
    """The turn of ``script``."""
    turn = Turn(estimated_input=estimate, context_window=1000)
    return [out for event in script for out in turn.receive_event(event)] + turn.receive_eof()


def read_stream(stream: bytes) -> list[Any]:
    """The documents in a stream of events."""
    data = (line.removeprefix("data: ") for line in stream.decode().splitlines() if line.startswith("data: {"))
    return [json.loads(document) for document in data]


@given(script=scripts(), estimate=st.integers(min_value=1, max_value=1500))
def test_rules_of_a_message(script: list[UpstreamEvent], estimate: int) -> None:
    """Whatever the upstream says, the end is the wire's own count, or not below the beginning."""
    events = play(script, estimate)
    last = events[-1]
    if not isinstance(last, TurnEnded):
        return
    assert events[0] == TurnStarted(usage=Usage(input_tokens=estimate, output_tokens=0))
    assert last.usage.output_tokens >= 0
    if last.usage.source is not UsageSource.WIRE:
        assert last.usage.total_input_tokens >= estimate
    wires = [event.usage for event in script if isinstance(event, Metadata) and event.usage is not None]
    if wires and (wires[-1].uncached_input_tokens or 0) > 0:
        assert last.usage.input_tokens == wires[-1].uncached_input_tokens
        assert last.usage.source is UsageSource.WIRE
    if wires and (wires[-1].output_tokens or 0) > 0:
        assert last.usage.output_tokens == wires[-1].output_tokens
    if not wires:
        assert (last.usage.cache_read_tokens, last.usage.cache_write_tokens) == (None, None)


@given(script=scripts(), estimate=st.integers(min_value=1, max_value=1500))
def test_usage_in_the_three_dialects(script: list[UpstreamEvent], estimate: int) -> None:
    """Every dialect reports the turn's usage, the same streamed and not; Anthropic's begins with the estimate."""
    events = play(script, estimate)
    fold = AnswerFold()
    *_, answer = [fold.receive_event(event) for event in events]
    if answer is None:
        return
    usage = answer.usage
    head = ResponseHead(response_id="resp_1", created_at=0, model="m", settings={}, forms={})

    told = read_stream(MessagesRenderer(message_id="msg_1", model="m").render(events))
    started, ended = told[0]["message"]["usage"], told[-2]["usage"]
    whole = json.loads(render_message(answer, message_id="msg_1", model="m"))["usage"]
    assert (started["input_tokens"], started["output_tokens"]) == (estimate, 0)
    assert ended["output_tokens"] == whole["output_tokens"] == usage.output_tokens
    assert sum((started | ended).values()) == sum(whole.values()) == usage.total_input_tokens + usage.output_tokens

    chunks = ChunkRenderer(completion_id="c", created=0, model="m", include_usage=True)
    counted = read_stream(chunks.render(events))[-1]["usage"]
    assert counted == json.loads(render_completion(answer, completion_id="c", created=0, model="m"))["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"]) == (usage.total_input_tokens, usage.output_tokens)

    last = read_stream(ResponsesRenderer(head=head, sequence=itertools.count()).render(events))[-1]["response"]["usage"]
    assert last == json.loads(render_response(answer, head=head))["usage"]
    assert (last["input_tokens"], last["output_tokens"]) == (usage.total_input_tokens, usage.output_tokens)


@given(measurements=st.lists(MEASUREMENTS, max_size=30))
def test_corrections_are_bounded(measurements: list[Measurement]) -> None:
    """No figures of the wire make an estimate more than four times as large, or less than a quarter."""
    calibration = Calibration()
    for measurement in measurements:
        calibration.receive(measurement)
    for model_id, credential_id in itertools.product("mn", ["", "a", "b"]):
        correction = calibration.find_correction(model_id, credential_id)
        assert 0.25 <= correction.ratio <= 4
        assert correction.context_window is None or 10_000 <= correction.context_window <= 10_000_000


@given(
    estimates=st.lists(st.integers(min_value=1_000, max_value=200_000), min_size=1, max_size=40),
    ratio=st.floats(min_value=0.3, max_value=3.5),
)
def test_corrections_come_nearer(estimates: list[int], ratio: float) -> None:
    """When every count is off by the same factor, each correction is nearer to it than the one before."""
    calibration = Calibration()
    distances = [abs(1 - ratio)]
    for estimate in estimates:
        calibration.receive(
            Measurement(
                model_id="m",
                credential_id="a",
                estimated_input=estimate,
                measured_input=round(estimate * ratio),
                output_tokens=0,
                is_exact=True,
                context_percentage=None,
            )
        )
        distances.append(abs(calibration.find_correction("m", "a").ratio - ratio))
    assert all(after <= before + 0.001 for before, after in itertools.pairwise(distances))
