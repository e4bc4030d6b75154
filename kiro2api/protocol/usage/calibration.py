"""How far the estimate is off, by model and credential, as the wire has shown.

For each pair, and for each model over all its credentials, the newest tokens that were both estimated and measured are
added up; the ratio of the two sums corrects the next estimate. Little evidence corrects little: every sum begins as if
:data:`PRIOR_TOKENS` had been measured that bear out what is known without the pair.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from kiro2api.protocol.usage.counts import MAX_PERCENTAGE, Context, Usage, UsageSource, is_share

PRIOR_TOKENS: Final = 1_000
"""What a request has beside its text, such as the service's own instructions, must not pass for a property of all
text because the first request was short."""
MEMORY_TOKENS: Final = 1_000_000
"""Older evidence fades: some long requests of an agent, many short ones."""
MAX_RATIO: Final = 4.0
"""Tokenizers differ less from each other; whatever is beyond, or below its inverse, counts as this much."""
MAX_COARSE_RATIO: Final = 2.0
"""A share of the window that is off by more tells of a wrong window rather than of a wrong estimate."""
MIN_PERCENTAGE: Final = 1.0
"""Shares have few digits: below this one, rounding is a matter of several percent."""
MIN_WINDOW: Final = 10_000
MAX_WINDOW: Final = 10_000_000
"""Context windows outside of these limits are nonsense."""
MAX_PAIRS: Final = 2_000
"""Pairs of model and credential whose evidence is kept; the one that had none for longest goes first."""

_ALL_CREDENTIALS: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What the wire said of one exchange, and what had been estimated."""

    model_id: str
    """The upstream's."""
    credential_id: str
    estimated_input: int
    """Uncorrected."""
    measured_input: int
    """All of the input, cached or not."""
    output_tokens: int
    is_exact: bool
    """Whether the wire counted, rather than named a share of the window."""
    context_percentage: float | None
    """Of the window, if the wire named it."""

    @property
    def context_window(self) -> int | None:
        """The window that the counts and the share together tell of."""
        percentage = self.context_percentage
        if not self.is_exact or not is_share(percentage) or percentage < MIN_PERCENTAGE:
            return None
        window = round((self.measured_input + self.output_tokens) * MAX_PERCENTAGE / percentage)
        return window if MIN_WINDOW <= window <= MAX_WINDOW else None


def build_measurement(
    *, model_id: str, credential_id: str, estimated_input: int, usage: Usage, context: Context
) -> Measurement | None:
    """What an exchange that had this usage tells about the estimate; ``None`` if the usage rests on that alone."""
    is_exact = usage.source is UsageSource.WIRE
    measured = usage.total_input_tokens if is_exact else (context.total_tokens or 0) - usage.output_tokens
    if measured <= 0:
        return None
    return Measurement(
        model_id=model_id,
        credential_id=credential_id,
        estimated_input=estimated_input,
        measured_input=measured,
        output_tokens=usage.output_tokens,
        is_exact=is_exact,
        context_percentage=context.percentage,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What makes an estimate for a model and a credential a better one."""

    ratio: float = 1.0
    context_window: int | None = None
    """The model's window as the service reckons with it for the credential, where that has shown."""

    def apply(self, estimate: int) -> int:
        return round(estimate * self.ratio)


class _Evidence(NamedTuple):
    estimated: float = 0.0
    measured: float = 0.0
    is_exact: bool = False
    context_window: int | None = None

    def correct(self, known_ratio: float) -> float:
        return (PRIOR_TOKENS * known_ratio + self.measured) / (PRIOR_TOKENS + self.estimated)


_NOTHING: Final = _Evidence()


class Calibration:
    """The evidence of one process: written by whatever ends an exchange, read by all that estimate."""

    def __init__(self) -> None:
        self._evidence: dict[tuple[str, str], _Evidence] = {}

    def find_correction(self, model_id: str, credential_id: str = "") -> Correction:
        """The correction for the model with the credential, or, without one, with all of them together."""
        known = self._evidence.get((model_id, _ALL_CREDENTIALS), _NOTHING).correct(1.0)
        own = self._evidence.get((model_id, credential_id)) if credential_id else None
        if own is None:
            return Correction(ratio=known)
        return Correction(ratio=own.correct(known), context_window=own.context_window)

    def receive(self, measurement: Measurement) -> None:
        """Takes the measurement into account, unless it says too little."""
        if measurement.estimated_input <= 0 or not (measurement.is_exact or _is_telling(measurement)):
            return
        for credential_id in dict.fromkeys((_ALL_CREDENTIALS, measurement.credential_id)):
            key = (measurement.model_id, credential_id)
            self._evidence[key] = _add(self._evidence.pop(key, _NOTHING), measurement)
        while len(self._evidence) > MAX_PAIRS:
            del self._evidence[next(iter(self._evidence))]


def _is_telling(measurement: Measurement) -> bool:
    percentage = measurement.context_percentage
    if percentage is None or percentage < MIN_PERCENTAGE:
        return False
    return 1 / MAX_COARSE_RATIO <= measurement.measured_input / measurement.estimated_input <= MAX_COARSE_RATIO


def _add(evidence: _Evidence, measurement: Measurement) -> _Evidence:
    """All evidence together; counts and shares are not mixed, and counts outrank shares."""
    if evidence.is_exact and not measurement.is_exact:
        return evidence
    old = evidence if evidence.is_exact is measurement.is_exact else _NOTHING
    ratio = measurement.measured_input / measurement.estimated_input
    ratio = min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
    estimated = old.estimated + measurement.estimated_input
    measured = old.measured + measurement.estimated_input * ratio
    fading = min(1.0, MEMORY_TOKENS / estimated)
    return _Evidence(
        estimated=estimated * fading,
        measured=measured * fading,
        is_exact=measurement.is_exact,
        context_window=measurement.context_window or old.context_window,
    )
