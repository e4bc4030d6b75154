"""What the log says of a choice, and the client of there being none."""

import pytest

from kiro2api.auth.credentials import Outcome, Want
from kiro2api.auth.pool import ChoiceRule, Cooling, CredentialPool, RefreshVerdict, Selection, Standing, Unusable
from tests.unit.auth.pool.pools import NEXT_MONTH, NOW, OPUS, TALK, A, B, C, build_pool, parse_credentials

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
    pool = build_pool("a,b" if outcomes else "")
    for credential_id, outcome in zip((A, B), outcomes, strict=False):
        if outcome is REVOKED:
            pool.record_refresh_failure(credential_id, NOW, verdict=RefreshVerdict.DEAD)
        else:
            pool.record(credential_id, outcome, NOW)

    assert pool.select(NOW) == pool.select(NOW, want=OPUS) == selection


def test_the_smallest_wait_of_the_throttled_is_told() -> None:
    """Also when those whose wait is longer come first, and when one has been excluded."""
    pool = build_pool("a,b,c")
    for credential_id, retry_after in ((A, 50.0), (B, 20.0), (C, 90.0)):
        pool.record(credential_id, Outcome.RATE_LIMITED, NOW, retry_after=retry_after)

    assert pool.select(NOW, exclude={B}) == Cooling(until=NOW + 20, reason=Standing.RATE_LIMITED)


def test_the_wait_of_one_that_refused_the_model_is_not_told() -> None:
    """It would be waited for in vain, unless all are like that."""
    pool = build_pool("a,b")
    pool.record(A, Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")
    pool.record(A, Outcome.RATE_LIMITED, NOW)
    pool.record(B, Outcome.FORBIDDEN, NOW)
    one = pool.select(NOW, want=OPUS)
    pool.record(B, Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")

    assert one == Cooling(until=NOW + 600, reason=Standing.FORBIDDEN)
    assert pool.select(NOW, want=OPUS) == Cooling(until=NOW + 5, reason=Standing.RATE_LIMITED)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ChoiceRule.ROUND_ROBIN, "next in turn"),
        (ChoiceRule.LEAST_USED, "least used"),
        (ChoiceRule.SEQUENTIAL, "first in order"),
    ],
)
def test_a_free_choice_is_told_by_its_rule(rule: ChoiceRule, words: str) -> None:
    """Those that come after the chosen one are no news."""
    assert build_pool("a,b,c", rule=rule).explain(A, NOW, want=TALK) == words


def test_a_conversation_that_stays_is_told_as_such() -> None:
    """Also when its credential would not be the next, or is the only one."""
    pool, alone = build_pool("a,b"), build_pool()
    pool.lease(A, NOW, want=TALK)
    alone.lease(A, NOW, want=TALK)

    assert pool.explain(A, NOW, want=TALK) == alone.explain(A, NOW, want=TALK) == "own conversation"
    assert alone.explain(A, NOW) == "only one usable"


def build_troubled_pool() -> CredentialPool:
    """Seven credentials, each in its own way out for the model, and an eighth that is not."""
    pool = build_pool("a,b,c,d,e,f,g,h")
    ids = [state.credential_id for state in pool.statistics(NOW)]
    pool.record(ids[0], Outcome.RATE_LIMITED, NOW, retry_after=11.5)
    pool.record_refresh_failure(ids[1], NOW, verdict=RefreshVerdict.DEAD)
    for _ in range(3):
        pool.record(ids[2], Outcome.UPSTREAM_FAILED, NOW)
    pool.record(ids[3], Outcome.MODEL_REFUSED, NOW, model="claude-opus-4.5")
    pool.note_models(ids[4], frozenset({"auto"}))
    return pool


def test_those_passed_over_are_named_with_what_keeps_them() -> None:
    """The first five, in the configured order; what keeps them is said in a word, with the seconds it lasts."""
    pool = build_troubled_pool()
    ids = [state.credential_id for state in pool.statistics(NOW)]

    assert pool.explain(ids[7], NOW, exclude=ids[5:6], want=Want(model="Claude-Opus-4.5")) == (
        "next in turn; passed over: social-1 rate_limited 12s, social-2 revoked, social-3 passed_over 30s, "
        "social-4 model_refused, social-5 lacks_model, +2"
    )


def test_the_model_keeps_nobody_from_a_request_without_one() -> None:
    """Who was tried is named as such; who comes first and is left all the same was not ready."""
    pool = build_troubled_pool()
    ids = [state.credential_id for state in pool.statistics(NOW)]

    assert pool.explain(ids[5], NOW, exclude=[ids[4]]) == (
        "next in turn; passed over: social-1 rate_limited 12s, social-2 revoked, social-3 passed_over 30s, "
        "social-4 not_ready, social-5 tried"
    )


@pytest.mark.parametrize(
    ("outcome", "exclude", "text"),
    [
        (
            Outcome.RATE_LIMITED,
            (),
            "only one usable, conversation moved from social-1 (rate_limited); passed over: social-1 rate_limited 5s",
        ),
        (
            Outcome.SUCCESS,
            (A,),
            "only one usable, conversation moved from social-1 (tried); passed over: social-1 tried",
        ),
        (
            Outcome.SUCCESS,
            (),
            "next in turn, conversation moved from social-1 (not_ready); passed over: social-1 not_ready",
        ),
    ],
)
def test_a_conversation_that_moves_is_told_with_the_reason(
    outcome: Outcome, exclude: tuple[str, ...], text: str
) -> None:
    """Cooling, tried before, or left by whoever leases, who then knows why."""
    pool = build_pool("a,b")
    pool.lease(A, NOW, want=TALK)
    pool.record(A, outcome, NOW)

    assert pool.explain(B, NOW, exclude=exclude, want=TALK) == text


def test_no_secret_is_told() -> None:
    """Labels stand for credentials."""
    pool = CredentialPool(parse_credentials("secret-one,secret-two"), jitter=lambda: 0.5)
    first, second = (state.credential_id for state in pool.statistics(NOW))
    pool.record(first, Outcome.SUSPENDED, NOW)
    text = pool.explain(second, NOW)

    assert text == "only one usable; passed over: social-1 suspended 21600s"
