"""What is demanded of the answer, as words."""

import json
from dataclasses import replace
from typing import Any

import pytest

from kiro2api.protocol.conversation import AnswerFormat, Conversation, Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.kiro.instructions import ANY_TOOL_TEXT, build_correction, build_format_instruction
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.request import build_request
from tests.support.conversations import assistant, result, use, user

JSON_ALONE = "Your answer must be JSON alone: no code fence, and no words before or after it."
TITLE = AnswerFormat(schema={"type": "object", "properties": {"titel": {"type": "string", "description": "né"}}})
TITLE_TEXT = (
    f"{JSON_ALONE} It must fit this JSON schema: "
    '{"type":"object","properties":{"titel":{"type":"string","description":"né"}}}'
)


@pytest.mark.parametrize(
    ("answer_format", "words"),
    [(AnswerFormat(), f"{JSON_ALONE} It must be one JSON object."), (TITLE, TITLE_TEXT)],
)
def test_a_form_is_said_in_words(answer_format: AnswerFormat, words: str) -> None:
    """With the schema as the client gave it, in as few characters as there may be."""
    repairs: set[Repair] = set()
    assert build_format_instruction(answer_format, repairs) == words
    assert repairs == {Repair.EMULATED_ANSWER_FORMAT}


def test_no_form_is_no_words() -> None:
    """And nothing to note."""
    repairs: set[Repair] = set()
    assert (build_format_instruction(None, repairs), repairs) == ("", set())


def test_a_correction_says_what_is_wrong() -> None:
    """The model's own answer stands before it."""
    said = "This answer has not the form that was asked for: it is empty. Give the whole answer again."
    assert build_correction("it is empty") == said


def read_state(conversation: Conversation) -> dict[str, Any]:
    """The conversation on the wire."""
    request = build_request(conversation, model_id="m", conversation_id="c", max_tool_description_length=100)
    state: dict[str, Any] = json.loads(request.conversation_state)
    return state


def test_the_form_stands_last_in_the_current_message() -> None:
    """Behind what is demanded about tools, also where the message brings nothing but a tool's result."""
    tools = (Tool(name="f", description="d", input_schema={"type": "object", "properties": {}}),)
    turns = (user("Hi"), assistant(use("tooluse_1", "f")), user(result("tooluse_1", "done")))
    choice = ToolChoice(mode=ToolChoiceMode.ANY)
    conversation = Conversation(model="m", turns=turns, tools=tools, tool_choice=choice, answer_format=TITLE)
    current = read_state(conversation)["currentMessage"]["userInputMessage"]["content"]
    assert current == f"{ANY_TOOL_TEXT}\n\n{TITLE_TEXT}"


def test_the_history_has_no_form() -> None:
    """It is the same with any, so that the upstream need not read it again."""
    turns = (user("Hi"), assistant("Hello"), user("Bye"))
    plain = Conversation(model="m", turns=turns)
    histories = [
        read_state(replace(plain, answer_format=answer_format))["history"]
        for answer_format in (None, AnswerFormat(), TITLE)
    ]
    assert histories[0] == histories[1] == histories[2]
