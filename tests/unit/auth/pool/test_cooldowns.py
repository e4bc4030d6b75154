"""Which cooldowns processes tell each other, and what they believe."""

import math

import pytest

from kiro2api.auth.credentials import Outcome
from kiro2api.auth.pool import Chosen, RefreshVerdict, Standing
from tests.unit.auth.pool.pools import NEXT_MONTH, NOW, A, B, build_pool, find_standings, find_wait

HOUR = 3600.0
DAY = 24 * HOUR


def test_cooldowns_of_the_account_are_exported_while_they_run() -> None:
    """A failed refresh or a row of failures is the process's own affair."""
    pool = build_pool()
    for outcome in (Outcome.RATE_LIMITED, Outcome.TOKEN_REFUSED, Outcome.FORBIDDEN, Outcome.SUSPENDED):
        pool.record(A, outcome, NOW)
    pool.record(A, Outcome.QUOTA_EXHAUSTED, NOW)
    pool.record(A, Outcome.MODEL_REFUSED, NOW, model="m")
    for _ in range(3):
        pool.record(A, Outcome.UPSTREAM_FAILED, NOW)
    pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED)
    pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.DEAD)

    assert pool.export_cooldowns(A, NOW + 60) == {
        "forbidden": NOW + 600,
        "suspended": NOW + 6 * HOUR,
        "quota_exhausted": NEXT_MONTH,
    }
    assert pool.export_cooldowns(A, NOW).keys() == {
        "rate_limited",
        "token_refused",
        "forbidden",
        "suspended",
        "quota_exhausted",
    }


@pytest.mark.parametrize(
    ("standing", "longest"),
    [
        (Standing.RATE_LIMITED, DAY),
        (Standing.TOKEN_REFUSED, 1.2 * HOUR),
        (Standing.FORBIDDEN, 600.0),
        (Standing.SUSPENDED, 6 * HOUR),
        (Standing.QUOTA_EXHAUSTED, 62 * DAY),
    ],
)
def test_an_imported_cooldown_is_kept_within_what_it_can_be(standing: Standing, longest: float) -> None:
    """A clock that is ahead a little is allowed for, and what lies further off is a mistake."""
    waits = []
    for seconds in (longest - 1, longest + 60, longest + 61, 0.0, -1.0, math.inf, math.nan):
        pool = build_pool()
        pool.import_cooldowns(A, {standing.value: NOW + seconds}, NOW)
        waits.append(find_wait(pool, NOW))

    pool = build_pool()
    pool.import_cooldowns(A, {standing.value: NOW + 1}, NOW)

    assert waits == [longest - 1, longest, None, None, None, None, None]
    assert find_standings(pool, NOW) == {A: standing}


@pytest.mark.parametrize("name", ["revoked", "refresh_failed", "passed_over", "usable", "", "of a later version"])
def test_other_cooldowns_are_not_imported(name: str) -> None:
    """No process can take a credential from another in a way that it would not undo itself."""
    pool = build_pool()
    pool.import_cooldowns(A, {name: NOW + 10}, NOW)

    assert pool.select(NOW) == Chosen(credential_id=A)


def test_an_import_shortens_nothing() -> None:
    """The longer of two cooldowns of one kind counts, whoever saw it; the other credential is left alone."""
    pool = build_pool("a,b")
    pool.record(A, Outcome.RATE_LIMITED, NOW, retry_after=100)
    pool.import_cooldowns(A, {"rate_limited": NOW + 50}, NOW)
    shorter = pool.export_cooldowns(A, NOW)
    pool.import_cooldowns(A, {"rate_limited": NOW + 150}, NOW)

    assert (shorter, pool.export_cooldowns(A, NOW)) == ({"rate_limited": NOW + 100}, {"rate_limited": NOW + 150})
    assert pool.export_cooldowns(B, NOW) == {}


def test_a_throttle_that_another_saw_is_not_doubled_by_older_leases() -> None:
    """Two processes that are throttled together count once."""
    pool = build_pool()
    pool.import_cooldowns(A, {"rate_limited": NOW + 5}, NOW)
    pool.record(A, Outcome.RATE_LIMITED, NOW)

    assert find_wait(pool, NOW) == 5
