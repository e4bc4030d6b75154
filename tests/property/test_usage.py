"""What holds of estimates and usage for any input."""

import math

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.usage import OutputMeter, Usage, WireUsage, estimate_text, settle_usage

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("中文a")), max_size=80)
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


def estimate_one_by_one(text: str) -> int:
    """The estimate, written down the slow way."""
    han = sum("\u4e00" <= char <= "\u9fff" for char in text)
    others = len(text) - han
    if not text:
        return 0
    ratio = 2.8 if others < 50 else 2.6 if others < 100 else 2.5
    plain = han + math.ceil(others / ratio) + (0 if others else 1)
    for least, factor in ((1000, 0.6), (500, 0.7), (300, 0.8), (200, 0.85), (100, 0.9), (50, 0.95)):
        if len(text) >= least:
            return max(1, int(plain * factor))
    return plain


@given(text=TEXTS, repeat=st.integers(min_value=1, max_value=40))
def test_estimate_is_the_formula(text: str, repeat: int) -> None:
    """Counting at the interpreter's speed gives what counting one by one gives."""
    assert estimate_text(text * repeat) == estimate_one_by_one(text * repeat)


@given(pieces=PIECES)
def test_meter_ignores_cuts(pieces: list[str]) -> None:
    """However a text is cut, the meter says what the whole text is worth, at least 1 if any."""
    meter = OutputMeter()
    for piece in pieces:
        meter.add_text(piece)
    text = "".join(pieces)
    assert meter.tokens == estimate_text(text)
    assert (meter.tokens > 0) == bool(text)


@given(counts=st.lists(st.integers(min_value=0, max_value=10**6)))
def test_meter_joins_input(counts: list[int]) -> None:
    """However a tool use's input is cut, four bytes of it make a model token, rounded up once."""
    meter = OutputMeter()
    meter.add_tool_use("hello")
    for count in counts:
        meter.add_tool_input_bytes(count)
    assert meter.tokens == 14 + (sum(counts) + 3) // 4


@given(
    wire=st.none() | WIRES,
    percentage=st.none() | st.floats(),
    window=st.none() | st.integers(min_value=1, max_value=10**7),
    estimated_input=ESTIMATES,
    estimated_output=ESTIMATES,
)
def test_usage_is_never_negative(
    wire: WireUsage | None,
    percentage: float | None,
    window: int | None,
    estimated_input: int,
    estimated_output: int,
) -> None:
    """Whatever the wire says, no figure is negative and no cache figure is made up."""
    usage = settle_usage(
        wire=wire,
        context_percentage=percentage,
        context_window=window,
        estimated_input=estimated_input,
        estimated_output=estimated_output,
    )
    assert min(usage.input_tokens, usage.output_tokens) >= 0
    assert usage.cache_read_tokens in {None, wire and wire.cache_read_input_tokens}
    assert usage.cache_write_tokens in {None, wire and wire.cache_write_input_tokens}
    assert min(usage.cache_read_tokens or 0, usage.cache_write_tokens or 0) >= 0


@given(
    uncached=st.integers(min_value=1, max_value=10**9),
    cached=st.integers(min_value=0, max_value=10**9),
    output=st.integers(min_value=1, max_value=10**9),
)
def test_full_counts_are_taken_as_they_are(uncached: int, cached: int, output: int) -> None:
    """Counts that are all there are reported without change, whatever the other sources say."""
    usage = settle_usage(
        wire=WireUsage(
            uncached_input_tokens=uncached,
            cache_read_input_tokens=cached,
            cache_write_input_tokens=cached,
            output_tokens=output,
            total_tokens=1,
        ),
        context_percentage=50.0,
        context_window=200_000,
        estimated_input=7,
        estimated_output=7,
    )
    assert usage == Usage(
        input_tokens=uncached,
        output_tokens=output,
        cache_read_tokens=cached,
        cache_write_tokens=cached,
    )
