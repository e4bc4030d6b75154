"""No script of failures makes one request cost more than the rules allow, or asks again after output."""

from contextlib import suppress
from functools import partial

import httpx
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from kiro2api.auth.credentials import Outcome
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.turn import EmptyAnswerError, TruncatedToolUseError
from kiro2api.upstream import (
    MAX_CALLS,
    MAX_METERED_CALLS,
    Attempts,
    NoFirstByteError,
    NotAnEventStreamError,
    Pauses,
    Step,
    UpstreamBrokenError,
    UpstreamTlsError,
    UpstreamUnreachableError,
)
from kiro2api.upstream.policy import is_metered, judge
from tests.support.upstream_events import encode_stream, exception_message
from tests.support.upstream_service import ANSWER, EXPIRED, HELLO, Reply, Service, fail, open_client, refuse, stream

REASONS = (
    "",
    "INSUFFICIENT_MODEL_CAPACITY",
    "MONTHLY_REQUEST_COUNT",
    "DAILY_REQUEST_COUNT",
    "TEMPORARILY_SUSPENDED",
    "INVALID_MODEL_ID",
    "PROMPT_TOO_LONG",
)
STATUSES = (200, 302, 400, 401, 402, 403, 404, 408, 429, 500, 503, 504, 524, None)
CAUSE = httpx.ReadError("")

errors = st.one_of(
    st.sampled_from(
        [
            UpstreamUnreachableError(CAUSE),
            UpstreamTlsError(CAUSE),
            UpstreamBrokenError(CAUSE),
            NotAnEventStreamError(""),
            EmptyAnswerError(),
            TruncatedToolUseError(name="read", size=1, stopped=False),
            NoFirstByteError(1),
        ]
    ),
    st.builds(
        FaultReport,
        status=st.sampled_from(STATUSES),
        reason=st.sampled_from(REASONS),
        retry_after=st.none() | st.floats(0, 9),
    ).map(UpstreamFaultError),
)


@given(
    script=st.lists(st.tuples(errors, st.sampled_from("abc"), st.booleans()), min_size=12, max_size=12),
    draw=st.floats(0, 1),
)
def test_no_script_of_failures_exceeds_the_limits(script: list[tuple[Kiro2ApiError, str, bool]], draw: float) -> None:
    """Calls and charges stay within bounds, pauses too, and what is charged is never underestimated."""
    attempts, charged = Attempts(), 0
    for error, credential_id, has_other_host in script:
        attempts.begin_call(credential_id)
        charged += is_metered(error)
        plan = attempts.receive_failure(error, credential_id, pauses=Pauses(), draw=draw, has_other_host=has_other_host)
        assert attempts.metered == charged <= MAX_METERED_CALLS
        assert attempts.calls <= MAX_CALLS
        assert 0 <= plan.pause <= Pauses().capacity
        if plan.step is Step.GIVE_UP:
            return
    raise AssertionError("it never gave up")


@given(error=errors, renewed=st.booleans())
def test_output_clears_the_credential(error: Kiro2ApiError, renewed: bool) -> None:  # noqa: FBT001  drawn
    """Whatever ends an answer that has begun."""
    assert judge(error, renewed=renewed, has_output=True) is Outcome.NEUTRAL


replies = st.sampled_from(
    [
        ANSWER,
        EXPIRED,
        fail(httpx.ConnectError("")),
        fail(httpx.RemoteProtocolError("")),
        stream(),
        stream(HELLO[:5]),
        stream(HELLO, httpx.ReadError("")),
        stream(HELLO, 10_000.0),
        stream(encode_stream([exception_message("throttlingError", {"message": "slow"})])),
        stream(HELLO + encode_stream([exception_message("internalServerError", {"message": "oh"})])),
        *[refuse(status or 500, reason=reason) for status in STATUSES for reason in REASONS],
        refuse(429, headers={"retry-after": "1"}),
        refuse(503, headers={"retry-after": "2"}),
    ]
)


@given(
    script=st.lists(replies, max_size=12),
    credentials=st.sampled_from(["a", "ab", "abcdefghij"]),
    hosts=st.integers(1, 3),
)
def test_no_script_of_answers_is_asked_beyond_the_limits_or_after_output(
    script: list[Reply], credentials: str, hosts: int
) -> None:
    """Three requests in a row: leases and places come back, and one that has output is not asked again."""
    clock = MockClock(autojump_threshold=0)
    trio.run(partial(_play, clock, script, credentials, hosts), clock=clock)


async def _play(clock: MockClock, script: list[Reply], credentials: str, hosts: int) -> None:
    service = Service(replies=list(script))
    base_urls = [f"https://kiro{number}.test" for number in range(hosts)]
    async with open_client(clock, service, credentials, base_urls=base_urls) as client:
        for _ in range(3):
            before = len(service.calls)
            with suppress(Kiro2ApiError):
                await client.ask()
            assert client.output_at in {None, len(service.calls)}, "asked again after output"
            assert len(service.calls) - before == client.attempts.calls <= MAX_CALLS
            assert client.attempts.metered <= MAX_METERED_CALLS
            assert (service.budget.in_flight, service.budget.retrying) == (0, 0)
