"""A conversation that goes on keeps its key."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.conversation import Conversation, UserTurn
from kiro2api.protocol.sessions import build_session_key
from tests.support.conversations import conversations, turn_lists, user

HEADERS = st.dictionaries(st.sampled_from(["x-session-id", "session_id", "user-agent"]), st.text(max_size=5))


@given(conversation=conversations(), more=turn_lists(), headers=HEADERS)
def test_turns_that_are_added_change_no_key(
    conversation: Conversation, more: tuple[UserTurn, ...], headers: dict[str, str]
) -> None:
    """Whatever they hold, once the user has said something."""
    begun = dataclasses.replace(conversation, turns=(*conversation.turns, user("And?")))
    longer = dataclasses.replace(begun, turns=begun.turns + more)
    assert build_session_key(longer, headers) == build_session_key(begun, headers)


@given(conversation=conversations(), one=st.text(), other=st.text())
def test_the_first_words_tell_conversations_apart(conversation: Conversation, one: str, other: str) -> None:
    """With the same system prompt and the same tools."""
    first, second = (dataclasses.replace(conversation, turns=(user(text),)) for text in (one, other))
    assert (build_session_key(first, {}) == build_session_key(second, {})) == (one == other)
