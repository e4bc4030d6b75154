"""What a refresh that brought nothing does to the credential."""

import math

import pytest

from kiro2api.auth.credentials import Outcome
from kiro2api.auth.pool import Chosen, Cooling, RefreshVerdict, Standing, Unusable
from tests.unit.auth.pool.pools import (
    NOW,
    A,
    build_pool,
    build_state,
    find_standings,
)


def test_a_failed_refresh_cools_and_a_good_one_forgives() -> None:
    """5 s, doubling to 5 min, until a refresh succeeds; that lifts no other cooldown."""
    pool, waits = build_pool(), []
    for _ in range(8):
        again_at = pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED)
        waits.append(again_at - NOW)
        assert pool.select(NOW) == Cooling(until=again_at, reason=Standing.REFRESH_FAILED)
    pool.record_refreshed(A)
    assert pool.select(NOW) == Chosen(credential_id=A)
    pool.record(A, Outcome.FORBIDDEN, NOW)
    pool.record_refreshed(A)

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert pool.select(NOW) == Cooling(until=NOW + 600, reason=Standing.FORBIDDEN)
    assert pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED) == NOW + 5


@pytest.mark.parametrize(("verdict", "pause"), [(RefreshVerdict.FAILED, 5), (RefreshVerdict.DOUBTFUL, 60)])
def test_a_failed_refresh_leaves_a_living_access_token_in_use(verdict: RefreshVerdict, pause: float) -> None:
    """The pause is told, and the credential stays usable."""
    pool = build_pool()

    assert pool.record_refresh_failure(A, NOW, verdict=verdict, live=True) == NOW + pause
    assert pool.select(NOW) == Chosen(credential_id=A)


def test_a_dead_refresh_token_is_out_until_a_good_one_turns_up() -> None:
    """No time that passes and no outcome of an older lease brings it back; another process's refresh does."""
    pool = build_pool()

    assert pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.DEAD, live=True) == math.inf
    pool.record(A, Outcome.SUCCESS, NOW)
    assert pool.select(1e15) == Unusable(reason=Standing.REVOKED)
    assert pool.statistics(1e15) == (build_state(None, Standing.REVOKED),)
    pool.record_refreshed(A)
    assert pool.select(NOW) == Chosen(credential_id=A)


@pytest.mark.parametrize("start", [NOW, NOW + 0.1, NOW + 1 / 3])
def test_two_doubtful_refreshes_a_minute_apart_revoke(start: float) -> None:
    """The second may come at the very end of the pause that the first was told."""
    pool = build_pool()
    again_at = pool.record_refresh_failure(A, start, verdict=RefreshVerdict.DOUBTFUL)

    assert again_at == start + 60
    assert pool.select(start) == Cooling(until=again_at, reason=Standing.REFRESH_FAILED)
    assert pool.record_refresh_failure(A, again_at, verdict=RefreshVerdict.DOUBTFUL) == math.inf
    assert pool.select(again_at) == Unusable(reason=Standing.REVOKED)


@pytest.mark.parametrize(("seconds", "standing"), [(59.0, Standing.REFRESH_FAILED), (60.0, Standing.REVOKED)])
def test_doubts_count_from_the_first_in_the_row(seconds: float, standing: Standing) -> None:
    """Refreshes that failed otherwise in between neither count nor end the row."""
    pool = build_pool()
    pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.DOUBTFUL)
    pool.record_refresh_failure(A, NOW + 10, verdict=RefreshVerdict.DOUBTFUL)
    pool.record_refresh_failure(A, NOW + 20, verdict=RefreshVerdict.FAILED)
    pool.record_refresh_failure(A, NOW + seconds, verdict=RefreshVerdict.DOUBTFUL)

    assert find_standings(pool, NOW + seconds) == {A: standing}


def test_a_good_refresh_ends_all_doubts() -> None:
    """The next doubtful one is the first again."""
    pool = build_pool()
    pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.DOUBTFUL)
    pool.record_refreshed(A)

    assert pool.record_refresh_failure(A, NOW + 100, verdict=RefreshVerdict.DOUBTFUL) == NOW + 160


@pytest.mark.parametrize(("retry_after", "pause"), [(5.0, 60.0), (90.0, 90.0)])
def test_a_doubtful_refresh_is_not_repeated_within_a_minute(retry_after: float, pause: float) -> None:
    """Whatever the service asks for; a longer wish is heeded."""
    pool = build_pool()
    again_at = pool.record_refresh_failure(A, NOW, verdict=RefreshVerdict.DOUBTFUL, retry_after=retry_after)

    assert again_at == NOW + pause
