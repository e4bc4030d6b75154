"""Refreshes: one at a time for all who wait, ahead of expiry, and on demand."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.credentials import Lease, Outcome
from kiro2api.auth.errors import NoCredentialError, RefreshFailedError, RefreshRejectedError
from kiro2api.auth.pool import Standing
from kiro2api.auth.refresh import MAX_ANSWER_BYTES
from kiro2api.errors import ErrorKind
from tests.unit.auth.fakes import Answer, EndlessBody, FakeRefreshService, LogBook, grant, open_broker, refuse

DEAD = refuse(400, '{"error":"invalid_grant"}')


async def take(broker: CredentialBroker, leases: list[Lease]) -> None:
    """Adds a lease to the list."""
    leases.append(await broker.lease())


async def renew(broker: CredentialBroker, lease: Lease, leases: list[Lease]) -> None:
    """Adds the renewed lease to the list."""
    leases.append(await broker.renew(lease))


async def test_a_thousand_requests_wait_for_one_refresh(autojump_clock: MockClock) -> None:
    """On a cold start all get the access token of the one refresh that had begun before them."""
    service, leases = FakeRefreshService(), list[Lease]()
    async with open_broker(autojump_clock, service) as broker:
        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(take, broker, leases)

        assert {lease.access_token.generation for lease in leases} == {1}
        assert (len(service.calls), broker.statistics().in_flight) == (1, 1000)


async def test_a_cancelled_request_cancels_no_refresh(autojump_clock: MockClock) -> None:
    """When the first to wait leaves, the others get the access token of the same refresh."""
    service, leases = FakeRefreshService(), list[Lease]()
    async with open_broker(autojump_clock, service) as broker:
        async with trio.open_nursery() as nursery:
            for patience in (0.2, 5, 0.4, 5):
                scope = trio.CancelScope(deadline=trio.current_time() + patience)

                async def wait(scope: trio.CancelScope = scope) -> None:
                    with scope:
                        await take(broker, leases)

                nursery.start_soon(wait)

        assert (len(leases), len(service.calls), broker.statistics().in_flight) == (2, 1, 2)


async def test_a_refresh_lands_though_all_have_left(autojump_clock: MockClock) -> None:
    """The next request finds the access token ready."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        with trio.move_on_after(0.5):
            await broker.lease()
        await trio.sleep(1)
        with trio.fail_after(0):
            await broker.lease()

    assert len(service.calls) == 1


async def test_a_failed_refresh_fails_each_waiter_once(autojump_clock: MockClock) -> None:
    """Ten waiters get ten errors of their own with one cause, and the failure counts once."""
    service, errors = FakeRefreshService(answers={"a": refuse(503)}), list[NoCredentialError]()

    async def wait(broker: CredentialBroker) -> None:
        with pytest.raises(NoCredentialError) as caught:
            await broker.lease()
        errors.append(caught.value)

    async with open_broker(autojump_clock, service) as broker, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(wait, broker)

    assert len({id(error) for error in errors}) == 10
    assert {(error.kind, error.retry_after) for error in errors} == {(ErrorKind.NO_CREDENTIAL, 5.0)}
    (cause,) = {error.__cause__ for error in errors}
    assert isinstance(cause, RefreshFailedError)
    assert (cause.detail, len(service.calls)) == ("status 503", 1)


async def test_a_failure_is_not_sticky(autojump_clock: MockClock) -> None:
    """After the pause the credential is refreshed and leased."""
    service = FakeRefreshService(answers={"a": refuse(503)})
    async with open_broker(autojump_clock, service) as broker:
        with pytest.raises(NoCredentialError):
            await broker.lease()
        service.answers.clear()
        with pytest.raises(NoCredentialError):
            await broker.lease()
        await trio.sleep(5)

        assert (await broker.lease()).access_token.generation == 1
        assert [at for at, _ in service.calls] == [0, 6]


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (refuse(302, location="https://canary.test/"), "status 302"),
        (refuse(429), "status 429"),
        (refuse(200, "<html>"), "answer without a readable accessToken"),
        (refuse(200, " " * (2 * MAX_ANSWER_BYTES)), "answer longer than 65536 bytes"),
        (lambda: httpx.ConnectError("hidden"), "ConnectError"),
        (lambda: httpx.InvalidURL("hidden"), "InvalidURL"),
        (lambda: httpx.ReadError(""), "ReadError"),
    ],
)
async def test_an_answer_that_may_pass_is_tried_again(
    autojump_clock: MockClock, answer: Callable[[], Answer], detail: str
) -> None:
    """Redirects are not followed, long answers not swallowed; each failure is named in its cause."""
    service = FakeRefreshService(answers={"a": answer})
    async with open_broker(autojump_clock, service) as broker:
        with pytest.raises(NoCredentialError) as caught:
            await broker.lease()
        assert isinstance(caught.value.__cause__, RefreshFailedError)
        assert (caught.value.__cause__.detail, len(service.calls)) == (detail, 1)
        await trio.sleep(10)

        assert len(service.calls) == 2


async def test_an_answer_is_read_up_to_its_bound(autojump_clock: MockClock) -> None:
    """A body without end is left as soon as it is too long."""
    body = EndlessBody()
    service = FakeRefreshService(answers={"a": lambda: httpx.Response(200, stream=body)})
    async with open_broker(autojump_clock, service) as broker:
        with pytest.raises(NoCredentialError):
            await broker.lease()

        assert (body.size, trio.current_time()) == (MAX_ANSWER_BYTES + 4096, 1)


async def test_a_refresh_that_hangs_is_given_up(autojump_clock: MockClock) -> None:
    """After ten seconds, counted from its begin."""
    service = FakeRefreshService(default_delay=1000)
    async with open_broker(autojump_clock, service) as broker:
        with pytest.raises(NoCredentialError) as caught:
            await broker.lease()

        assert isinstance(caught.value.__cause__, RefreshFailedError)
        assert (caught.value.__cause__.detail, trio.current_time()) == ("no answer in 10 s", 10)


async def test_the_service_is_left_alone_as_long_as_it_asks(autojump_clock: MockClock) -> None:
    """``Retry-After`` of a refused refresh is kept by the credential's own task, too."""
    service = FakeRefreshService(answers={"a": refuse(429, **{"retry-after": "100"})})
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(150)

        assert [at for at, _ in service.calls] == [0, 101]
        assert not broker.has_usable()


async def test_a_revoked_credential_is_never_called_again(autojump_clock: MockClock) -> None:
    """One call, one error in the log, no request that waits; the other credential serves."""
    log, service = LogBook(), FakeRefreshService(answers={"a": DEAD})
    async with open_broker(autojump_clock, service, "a,b", log) as broker:
        await trio.sleep(10_000)
        labels = {(await broker.lease()).label for _ in range(4)}

        assert (labels, service.count_calls("a"), log.events.count("credential_revoked")) == ({"social-2"}, 1, 1)
        state = broker.statistics().credentials[0]
        assert (state.label, state.standing, state.until) == ("social-1", Standing.REVOKED, None)


async def test_a_credential_that_is_refused_twice_without_a_reason_is_revoked(autojump_clock: MockClock) -> None:
    """A 401 or 403 may be an edge's: the second one, a minute later at the soonest, counts."""
    service = FakeRefreshService(answers={"a": refuse(403)})
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(30)
        standings = [broker.statistics().credentials[0].standing]
        await trio.sleep(10_000)
        standings.append(broker.statistics().credentials[0].standing)

        assert standings == [Standing.REFRESH_FAILED, Standing.REVOKED]
        assert [at for at, _ in service.calls] == [0, 61]


async def test_a_lone_revoked_credential_fails_at_once(autojump_clock: MockClock) -> None:
    """There is no credential, and nothing to wait for."""
    async with open_broker(autojump_clock, FakeRefreshService(answers={"a": DEAD})) as broker:
        await trio.sleep(5)
        with trio.fail_after(0), pytest.raises(NoCredentialError) as caught:
            await broker.lease()

        assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.NO_CREDENTIAL, None)
        assert not broker.has_usable()


async def test_an_access_token_is_refreshed_ahead_of_expiry(autojump_clock: MockClock) -> None:
    """Five minutes ahead, without a request that asks or waits, for ever."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(3 * 3302)
        with trio.fail_after(0):
            lease = await broker.lease()

        assert [at for at, _ in service.calls] == [0, 3301, 6602, 9903]
        assert lease.access_token.generation == 4


async def test_an_advisory_refresh_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    """While it runs, the access token that lives is handed out."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(3301.5)
        with trio.fail_after(0):
            assert (await broker.lease()).access_token.generation == 1
        assert len(service.calls) == 2


async def test_a_living_access_token_is_used_while_its_refresh_fails(autojump_clock: MockClock) -> None:
    """To its last second and without waiting; then the credential cools, and recovers with the service."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(100)
        service.answers["a"] = refuse(503)
        await trio.sleep_until(3600.5)
        with trio.fail_after(0):
            assert (await broker.lease()).access_token.generation == 1
        assert broker.has_usable()
        await trio.sleep_until(3601)
        with pytest.raises(NoCredentialError):
            await broker.lease()
        service.answers.clear()
        await trio.sleep(300)

        assert (await broker.lease()).access_token.generation == 2


async def test_an_access_token_about_to_expire_is_refreshed_first(autojump_clock: MockClock) -> None:
    """In its last minute a request waits for the next one, if no refresh has failed."""
    service = FakeRefreshService(lifetime=40)  # the advisory refresh is due after 30 s, the mandatory after 36 s
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(20)
        service.default_delay = 8
        await trio.sleep_until(36.5)
        assert (await broker.lease()).access_token.generation == 1
        await trio.sleep_until(37.5)

        assert (await broker.lease()).access_token.generation == 2
        assert trio.current_time() == 39


async def test_a_good_refresh_forgives_a_failed_one(autojump_clock: MockClock) -> None:
    """After it a request waits again for what its access token's last minute needs."""
    service = FakeRefreshService(lifetime=40)
    async with open_broker(autojump_clock, service) as broker:
        await trio.sleep(20)
        service.answers["a"] = refuse(503)
        await trio.sleep_until(33)
        service.answers.clear()
        await trio.sleep_until(60)
        service.default_delay = 8
        await trio.sleep_until(75)
        lease = await broker.lease()

        assert [at for at, _ in service.calls] == [0, 31, 37, 68]
        assert (lease.access_token.generation, trio.current_time()) == (3, 76)


@pytest.mark.parametrize("lifetime", [None, "3600", 0, -1, 10**12, {}])
async def test_an_odd_lifetime_causes_no_storm(autojump_clock: MockClock, lifetime: object) -> None:
    """Six requests are served with one refresh, whatever ``expiresIn`` says."""
    service = FakeRefreshService(answers={"a": lambda: grant("aoa", lifetime=lifetime)})
    async with open_broker(autojump_clock, service) as broker:
        for _ in range(6):
            broker.release(await broker.lease(), Outcome.SUCCESS)
            await trio.sleep(1)

        assert len(service.calls) == 1


async def test_a_short_life_costs_at_most_a_refresh_a_request(autojump_clock: MockClock) -> None:
    """An access token of one second serves who waited for it; without requests refreshes are half a minute apart."""
    service = FakeRefreshService(lifetime=1, default_delay=0)
    async with open_broker(autojump_clock, service) as broker:
        for _ in range(6):
            broker.release(await broker.lease(), Outcome.SUCCESS)
            await trio.sleep(2)
        asked = len(service.calls)
        await trio.sleep(300)

    assert asked == 6
    assert len(service.calls) - asked <= 10


async def test_a_rotated_refresh_token_replaces_the_old_one(autojump_clock: MockClock) -> None:
    """Each refresh is made with the refresh token that the one before brought, and keeps it when none comes."""
    answers = iter([grant("1", refreshToken="b"), grant("2", refreshToken="c"), grant("3"), grant("4")])
    service = FakeRefreshService(answers=dict.fromkeys("abc", partial(next, answers)))
    async with open_broker(autojump_clock, service) as broker:
        lease = await broker.lease()
        for _ in range(3):
            lease = await broker.renew(lease)

        assert [called for _, called in service.calls] == ["a", "b", "c", "c"]
        assert (lease.access_token.value, lease.label) == ("4", "social-1")


async def test_a_profile_arn_outlives_an_answer_without_one(autojump_clock: MockClock) -> None:
    """The latest that a refresh brought goes with the access token."""
    answers = iter([grant("1", profileArn="one"), grant("2"), grant("3", profileArn="three")])
    service = FakeRefreshService(answers={"a": partial(next, answers)})
    async with open_broker(autojump_clock, service) as broker:
        leases = [await broker.lease()]
        for _ in range(2):
            leases.append(await broker.renew(leases[-1]))

        assert [lease.access_token.profile_arn for lease in leases] == ["one", "one", "three"]


async def test_fifty_refusals_of_one_generation_cause_one_refresh(autojump_clock: MockClock) -> None:
    """All get the new access token; a latecomer gets it without a call; each lease is still counted once."""
    service, renewed = FakeRefreshService(), list[Lease]()
    async with open_broker(autojump_clock, service) as broker:
        leases = [await broker.lease() for _ in range(51)]
        async with trio.open_nursery() as nursery:
            for lease in leases[:50]:
                nursery.start_soon(renew, broker, lease, renewed)
        with trio.fail_after(0):
            await renew(broker, leases[50], renewed)
        assert {lease.access_token.generation for lease in renewed} == {2}
        assert (len(service.calls), broker.statistics().in_flight) == (2, 51)
        for lease in renewed + leases:
            broker.release(lease, Outcome.SUCCESS)

        assert broker.statistics().in_flight == 0


async def test_new_requests_wait_for_a_renewal_too(autojump_clock: MockClock) -> None:
    """An access token that was refused is not handed out once more."""
    service, leases = FakeRefreshService(), list[Lease]()
    async with open_broker(autojump_clock, service) as broker:
        lease = await broker.lease()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(renew, broker, lease, leases)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(take, broker, leases)

        assert [lease.access_token.generation for lease in leases] == [2, 2]
        assert len(service.calls) == 2


async def test_a_failed_renewal_fails_each_waiter_and_cools_the_credential(autojump_clock: MockClock) -> None:
    """The errors are distinct, the old leases stay to be released, and an attempt at once waits a second."""
    service, errors = FakeRefreshService(), list[RefreshFailedError]()

    async def fail(broker: CredentialBroker, lease: Lease) -> None:
        with pytest.raises(RefreshFailedError) as caught:
            await broker.renew(lease)
        errors.append(caught.value)

    async with open_broker(autojump_clock, service) as broker:
        leases = [await broker.lease() for _ in range(3)]
        service.answers["a"] = refuse(503)
        async with trio.open_nursery() as nursery:
            for lease in leases:
                nursery.start_soon(fail, broker, lease)
        await fail(broker, leases[0])

        assert len({id(error) for error in errors}) == 4
        assert [at for at, _ in service.calls] == [0, 1, 3]
        assert broker.statistics().in_flight == 3
        assert broker.statistics().credentials[0].standing is Standing.REFRESH_FAILED


async def test_a_revoked_credential_is_not_renewed(autojump_clock: MockClock) -> None:
    """Whoever asks while or after the refresh token is refused learns that, and no call is made for the second."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service) as broker:
        lease = await broker.lease()
        service.answers["a"] = DEAD
        for _ in range(2):
            with pytest.raises(RefreshRejectedError, match="login") as caught:
                await broker.renew(lease)
            assert caught.value.detail == "status 400 invalid_grant"

        assert len(service.calls) == 2
