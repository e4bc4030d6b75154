"""Who comes first, whom a conversation belongs to, and what the pool tells of itself."""

from dataclasses import replace

import pytest

from kiro2api.auth.credentials import Outcome, Want
from kiro2api.auth.pool import (
    ChoiceRule,
    Chosen,
    CredentialPool,
    Ranking,
    Selection,
    Standing,
    Unusable,
)
from tests.unit.auth.pool.pools import (
    NEXT_MONTH,
    NOW,
    TALK,
    A,
    B,
    C,
    build_pool,
    build_state,
    eject,
    lease_next,
    parse_credentials,
    rank,
    revoke,
)

RULES = pytest.mark.parametrize("rule", ChoiceRule)


@pytest.mark.parametrize(
    ("rule", "leased", "candidates"),
    [
        (ChoiceRule.ROUND_ROBIN, [A, B, C, A, B], (C, A, B)),
        (ChoiceRule.LEAST_USED, [A, B, C, A, B], (C, A, B)),
        (ChoiceRule.SEQUENTIAL, [A, A, A, A, A], (A, B, C)),
    ],
)
def test_each_rule_has_its_order(rule: ChoiceRule, leased: list[str], candidates: tuple[str, ...]) -> None:
    """In turn, evenly, or always the first; unused ones come in the configured order."""
    pool = build_pool("a,b,c", rule=rule)

    assert [lease_next(pool) for _ in leased] == leased
    assert rank(pool) == candidates


def test_the_least_recently_leased_comes_first_in_a_round() -> None:
    """Also when somebody has a turn out of order; how often it was used, or is in use, plays no part."""
    pool = build_pool("a,b,c")
    for credential_id in (A, A, A, C, B):
        pool.lease(credential_id, NOW)

    assert rank(pool) == (A, C, B)


def test_the_least_used_is_idle_then_seldom_used_then_rested() -> None:
    """Leases in flight weigh more than uses, and uses more than the order of leases."""
    pool = build_pool("a,b,c", rule=ChoiceRule.LEAST_USED)
    for credential_id in (A, A, B, B, C):
        pool.lease(credential_id, NOW)
    busy = rank(pool)
    for credential_id in (A, A, B, C):
        pool.give_back(credential_id)

    assert busy == (C, A, B)
    assert rank(pool) == (C, A, B)
    pool.lease(C, NOW)
    pool.give_back(C)
    assert rank(pool) == (A, C, B)


def test_one_that_was_out_or_is_new_is_not_flooded() -> None:
    """The least-used rule gives it its share from then on, not what it missed."""
    pool = build_pool("a,b", rule=ChoiceRule.LEAST_USED)
    pool.record(B, Outcome.FORBIDDEN, NOW)
    alone = [lease_next(pool) for _ in range(50)]
    together = [lease_next(pool, NOW + 600) for _ in range(4)]
    pool.replace(parse_credentials("a,b,c"))

    assert alone == [A] * 50
    assert together == [B, A, B, A]
    assert [lease_next(pool, NOW + 600) for _ in range(6)] == [C, B, A, C, B, A]


def test_leases_while_nobody_is_well_still_count() -> None:
    """Of credentials that all have failed, the least used one comes first."""
    pool = build_pool("a,b", rule=ChoiceRule.LEAST_USED)
    eject(pool, A)
    eject(pool, B)

    assert [lease_next(pool) for _ in range(4)] == [A, B, A, B]


def test_the_sequential_rule_stays_until_the_first_cannot() -> None:
    """And comes back as soon as it can."""
    pool = build_pool("a,b", rule=ChoiceRule.SEQUENTIAL)
    pool.record(A, Outcome.RATE_LIMITED, NOW)

    assert [lease_next(pool, NOW + seconds) for seconds in (0, 4, 5)] == [B, B, A]


def test_asking_changes_nothing() -> None:
    """The same question has the same answer until somebody leases."""
    pool = build_pool("a,b")
    answers = [(pool.rank(NOW, want=TALK), pool.select(NOW, want=TALK)) for _ in range(2)]

    assert answers == [(Ranking(candidates=(A, B), own=None), Chosen(credential_id=A))] * 2


@pytest.mark.parametrize(
    ("exclude", "selection"),
    [({A}, Chosen(credential_id=B)), ({A, B}, Unusable(reason=Standing.USABLE))],
)
def test_the_excluded_are_passed_over(exclude: set[str], selection: Selection) -> None:
    """A credential that an exchange has tried is not chosen for it again."""
    assert build_pool("a,b").select(NOW, exclude=exclude) == selection


@RULES
def test_a_conversation_stays_with_its_credential(rule: ChoiceRule) -> None:
    """Whatever the rule says of the others, and whatever is used meanwhile."""
    pool = build_pool("a,b,c", rule=rule)
    pool.lease(B, NOW, want=TALK)
    pool.lease(B, NOW)

    ranking = pool.rank(NOW, want=TALK)
    assert (ranking.own, ranking.candidates[0]) == (B, B)
    assert sorted(ranking.candidates) == sorted((A, B, C))
    assert pool.rank(NOW, want=Want(session="other")).own is None


def test_a_conversation_moves_when_its_credential_cannot_be_used() -> None:
    """It belongs to whoever has carried it last, and does not go back."""
    pool = build_pool("a,b")
    pool.lease(A, NOW, want=TALK)
    pool.record(A, Outcome.RATE_LIMITED, NOW)
    left = pool.rank(NOW, want=TALK)
    back = pool.rank(NOW + 5, want=TALK)
    pool.lease(B, NOW, want=TALK)

    assert left == Ranking(candidates=(B,), own=None)
    assert back == Ranking(candidates=(A, B), own=A)
    assert pool.rank(NOW + 5, want=TALK) == Ranking(candidates=(B, A), own=B)


def test_a_conversation_leaves_one_that_fails_or_may_not_have_its_model() -> None:
    """Neither is well for it; nor is one that has been tried."""
    pool, other = build_pool("a,b"), build_pool("a,b")
    for each in (pool, other):
        each.lease(A, NOW, want=TALK)
    tried = pool.rank(NOW, exclude={A}, want=TALK)
    eject(pool, A)
    other.record(A, Outcome.MODEL_REFUSED, NOW, model="m")

    lost = Ranking(candidates=(B,), own=None)
    assert tried == pool.rank(NOW, want=TALK) == other.rank(NOW, want=replace(TALK, model="m")) == lost
    assert other.rank(NOW, want=TALK).own == A


def test_a_conversation_stays_with_one_whose_quota_is_said_to_be_gone() -> None:
    """The service will say so when it is true."""
    pool = build_pool("a,b")
    pool.lease(A, NOW, want=TALK)
    pool.note_limits(A, left=0.0, resets_at=None)

    assert pool.rank(NOW, want=TALK) == Ranking(candidates=(A, B), own=A)


def test_only_so_many_conversations_are_remembered() -> None:
    """The one that was used longest ago begins anew."""
    pool = CredentialPool(parse_credentials("a,b"), jitter=lambda: 0.5, max_conversations=1)
    pool.lease(B, NOW, want=TALK)
    pool.lease(B, NOW, want=Want(session="other"))

    assert pool.rank(NOW, want=TALK).own is None


def test_a_lease_that_is_given_back_too_often_is_not_owed() -> None:
    """The count of leases in flight does not fall below none."""
    pool = build_pool()
    pool.give_back(A)
    pool.lease(A, NOW)

    assert pool.statistics(NOW) == (build_state(in_flight=1),)


def test_the_quota_that_is_left_is_among_the_statistics() -> None:
    """As the service said it last."""
    pool = build_pool()
    pool.note_limits(A, left=12.5, resets_at=NEXT_MONTH)

    assert pool.statistics(NOW) == (replace(build_state(), quota_left=12.5),)


def test_the_pool_stands_while_one_can_be_used() -> None:
    """One that merely fails can, one that cools cannot, and an empty pool never does."""
    pool = build_pool("a,b")
    revoke(pool, A)
    eject(pool, B)
    failing = pool.has_standing(NOW)
    pool.record(B, Outcome.FORBIDDEN, NOW)

    assert (failing, pool.has_standing(NOW), pool.has_standing(NOW + 600)) == (True, False, True)
    assert not build_pool("").has_standing(NOW)


def test_a_pool_tells_its_state_in_one_line_without_secrets() -> None:
    """Labels and cooldowns are what a debugger sees."""
    pool = CredentialPool(parse_credentials("secret,b"), jitter=lambda: 0.5)
    pool.record(B, Outcome.FORBIDDEN, 100.0)

    assert repr(pool) == "<CredentialPool social-1, social-2 forbidden<700>"
