"""The loop around the attempts: who is asked, when, and what comes of it, under virtual time."""

from collections.abc import Sequence

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.credentials import Outcome
from kiro2api.auth.errors import NoCredentialError
from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.kiro.faults import FaultClass, UpstreamFaultError
from kiro2api.upstream import (
    AnswerTooLongError,
    ContentCodingError,
    NoFirstByteError,
    RetryBudget,
    Silence,
    UpstreamBrokenError,
    UpstreamStalledError,
    UpstreamUnreachableError,
)
from tests.support.upstream_events import encode_stream, text_message
from tests.support.upstream_service import (
    ANSWER,
    ANY,
    EXPIRED,
    HELLO,
    SILENCE,
    Body,
    Client,
    Reply,
    Service,
    build_exchange,
    fail,
    open_client,
    refuse,
    stream,
)

BUSY = refuse(500, reason="INSUFFICIENT_MODEL_CAPACITY")
THROTTLED = refuse(429)
SUSPENDED = refuse(403, reason="TEMPORARILY_SUSPENDED")
USED_UP = refuse(402)
UNREACHABLE = fail(httpx.ConnectError("refused"))
CUT = fail(httpx.RemoteProtocolError("cut"))


class SlowSink:
    """A client that takes minutes over each piece."""

    def __init__(self) -> None:
        self.count = 0

    def offer(self, _data: bytes) -> bool:
        self.count += 1
        return False

    async def flush(self) -> None:
        await trio.sleep(200)


async def _fail(client: Client, *, whole: bool = False, silence: Silence = SILENCE) -> Kiro2ApiError:
    with pytest.raises(Kiro2ApiError) as caught:
        await client.ask(whole=whole, silence=silence)
    return caught.value


@pytest.mark.parametrize(
    ("replies", "asked", "times"),
    [
        pytest.param([], "a", [0], id="well"),
        pytest.param([UNREACHABLE, UNREACHABLE], "aba", [0, 0.3, 0.9], id="unreachable"),
        pytest.param([CUT], "ab", [0, 0.3], id="cut"),
        pytest.param([refuse(503)], "ab", [0, 0.3], id="server"),
        pytest.param([BUSY, BUSY], "aba", [0, 5, 10], id="capacity"),
        pytest.param([stream()], "ab", [0, 0.3], id="empty"),
        pytest.param([stream(HELLO[:-3])], "ab", [0, 0.3], id="damaged"),
        pytest.param([THROTTLED], "ab", [0, 0], id="throttled"),
        pytest.param([EXPIRED], "aa", [0, 0], id="expired"),
        pytest.param([EXPIRED, EXPIRED], "aab", [0, 0, 0], id="refused"),
        pytest.param([refuse(400, reason="INVALID_MODEL_ID")], "ab", [0, 0], id="model"),
    ],
)
async def test_what_is_asked_when_a_second_call_helps(
    autojump_clock: MockClock, replies: Sequence[Reply], asked: str, times: list[float]
) -> None:
    """Whom the next call is made with, and how long after the first."""
    service = Service(replies=list(replies))
    async with open_client(autojump_clock, service, "ab") as client:
        began = trio.current_time()
        await client.ask(whole=True)
        assert b"Hello" in client.got
        assert (service.asked, [round(time - began, 6) for time in service.times]) == (asked, times)
        assert client.attempts.calls == len(asked)
        assert (service.budget.retrying, service.budget.in_flight) == (0, 0)


@pytest.mark.parametrize(
    ("reply", "asked", "kind"),
    [
        pytest.param(UNREACHABLE, "aaa", ErrorKind.UPSTREAM, id="unreachable"),
        pytest.param(CUT, "aa", ErrorKind.UPSTREAM, id="cut"),
        pytest.param(refuse(500), "aa", ErrorKind.UPSTREAM, id="server"),
        pytest.param(BUSY, "aaa", ErrorKind.OVERLOADED, id="capacity"),
        pytest.param(THROTTLED, "a", ErrorKind.RATE_LIMITED, id="throttled"),
        pytest.param(USED_UP, "a", ErrorKind.QUOTA_EXHAUSTED, id="quota"),
        pytest.param(SUSPENDED, "a", ErrorKind.NO_CREDENTIAL, id="suspended"),
        pytest.param(EXPIRED, "aa", ErrorKind.NO_CREDENTIAL, id="refused"),
        pytest.param(refuse(400), "a", ErrorKind.BAD_REQUEST, id="malformed"),
        pytest.param(refuse(307), "a", ErrorKind.UPSTREAM, id="redirect"),
    ],
)
async def test_what_the_last_credential_is_asked(
    autojump_clock: MockClock, reply: Reply, asked: str, kind: ErrorKind
) -> None:
    """The same one again where that may help, and never without end."""
    service = Service(by_credential={"a": reply})
    async with open_client(autojump_clock, service) as client:
        assert (await _fail(client)).kind is kind
        assert service.asked == asked


@pytest.mark.parametrize(("seconds", "asked"), [("1", "aa"), ("2", "aa"), ("3", "a"), ("nonsense", "a")])
async def test_a_short_retry_after_is_waited_for_when_nobody_else_is_free(
    autojump_clock: MockClock, seconds: str, asked: str
) -> None:
    """For once; a long one is the client's."""
    service = Service(by_credential={"a": refuse(429, headers={"retry-after": seconds})})
    async with open_client(autojump_clock, service) as client:
        error = await _fail(client)
        assert service.asked == asked
        assert error.retry_after == pytest.approx({"nonsense": 5}.get(seconds) or float(seconds))


async def test_nobody_waits_for_a_throttled_credential_while_another_is_free(autojump_clock: MockClock) -> None:
    """The other one is asked at once."""
    service = Service(by_credential={"a": refuse(429, headers={"retry-after": "1"})})
    async with open_client(autojump_clock, service, "ab") as client:
        await client.ask()
        assert service.asked == "ab"
        assert service.times[0] == service.times[1]


async def test_the_shortest_time_is_the_one_that_the_client_is_told(autojump_clock: MockClock) -> None:
    """Whichever credential comes back first; and then nothing is sent any more."""
    service = Service(replies=[refuse(429, headers={"retry-after": seconds}) for seconds in ("3600", "30", "600")])
    async with open_client(autojump_clock, service, "abc") as client:
        assert (await _fail(client)).retry_after == 30
        assert (await _fail(client)).retry_after == 30
        assert service.asked == "abc"


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        ({"a": THROTTLED, "b": USED_UP}, ErrorKind.RATE_LIMITED),
        ({"a": USED_UP, "b": SUSPENDED}, ErrorKind.NO_CREDENTIAL),
        ({"a": SUSPENDED, "b": USED_UP}, ErrorKind.NO_CREDENTIAL),
        ({"a": USED_UP, "b": USED_UP}, ErrorKind.QUOTA_EXHAUSTED),
        ({"a": THROTTLED, "b": refuse(400, reason="INVALID_MODEL_ID")}, ErrorKind.MODEL_NOT_FOUND),
    ],
)
async def test_the_last_failure_does_not_speak_for_credentials_that_fail_otherwise(
    autojump_clock: MockClock, replies: dict[str, Reply], kind: ErrorKind
) -> None:
    """As long as one is only throttled, waiting helps, whatever the other one's state is."""
    service = Service(by_credential=replies)
    async with open_client(autojump_clock, service, "ab") as client:
        assert (await _fail(client)).kind is kind


async def test_a_limit_of_the_day_is_lifted_at_midnight(autojump_clock: MockClock) -> None:
    """And not before, even if the upstream says otherwise."""
    service = Service(by_credential={"a": refuse(429, reason="DAILY_REQUEST_COUNT")})
    async with open_client(autojump_clock, service) as client:
        error = await _fail(client)
        assert error.retry_after == 86_400 - 1_760_000_000 % 86_400


async def test_an_empty_budget_answers_at_once(autojump_clock: MockClock) -> None:
    """With the failure at hand; turning to another credential is not a retry and goes on."""
    service = Service(replies=[refuse(500)], budget=RetryBudget(share=0, floor=0))
    async with open_client(autojump_clock, service, "ab") as client:
        error = await _fail(client)
        assert isinstance(error, UpstreamFaultError)
        assert error.fault_class is FaultClass.SERVER
        service.replies = [THROTTLED, EXPIRED]
        await client.ask()
        assert service.asked == "abaa"


async def test_a_retry_that_is_answered_gives_its_place_back(autojump_clock: MockClock) -> None:
    """A long answer to a retried request does not keep others from being retried."""
    service = Service(replies=[refuse(500), stream(HELLO, 40.0, HELLO)], budget=RetryBudget(floor=1))
    async with open_client(autojump_clock, service) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.ask)
        await trio.sleep(0.2)
        assert service.budget.retrying == 1
        await trio.sleep(1)
        assert (service.budget.in_flight, service.budget.retrying) == (1, 0)


async def test_a_client_that_leaves_ends_the_waiting(autojump_clock: MockClock) -> None:
    """No call follows, no lease is held meanwhile, and the budget is whole."""
    service = Service(by_credential={"a": BUSY})
    async with open_client(autojump_clock, service) as client:
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.ask)
                await trio.sleep(0.5)
                assert client.broker.statistics().in_flight == 0
                assert service.budget.retrying == 1
        await trio.sleep(60)
        assert (service.asked, service.budget.retrying, service.budget.in_flight) == ("a", 0, 0)


async def test_a_credential_that_fails_for_others_alone_is_passed_over(autojump_clock: MockClock) -> None:
    """Three failures in a row, while others answer, and it is left alone for a while."""
    service = Service(by_credential={"a": CUT})
    async with open_client(autojump_clock, service, "ab") as client:
        for _ in range(9):
            await client.ask()
        assert service.asked.count("a") == 3


async def test_a_poisoned_prompt_ejects_nobody_for_good(autojump_clock: MockClock) -> None:
    """Four requests that always fail; the next good one is answered."""
    service = Service(replies=[refuse(500)] * 8)
    async with open_client(autojump_clock, service, "ab") as client:
        for _ in range(4):
            await _fail(client)
        assert len(service.calls) == 8
        await client.ask()


async def test_a_pool_in_which_each_is_out_in_its_own_way_answers_fast(autojump_clock: MockClock) -> None:
    """One call each, two where a refresh might have helped."""
    service = Service(
        by_credential={"a": SUSPENDED, "b": USED_UP, "c": EXPIRED, "d": refuse(403, reason="FEATURE_NOT_SUPPORTED")}
    )
    async with open_client(autojump_clock, service, "abcd") as client:
        began = trio.current_time()
        assert (await _fail(client)).kind is ErrorKind.NO_CREDENTIAL
        assert (service.asked, trio.current_time()) == ("abccd", began)
        assert sorted(service.refreshes) == ["a", "b", "c", "c", "d"]
        await _fail(client)
        assert len(service.calls) == 5


@pytest.mark.parametrize(
    ("parts", "error", "seconds"),
    [
        ((), NoFirstByteError, 100),
        ((HELLO,), UpstreamStalledError, 50),
        ((HELLO[:9],), UpstreamStalledError, 50),
        ((*[part for _ in range(50) for part in (HELLO, 40.0)],), AnswerTooLongError, 1000),
    ],
)
async def test_each_deadline_has_an_error_of_its_own(
    autojump_clock: MockClock, parts: tuple[bytes | float, ...], error: type[Kiro2ApiError], seconds: float
) -> None:
    """Whether the client has got something or not, and the upstream is asked once."""
    service = Service(by_credential={"a": stream(*parts, 10_000.0)})
    async with open_client(autojump_clock, service) as client:
        began = trio.current_time()
        assert type(await _fail(client)) is error
        assert (service.asked, trio.current_time() - began) == ("a", seconds)


async def test_the_backstop_is_the_request_s_and_not_the_attempt_s(autojump_clock: MockClock) -> None:
    """What the first attempt has taken is not given again."""
    service = Service(replies=[stream(45.0, httpx.ReadError("")), stream(10_000.0)])
    async with open_client(autojump_clock, service, draw=0) as client:
        began = trio.current_time()
        error = await _fail(client, silence=Silence(first_byte=100, between=50, total=60))
        assert (type(error), trio.current_time() - began) == (AnswerTooLongError, 60)


async def test_a_slow_client_is_no_silent_upstream(autojump_clock: MockClock) -> None:
    """The limits of silence rest while bytes are delivered."""
    service = Service(replies=[stream(HELLO, HELLO)])
    async with open_client(autojump_clock, service) as client:
        sink = SlowSink()
        await client.upstream.relay(
            build_exchange(whole=False), sink, want=ANY, silence=SILENCE, attempts=client.attempts
        )
        assert sink.count >= 2


@pytest.mark.parametrize(
    ("parts", "headers", "error"),
    [
        ((HELLO, httpx.ReadError("")), {}, UpstreamBrokenError),
        ((b"\x1f\x8b nonsense",), {"content-encoding": "gzip"}, ContentCodingError),
        ((HELLO,), {"content-encoding": "br"}, ContentCodingError),
    ],
)
async def test_a_body_that_cannot_be_read_is_told_as_what_it_is(
    autojump_clock: MockClock, parts: tuple[bytes | Exception, ...], headers: dict[str, str], error: type[Kiro2ApiError]
) -> None:
    """Broken off, or packed in a way that cannot be undone."""
    service = Service(by_credential={"a": stream(*parts, **headers)})
    async with open_client(autojump_clock, service) as client:
        assert type(await _fail(client)) is error
        assert len(service.calls) == (1 if client.got else 2)


async def test_text_that_was_held_back_is_delivered_before_the_error(autojump_clock: MockClock) -> None:
    """What might have been the beginning of a stop sequence comes when it is clear that nothing follows."""
    service = Service(replies=[stream(encode_stream([text_message("Hello ST")]), httpx.ReadError(""))])
    async with open_client(autojump_clock, service) as client:
        await _fail(client)
        assert b"ST" in client.got


async def test_an_error_answer_is_believed_though_its_body_breaks_or_hangs(autojump_clock: MockClock) -> None:
    """The status says enough; what of the body has come says more."""
    body = b'{"message": "Input is too long."}'
    service = Service(
        replies=[
            lambda _: httpx.Response(400, stream=Body(body, httpx.ReadError(""))),
            lambda _: httpx.Response(429, stream=Body(1000.0)),
        ]
    )
    async with open_client(autojump_clock, service) as client:
        assert (await _fail(client)).kind is ErrorKind.CONTEXT_OVERFLOW
        began = trio.current_time()
        assert (await _fail(client)).kind is ErrorKind.RATE_LIMITED
        assert trio.current_time() - began == 5


async def test_what_went_wrong_stands_in_the_tally(autojump_clock: MockClock) -> None:
    """For the log line of the request."""
    service = Service(replies=[UNREACHABLE, THROTTLED, EXPIRED, CUT, ANSWER])
    async with open_client(autojump_clock, service, "ab") as client:
        await client.ask()
        assert client.attempts.failures == ["unreachable", "rate", "access_token", "broken"]
        assert (client.attempts.calls, client.attempts.metered) == (5, 2)


async def test_no_credential_at_the_start_sends_nothing(autojump_clock: MockClock) -> None:
    """The request fails before it is an attempt."""
    service = Service(by_credential={"a": SUSPENDED})
    async with open_client(autojump_clock, service) as client:
        await _fail(client)
        assert isinstance(await _fail(client), NoCredentialError)
        assert service.asked == "a"


async def test_a_renewal_that_fails_leaves_it_to_another_credential(autojump_clock: MockClock) -> None:
    """A revoked refresh token is no reason to fail while there is another one."""
    service = Service(by_credential={"a": EXPIRED})
    async with open_client(autojump_clock, service, "ab") as client:
        service.refuses_refresh = True
        await client.ask()
        assert service.asked == "ab"


@pytest.mark.parametrize(("credentials", "asked", "seconds"), [("ab", "ab", 2), ("a", "aa", 8)])
async def test_a_renewal_that_takes_long_is_left_to_those_who_need_it(
    autojump_clock: MockClock, credentials: str, asked: str, seconds: float
) -> None:
    """Another credential that is ready serves after two seconds; without one, the renewal is waited for."""
    service = Service(replies=[EXPIRED])
    async with open_client(autojump_clock, service, credentials) as client:
        service.refresh_seconds = 8
        began = trio.current_time()
        await client.ask()

        assert (service.asked, trio.current_time() - began) == (asked, seconds)


async def test_an_unreachable_upstream_leaves_the_credentials_as_they_are(autojump_clock: MockClock) -> None:
    """However often it is tried."""
    service = Service(by_credential={"a": UNREACHABLE})
    async with open_client(autojump_clock, service) as client:
        for _ in range(5):
            assert type(await _fail(client)) is UpstreamUnreachableError
        assert {state.standing.value for state in client.broker.statistics().credentials} == {"usable"}


async def test_a_credential_that_is_lost_while_it_is_waited_for_is_told_as_lost(autojump_clock: MockClock) -> None:
    """What another request has found out about it counts for this one too."""
    service = Service(by_credential={"a": refuse(429, headers={"retry-after": "1"})})
    async with open_client(autojump_clock, service) as client, trio.open_nursery() as nursery:
        lease = await client.broker.lease()

        async def suspend() -> None:
            await trio.sleep(0.5)
            client.broker.release(lease, Outcome.SUSPENDED)

        nursery.start_soon(suspend)
        assert (await _fail(client)).kind is ErrorKind.NO_CREDENTIAL
        assert service.asked == "a"


async def test_text_that_was_held_back_is_forgotten_when_it_is_all_there_was(autojump_clock: MockClock) -> None:
    """The client has nothing yet, so that a second call may still answer it whole."""
    service = Service(replies=[stream(encode_stream([text_message("ST")]), httpx.ReadError(""))])
    async with open_client(autojump_clock, service) as client:
        await client.ask()
        assert service.asked == "aa"
        assert b"ST" not in client.got
