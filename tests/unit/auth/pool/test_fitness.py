"""Who is fit for a request: failures, models and quotas, and those that nobody else can stand in for."""

import math

import pytest

from kiro2api.auth.credentials import Outcome, Want
from kiro2api.auth.pool import (
    ChoiceRule,
    Chosen,
    Cooling,
    Standing,
    Unusable,
)
from tests.unit.auth.pool.pools import (
    NEXT_MONTH,
    NOW,
    OPUS,
    A,
    B,
    C,
    build_pool,
    eject,
    rank,
    revoke,
)

HAIKU = Want(model="claude-haiku-4.5")
RULES = pytest.mark.parametrize("rule", ChoiceRule)


@pytest.mark.parametrize(
    ("lists", "candidates"),
    [
        ([None, None], (A, B)),
        ([None, {"claude-haiku-4.5"}], (A,)),
        ([set(), None], (B,)),
        ([{"claude-haiku-4.5"}, {"auto", "CLAUDE-OPUS-4.5"}], (B,)),
        ([{"claude-haiku-4.5"}, set()], (A, B)),
    ],
)
def test_a_known_list_without_the_model_comes_last(lists: list[set[str] | None], candidates: tuple[str, ...]) -> None:
    """Such a credential is asked only if no other may have the model; the spelling of the list plays no part."""
    pool = build_pool("a,b")
    for credential_id, models in zip((A, B), lists, strict=True):
        pool.note_models(credential_id, None if models is None else frozenset(models))

    assert rank(pool, NOW, Want(model="Claude-Opus-4.5")) == candidates
    assert rank(pool) == (A, B)


def test_one_whose_list_lacks_the_model_steps_in_for_one_that_cools_but_not_for_one_that_was_tried() -> None:
    """The list is a hint, yet a good credential that was tried is better than a sure refusal."""
    pool = build_pool("a,b")
    pool.note_models(B, frozenset())
    tried = pool.select(NOW, exclude={A}, want=OPUS)
    pool.record(A, Outcome.FORBIDDEN, NOW)

    assert (tried, pool.select(NOW, want=OPUS)) == (Unusable(reason=Standing.USABLE), Chosen(credential_id=B))


def test_one_whose_list_lacks_the_model_does_not_step_in_for_one_that_is_throttled() -> None:
    """That one is back within minutes: a client that is told to wait is better off than one that gets a 404."""
    pool = build_pool("a,b")
    pool.note_models(B, frozenset())
    pool.record(A, Outcome.RATE_LIMITED, NOW, retry_after=30)

    assert pool.select(NOW, want=OPUS) == Cooling(until=NOW + 30, reason=Standing.RATE_LIMITED)
    assert pool.select(NOW) == Chosen(credential_id=B)
    assert pool.select(NOW + 30, want=OPUS) == Chosen(credential_id=A)


def test_a_list_that_is_unknown_again_speaks_against_nothing() -> None:
    """As before the first."""
    pool = build_pool("a,b")
    pool.note_models(A, frozenset())
    pool.note_models(A, None)

    assert rank(pool, NOW, OPUS) == (A, B)


def test_a_model_that_all_refuse_is_asked_for_all_the_same() -> None:
    """So that the upstream's own answer reaches the client; a revoked one might have it in vain."""
    pool = build_pool("a,b,c")
    pool.record(A, Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")
    pool.record(B, Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")
    one_left = rank(pool, NOW, OPUS)
    revoke(pool, C)

    assert (one_left, rank(pool, NOW, OPUS)) == ((C,), (A, B))


def test_one_that_refused_the_model_is_not_asked_while_another_cools() -> None:
    """Why there is none is what keeps the other; of other models nothing is lost."""
    pool = build_pool("a,b")
    pool.record(A, Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")
    pool.record(B, Outcome.QUOTA_EXHAUSTED, NOW)

    assert pool.select(NOW, want=OPUS) == Cooling(until=NEXT_MONTH, reason=Standing.QUOTA_EXHAUSTED)
    assert pool.select(NOW, want=HAIKU) == pool.select(NOW) == Chosen(credential_id=A)


def test_one_that_fails_is_better_than_one_that_may_not_have_the_model() -> None:
    """It is the last one standing for this model."""
    pool = build_pool("a,b")
    pool.note_models(B, frozenset())
    eject(pool, A)

    assert (rank(pool, NOW, OPUS), rank(pool)) == ((A,), (B,))


@pytest.mark.parametrize(
    ("left", "resets_at", "candidates"),
    [
        (0.0, None, (B, A)),
        (-1.0, NOW + 1, (B, A)),
        (0.0, NOW, (A, B)),
        (0.5, None, (A, B)),
        (math.nan, None, (A, B)),
        (None, NOW + 1, (A, B)),
    ],
)
@RULES
def test_one_that_is_said_to_have_no_quota_left_comes_last(
    rule: ChoiceRule, left: float | None, resets_at: float | None, candidates: tuple[str, ...]
) -> None:
    """Until its quota begins anew; it is refused to nobody, also not when it is the only one."""
    pool, alone = build_pool("a,b", rule=rule), build_pool(rule=rule)
    for each in (pool, alone):
        each.note_limits(A, left=left, resets_at=resets_at)

    assert (rank(pool), rank(alone)) == (candidates, (A,))


def test_the_last_one_standing_is_used_however_often_it_fails() -> None:
    """When all fail the fault is elsewhere: all stay; so does one that fails while the others cool."""
    pool = build_pool("a,b")
    eject(pool, A)
    eject(pool, B)
    together = rank(pool)
    pool.record(B, Outcome.FORBIDDEN, NOW)

    assert (together, rank(pool)) == ((A, B), (A,))


def test_an_exclusion_does_not_bring_back_the_passed_over() -> None:
    """That an exchange has tried the good one is no reason to call the one that fails."""
    pool = build_pool("a,b")
    eject(pool, A)

    assert pool.select(NOW, exclude={B}) == Unusable(reason=Standing.USABLE)


def test_poisoned_prompts_leave_a_credential_for_a_good_one() -> None:
    """Four requests that fail on two credentials each, and there is still a choice."""
    pool = build_pool("a,b,c")
    for _ in range(4):
        for credential_id in rank(pool)[:2]:
            pool.lease(credential_id, NOW)
            pool.give_back(credential_id)
            pool.record(credential_id, Outcome.UPSTREAM_FAILED, NOW)

    assert rank(pool)
