"""Leases: who gets which credential, and what comes of their outcomes."""

from dataclasses import replace
from functools import partial

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.broker import BrokerStatistics, CredentialBroker
from kiro2api.auth.clocks import build_steady_clock
from kiro2api.auth.credentials import AccessToken, Lease, Outcome, Want, build_fingerprint
from kiro2api.auth.errors import NoCredentialError
from kiro2api.auth.pool import CredentialState, Standing
from kiro2api.errors import ErrorKind
from tests.unit.auth.fakes import EPOCH, FakeRefreshService, LogBook, build_wire, grant, open_broker, refuse

A, B = (build_fingerprint(refresh_token) for refresh_token in "ab")
USABLE = CredentialState(credential_id=A, label="social-1", standing=Standing.USABLE, until=None)


async def fail_to_lease(broker: CredentialBroker, *, exclude: tuple[str, ...] = ()) -> NoCredentialError:
    """The error that a lease ends with."""
    with pytest.raises(NoCredentialError) as caught:
        await broker.lease(exclude=exclude)
    return caught.value


async def test_a_lease_carries_an_access_token_until_it_is_returned(autojump_clock: MockClock) -> None:
    """It names its credential and is counted from the lease to the first release; a second changes nothing."""
    service = FakeRefreshService(answers={"a": lambda: grant("aoa", profileArn="arn")})
    async with open_broker(autojump_clock, service) as broker:
        lease = await broker.lease()
        counted = broker.statistics()
        for outcome in (Outcome.SUCCESS, Outcome.FORBIDDEN):
            broker.release(lease, outcome)

        assert (lease.credential_id, lease.label, lease.leased_at) == (A, "social-1", EPOCH + 1)
        assert lease.access_token == AccessToken(value="aoa", expires_at=EPOCH + 3601, generation=1, profile_arn="arn")
        assert counted == BrokerStatistics(in_flight=1, credentials=(replace(USABLE, uses=1, in_flight=1),))
        assert broker.statistics() == BrokerStatistics(in_flight=0, credentials=(replace(USABLE, uses=1),))


async def test_a_broker_reports_itself_started_before_any_answer() -> None:
    """Start-up waits for nobody: a broker is started though it has not a single access token."""
    async with httpx.AsyncClient() as client, trio.open_nursery() as nursery:
        broker = CredentialBroker((), wire=build_wire(client), log=LogBook())
        with trio.fail_after(5):
            await nursery.start(broker.run)

        assert (await fail_to_lease(broker)).kind is ErrorKind.NO_CREDENTIAL
        nursery.cancel_scope.cancel("the test has ended")


async def test_a_refresh_is_one_plain_post(autojump_clock: MockClock) -> None:
    """To the configured address, with the refresh token in the body and nowhere else."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        await broker.lease()

    (request,) = service.requests
    assert (request.method, str(request.url)) == ("POST", "https://auth.test/refreshToken")
    assert request.content == b'{"refreshToken":"a"}'
    assert request.headers["accept-encoding"] == "identity"


async def test_leases_take_turns(autojump_clock: MockClock) -> None:
    """Once all have their access tokens, credentials are leased round and round, save the excluded."""
    async with open_broker(autojump_clock, FakeRefreshService(), "a,b") as broker:
        await trio.sleep(2)
        leases = [await broker.lease() for _ in range(4)]
        leases += [await broker.lease(exclude={A}) for _ in range(2)]

        assert [lease.credential_id for lease in leases] == [A, B, A, B, B, B]


async def test_a_hanging_refresh_delays_nobody_else(autojump_clock: MockClock) -> None:
    """While one credential's refresh hangs, every request is served by the other at once."""
    service = FakeRefreshService(delays={"a": 1000})
    async with open_broker(autojump_clock, service, "a,b") as broker:
        leases = [await broker.lease() for _ in range(3)]

        assert [lease.credential_id for lease in leases] == [B, B, B]
        assert trio.current_time() == 1


async def test_a_request_asks_all_that_it_could_use(autojump_clock: MockClock) -> None:
    """When all access tokens have expired unseen, whichever refresh ends first serves it."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, "a,b") as broker:
        await trio.sleep(2)
        service.delays["a"] = 1000
        service.clock_offset = 86_400
        lease = await broker.lease()

        assert (lease.credential_id, lease.access_token.generation, trio.current_time()) == (B, 2, 3)


async def test_a_failed_refresh_moves_on_to_the_next_credential(autojump_clock: MockClock) -> None:
    """The request waits for the slower credential when the faster one's refresh has failed."""
    service = FakeRefreshService(answers={"a": refuse(503)}, delays={"b": 5})
    async with open_broker(autojump_clock, service, "a,b") as broker:
        assert (await broker.lease()).credential_id == B
        assert trio.current_time() == 5


@pytest.mark.parametrize(
    ("outcomes", "kind", "retry_after"),
    [
        ((Outcome.RATE_LIMITED, Outcome.RATE_LIMITED), ErrorKind.RATE_LIMITED, 20.0),
        ((Outcome.RATE_LIMITED, Outcome.QUOTA_EXHAUSTED), ErrorKind.RATE_LIMITED, 20.0),
        ((Outcome.QUOTA_EXHAUSTED, Outcome.QUOTA_EXHAUSTED), ErrorKind.QUOTA_EXHAUSTED, None),
        ((Outcome.FORBIDDEN, Outcome.SUSPENDED), ErrorKind.NO_CREDENTIAL, 600.0),
        ((Outcome.TOKEN_REFUSED, Outcome.QUOTA_EXHAUSTED), ErrorKind.NO_CREDENTIAL, 60.0),
    ],
)
async def test_the_reason_for_no_lease_is_told(
    autojump_clock: MockClock, outcomes: tuple[Outcome, Outcome], kind: ErrorKind, retry_after: float | None
) -> None:
    """When all cool, a request is refused at once, for the reason that fits all and without a call."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, "a,b") as broker:
        await trio.sleep(2)
        for outcome in outcomes:
            broker.release(await broker.lease(), outcome, retry_after=20.0)
        error = await fail_to_lease(broker)

        assert (error.kind, error.retry_after) == (kind, retry_after)
        assert error.detail == f"social-1 {outcomes[0].value}, social-2 {outcomes[1].value}"
        assert (len(service.calls), trio.current_time(), broker.has_usable()) == (2, 2, False)


async def test_excluding_all_ends_in_no_credential(autojump_clock: MockClock) -> None:
    """An exchange that has tried every credential learns that there is no other."""
    async with open_broker(autojump_clock, FakeRefreshService(), "a,b") as broker:
        error = await fail_to_lease(broker, exclude=(A, B))

        assert (error.kind, error.retry_after) == (ErrorKind.NO_CREDENTIAL, None)


async def test_a_throttled_credential_comes_back(autojump_clock: MockClock) -> None:
    """After its cooldown it is leased again, with the access token it had."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        broker.release(await broker.lease(), Outcome.RATE_LIMITED, retry_after=20)
        await trio.sleep(20)

        assert (await broker.lease()).access_token.generation == 1


async def test_a_twice_refused_access_token_is_not_leased_again(autojump_clock: MockClock) -> None:
    """When the credential comes back from its cooldown, a new access token comes first."""
    async with open_broker(autojump_clock, FakeRefreshService()) as broker:
        broker.release(await broker.lease(), Outcome.TOKEN_REFUSED)
        await trio.sleep(60)

        assert (await broker.lease()).access_token.generation == 2


async def test_readiness_follows_what_could_be_leased(autojump_clock: MockClock) -> None:
    """Not ready before the first access token, ready with it, not while all cool, and ready again after."""
    seen = []
    async with open_broker(autojump_clock, FakeRefreshService()) as broker:
        seen.append(broker.has_usable())
        await trio.sleep(2)
        seen.append(broker.has_usable())
        broker.release(await broker.lease(), Outcome.RATE_LIMITED)
        seen.append(broker.has_usable())
        await trio.sleep(5)
        seen.append(broker.has_usable())

    assert [*seen, broker.has_usable()] == [False, True, False, True, False]


async def test_the_network_may_be_down_at_start(autojump_clock: MockClock) -> None:
    """The broker starts, is not ready, tries on by itself, and is ready when the network is back."""
    service = FakeRefreshService(answers={"a": lambda: httpx.ConnectError("")})
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(60)
        assert (broker.has_usable(), service.count_calls("a")) == (False, 4)
        service.answers.clear()
        await trio.sleep(60)

        assert broker.has_usable()
        assert (await broker.lease()).access_token.generation == 1


async def test_shutdown_wakes_everybody_who_waits(autojump_clock: MockClock) -> None:
    """Requests that wait for an access token end at once with a word about the shutdown, and so do later ones."""
    errors: list[NoCredentialError] = []
    service = FakeRefreshService(default_delay=8)

    async def wait(broker: CredentialBroker, lease: Lease | None) -> None:
        with pytest.raises(NoCredentialError) as caught:
            await (broker.renew(lease) if lease else broker.lease())
        errors.append(caught.value)

    async with open_broker(autojump_clock, service) as broker:
        lease = await broker.lease()
        async with trio.open_nursery() as waiters:
            waiters.start_soon(wait, broker, lease)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(5):
                waiters.start_soon(wait, broker, None)
            await trio.sleep(1)
            service.broker_scope.cancel("shutdown")
        errors.append(await fail_to_lease(broker))
        woken_at = trio.current_time()

    assert [error.kind for error in errors] == [ErrorKind.OVERLOADED] * 7
    assert (woken_at, trio.current_time()) == (9, 14)  # the refresh under way has five seconds to land


async def test_a_defect_in_one_credentials_task_leaves_the_others_alone(autojump_clock: MockClock) -> None:
    """It is logged without its words, the credential cools, its waiters move on, and its task is started again."""
    log = LogBook()
    service = FakeRefreshService(answers={"a": lambda: ZeroDivisionError("hidden")}, delays={"b": 3})
    async with open_broker(autojump_clock, service, "a,b", log) as broker:
        assert (await broker.lease()).credential_id == B
        assert log.events[:2] == ["credential_refresh_failed", "background_task_failed"]
        assert "hidden" not in log.text
        await trio.sleep(600)
        crashes = service.count_calls("a")
        service.answers.clear()
        await trio.sleep(600)

        assert (await broker.lease()).credential_id == A
        assert 5 <= crashes <= 10
        assert log.waits[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 0.5]  # the sixth run lasted longer than a minute


async def test_no_secret_reaches_the_log_or_an_error(autojump_clock: MockClock) -> None:
    """Not the refresh token, not its successor, not an access token, not a word of an answer."""
    log = LogBook()
    answers = iter([grant("hidden-1", refreshToken="hidden-2"), *[refuse(500, "hidden-3")() for _ in range(30)]])
    service = FakeRefreshService(answers=dict.fromkeys(("hidden-0", "hidden-2"), partial(next, answers)))
    async with open_broker(autojump_clock, service, "hidden-0", log) as broker:
        await broker.lease()
        await trio.sleep(3700)
        error = await fail_to_lease(broker)

    assert {"credential_refreshed", "credential_refresh_failed"} == set(log.events)
    assert "hidden" not in log.text + f"{error!r} {error.detail} {error.__cause__!r}"


async def test_an_access_token_that_expired_unseen_is_not_leased(autojump_clock: MockClock) -> None:
    """Expiry is read from the clock at each lease: the machine may have slept since the refresh."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        await broker.lease()
        service.clock_offset = 86_400

        assert (await broker.lease()).access_token.generation == 2


def test_the_steady_clock_tells_the_time_and_runs() -> None:
    """It begins at the time of day and never goes back."""
    clock = build_steady_clock()
    first, second = clock(), clock()

    assert EPOCH < first <= second


async def test_a_conversation_waits_for_its_own_credential_a_moment(autojump_clock: MockClock) -> None:
    """For two seconds of the refresh, whoever asks when; then another credential takes it over for good."""
    service = FakeRefreshService()
    moved: list[tuple[str, float]] = []

    async def ask(broker: CredentialBroker, session: str, at: float) -> None:
        await trio.sleep_until(at)
        lease = await broker.lease(want=Want(session=session))
        moved.append((lease.label, trio.current_time()))

    async with open_broker(autojump_clock, service, "a,b") as broker:
        await trio.sleep(2)
        leases = [await broker.lease(want=Want(session=name)) for name in ("first", "-", "second", "-")]
        assert [lease.credential_id for lease in leases] == [A, B, A, B]
        service.delays["a"] = 1000
        broker.release(leases[0], Outcome.TOKEN_REFUSED)
        await trio.sleep_until(100)
        async with trio.open_nursery() as nursery:
            for session, at in (("first", 100.0), ("second", 101.5), ("first", 103.0)):
                nursery.start_soon(ask, broker, session, at)

    assert moved == [("social-2", 102.0), ("social-2", 102.0), ("social-2", 103.0)]
