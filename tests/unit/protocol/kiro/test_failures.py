"""Calls that fail again and again, counted and told."""

import pytest

from kiro2api.protocol.conversation import AssistantTurn, ToolUse, UserTurn
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.failures import FailureTally, build_failure_text
from kiro2api.protocol.kiro.history import build_transcript
from kiro2api.protocol.kiro.messages import MessageWriter
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import UserInputMessage, UserMessage
from tests.support.conversations import assistant, result, use, user

READ_A, READ_B = use("", "read", {"path": "a", "at": 1}), use("", "read", {"path": "b"})
A_TURNED_ROUND = use("", "read", {"at": 1, "path": "a"})
WRITE_A = use("", "write", {"path": "a", "at": 1})

RESULTS: dict[str, tuple[list[tuple[ToolUse, bool]], list[int]]] = {
    "the same call": ([(READ_A, True)] * 4, [1, 2, 3, 4]),
    "keys in another order": ([(READ_A, True), (A_TURNED_ROUND, True)], [1, 2]),
    "a success in between": ([(READ_A, True), (READ_A, True), (READ_A, False), (READ_A, True)], [1, 2, 0, 1]),
    "a success of another input": ([(READ_A, True), (READ_B, False), (READ_A, True)], [1, 0, 2]),
    "another input": ([(READ_A, True), (READ_B, True), (READ_A, True)], [1, 1, 2]),
    "another tool": ([(READ_A, True), (WRITE_A, True), (WRITE_A, False), (READ_A, True)], [1, 1, 0, 2]),
}


@pytest.mark.parametrize(("results", "counts"), RESULTS.values(), ids=RESULTS)
def test_failures_since_the_last_success(results: list[tuple[ToolUse, bool]], counts: list[int]) -> None:
    """A call is its tool and its input; only its own success makes the count begin anew."""
    tally = FailureTally()
    assert [tally.receive_result(call, is_error=is_error) for call, is_error in results] == counts


def test_text() -> None:
    """Twice is nothing to speak of; from then on the number is told."""
    assert [bool(build_failure_text(count)) for count in range(5)] == [False, False, False, True, True]
    assert "failed 7 times" in build_failure_text(7)


def repeat(
    count: int, *, tool_input: JSONObject | None = None, is_error: bool = True
) -> list[UserTurn | AssistantTurn]:
    """A conversation in which one call is made so many times."""
    turns: list[UserTurn | AssistantTurn] = [user("go")]
    for number in range(count):
        call = use(f"t{number}", "read", tool_input)
        turns += [assistant(call), user(result(call.tool_use_id, "no such file", is_error=is_error))]
    return turns


def write(turns: list[UserTurn | AssistantTurn]) -> tuple[list[list[str]], set[Repair]]:
    """The texts of each tool result that goes upstream, and the repairs."""
    writer = MessageWriter(model_id="m", names=ToolNames(), repairs=set())
    transcript = build_transcript(turns, writer, system_text="")
    users = [message.user_input_message for message in transcript.history if isinstance(message, UserMessage)]
    return [texts for message in (*users, transcript.current) for texts in read_results(message)], writer.repairs


def read_results(message: UserInputMessage) -> list[list[str]]:
    """The texts of the tool results in a message."""
    context = message.user_input_message_context
    return [[part.text for part in entry.content] for entry in context.tool_results] if context else []


def test_third_and_later_results_say_more() -> None:
    """They keep the error as it was, first; the count goes on."""
    sent, repairs = write(repeat(5, tool_input={"path": "a"}))
    assert sent == [
        ["no such file"],
        ["no such file"],
        *(["no such file", build_failure_text(count)] for count in (3, 4, 5)),
    ]
    assert repairs == {Repair.EXPLAINED_REPEATED_FAILURE}


def test_beginning_stays_the_same() -> None:
    """What a result says does not depend on what follows."""
    longest, _ = write(repeat(6))
    assert all(write(repeat(count))[0] == longest[:count] for count in range(6))


def test_success_and_silence_are_no_failures() -> None:
    """Neither a call that succeeds each time, nor one that was never answered, is told to have failed."""
    assert write(repeat(4, is_error=False)) == ([["no such file"]] * 4, set())
    unanswered = [turn for number in range(4) for turn in (assistant(use(f"t{number}")), user("go on"))]
    sent, repairs = write([user("go"), *unanswered])
    assert (len(sent), {len(texts) for texts in sent}) == (4, {1})
    assert Repair.EXPLAINED_REPEATED_FAILURE not in repairs
