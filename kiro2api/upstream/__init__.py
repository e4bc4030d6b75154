"""Requests to Kiro: one attempt over httpx, and the one place that decides about another."""

from kiro2api.upstream.budget import RetryBudget
from kiro2api.upstream.calls import Silence
from kiro2api.upstream.errors import (
    AnswerTooLongError,
    ContentCodingError,
    NoFirstByteError,
    NotAnEventStreamError,
    UpstreamBrokenError,
    UpstreamSilentError,
    UpstreamStalledError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from kiro2api.upstream.policy import MAX_CALLS, MAX_METERED_CALLS, Attempts, Pauses, Step
from kiro2api.upstream.relay import Upstream

__all__ = [
    "MAX_CALLS",
    "MAX_METERED_CALLS",
    "AnswerTooLongError",
    "Attempts",
    "ContentCodingError",
    "NoFirstByteError",
    "NotAnEventStreamError",
    "Pauses",
    "RetryBudget",
    "Silence",
    "Step",
    "Upstream",
    "UpstreamBrokenError",
    "UpstreamSilentError",
    "UpstreamStalledError",
    "UpstreamTlsError",
    "UpstreamUnreachableError",
]
