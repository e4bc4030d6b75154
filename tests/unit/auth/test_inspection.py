"""Credentials by what the store has of them."""

from dataclasses import replace

import pytest

from kiro2api.auth.credentials import Credential, FoundAccess, IdcLogin, build_fingerprint
from kiro2api.auth.inspection import inspect_credentials
from kiro2api.auth.pool import Standing
from kiro2api.auth.reports import CredentialReport
from kiro2api.auth.sources import parse_api_keys, parse_refresh_tokens
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.store import StateError
from tests.support.reports import NOW

[SOCIAL] = parse_refresh_tokens("refresh-secret")
[API_KEY] = parse_api_keys("ksk_secret")
FRANKFURT = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABC"


class BrokenStore(MemoryStore):
    """Cannot be read."""

    async def read(self, credential_id: str) -> Record | None:
        raise StateError(f"the disk is gone, and {credential_id} with it")


async def _keep(store: MemoryStore, credential: Credential, **changes: object) -> None:
    record = Record(
        generation=1,
        origin=credential.origin,
        refresh_token="rotated-secret",
        access_token="access-secret",
        expires_at=NOW + 3600,
        refreshed_at=NOW - 60,
        profile_arn=FRANKFURT,
    )
    async with store.hold(credential.credential_id) as hold:
        await store.write(hold, replace(record, **changes))  # type: ignore[arg-type]  # of the fields' types


async def _inspect(store: MemoryStore, *credentials: Credential) -> list[CredentialReport]:
    return [*await inspect_credentials(credentials, store, now=NOW, api_region=None)]


async def test_a_record_tells_of_the_last_refresh() -> None:
    """When it was, how long its access token lives, and by its profile the region; no secret."""
    store = MemoryStore(wall=lambda: NOW)
    await _keep(store, SOCIAL)

    [report] = await _inspect(store, SOCIAL)

    assert (report.standing, report.until, report.trouble) == (Standing.USABLE, None, "")
    assert (report.expires_at, report.refreshed_at, report.region) == (NOW + 3600, NOW - 60, "eu-central-1")
    assert "secret" not in repr(report)
    assert "arn:" not in repr(report)


async def test_a_record_of_an_older_login_tells_nothing() -> None:
    """The operator has put another login in its place, which has not been refreshed."""
    store = MemoryStore(wall=lambda: NOW)
    await _keep(store, SOCIAL, origin="another")

    [report] = await _inspect(store, SOCIAL)

    assert (report.expires_at, report.refreshed_at) == (None, None)


async def test_an_access_token_beside_the_login_counts() -> None:
    """Another program got it, nobody here knows when."""
    found = replace(SOCIAL, access=FoundAccess(value="found-secret", expires_at=NOW + 30))

    [report] = await _inspect(MemoryStore(), found)

    assert (report.expires_at, report.refreshed_at) == (NOW + 30, None)


async def test_notes_tell_what_running_proxies_have_met_with() -> None:
    """Cooldowns, uses and quota; of several cooldowns the one that ends last."""
    store = MemoryStore(wall=lambda: NOW)
    cooldowns = {"suspended": NOW + 600, "rate_limited": NOW + 5}
    told = Notes(cooldowns=cooldowns, uses=7, quota_left=2.5, quota_resets_at=NOW + 86400, quota_checked_at=NOW)
    await store.exchange_notes(SOCIAL.credential_id, told)

    reports = await _inspect(store, API_KEY, SOCIAL)

    assert [(r.label, r.standing, r.until, r.uses, r.quota_left, r.quota_resets_at) for r in reports] == [
        ("api-key-1", Standing.USABLE, None, 0, None, None),
        ("social-1", Standing.SUSPENDED, NOW + 600, 7, 2.5, NOW + 86400),
    ]


async def test_inspecting_changes_nothing() -> None:
    """What is known before is known afterwards."""
    store = MemoryStore(wall=lambda: NOW)
    await store.exchange_notes(SOCIAL.credential_id, Notes(uses=7, quota_left=2.5, quota_checked_at=NOW))

    first, second = await _inspect(store, SOCIAL), await _inspect(store, SOCIAL)

    assert first == second
    assert await store.exchange_notes(SOCIAL.credential_id, Notes()) == Notes(
        uses=7, quota_left=2.5, quota_checked_at=NOW
    )


async def test_a_store_that_cannot_be_read_leaves_what_is_configured() -> None:
    """Its trouble is its own to tell."""
    [report] = await _inspect(BrokenStore(), SOCIAL)

    assert (report.label, report.standing, report.expires_at) == ("social-1", Standing.USABLE, None)


@pytest.mark.parametrize(("api_region", "expected"), [(None, "eu-central-1"), ("us-east-1", "us-east-1")])
async def test_the_region_is_the_operators_or_follows_from_the_login(api_region: str | None, expected: str) -> None:
    """As for a request."""
    login = IdcLogin(refresh_token="r", client_id="c", client_secret="s", region="eu-west-1")
    place = build_fingerprint("r")
    credential = Credential(credential_id=place, origin=place, label="work", source="KIRO_AUTH_TOKEN", login=login)

    [report] = await inspect_credentials([credential], MemoryStore(), now=NOW, api_region=api_region)

    assert (report.kind, report.region) == ("idc", expected)
