"""Marks that tell whose reasoning it is."""

import pytest

from kiro2api.protocol.conversation import AssistantTurn, RedactedThinking, Thinking, UserTurn
from kiro2api.protocol.kiro.signatures import build_origin, find_origin, mark, unmark
from tests.support.conversations import assistant, user

ORIGIN = build_origin(credential_id="a", model_id="m")
OTHER = build_origin(credential_id="b", model_id="m")


def test_origins_differ() -> None:
    """By credential and by model, and tell neither."""
    origins = {ORIGIN, OTHER, build_origin(credential_id="a", model_id="n")}
    assert {len(origin) for origin in origins} == {16}
    assert len(origins) == 3


@pytest.mark.parametrize("proof", ["c2ln", "a.b", ""])
def test_marks_are_taken_off(proof: str) -> None:
    """What comes back is what was marked, for the same origin only; nothing stays nothing."""
    marked = mark(proof, ORIGIN)
    assert bool(marked) is bool(proof)
    assert (unmark(marked, ORIGIN), unmark(marked, OTHER), unmark(proof, ORIGIN)) == (proof, "", "")


@pytest.mark.parametrize(
    ("turns", "origin"),
    [
        ((), None),
        ((user("hi"), assistant("hi")), None),
        ((assistant(Thinking(text="a", signature="c2ln")),), None),
        ((assistant(Thinking(text="a", signature="kiro.c2ln")),), None),
        ((assistant(Thinking(text="a", signature="kiro.x.c2ln")),), None),
        ((assistant(Thinking(text="a", signature=mark("x", ORIGIN))), assistant(Thinking(text="b"))), ORIGIN),
        (
            (assistant(Thinking(text="a", signature=mark("x", OTHER)), RedactedThinking(data=mark("x", ORIGIN))),),
            ORIGIN,
        ),
    ],
)
def test_the_last_origin_is_found(turns: tuple[UserTurn | AssistantTurn, ...], origin: str | None) -> None:
    """Whatever else was thought since, without a mark."""
    assert find_origin(turns) == origin
