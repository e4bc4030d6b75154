"""The rules by which credentials are chosen and passed over."""

import math
from datetime import UTC, datetime

import pytest

from kiro2api.auth.credentials import Outcome, build_credential_id
from kiro2api.auth.pool import Chosen, Cooling, CredentialPool, CredentialState, Selection, Standing, Unusable
from kiro2api.auth.sources import parse_refresh_tokens

A, B, C = (build_credential_id(refresh_token) for refresh_token in "abc")
NOW = datetime(2025, 12, 30, 12, tzinfo=UTC).timestamp()
NEXT_MONTH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def build_pool(refresh_tokens: str = "a", draw: float = 0.5) -> CredentialPool:
    """A pool of these credentials whose jitter is always ``draw``."""
    return CredentialPool(parse_refresh_tokens(refresh_tokens), jitter=lambda: draw)


def find_wait(pool: CredentialPool, now: float) -> float | None:
    """Seconds until the pool's only credential comes back."""
    (state,) = pool.statistics(now)
    return state.until - now if state.until is not None else None


def test_the_least_recently_leased_is_chosen() -> None:
    """Unused ones come in their order, then the one whose turn is longest ago."""
    pool = build_pool("a,b,c")
    chosen = []
    for credential_id in (A, B, C, B):
        chosen.append(pool.select(NOW))
        pool.lease(credential_id)
    chosen.append(pool.select(NOW))

    assert chosen == [Chosen(credential_id=x) for x in (A, B, C, A, A)]
    assert pool.list_candidates(NOW) == (A, C, B)


def test_selecting_changes_nothing() -> None:
    """The same question has the same answer until somebody leases."""
    pool = build_pool("a,b")

    assert pool.select(NOW) == pool.select(NOW) == Chosen(credential_id=A)


@pytest.mark.parametrize(
    ("exclude", "selection"),
    [({A}, Chosen(credential_id=B)), ({A, B}, Unusable(reason=Standing.USABLE))],
)
def test_the_excluded_are_passed_over(exclude: set[str], selection: Selection) -> None:
    """A credential that an exchange has tried is not chosen for it again."""
    assert build_pool("a,b").select(NOW, exclude=exclude) == selection


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
    assert pool.statistics(NOW)[0] == CredentialState(label="social-1", standing=standing, until=until)
    assert A not in pool.list_candidates(math.nextafter(until, 0))
    assert pool.select(until) == Chosen(credential_id=A)


@pytest.mark.parametrize("outcome", [Outcome.SUCCESS, Outcome.NEUTRAL, Outcome.UPSTREAM_FAILED])
def test_one_of_these_outcomes_cools_nothing(outcome: Outcome) -> None:
    """After it the credential is as usable as before."""
    pool = build_pool()
    pool.record(A, outcome, NOW)

    assert pool.statistics(NOW) == (CredentialState(label="social-1", standing=Standing.USABLE, until=None),)


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
    again_at = other.record_refresh_failure(A, NOW, permanent=False, retry_after=retry_after)

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


def test_repeated_failures_pass_a_credential_over() -> None:
    """From the third in a row on for 30 s, then for 30 s more with each further failure, up to 5 min."""
    pool, now, waits = build_pool("a,b"), NOW, []
    for _ in range(2):
        pool.record(A, Outcome.UPSTREAM_FAILED, now)
    assert pool.select(now) == Chosen(credential_id=A)
    for _ in range(12):
        pool.record(A, Outcome.UPSTREAM_FAILED, now)
        pool.record(A, Outcome.UPSTREAM_FAILED, now)  # of an older lease
        assert pool.list_candidates(now) == (B,)
        state = pool.statistics(now)[0]
        assert state.standing is Standing.PASSED_OVER
        waits.append((state.until or 0) - now)
        now = state.until or 0

    assert waits == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    assert pool.list_candidates(now) == (A, B)


def test_a_success_ends_a_row_of_failures() -> None:
    """Two failures before and two after it are no row, and it brings an ejected credential back."""
    pool = build_pool("a,b")
    for outcome in [Outcome.UPSTREAM_FAILED] * 2 + [Outcome.SUCCESS] + [Outcome.UPSTREAM_FAILED] * 2:
        pool.record(A, outcome, NOW)
    before = pool.list_candidates(NOW)
    pool.record(A, Outcome.UPSTREAM_FAILED, NOW)
    ejected = pool.list_candidates(NOW)
    pool.record(A, Outcome.SUCCESS, NOW)

    assert (before, ejected, pool.list_candidates(NOW)) == ((A, B), (B,), (A, B))


def test_the_last_one_standing_is_used_however_often_it_fails() -> None:
    """When all fail the fault is elsewhere: all stay; so does one that fails while the others cool."""
    pool = build_pool("a,b")
    for credential_id in (A, B):
        for _ in range(3):
            pool.record(credential_id, Outcome.UPSTREAM_FAILED, NOW)
    together = pool.list_candidates(NOW)
    pool.record(B, Outcome.FORBIDDEN, NOW)

    assert (together, pool.list_candidates(NOW)) == ((A, B), (A,))


def test_an_exclusion_does_not_bring_back_the_passed_over() -> None:
    """That an exchange has tried the good one is no reason to call the one that fails."""
    pool = build_pool("a,b")
    for _ in range(3):
        pool.record(A, Outcome.UPSTREAM_FAILED, NOW)

    assert pool.select(NOW, exclude={B}) == Unusable(reason=Standing.USABLE)


def test_a_failed_refresh_cools_and_a_good_one_forgives() -> None:
    """5 s, doubling to 5 min, until a refresh succeeds; that lifts no other cooldown."""
    pool, waits = build_pool(), []
    for _ in range(8):
        again_at = pool.record_refresh_failure(A, NOW, permanent=False)
        waits.append(again_at - NOW)
        assert pool.select(NOW) == Cooling(until=again_at, reason=Standing.REFRESH_FAILED)
    pool.record_refreshed(A)
    assert pool.select(NOW) == Chosen(credential_id=A)
    pool.record(A, Outcome.FORBIDDEN, NOW)
    pool.record_refreshed(A)

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert pool.select(NOW) == Cooling(until=NOW + 600, reason=Standing.FORBIDDEN)
    assert pool.record_refresh_failure(A, NOW, permanent=False) == NOW + 5


def test_a_failed_refresh_leaves_a_living_access_token_in_use() -> None:
    """The pause is told, and the credential stays usable."""
    pool = build_pool()

    assert pool.record_refresh_failure(A, NOW, permanent=False, live=True) == NOW + 5
    assert pool.select(NOW) == Chosen(credential_id=A)


def test_a_rejected_refresh_token_is_out_for_good() -> None:
    """Nothing that happens later, and no time that passes, brings a revoked credential back."""
    pool = build_pool()

    assert pool.record_refresh_failure(A, NOW, permanent=True, live=True) == math.inf
    pool.record_refreshed(A)
    pool.record(A, Outcome.SUCCESS, NOW)
    assert pool.select(1e15) == Unusable(reason=Standing.REVOKED)
    assert pool.statistics(1e15) == (CredentialState(label="social-1", standing=Standing.REVOKED, until=None),)


REVOKED = None


@pytest.mark.parametrize(
    ("outcomes", "selection"),
    [
        ([Outcome.RATE_LIMITED] * 2, Cooling(until=NOW + 5, reason=Standing.RATE_LIMITED)),
        ([Outcome.QUOTA_EXHAUSTED, Outcome.RATE_LIMITED], Cooling(until=NOW + 5, reason=Standing.RATE_LIMITED)),
        ([REVOKED, Outcome.RATE_LIMITED], Cooling(until=NOW + 5, reason=Standing.RATE_LIMITED)),
        ([Outcome.QUOTA_EXHAUSTED] * 2, Cooling(until=NEXT_MONTH, reason=Standing.QUOTA_EXHAUSTED)),
        ([Outcome.QUOTA_EXHAUSTED, Outcome.FORBIDDEN], Cooling(until=NOW + 600, reason=Standing.FORBIDDEN)),
        ([Outcome.SUSPENDED, Outcome.FORBIDDEN], Cooling(until=NOW + 600, reason=Standing.FORBIDDEN)),
        ([REVOKED, Outcome.SUSPENDED], Cooling(until=NOW + 6 * 3600, reason=Standing.SUSPENDED)),
        ([REVOKED, Outcome.QUOTA_EXHAUSTED], Unusable(reason=Standing.REVOKED)),
        ([REVOKED, REVOKED], Unusable(reason=Standing.REVOKED)),
        ([], Unusable(reason=Standing.REVOKED)),
    ],
)
def test_why_none_is_left_is_told_for_all_together(outcomes: list[Outcome | None], selection: Selection) -> None:
    """A throttle passes soonest and speaks first; a quota speaks only for a pool that has no other trouble."""
    pool = build_pool("a,b") if outcomes else CredentialPool([], jitter=lambda: 0.5)
    for credential_id, outcome in zip((A, B), outcomes, strict=False):
        if outcome is REVOKED:
            pool.record_refresh_failure(credential_id, NOW, permanent=True)
        else:
            pool.record(credential_id, outcome, NOW)

    assert pool.select(NOW) == selection


def test_the_smallest_wait_of_the_throttled_is_told() -> None:
    """Also when those whose wait is longer come first, and when one has been excluded."""
    pool = build_pool("a,b,c")
    for credential_id, retry_after in ((A, 50.0), (B, 20.0), (C, 90.0)):
        pool.record(credential_id, Outcome.RATE_LIMITED, NOW, retry_after=retry_after)

    assert pool.select(NOW, exclude={B}) == Cooling(until=NOW + 20, reason=Standing.RATE_LIMITED)


def test_a_pool_tells_its_state_in_one_line_without_secrets() -> None:
    """Labels and cooldowns are what a debugger sees."""
    pool = build_pool("secret,b")
    pool.record(B, Outcome.FORBIDDEN, 100.0)

    assert repr(pool) == "<CredentialPool social-1, social-2 forbidden<700>"
