"""The rules about another attempt, with values alone."""

import httpx
import pytest

from kiro2api.auth.credentials import Outcome
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.turn import EmptyAnswerError, TruncatedToolUseError
from kiro2api.upstream.errors import (
    AnswerTooLongError,
    ContentCodingError,
    NoFirstByteError,
    NotAnEventStreamError,
    UpstreamBrokenError,
    UpstreamStalledError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from kiro2api.upstream.policy import (
    CREDENTIAL_FAILURES,
    GIVE_UP,
    MAX_CALLS,
    MAX_METERED_CALLS,
    RULES,
    Attempts,
    Failure,
    Pauses,
    Plan,
    Step,
    classify_failure,
    is_host_out,
    is_metered,
    judge,
)

CAUSE = httpx.ReadError("")
PAUSES = Pauses()


def _fault(
    status: int | None, reason: str = "", message: str = "", retry_after: float | None = None
) -> UpstreamFaultError:
    return UpstreamFaultError(FaultReport(status=status, reason=reason, message=message, retry_after=retry_after))


EXPIRED = _fault(403, message="The bearer token included in the request is invalid.")


def _fail(
    attempts: Attempts,
    error: Kiro2ApiError,
    credential_id: str = "a",
    *,
    draw: float = 1.0,
    has_other_host: bool = False,
) -> Plan:
    attempts.begin_call("social-1", url="https://a.test:1", choice="its turn")
    return attempts.receive_failure(error, credential_id, pauses=PAUSES, draw=draw, has_other_host=has_other_host)


def _plan(step: Step, pause: float) -> Plan:
    return Plan(step=step, pause=pause, is_budgeted=True)


ELSEWHERE = Plan(step=Step.ELSEWHERE)
ONCE_MORE = [_plan(Step.ELSEWHERE_FIRST, 0.3), GIVE_UP]


@pytest.mark.parametrize(
    ("error", "plans"),
    [
        (UpstreamUnreachableError(CAUSE), [_plan(Step.AGAIN, 0.3), _plan(Step.AGAIN, 0.6), GIVE_UP]),
        (UpstreamTlsError(CAUSE), [_plan(Step.AGAIN, 0.3), GIVE_UP]),
        (UpstreamBrokenError(CAUSE), ONCE_MORE),
        (EmptyAnswerError(), ONCE_MORE),
        (TruncatedToolUseError(name="read", size=3, stopped=False), ONCE_MORE),
        (UpstreamProtocolError("damaged"), ONCE_MORE),
        (NotAnEventStreamError("text/html"), ONCE_MORE),
        (ContentCodingError("zstd"), ONCE_MORE),
        (_fault(500), ONCE_MORE),
        (_fault(502), ONCE_MORE),
        (_fault(503), ONCE_MORE),
        (_fault(504), ONCE_MORE),
        (_fault(200), ONCE_MORE),
        (_fault(None), ONCE_MORE),
        (_fault(500, message="unexpectedly high load"), [_plan(Step.AGAIN, 5), _plan(Step.AGAIN, 5), GIVE_UP]),
        (_fault(429, "INSUFFICIENT_MODEL_CAPACITY"), [_plan(Step.AGAIN, 5), _plan(Step.AGAIN, 5), GIVE_UP]),
        (_fault(503, "MODEL_TEMPORARILY_UNAVAILABLE"), [_plan(Step.AGAIN, 5), _plan(Step.AGAIN, 5), GIVE_UP]),
        (_fault(400, "INVALID_MODEL_ID"), [ELSEWHERE, GIVE_UP]),
        (_fault(429), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(402), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(400, "MONTHLY_REQUEST_COUNT"), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(429, "DAILY_REQUEST_COUNT"), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(403, "TEMPORARILY_SUSPENDED"), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(403), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(400), [GIVE_UP]),
        (_fault(400, "PROMPT_TOO_LONG"), [GIVE_UP]),
        (_fault(302), [GIVE_UP]),
        (_fault(404), [GIVE_UP]),
        (_fault(408), [GIVE_UP]),
        (_fault(418), [GIVE_UP]),
        (_fault(524), [GIVE_UP]),
        (NoFirstByteError(120), [GIVE_UP]),
        (UpstreamStalledError(120), [GIVE_UP]),
        (AnswerTooLongError(3600), [GIVE_UP]),
        (AnswerFormatError("no", "it is not JSON", keyword="not JSON"), [Plan(step=Step.AGAIN), GIVE_UP]),
    ],
    ids=lambda value: getattr(value, "detail", None),
)
def test_how_often_a_failure_is_answered_by_another_call(error: Kiro2ApiError, plans: list[Plan]) -> None:
    """Each kind of failure has its own number of further calls, its own way and its own pause."""
    attempts = Attempts()
    assert [_fail(attempts, error) for _ in plans] == plans
    assert attempts.failures == [classify_failure(error).value] * len(plans)


AT_ONCE = Plan(step=Step.AGAIN)


@pytest.mark.parametrize(
    ("error", "plans"),
    [
        (UpstreamUnreachableError(CAUSE), [AT_ONCE, AT_ONCE, GIVE_UP]),
        (UpstreamTlsError(CAUSE), [AT_ONCE, GIVE_UP]),
        (_fault(404), [AT_ONCE] * 7 + [GIVE_UP]),
        (_fault(408), [AT_ONCE, GIVE_UP]),
        (UpstreamBrokenError(CAUSE), ONCE_MORE),
        (_fault(500), ONCE_MORE),
        (_fault(504), ONCE_MORE),
        (EmptyAnswerError(), ONCE_MORE),
        (_fault(500, message="unexpectedly high load"), [_plan(Step.AGAIN, 5), _plan(Step.AGAIN, 5), GIVE_UP]),
        (_fault(429), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(402), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(403), [ELSEWHERE] * 7 + [GIVE_UP]),
        (_fault(400), [GIVE_UP]),
        (_fault(302), [GIVE_UP]),
        (_fault(524), [GIVE_UP]),
        (NoFirstByteError(120), [GIVE_UP]),
    ],
    ids=lambda value: getattr(value, "detail", None),
)
def test_another_host_is_asked_at_once_when_nothing_was_sent(error: Kiro2ApiError, plans: list[Plan]) -> None:
    """As often as the same one would be; what says nothing about the host is none the more answered by a call."""
    attempts = Attempts()
    assert [_fail(attempts, error, has_other_host=True) for _ in plans] == plans


@pytest.mark.parametrize(
    ("error", "is_of_host", "is_out"),
    [
        (UpstreamUnreachableError(CAUSE), True, True),
        (UpstreamTlsError(CAUSE), True, True),
        (_fault(404), True, True),
        (UpstreamFaultError(FaultReport(status=400, name="UnknownOperationException")), True, True),
        (UpstreamFaultError(FaultReport(status=404, name="ResourceNotFoundException")), True, False),
        (UpstreamBrokenError(CAUSE), True, False),
        (_fault(408), True, False),
        (_fault(500), True, False),
        (_fault(503), True, False),
        (_fault(500, message="unexpectedly high load"), False, False),
        (_fault(400), False, False),
        (_fault(401), False, False),
        (_fault(402), False, False),
        (_fault(403), False, False),
        (_fault(429), False, False),
        (NotAnEventStreamError("text/html"), False, False),
        (NoFirstByteError(120), False, False),
    ],
    ids=lambda value: getattr(value, "detail", None),
)
def test_what_may_be_the_host_s_own_fault(error: Kiro2ApiError, *, is_of_host: bool, is_out: bool) -> None:
    """And what would meet every other request there."""
    attempts = Attempts()
    _fail(attempts, error)
    assert attempts.failed_urls == {"https://a.test:1": is_of_host}
    assert is_host_out(error) is is_out


def test_the_tally_names_the_latest_call() -> None:
    """The host without port or scheme."""
    attempts = Attempts()
    assert attempts.host == ""
    _fail(attempts, UpstreamTlsError(CAUSE))
    assert (attempts.host, attempts.credential, attempts.choice) == ("a.test", "social-1", "its turn")


def test_an_access_token_of_another_process_is_renewed_twice() -> None:
    """The first renewal may have brought what that process got long ago; a second one of that kind is the last."""
    attempts = Attempts()
    steps = []
    for _ in range(3):
        attempts.begin_call("social-1", is_second_hand=True)
        plan = attempts.receive_failure(EXPIRED, "a", pauses=PAUSES, draw=1.0)
        steps.append((plan.step, attempts.has_renewed("a")))

    assert steps == [(Step.RENEW, False), (Step.RENEW, False), (Step.ELSEWHERE, False)]


def test_a_refused_access_token_is_renewed_once() -> None:
    """After that it is the credential that is refused, and another one's turn, with a refresh of its own."""
    attempts = Attempts()
    plans = [_fail(attempts, EXPIRED, credential_id) for credential_id in "aabb"]
    assert [plan.step for plan in plans] == [Step.RENEW, Step.ELSEWHERE] * 2
    assert (attempts.tried, attempts.renewed, attempts.metered) == ({"a", "b"}, {"a": 1, "b": 1}, 0)


def test_kinds_of_failure_are_counted_apart_up_to_the_charge_limit() -> None:
    """Three different failures, each of which may be repeated once, are three calls that may be charged."""
    attempts = Attempts()
    script = [UpstreamBrokenError(CAUSE), _fault(500), EmptyAnswerError()]
    steps = [_fail(attempts, error).step for error in script]
    assert steps == [Step.ELSEWHERE_FIRST, Step.ELSEWHERE_FIRST, Step.GIVE_UP]
    assert attempts.metered == attempts.calls == MAX_METERED_CALLS


def test_calls_that_cost_nothing_are_bounded_too() -> None:
    """The eighth call is the last, whatever kind of failure it ends in."""
    attempts = Attempts()
    for number in range(1, MAX_CALLS):
        assert _fail(attempts, _fault(429), str(number)).step is Step.ELSEWHERE
    assert _fail(attempts, UpstreamUnreachableError(CAUSE)) == GIVE_UP
    assert (attempts.calls, attempts.metered) == (MAX_CALLS, 0)


@pytest.mark.parametrize(
    ("error", "metered"),
    [
        (UpstreamUnreachableError(CAUSE), False),
        (UpstreamTlsError(CAUSE), False),
        (_fault(404), False),
        (_fault(408), True),
        (_fault(401), False),
        (_fault(402), False),
        (_fault(403), False),
        (_fault(429), False),
        (_fault(429, "INSUFFICIENT_MODEL_CAPACITY"), False),
        (_fault(400, "MONTHLY_REQUEST_COUNT"), False),
        (_fault(500, message="unexpectedly high load"), True),
        (_fault(400), True),
        (_fault(500), True),
        (UpstreamBrokenError(CAUSE), True),
        (NoFirstByteError(1), True),
    ],
)
def test_what_may_have_been_charged(error: Kiro2ApiError, metered: bool) -> None:  # noqa: FBT001  a parameter
    """All but what was not sent and what was refused for the credential's sake."""
    assert is_metered(error) is metered


@pytest.mark.parametrize(
    ("retry_after", "plan"),
    [
        (0.1, _plan(Step.ELSEWHERE_FIRST, 0.15)),
        (2.0, _plan(Step.ELSEWHERE_FIRST, 2.0)),
        (2.5, GIVE_UP),
    ],
)
def test_a_retry_after_is_kept_or_left_to_the_client(retry_after: float, plan: Plan) -> None:
    """A short one lengthens the pause; a long one ends the asking, on every credential."""
    assert _fail(Attempts(), _fault(503, retry_after=retry_after), draw=0.5) == plan


@pytest.mark.parametrize(("retry_after", "step"), [(5.0, Step.AGAIN), (30.0, Step.GIVE_UP)])
def test_a_full_model_may_ask_for_as_long_as_the_pause_is(retry_after: float, step: Step) -> None:
    """Five seconds are waited anyway."""
    assert _fail(Attempts(), _fault(500, "INSUFFICIENT_MODEL_CAPACITY", retry_after=retry_after)).step is step


def test_a_backoff_doubles_up_to_its_cap_and_is_drawn_in_full() -> None:
    """From nothing at all to the bound."""
    long = Pauses(base=2.0, cap=3.0)
    attempts, lucky = Attempts(), Attempts()
    error = UpstreamUnreachableError(CAUSE)
    assert [attempts.receive_failure(error, "a", pauses=long, draw=1.0).pause for _ in range(2)] == [2.0, 3.0]
    assert lucky.receive_failure(error, "a", pauses=long, draw=0.0).pause == 0.0


@pytest.mark.parametrize(
    ("error", "free_in", "wait"),
    [
        (_fault(429, retry_after=1), 1.0, 1.01),
        (_fault(429, retry_after=2), 0.5, 0.51),
        (_fault(429, retry_after=3), 3.0, None),
        (_fault(429, retry_after=1), 3.0, None),
        (_fault(429, retry_after=1), None, None),
        (_fault(429), 1.0, None),
        (_fault(402, retry_after=1), 1.0, None),
    ],
)
def test_a_throttled_credential_is_waited_for_once(
    error: UpstreamFaultError, free_in: float | None, wait: float | None
) -> None:
    """Only when the upstream itself has named a short time, and a second time not even then."""
    attempts = Attempts()
    _fail(attempts, error)
    assert attempts.select_wait(error, "a", free_in=free_in, pauses=PAUSES) == wait
    assert attempts.tried == (set() if wait else {"a"})
    if wait:
        assert attempts.select_wait(error, "a", free_in=free_in, pauses=PAUSES) is None


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (_fault(402), Outcome.QUOTA_EXHAUSTED),
        (_fault(403, "MONTHLY_REQUEST_COUNT"), Outcome.QUOTA_EXHAUSTED),
        (_fault(429, "DAILY_REQUEST_COUNT"), Outcome.RATE_LIMITED),
        (_fault(429), Outcome.RATE_LIMITED),
        (_fault(403, "TEMPORARILY_SUSPENDED"), Outcome.SUSPENDED),
        (_fault(403), Outcome.FORBIDDEN),
        (_fault(401), Outcome.NEUTRAL),
        (_fault(500), Outcome.UPSTREAM_FAILED),
        (UpstreamBrokenError(CAUSE), Outcome.UPSTREAM_FAILED),
        (NoFirstByteError(1), Outcome.UPSTREAM_FAILED),
        (UpstreamUnreachableError(CAUSE), Outcome.NEUTRAL),
        (UpstreamTlsError(CAUSE), Outcome.NEUTRAL),
        (_fault(429, "INSUFFICIENT_MODEL_CAPACITY"), Outcome.NEUTRAL),
        (_fault(400, "INVALID_MODEL_ID"), Outcome.MODEL_REFUSED),
        (_fault(400), Outcome.NEUTRAL),
        (_fault(302), Outcome.NEUTRAL),
        (EmptyAnswerError(), Outcome.NEUTRAL),
        (AnswerFormatError("no", "it is not JSON", keyword="not JSON"), Outcome.SUCCESS),
    ],
)
def test_what_a_failure_says_about_the_credential(error: Kiro2ApiError, outcome: Outcome) -> None:
    """And nothing once the client has got something of the answer."""
    assert judge(error, renewed=False, has_output=False) is outcome
    assert judge(error, renewed=False, has_output=True) is Outcome.NEUTRAL


def test_a_fresh_access_token_that_is_refused_speaks_against_the_credential() -> None:
    """One that was not fresh may simply have expired."""
    assert judge(EXPIRED, renewed=True, has_output=False) is Outcome.TOKEN_REFUSED


def test_the_table_is_whole_and_charges_no_retry_to_a_credential() -> None:
    """Every kind has its rule; what is the credential's own costs neither money nor budget."""
    assert set(RULES) == set(Failure)
    assert not any(RULES[failure].is_budgeted or RULES[failure].is_metered for failure in CREDENTIAL_FAILURES)
    budgeted = {failure for failure in Failure if RULES[failure].is_budgeted}
    assert budgeted == {
        Failure.UNREACHABLE,
        Failure.TLS,
        Failure.BROKEN,
        Failure.SERVER,
        Failure.CAPACITY,
        Failure.NO_ANSWER,
    }
