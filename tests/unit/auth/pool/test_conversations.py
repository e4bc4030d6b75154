"""Whom conversations belong to, and how many are remembered."""

from kiro2api.auth.pool.conversations import MAX_CONVERSATIONS, Conversations


def test_a_conversation_belongs_to_whom_it_was_assigned_last() -> None:
    """One without a name belongs to nobody."""
    conversations = Conversations()
    conversations.assign("talk", "a")
    conversations.assign("talk", "b")

    assert [conversations.find(session) for session in ("talk", "other", None)] == ["b", None, None]
    assert len(conversations) == 1


def test_the_conversation_used_longest_ago_is_forgotten_first() -> None:
    """To be assigned again is a use, to be looked for is none."""
    conversations = Conversations(limit=2)
    for session in ("one", "two", "one"):
        conversations.assign(session, "a")
    conversations.find("two")
    conversations.assign("three", "a")

    assert [conversations.find(session) for session in ("one", "two", "three")] == ["a", None, "a"]


def test_ten_thousand_are_remembered() -> None:
    """And no more, whatever clients make up."""
    conversations = Conversations()
    for number in range(MAX_CONVERSATIONS + 1000):
        conversations.assign(f"talk {number}", "a")

    assert len(conversations) == MAX_CONVERSATIONS == 10_000
    assert conversations.find("talk 999") is None
    assert conversations.find("talk 1000") == "a"


def test_conversations_of_those_who_left_are_forgotten() -> None:
    """The others stay where they are."""
    conversations = Conversations()
    conversations.assign("talk", "a")
    conversations.assign("other", "b")
    conversations.retain({"b"})

    assert [conversations.find(session) for session in ("talk", "other")] == [None, "b"]
