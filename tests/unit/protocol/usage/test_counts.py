"""The arithmetic of usage."""

import math

import pytest

from kiro2api.protocol.usage import Context, Usage, UsageSource, WireUsage, settle_usage

WIRE, CONTEXT, ESTIMATE = UsageSource.WIRE, UsageSource.CONTEXT, UsageSource.ESTIMATE


def settle(wire: WireUsage | None, context: Context, *, estimated_input: int = 500) -> tuple[object, ...]:
    """The settled figures, in the order of their names."""
    usage = settle_usage(wire=wire, context=context, estimated_input=estimated_input, estimated_output=20)
    cache = usage.cache_read_tokens, usage.cache_write_tokens
    return (usage.input_tokens, usage.output_tokens, *cache, usage.source)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (WireUsage(uncached_input_tokens=10, output_tokens=5), (10, 5, None, None, WIRE)),
        (
            WireUsage(
                uncached_input_tokens=0,
                cache_read_input_tokens=90,
                cache_write_input_tokens=0,
                output_tokens=5,
                total_tokens=95,
            ),
            (0, 5, 90, 0, WIRE),
        ),
        (WireUsage(total_tokens=100, output_tokens=30), (70, 30, None, None, WIRE)),
        (WireUsage(total_tokens=30, output_tokens=30), (770, 30, None, None, CONTEXT)),
        (WireUsage(total_tokens=31, output_tokens=30), (1, 30, None, None, WIRE)),
        (WireUsage(total_tokens=100), (80, 20, None, None, WIRE)),
        (WireUsage(total_tokens=10), (780, 20, None, None, CONTEXT)),
        (WireUsage(total_tokens=100, output_tokens=30, cache_read_input_tokens=60), (10, 30, 60, None, WIRE)),
        (WireUsage(total_tokens=100, output_tokens=30, cache_read_input_tokens=90), (0, 30, 90, None, WIRE)),
        (WireUsage(uncached_input_tokens=70, total_tokens=100), (70, 30, None, None, WIRE)),
        (
            WireUsage(uncached_input_tokens=70, cache_write_input_tokens=40, total_tokens=100),
            (70, 20, None, 40, WIRE),
        ),
        (WireUsage(uncached_input_tokens=70, output_tokens=0), (70, 20, None, None, WIRE)),
        (WireUsage(cache_read_input_tokens=300), (480, 20, 300, None, CONTEXT)),
        (WireUsage(cache_write_input_tokens=900), (0, 20, None, 900, CONTEXT)),
        (WireUsage(uncached_input_tokens=0, output_tokens=30), (770, 30, None, None, CONTEXT)),
        (
            WireUsage(uncached_input_tokens=-5, cache_read_input_tokens=-1, output_tokens=30),
            (770, 30, *(None,) * 2, CONTEXT),
        ),
    ],
)
def test_wire_counts(wire: WireUsage, expected: tuple[object, ...]) -> None:
    """The wire's counts come first; what they lack follows from the total, then from the window."""
    assert settle(wire, Context(percentage=0.4, window=200_000)) == expected


@pytest.mark.parametrize(
    ("percentage", "window", "expected"),
    [
        (0.4, 200_000, (780, CONTEXT)),
        (0.29, 200_000, (560, CONTEXT)),  # 579.99... in floating point
        (100.0, 200_000, (199_980, CONTEXT)),
        (0.26, 200_000, (500, CONTEXT)),
        (0.25, 200_000, (500, CONTEXT)),  # 480, but the client was told 500
        (0.0, 200_000, (500, ESTIMATE)),
        (-1.0, 200_000, (500, ESTIMATE)),
        (100.1, 200_000, (500, ESTIMATE)),
        (math.nan, 200_000, (500, ESTIMATE)),
        (math.inf, 200_000, (500, ESTIMATE)),
        (None, 200_000, (500, ESTIMATE)),
        (0.4, None, (500, ESTIMATE)),
    ],
)
@pytest.mark.parametrize("wire", [None, WireUsage(), WireUsage(uncached_input_tokens=0, cache_read_input_tokens=0)])
def test_context(
    wire: WireUsage | None, percentage: float | None, window: int | None, expected: tuple[int, UsageSource]
) -> None:
    """Without counts the input is the window's share less the output, else the estimate, and never less than that."""
    count, source = expected
    assert settle(wire, Context(percentage=percentage, window=window)) == (count, 20, None, None, source)


def test_estimate_beside_the_cache() -> None:
    """What the cache had is part of the estimate, and stands as the wire has it."""
    assert settle(WireUsage(cache_read_input_tokens=300), Context()) == (200, 20, 300, None, ESTIMATE)
    assert settle(WireUsage(cache_read_input_tokens=900), Context()) == (0, 20, 900, None, ESTIMATE)


def test_total_input() -> None:
    """The whole input has its cached parts, and unknown parts add nothing."""
    usage = Usage(input_tokens=1, output_tokens=9, cache_read_tokens=20, cache_write_tokens=300)
    assert usage.total_input_tokens == 321
    assert Usage(input_tokens=1, output_tokens=9).total_input_tokens == 1


def test_equality() -> None:
    """Equal counts are equal wherever they are from."""
    assert Usage(input_tokens=1, output_tokens=2, source=WIRE) == Usage(input_tokens=1, output_tokens=2)
    assert Usage(input_tokens=1, output_tokens=2) != Usage(input_tokens=2, output_tokens=2)
