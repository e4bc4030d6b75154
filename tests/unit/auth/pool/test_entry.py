"""What each outcome does to the credential it belongs to."""

import math
from datetime import UTC, datetime

import pytest

from kiro2api.auth.credentials import Outcome, Want
from kiro2api.auth.pool import Chosen, Cooling, RefreshVerdict, Standing
from tests.unit.auth.pool.pools import (
    NEXT_MONTH,
    NOW,
    OPUS,
    A,
    B,
    build_pool,
    build_state,
    find_wait,
    rank,
)

DAY = 86400.0


@pytest.mark.parametrize(
    ("outcome", "standing", "until"),
    [
        (Outcome.RATE_LIMITED, Standing.RATE_LIMITED, NOW + 5),
        (Outcome.TOKEN_REFUSED, Standing.TOKEN_REFUSED, NOW + 60),
        (Outcome.FORBIDDEN, Standing.FORBIDDEN, NOW + 600),
        (Outcome.SUSPENDED, Standing.SUSPENDED, NOW + 6 * 3600),
        (Outcome.QUOTA_EXHAUSTED, Standing.QUOTA_EXHAUSTED, NEXT_MONTH),
    ],
)
def test_an_outcome_cools_the_credential(outcome: Outcome, standing: Standing, until: float) -> None:
    """It cannot be chosen up to the instant, and can from the instant on; the others are chosen as before."""
    pool = build_pool("a,b")
    pool.record(A, outcome, NOW)

    assert pool.select(NOW) == Chosen(credential_id=B)
    assert pool.statistics(NOW)[0] == build_state(until, standing)
    assert A not in rank(pool, math.nextafter(until, 0))
    assert pool.select(until) == Chosen(credential_id=A)


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.NEUTRAL, Outcome.UPSTREAM_FAILED, Outcome.MODEL_REFUSED])
def test_one_of_these_outcomes_cools_nothing(outcome: Outcome) -> None:
    """After it the credential is as usable as before."""
    pool = build_pool()
    pool.record(A, outcome, NOW, retry_after=30, model="claude-opus-4.5")

    assert pool.statistics(NOW) == (build_state(),)


@pytest.mark.parametrize(
    ("outcome", "waits"),
    [
        (Outcome.RATE_LIMITED, [5, 10, 20, 40, 80, 160, 300, 300]),
        (Outcome.TOKEN_REFUSED, [60, 120, 240, 480, 960, 1920, 3600, 3600]),
    ],
)
def test_a_cooldown_doubles_until_a_success(outcome: Outcome, waits: list[float]) -> None:
    """Each further refusal doubles the wait up to its cap; a success makes it begin anew."""
    pool, now, measured = build_pool(), NOW, []
    for _ in waits:
        pool.record(A, outcome, now)
        measured.append(find_wait(pool, now))
        now += measured[-1] or 0
    pool.record(A, Outcome.SUCCESS, now)
    pool.record(A, outcome, now)

    assert measured == waits
    assert find_wait(pool, now) == waits[0]


@pytest.mark.parametrize("outcome", [Outcome.RATE_LIMITED, Outcome.TOKEN_REFUSED])
def test_older_leases_do_not_double_a_cooldown(outcome: Outcome) -> None:
    """Twenty requests that are refused together count once, and one that ends well then forgets nothing."""
    pool = build_pool()
    for _ in range(20):
        pool.record(A, outcome, NOW)
    first = find_wait(pool, NOW)
    pool.record(A, Outcome.SUCCESS, NOW)
    later = NOW + (first or 0)
    pool.record(A, outcome, later)

    assert first in {5.0, 60.0}
    assert find_wait(pool, later) == 2 * (first or 0)


def test_a_streak_of_any_length_stays_at_its_cap() -> None:
    """Thousands of refusals in a row neither overflow nor lengthen the wait."""
    pool, now = build_pool(), NOW
    for _ in range(3000):
        pool.record(A, Outcome.RATE_LIMITED, now)
        now += 1000

    assert find_wait(pool, now - 1000) == 300


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (math.nan, 1.0), (1e12, 86400.0)]
)
def test_the_upstreams_wish_counts_within_bounds(retry_after: float, wait: float) -> None:
    """``Retry-After`` decides a throttle's wait, from a second to a day, also of a failed refresh."""
    pool, other = build_pool(), build_pool()
    pool.record(A, Outcome.RATE_LIMITED, NOW, retry_after=retry_after)
    again_at = other.record_refresh_failure(A, NOW, verdict=RefreshVerdict.FAILED, retry_after=retry_after)

    assert (find_wait(pool, NOW), again_at - NOW) == (wait, wait)


@pytest.mark.parametrize(("draw", "wait"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
def test_a_doubling_cooldown_is_jittered(draw: float, wait: float) -> None:
    """By up to a fifth either way."""
    pool = build_pool(draw=draw)
    pool.record(A, Outcome.RATE_LIMITED, NOW)

    assert find_wait(pool, NOW) == pytest.approx(wait)


def test_a_shorter_cooldown_does_not_cut_a_longer() -> None:
    """Cooldowns of several kinds, and of one kind, run side by side."""
    pool = build_pool()
    pool.record(A, Outcome.FORBIDDEN, NOW)
    pool.record(A, Outcome.RATE_LIMITED, NOW, retry_after=700)
    pool.record(A, Outcome.RATE_LIMITED, NOW, retry_after=2)

    assert find_wait(pool, NOW) == 700


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2025, 1, 31, 23, 59, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
        (datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)),
        (datetime(2025, 12, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_used_up_quota_comes_back_with_the_month(now: datetime, until: datetime) -> None:
    """The first of the next month, in UTC, whatever the length of this one."""
    pool = build_pool()
    pool.record(A, Outcome.QUOTA_EXHAUSTED, now.timestamp())

    assert pool.select(now.timestamp()) == Cooling(until=until.timestamp(), reason=Standing.QUOTA_EXHAUSTED)


@pytest.mark.parametrize(
    ("resets_at", "until"),
    [
        (NOW + 1, NOW + 1),
        (NOW + 62 * DAY, NOW + 62 * DAY),
        (NOW + 63 * DAY, NEXT_MONTH),
        (NOW, NEXT_MONTH),
        (math.nan, NEXT_MONTH),
        (None, NEXT_MONTH),
    ],
)
def test_a_used_up_quota_comes_back_when_the_service_said(resets_at: float | None, until: float) -> None:
    """If that is in the future, and no further away than two months."""
    pool = build_pool()
    pool.note_limits(A, left=3.0, resets_at=resets_at)
    pool.record(A, Outcome.QUOTA_EXHAUSTED, NOW)

    assert pool.select(NOW) == Cooling(until=until, reason=Standing.QUOTA_EXHAUSTED)


def test_repeated_failures_pass_a_credential_over() -> None:
    """From the third in a row on for 30 s, then for 30 s more with each further failure, up to 5 min."""
    pool, now, waits = build_pool("a,b"), NOW, []
    for _ in range(2):
        pool.record(A, Outcome.UPSTREAM_FAILED, now)
    assert pool.select(now) == Chosen(credential_id=A)
    for _ in range(12):
        pool.record(A, Outcome.UPSTREAM_FAILED, now)
        pool.record(A, Outcome.UPSTREAM_FAILED, now)  # of an older lease
        assert rank(pool, now) == (B,)
        state = pool.statistics(now)[0]
        assert state.standing is Standing.PASSED_OVER
        waits.append((state.until or 0) - now)
        now = state.until or 0

    assert waits == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    assert rank(pool, now) == (A, B)


def test_a_poisoned_credential_is_hit_at_most_seven_times_in_six_requests() -> None:
    """Though each request that comes to it tries it twice, and B answers all of them."""
    pool, hits = build_pool("a,b"), 0
    for _ in range(6):
        for credential_id in rank(pool):
            pool.lease(credential_id, NOW)
            pool.give_back(credential_id)
            if credential_id == B:
                pool.record(B, Outcome.SUCCESS, NOW)
                break
            pool.record(A, Outcome.UPSTREAM_FAILED, NOW)
            pool.record(A, Outcome.UPSTREAM_FAILED, NOW)
            hits += 2

    assert hits == 4
    assert rank(pool) == (B,)


def test_a_success_ends_a_row_of_failures() -> None:
    """Two failures before and two after it are no row, and it brings an ejected credential back."""
    pool = build_pool("a,b")
    for outcome in [Outcome.UPSTREAM_FAILED] * 2 + [Outcome.SUCCESS] + [Outcome.UPSTREAM_FAILED] * 2:
        pool.record(A, outcome, NOW)
    before = rank(pool)
    pool.record(A, Outcome.UPSTREAM_FAILED, NOW)
    ejected = rank(pool)
    pool.record(A, Outcome.SUCCESS, NOW)

    assert (before, ejected, rank(pool)) == ((A, B), (B,), (A, B))


def test_a_refused_model_concerns_no_other() -> None:
    """For an hour the credential is not asked for it, however it is spelt, and is for all else."""
    pool = build_pool("a,b")
    pool.record(A, Outcome.MODEL_REFUSED, NOW, model="Claude-Opus-4.5")

    assert rank(pool, NOW, OPUS) == (B,)
    assert rank(pool, NOW, Want(model="claude-haiku-4.5")) == rank(pool, NOW) == (A, B)
    assert rank(pool, NOW + 3600, OPUS) == (A, B)


def test_a_refused_model_without_a_name_teaches_nothing() -> None:
    """As of one who left the name out."""
    pool = build_pool("a,b")
    pool.record(A, Outcome.MODEL_REFUSED, NOW)

    assert rank(pool, NOW, OPUS) == (A, B)


def test_made_up_models_do_not_fill_the_memory() -> None:
    """Of many refused ones the latest are remembered, and one refused again is a late one."""
    pool = build_pool("a,b")
    for number in (*range(64), 0, 64):
        pool.record(A, Outcome.MODEL_REFUSED, NOW, model=f"model-{number}")

    refused = [number for number in range(65) if rank(pool, NOW, Want(model=f"model-{number}")) == (B,)]
    assert refused == [0, *range(2, 65)]
