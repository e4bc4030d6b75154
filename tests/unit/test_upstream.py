"""The rules about another attempt, with values alone."""

import httpx
import pytest

from kiro2api.auth.credentials import AccessToken, Lease
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.kiro.faults import FaultClass, FaultReport, UpstreamFaultError
from kiro2api.protocol.turn import EmptyAnswerError, TruncatedToolUseError
from kiro2api.upstream import (
    MAX_CALLS,
    MAX_METERED_CALLS,
    AnswerTooLongError,
    Attempts,
    NotAnEventStreamError,
    Step,
    UpstreamBrokenError,
    UpstreamSilentError,
    UpstreamUnreachableError,
    select_step,
)

LEASE = Lease(
    credential_id="a",
    label="social-1",
    access_token=AccessToken(value="v", expires_at=1e9, generation=1, profile_arn=None),
    leased_at=0.0,
)
CAUSE = httpx.ReadError("")


def _fault(status: int, reason: str = "", message: str = "") -> UpstreamFaultError:
    return UpstreamFaultError(FaultReport(status=status, reason=reason, message=message))


@pytest.mark.parametrize(
    ("error", "steps"),
    [
        (UpstreamUnreachableError(CAUSE), [Step.AGAIN, Step.AGAIN, Step.GIVE_UP]),
        (UpstreamBrokenError(CAUSE), [Step.AGAIN, Step.GIVE_UP]),
        (EmptyAnswerError(), [Step.AGAIN, Step.GIVE_UP]),
        (TruncatedToolUseError(size=3, stopped=False), [Step.AGAIN, Step.GIVE_UP]),
        (UpstreamProtocolError("damaged"), [Step.AGAIN, Step.GIVE_UP]),
        (NotAnEventStreamError("text/html"), [Step.AGAIN, Step.GIVE_UP]),
        (_fault(500), [Step.AGAIN, Step.GIVE_UP]),
        (_fault(400, "INVALID_MODEL_ID"), [Step.ELSEWHERE, Step.GIVE_UP]),
        (_fault(429), [Step.ELSEWHERE] * 5),
        (_fault(402), [Step.ELSEWHERE] * 5),
        (_fault(429, "DAILY_REQUEST_COUNT"), [Step.ELSEWHERE] * 5),
        (_fault(403, "TEMPORARILY_SUSPENDED"), [Step.ELSEWHERE] * 5),
        (_fault(403), [Step.ELSEWHERE] * 5),
        (_fault(400), [Step.GIVE_UP]),
        (_fault(400, "PROMPT_TOO_LONG"), [Step.GIVE_UP]),
        (_fault(429, "INSUFFICIENT_MODEL_CAPACITY"), [Step.GIVE_UP]),
        (_fault(404), [Step.GIVE_UP]),
        (_fault(504), [Step.GIVE_UP]),
        (UpstreamSilentError(120), [Step.GIVE_UP]),
        (AnswerTooLongError(3600), [Step.GIVE_UP]),
    ],
)
def test_how_often_a_failure_is_answered_by_another_call(error: Kiro2ApiError, steps: list[Step]) -> None:
    """Each kind of failure has its own number of further calls, and its own way."""
    attempts = Attempts(calls=1)
    key = error.fault_class if isinstance(error, UpstreamFaultError) else type(error)
    if isinstance(error, UpstreamProtocolError):
        key = UpstreamProtocolError
    taken = []
    for _ in steps:
        taken.append(select_step(error, attempts, LEASE))
        attempts.again[key] = attempts.again.get(key, 0) + 1
    assert taken == steps


def test_a_refused_access_token_is_renewed_once() -> None:
    """After that it is the credential that is refused, and another one's turn."""
    error = _fault(403, message="The bearer token included in the request is invalid.")
    assert error.fault_class is FaultClass.ACCESS_TOKEN
    attempts = Attempts(calls=1)
    assert select_step(error, attempts, LEASE) is Step.RENEW
    attempts.renewed.add("a")
    assert select_step(error, attempts, LEASE) is Step.ELSEWHERE


@pytest.mark.parametrize("attempts", [Attempts(calls=MAX_CALLS), Attempts(calls=3, metered=MAX_METERED_CALLS)])
def test_the_limits_of_calls_outrank_every_rule(attempts: Attempts) -> None:
    """Neither the eighth call nor the third that may be charged is followed by another."""
    assert select_step(_fault(429), attempts, LEASE) is Step.GIVE_UP
    assert select_step(UpstreamUnreachableError(CAUSE), attempts, LEASE) is Step.GIVE_UP
