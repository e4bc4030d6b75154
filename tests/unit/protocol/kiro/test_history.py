"""Tests of the rules for a conversation as a whole."""

import pytest

from kiro2api.protocol.conversation import AssistantTurn, UserTurn
from kiro2api.protocol.kiro.history import build_transcript
from kiro2api.protocol.kiro.messages import INTERRUPTED_TEXT, MessageWriter
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import ChatMessage, UserInputMessage, UserMessage
from tests.support.conversations import assistant, result, use, user

type Turns = tuple[UserTurn | AssistantTurn, ...]


def outline(turns: Turns, system_text: str = "") -> tuple[list[str], set[Repair]]:
    """One line for each message, and the repairs."""
    writer = MessageWriter(model_id="m", names=ToolNames(), repairs=set())
    transcript = build_transcript(turns, writer, system_text=system_text)
    current = UserMessage(user_input_message=transcript.current)
    return [outline_message(message) for message in (*transcript.history, current)], writer.repairs


def outline_message(message: ChatMessage) -> str:
    """The side, the text, and the uses or results."""
    if isinstance(message, UserMessage):
        said = message.user_input_message
        return " ".join(["user:", said.content, *outline_results(said)]).rstrip()
    answer = message.assistant_response_message
    uses = [f"<{entry.tool_use_id}>" for entry in answer.tool_uses]
    return " ".join(["model:", answer.content, *uses]).rstrip()


def outline_results(message: UserInputMessage) -> list[str]:
    """The results of a message, each with its id and its texts."""
    context = message.user_input_message_context
    results = context.tool_results if context else ()
    return [f"<{entry.tool_use_id}={','.join(item.text for item in entry.content)}>" for entry in results]


PLAIN = (user("a"), assistant("b"), user("c"))
TOOLS = (user("a"), assistant(use("t")), user(result("t", "x")), assistant("b"), user("c"))


@pytest.mark.parametrize(
    ("turns", "lines"),
    [
        ((user("a"),), ["user: a"]),
        (PLAIN, ["user: a", "model: b", "user: c"]),
        (TOOLS, ["user: a", "model:  <t>", "user:  <t=x>", "model: b", "user: c"]),
    ],
)
def test_good_conversation_stays(turns: Turns, lines: list[str]) -> None:
    """A conversation that keeps the rules is not touched."""
    assert outline(turns) == (lines, set())


@pytest.mark.parametrize(
    ("turns", "lines", "repairs"),
    [
        ((), ["user: (no text)"], {Repair.FILLED_EMPTY_TEXT}),
        (
            (assistant("b"), user("c")),
            ["user: (no text)", "model: b", "user: c"],
            {Repair.PREPENDED_USER_TURN, Repair.FILLED_EMPTY_TEXT},
        ),
        (
            (user("a"), user("b"), assistant("c"), assistant("d"), user("e")),
            ["user: a\nb", "model: c\nd", "user: e"],
            {Repair.MERGED_TURNS},
        ),
        (
            (user("a"), assistant("b")),
            ["user: a", "model: b", "user: Continue"],
            {Repair.APPENDED_CONTINUE},
        ),
        (
            (user("a"), assistant(use("t"))),
            ["user: a", "model:  <t>", f"user:  <t={INTERRUPTED_TEXT}>"],
            {Repair.SYNTHESISED_RESULT},
        ),
    ],
)
def test_roles_alternate_between_the_users_ends(turns: Turns, lines: list[str], repairs: set[Repair]) -> None:
    """Neighbours of one side become one message, and the user has the first and the last word."""
    assert outline(turns) == (lines, repairs)


@pytest.mark.parametrize(
    ("turns", "lines", "repairs"),
    [
        (
            (user("a"), assistant(use("1")), user("b"), user(result("1", "x"))),
            ["user: a", "model:  <1>", "user: b <1=x>"],
            {Repair.MERGED_TURNS},
        ),
        (
            (user("a"), assistant(use("1")), assistant(use("2")), user(result("1", "x"), result("2", "y"))),
            ["user: a", "model:  <1> <2>", "user:  <1=x> <2=y>"],
            {Repair.MERGED_TURNS},
        ),
        (
            (user(result("1", "x")), assistant(use("1")), user("no")),
            [
                "user: [Result of an earlier tool use]\nx\n[End of the result]",
                "model:  <1>",
                f"user: no <1={INTERRUPTED_TEXT}>",
            ],
            {Repair.ORPHAN_RESULT_AS_TEXT, Repair.SYNTHESISED_RESULT},
        ),
        (
            (user("a"), assistant(use("1")), user("b"), assistant("c"), user(result("1", "x"))),
            [
                "user: a",
                "model:  <1>",
                f"user: b <1={INTERRUPTED_TEXT}>",
                "model: c",
                "user: [Result of an earlier tool use]\nx\n[End of the result]",
            ],
            {Repair.ORPHAN_RESULT_AS_TEXT, Repair.SYNTHESISED_RESULT},
        ),
    ],
)
def test_results_meet_their_uses(turns: Turns, lines: list[str], repairs: set[Repair]) -> None:
    """A result counts in the message after its use; elsewhere it is told as text and the use gets a made-up one."""
    assert outline(turns) == (lines, repairs)


def test_id_used_again_in_a_later_turn_becomes_another() -> None:
    """Uses of two turns that share an id are told apart, and each keeps its result."""
    turns = (*TOOLS[:-2], assistant(use("t")), user(result("t", "y")))
    lines, repairs = outline(turns)
    alias = lines[3].removeprefix("model:  <").removesuffix(">")
    assert alias != "t"
    assert lines == ["user: a", "model:  <t>", "user:  <t=x>", f"model:  <{alias}>", f"user:  <{alias}=y>"]
    assert repairs == {Repair.RENAMED_TOOL_USE_ID}


@pytest.mark.parametrize(
    ("turns", "first"),
    [
        ((user("a"),), "user: s\n\na"),
        (PLAIN, "user: s\n\na"),
        ((), "user: s\n\n(no text)"),
        ((assistant("b"),), "user: s\n\n(no text)"),
    ],
)
def test_system_text_begins_the_first_message(turns: Turns, first: str) -> None:
    """The system text stands before the user's first words, a blank line between."""
    lines, _ = outline(turns, "s")
    assert lines[0] == first
