"""What the wire's figures make of the next estimates."""

import dataclasses

import pytest

from kiro2api.protocol.usage import (
    Calibration,
    Context,
    Correction,
    Measurement,
    Usage,
    UsageSource,
    build_measurement,
)
from kiro2api.protocol.usage.calibration import MAX_PAIRS, MEMORY_TOKENS

MEASUREMENT = Measurement(
    model_id="m",
    credential_id="a",
    estimated_input=9_000,
    measured_input=12_000,
    output_tokens=500,
    is_exact=True,
    context_percentage=None,
)
COARSE = dataclasses.replace(MEASUREMENT, is_exact=False, context_percentage=5.0)


def calibrate(*measurements: Measurement) -> Calibration:
    """A calibration that has received these."""
    calibration = Calibration()
    for measurement in measurements:
        calibration.receive(measurement)
    return calibration


def test_nothing_is_known() -> None:
    """Without any measurement an estimate stays as it is."""
    correction = calibrate(MEASUREMENT).find_correction("other", "a")
    assert correction == Correction(ratio=1.0, context_window=None)
    assert correction.apply(12_345) == 12_345


@pytest.mark.parametrize(
    ("estimated", "measured", "ratio"),
    [
        (9_000, 12_000, 1.3),
        (10, 40, 1.0297),  # a short request proves little
        (9_000, 9_000, 1.0),
        (9_000, 10**12, 3.7),  # nonsense counts as four times
        (9_000, 1, 0.325),  # or as a quarter
        (0, 12_000, 1.0),
        (-1, 12_000, 1.0),
    ],
)
def test_ratio(estimated: int, measured: int, ratio: float) -> None:
    """The ratio of a model over all credentials is that of the sums, of which 1,000 tokens were always right."""
    sample = dataclasses.replace(MEASUREMENT, estimated_input=estimated, measured_input=measured)
    assert calibrate(sample).find_correction("m").ratio == pytest.approx(ratio, abs=1e-4)


def test_credentials() -> None:
    """A credential's own evidence comes first; one that has none is corrected as all of the model's together are."""
    other = dataclasses.replace(MEASUREMENT, credential_id="b", measured_input=9_000)
    calibration = calibrate(MEASUREMENT, other)
    together = (1_000 + 21_000) / 19_000
    assert calibration.find_correction("m").ratio == pytest.approx(together)
    assert calibration.find_correction("m", "c").ratio == pytest.approx(together)
    assert calibration.find_correction("m", "a").ratio == pytest.approx((1_000 * together + 12_000) / 10_000)
    assert calibration.find_correction("m", "b").ratio == pytest.approx((1_000 * together + 9_000) / 10_000)


def test_no_credential() -> None:
    """A measurement without a credential counts once, for the model."""
    anonymous = dataclasses.replace(MEASUREMENT, credential_id="")
    assert calibrate(anonymous).find_correction("m").ratio == 1.3


def test_it_converges_and_forgets() -> None:
    """The same ratio again and again is taken over, and so is another one after it."""
    calibration = calibrate(*[MEASUREMENT] * 1_000)
    assert calibration.find_correction("m", "a").ratio == pytest.approx(4 / 3, abs=0.001)
    changed = dataclasses.replace(MEASUREMENT, measured_input=9_000)
    for _ in range(5 * MEMORY_TOKENS // 9_000):
        calibration.receive(changed)
    assert calibration.find_correction("m", "a").ratio == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize(
    ("percentage", "measured", "ratio"),
    [
        (1.0, 12_000, 1.3),
        (0.99, 12_000, 1.0),  # rounding would matter
        (None, 12_000, 1.0),
        (5.0, 18_000, 1.9),
        (5.0, 18_001, 1.0),  # rather a wrong window
        (5.0, 4_500, 0.55),
        (5.0, 4_499, 1.0),
    ],
)
def test_shares(percentage: float | None, measured: int, ratio: float) -> None:
    """A share of the window is evidence when it is large enough and bears the estimate out by half and double."""
    sample = dataclasses.replace(COARSE, context_percentage=percentage, measured_input=measured)
    assert calibrate(sample).find_correction("m").ratio == pytest.approx(ratio)


def test_counts_outrank_shares() -> None:
    """The first count makes shares forgotten, and no later share is listened to."""
    wrong = dataclasses.replace(COARSE, measured_input=6_000)
    exact = calibrate(MEASUREMENT).find_correction("m", "a")
    assert calibrate(wrong, wrong, MEASUREMENT, wrong).find_correction("m", "a") == exact
    assert calibrate(wrong).find_correction("m").ratio < 1.0


@pytest.mark.parametrize(
    ("measured", "percentage", "window"),
    [
        (146_500, 10.0, 1_470_000),
        (146_500, 0.9, None),  # rounding would matter
        (146_500, 0.0, None),
        (146_500, 101.0, None),
        (146_500, None, None),
        (500, 100.0, None),  # no window is so small
        (199_999_500, 1.0, None),  # or so large
    ],
)
def test_window(measured: int, percentage: float | None, window: int | None) -> None:
    """Counts and share together tell the window that the service reckons with, for this credential alone."""
    sample = dataclasses.replace(MEASUREMENT, measured_input=measured, context_percentage=percentage)
    calibration = calibrate(sample, MEASUREMENT)
    assert calibration.find_correction("m", "a").context_window == window
    assert calibration.find_correction("m", "b").context_window is None
    assert calibrate(dataclasses.replace(sample, is_exact=False)).find_correction("m", "a").context_window is None


def test_bound() -> None:
    """The pair that had no evidence for longest is forgotten first."""
    calibration = calibrate(MEASUREMENT)
    for number in range(MAX_PAIRS // 2 - 1):
        calibration.receive(dataclasses.replace(MEASUREMENT, model_id=f"m{number}"))
    assert calibration.find_correction("m", "a").ratio > 1.3
    calibration.receive(MEASUREMENT)
    calibration.receive(dataclasses.replace(MEASUREMENT, model_id="one more"))
    assert calibration.find_correction("m", "a").ratio > 1.3
    assert calibration.find_correction("m0", "a") == Correction()
    assert calibration.find_correction("m1", "a").ratio > 1.3


@pytest.mark.parametrize(
    ("source", "context", "measured"),
    [
        (UsageSource.WIRE, Context(percentage=5.0, window=200_000), 330),
        (UsageSource.CONTEXT, Context(percentage=5.0, window=200_000), 9_993),
        (UsageSource.ESTIMATE, Context(), None),
        (UsageSource.CONTEXT, Context(percentage=0.0035, window=200_000), None),
    ],
)
def test_measurement(source: UsageSource, context: Context, measured: int | None) -> None:
    """What was measured is what the wire says, not what was reported in its place."""
    usage = Usage(input_tokens=30, output_tokens=7, cache_read_tokens=300, source=source)
    expected = (
        None
        if measured is None
        else Measurement(
            model_id="m",
            credential_id="a",
            estimated_input=100,
            measured_input=measured,
            output_tokens=7,
            is_exact=source is UsageSource.WIRE,
            context_percentage=context.percentage,
        )
    )
    built = build_measurement(model_id="m", credential_id="a", estimated_input=100, usage=usage, context=context)
    assert built == expected
