"""Credentials that come and go while the proxy runs."""

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from kiro2api.auth.credentials import ApiKey, Credential, Outcome, SocialLogin, build_fingerprint
from kiro2api.auth.errors import NoCredentialError, RefreshRejectedError
from kiro2api.auth.pool import Standing
from kiro2api.auth.sources import parse_refresh_tokens
from kiro2api.errors import ErrorKind
from tests.unit.auth.fakes import FakeRefreshService, open_broker, refuse

DEAD = refuse(400, '{"error":"invalid_grant"}')


def build_shared(refresh_token: str) -> Credential:
    """A credential whose secret changes under one id, as in a file that another program keeps."""
    origin = build_fingerprint(refresh_token)
    login = SocialLogin(refresh_token=refresh_token)
    return Credential(credential_id="file", origin=origin, label="ide", source="test", login=login)


async def test_a_new_credential_is_refreshed_and_leased(autojump_clock: MockClock) -> None:
    """Beside those that were there, which keep their access tokens."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, "a") as broker:
        await broker.lease()
        broker.replace(parse_refresh_tokens("a,b"))
        await trio.sleep(2)

        assert {(await broker.lease()).label for _ in range(4)} == {"social-1", "social-2"}
    assert [called for _, called in service.calls] == ["a", "b"]


async def test_a_credential_that_is_gone_is_refreshed_no_more(autojump_clock: MockClock) -> None:
    """Its leases run on and may be given back; nothing else is made of them."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, "a,b") as broker:
        await trio.sleep(2)
        leases = [await broker.lease() for _ in range(2)]
        gone = next(lease for lease in leases if lease.label == "social-1")
        broker.replace(parse_refresh_tokens("b"))
        with pytest.raises(RefreshRejectedError):
            await broker.renew(gone)
        broker.release(gone, Outcome.RATE_LIMITED)
        await trio.sleep(4000)

        assert broker.statistics().in_flight == 1
        assert [state.label for state in broker.statistics().credentials] == ["social-1"]
    assert service.count_calls("a") == 1


async def test_nobody_is_left_waiting_for_a_credential_that_is_gone(autojump_clock: MockClock) -> None:
    """Requests that wait for its refresh are told that there is none."""
    async with open_broker(autojump_clock, FakeRefreshService(default_delay=1000), "a") as broker:
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                with pytest.raises(NoCredentialError) as caught:
                    await broker.lease()
                assert caught.value.kind is ErrorKind.NO_CREDENTIAL

            nursery.start_soon(wait)
            await trio.sleep(1)
            broker.replace(())

        assert trio.current_time() == 1


async def test_a_new_login_ends_a_revocation(autojump_clock: MockClock) -> None:
    """Under the same id, as after a new login in the program that keeps the file."""
    service = FakeRefreshService(answers={"dead": DEAD})
    async with open_broker(autojump_clock, service, [build_shared("dead")]) as broker:
        await trio.sleep(10)
        assert broker.statistics().credentials[0].standing is Standing.REVOKED
        broker.replace([build_shared("dead")])
        await trio.sleep(10)
        assert broker.statistics().credentials[0].standing is Standing.REVOKED
        broker.replace([build_shared("good")])

        assert (await broker.lease()).access_token.value == "access-good-1"
    assert [called for _, called in service.calls] == ["dead", "good"]


async def test_a_label_may_change(autojump_clock: MockClock) -> None:
    """Leases from then on have the new one, and nothing is refreshed for it."""
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, [build_shared("a")]) as broker:
        await broker.lease()
        broker.replace([replace(build_shared("a"), label="work")])

        assert (await broker.lease()).label == "work"
    assert len(service.calls) == 1


async def test_an_api_key_is_its_own_access_token(autojump_clock: MockClock) -> None:
    """It is never refreshed; one that is refused rests for a minute, and is given up after the second time."""
    key = replace(build_shared("x"), login=ApiKey(key="ksk_x"))
    service = FakeRefreshService()
    async with open_broker(autojump_clock, service, [key]) as broker:
        lease = await broker.lease()
        assert (lease.access_token.value, lease.token_type.value) == ("ksk_x", "API_KEY")
        for _ in range(2):
            with pytest.raises(Exception, match="upstream credential"):
                await broker.renew(lease)
            broker.release(lease, Outcome.NEUTRAL)
            await trio.sleep(61)
            if broker.has_usable():
                lease = await broker.lease()

        assert broker.statistics().credentials[0].standing is Standing.REVOKED
    assert service.calls == []
