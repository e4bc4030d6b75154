"""Token counts: what the wire says, the estimate for when it says nothing, and what corrects the estimate."""

from kiro2api.protocol.usage.calibration import Calibration, Correction, Measurement, build_measurement
from kiro2api.protocol.usage.counts import Context, Usage, UsageSource, WireUsage, is_share, settle_usage
from kiro2api.protocol.usage.estimate import OutputMeter, estimate_conversation
from kiro2api.protocol.usage.tally import estimate_text

__all__ = [
    "Calibration",
    "Context",
    "Correction",
    "Measurement",
    "OutputMeter",
    "Usage",
    "UsageSource",
    "WireUsage",
    "build_measurement",
    "estimate_conversation",
    "estimate_text",
    "is_share",
    "settle_usage",
]
