"""What becomes of the pool when other credentials are configured."""

import math
from dataclasses import replace

import pytest

from kiro2api.auth.credentials import Credential, Outcome, Want
from kiro2api.auth.pool import (
    CredentialPool,
    Ranking,
    RefreshVerdict,
    Standing,
)
from tests.unit.auth.pool.pools import (
    NOW,
    TALK,
    A,
    B,
    C,
    build_pool,
    build_state,
    find_standings,
    parse_credentials,
    revoke,
)


def test_what_is_known_of_those_that_stay_is_kept() -> None:
    """Those that are gone are dropped, new ones are unused, and all come in the new order."""
    pool = build_pool("a,b")
    pool.lease(A, NOW, want=TALK)
    pool.lease(B, NOW, want=Want(session="other"))
    pool.record(A, Outcome.FORBIDDEN, NOW)
    pool.replace(parse_credentials("c,a"))

    cooling = replace(build_state(NOW + 600, Standing.FORBIDDEN, in_flight=1), label="social-2")
    unused = replace(build_state(), credential_id=C)
    assert pool.statistics(NOW) == (unused, cooling)
    assert pool.rank(NOW + 600, want=TALK).own == A
    pool.replace(parse_credentials("a,b"))
    assert pool.rank(NOW + 600, want=Want(session="other")).own is None


@pytest.mark.parametrize(("origin", "standings"), [("new", {A: Standing.USABLE}), (A, {A: Standing.REVOKED})])
def test_another_login_is_not_revoked(origin: str, standings: dict[str, Standing]) -> None:
    """The failures of the old one's refreshes are forgotten; of the same login nothing is."""
    (credential,) = parse_credentials("a")
    pool = build_pool()
    pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED)
    revoke(pool, A)
    pool.replace([replace(credential, origin=origin)])

    assert find_standings(pool, NOW) == standings
    again_at = pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED)
    assert again_at == NOW + (5 if origin == "new" else 10)


def test_another_login_does_not_end_what_concerns_the_account() -> None:
    """Its cooldowns run on."""
    (credential,) = parse_credentials("a")
    pool = build_pool()
    pool.record(A, Outcome.SUSPENDED, NOW)
    pool.replace([replace(credential, origin="new")])

    assert find_standings(pool, NOW) == {A: Standing.SUSPENDED}


def test_whatever_names_one_that_is_gone_does_nothing() -> None:
    """Its leases end as they may, and its refreshes are not repeated."""
    pool = build_pool("a")
    pool.lease(B, NOW, want=TALK)
    pool.give_back(B)
    pool.record(B, Outcome.SUSPENDED, NOW)
    pool.record_refreshed(B)
    pool.note_models(B, frozenset())
    pool.note_limits(B, left=0.0, resets_at=None)
    pool.import_cooldowns(B, {"suspended": NOW + 10}, NOW)

    assert pool.record_refresh_failure(B, NOW, verdict=RefreshVerdict.FAILED) == math.inf
    assert (pool.export_cooldowns(B, NOW), pool.explain(B, NOW, want=TALK)) == ({}, "")
    assert pool.statistics(NOW) == (build_state(),)
    assert pool.rank(NOW, want=TALK) == Ranking(candidates=(A,), own=None)


@pytest.mark.parametrize(("ended", "in_flight"), [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0)])
def test_leases_of_one_that_comes_back_are_still_counted(ended: int, in_flight: int) -> None:
    """Those that ended while it was gone are not."""
    pool = build_pool()
    for _ in range(3):
        pool.lease(A, NOW)
    pool.replace([])
    for _ in range(ended):
        pool.give_back(A)
    pool.replace(parse_credentials("a"))

    assert pool.statistics(NOW) == (replace(build_state(), in_flight=in_flight),)


def test_a_credential_is_known_by_its_id_alone() -> None:
    """Two that share one are one, in the place of the first and as the last says."""
    (first, second) = parse_credentials("a,b")
    again: Credential = replace(first, label="mine")
    pool = CredentialPool([first, second, again], jitter=lambda: 0.5)

    assert [state.label for state in pool.statistics(NOW)] == ["mine", "social-2"]
