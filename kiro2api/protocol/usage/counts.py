"""What an answer has used, from the best source that says so.

The wire's own counts come first and are reported as they are; then the share of the context window that the wire names;
then the estimate. Nothing that the wire does not say is made up, and what rests on a share or on the estimate is never
less than what the client was told when the answer began.
"""

import enum
from dataclasses import astuple, dataclass, field
from typing import Final, TypeIs

MAX_PERCENTAGE: Final = 100


class UsageSource(enum.Enum):
    """Where the count of the input is from, the best first."""

    WIRE = "wire"
    CONTEXT = "context"
    """The share of the context window in use, which is rounded, and as good as our knowledge of the window."""
    ESTIMATE = "estimate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Counts of model tokens for one answer."""

    input_tokens: int
    """Input that was neither read from nor written to the upstream's prompt cache."""
    output_tokens: int
    cache_read_tokens: int | None = None
    """``None`` unless the wire said so: these figures are never invented."""
    cache_write_tokens: int | None = None
    source: UsageSource = field(default=UsageSource.ESTIMATE, compare=False)
    """Of the input. Equal counts are equal wherever they are from."""

    @property
    def total_input_tokens(self) -> int:
        return self.input_tokens + (self.cache_read_tokens or 0) + (self.cache_write_tokens or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WireUsage:
    """The upstream's ``tokenUsage``; any count may be missing, and nonsense may stand in any."""

    uncached_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """How full the upstream says the window is."""

    percentage: float | None = None
    """Of the window that prompt and answer fill together; says nothing unless above 0 and at most 100."""
    window: int | None = None
    """Of the model that answers, in model tokens."""

    @property
    def total_tokens(self) -> int | None:
        """Model tokens in the window, or ``None`` when either figure is missing or no share of 100."""
        if self.window is None or not is_share(self.percentage):
            return None
        return round(self.percentage * self.window / MAX_PERCENTAGE)


_NO_COUNTS: Final = WireUsage()


def is_share(percentage: float | None) -> TypeIs[float]:
    """Whether ``percentage`` can be the used part of a window."""
    return percentage is not None and 0 < percentage <= MAX_PERCENTAGE


def settle_usage(*, wire: WireUsage | None, context: Context, estimated_input: int, estimated_output: int) -> Usage:
    """The usage to report: each figure from the best source that has it, none below 0.

    A count of 0 or less says nothing, save that the cache was not used.

    Args:
        wire: The upstream's own counts, if it sent any.
        context: The share of the window in use, if the upstream named it.
        estimated_input: What the client was told when the answer began, or would have been.
        estimated_output: By :class:`OutputMeter`.
    """
    counts = _select_counts(wire)
    cached = (counts.cache_read_input_tokens or 0) + (counts.cache_write_input_tokens or 0)
    output = counts.output_tokens or _derive_output(counts, cached) or estimated_output
    uncached, source = _find_uncached(counts, context, cached=cached, output=output, least=estimated_input)
    return Usage(
        input_tokens=uncached,
        output_tokens=output,
        cache_read_tokens=counts.cache_read_input_tokens,
        cache_write_tokens=counts.cache_write_input_tokens,
        source=source,
    )


def _select_counts(wire: WireUsage | None) -> WireUsage:
    """The wire's counts without nonsense, and without the zeros that say nothing."""
    if wire is None or not any(count is not None and count > 0 for count in astuple(wire)):
        return _NO_COUNTS
    cache_read = _drop_negative(wire.cache_read_input_tokens)
    cache_write = _drop_negative(wire.cache_write_input_tokens)
    uncached = _drop_negative(wire.uncached_input_tokens)
    return WireUsage(
        uncached_input_tokens=uncached if uncached or cache_read or cache_write else None,  # no prompt is empty
        cache_read_input_tokens=cache_read,
        cache_write_input_tokens=cache_write,
        output_tokens=_drop_negative(wire.output_tokens),
        total_tokens=_drop_negative(wire.total_tokens),
    )


def _drop_negative(count: int | None) -> int | None:
    return count if count is not None and count >= 0 else None


def _derive_output(counts: WireUsage, cached: int) -> int:
    """What the wire's total leaves to the output; 0 if that cannot be told."""
    if counts.uncached_input_tokens is None or counts.total_tokens is None:
        return 0
    return max(0, counts.total_tokens - counts.uncached_input_tokens - cached)


def _find_uncached(
    counts: WireUsage, context: Context, *, cached: int, output: int, least: int
) -> tuple[int, UsageSource]:
    if counts.uncached_input_tokens is not None:
        return counts.uncached_input_tokens, UsageSource.WIRE
    if counts.total_tokens is not None and counts.total_tokens > output:
        return max(0, counts.total_tokens - output - cached), UsageSource.WIRE
    total = context.total_tokens
    if total is not None:
        return max(0, max(total - output, least) - cached), UsageSource.CONTEXT
    return max(0, least - cached), UsageSource.ESTIMATE
