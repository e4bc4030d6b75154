"""Tests of the upstream's request as a whole."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from kiro2api.protocol.conversation import Conversation, Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.request import UpstreamRequest, build_continuation_id, build_request
from tests.support.conversations import assistant, picture, result, use, user

ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")

GET_TIME = Tool(name="get_time", description="Current time.", input_schema={"type": "object", "properties": {}})
GET_TIME_ENTRY = {
    "toolSpecification": {
        "name": "get_time",
        "description": "Current time.",
        "inputSchema": {"json": {"type": "object", "properties": {}}},
    }
}
QUESTION = Conversation(model="claude", turns=(user("Say hi"),))
ROUND_TRIP = Conversation(
    model="claude",
    system=("You are terse.", "", "Very."),
    turns=(user("What time is it?"), assistant(use("tooluse_1", "get_time")), user(result("tooluse_1", "12:00"))),
    tools=(GET_TIME,),
)


def build(conversation: Conversation, limit: int = 10_000) -> UpstreamRequest:
    """The request for a fixed model and conversation id."""
    return build_request(
        conversation,
        model_id="claude-sonnet-4.5",
        conversation_id="c-1",
        max_tool_description_length=limit,
    )


def read_state(conversation: Conversation, limit: int = 10_000) -> dict[str, Any]:
    """The conversation state on the wire."""
    state: dict[str, Any] = json.loads(build(conversation, limit).conversation_state)
    return state


def read_current(conversation: Conversation) -> dict[str, Any]:
    """The current message on the wire."""
    message: dict[str, Any] = read_state(conversation)["currentMessage"]["userInputMessage"]
    return message


def said(content: str, **members: object) -> dict[str, Any]:
    """A user's message on the wire."""
    message = {"content": content, "modelId": "claude-sonnet-4.5", "origin": "AI_EDITOR", **members}
    return {"userInputMessage": message}


def test_smallest_request() -> None:
    """A question alone needs no history and no context."""
    assert build(QUESTION).encode(profile_arn=None).decode() == (
        '{"conversationState":{"chatTriggerType":"MANUAL","agentTaskType":"vibe","conversationId":"c-1",'
        f'"agentContinuationId":"{build_continuation_id("c-1", QUESTION.turns)}",'
        '"currentMessage":{"userInputMessage":{"content":"Say hi","modelId":"claude-sonnet-4.5",'
        '"origin":"AI_EDITOR"}}}}'
    )


def test_tool_round_trip() -> None:
    """System text before the first message, pairs in history, tools on the current message only."""
    results = [{"toolUseId": "tooluse_1", "status": "success", "content": [{"text": "12:00"}]}]
    uses = [{"toolUseId": "tooluse_1", "name": "get_time", "input": {}}]
    assert read_state(ROUND_TRIP) == {
        "chatTriggerType": "MANUAL",
        "agentTaskType": "vibe",
        "conversationId": "c-1",
        "agentContinuationId": build_continuation_id("c-1", ROUND_TRIP.turns),
        "history": [
            said("You are terse.\n\nVery.\n\nWhat time is it?"),
            {"assistantResponseMessage": {"content": "", "toolUses": uses}},
        ],
        "currentMessage": said("", userInputMessageContext={"tools": [GET_TIME_ENTRY], "toolResults": results}),
    }
    assert build(ROUND_TRIP).repairs == ()


def test_each_attempt_has_its_own_profile() -> None:
    """The conversation is the same bytes in each attempt."""
    request = build(ROUND_TRIP)
    state = request.conversation_state
    assert request.encode(profile_arn=ARN) == b'{"conversationState":%b,"profileArn":"%b"}' % (state, ARN.encode())
    assert request.encode(profile_arn=None) == b'{"conversationState":%b}' % state


@pytest.mark.parametrize(
    ("mode", "name", "content", "repairs"),
    [
        (ToolChoiceMode.AUTO, None, "hi", ()),
        (ToolChoiceMode.ANY, None, "hi\n\nYou must use at least one tool.", ("emulated_tool_choice",)),
        (ToolChoiceMode.NAMED, "get_time", 'hi\n\nYou must use the tool "get_time".', ("emulated_tool_choice",)),
        (ToolChoiceMode.NAMED, "other", "hi", ("dropped_tool_choice",)),
        (ToolChoiceMode.NAMED, None, "hi", ("dropped_tool_choice",)),
    ],
)
def test_tool_choice_is_a_sentence(
    mode: ToolChoiceMode, name: str | None, content: str, repairs: tuple[str, ...]
) -> None:
    """What the client demands for this turn stands at the end of its words; all tools stay."""
    choice = ToolChoice(mode=mode, name=name)
    conversation = Conversation(model="m", turns=(user("hi"),), tools=(GET_TIME,), tool_choice=choice)
    assert (
        read_current(conversation)
        == (said(content, userInputMessageContext={"tools": [GET_TIME_ENTRY]})["userInputMessage"])
    )
    assert build(conversation).repairs == repairs


@pytest.mark.parametrize("mode", list(ToolChoiceMode))
def test_tool_choice_without_tools_says_nothing(mode: ToolChoiceMode) -> None:
    """Without tools there is nothing to choose."""
    conversation = replace(QUESTION, tool_choice=ToolChoice(mode=mode, name="x", parallel=False))
    demands = mode in {ToolChoiceMode.ANY, ToolChoiceMode.NAMED}
    assert read_current(conversation) == said("Say hi")["userInputMessage"]
    assert build(conversation).repairs == (("dropped_tool_choice",) if demands else ())


def test_tool_choice_beside_results_is_their_text() -> None:
    """A demand on a turn with results is kept, too."""
    conversation = replace(ROUND_TRIP, tool_choice=ToolChoice(mode=ToolChoiceMode.ANY))
    assert read_current(conversation)["content"] == "You must use at least one tool."


def test_named_tool_goes_by_its_alias() -> None:
    """The sentence and the declaration name the tool alike, and the alias maps back."""
    tool = replace(GET_TIME, name="time.get")
    choice = ToolChoice(mode=ToolChoiceMode.NAMED, name="time.get")
    conversation = replace(QUESTION, tools=(tool,), tool_choice=choice)
    current = read_current(conversation)
    alias = current["userInputMessageContext"]["tools"][0]["toolSpecification"]["name"]
    request = build(conversation)
    assert alias == ToolNames(["time.get"]).to_upstream("time.get")
    assert current["content"] == f'Say hi\n\nYou must use the tool "{alias}".'
    assert request.tool_names.to_client(alias) == "time.get"
    assert request.repairs == ("renamed_tool", "emulated_tool_choice")


def test_choice_of_no_tool_declares_what_the_history_needs() -> None:
    """The client's tools are not offered; those of the history are declared bare, with a word against their use."""
    other = replace(GET_TIME, name="other")
    choice = ToolChoice(mode=ToolChoiceMode.NONE, parallel=False)
    conversation = replace(ROUND_TRIP, tools=(GET_TIME, other), tool_choice=choice)
    current = read_current(conversation)
    specifications = [entry["toolSpecification"] for entry in current["userInputMessageContext"]["tools"]]
    assert [(item["name"], item["description"]) for item in specifications] == [
        ("get_time", "Tool used earlier in the conversation; not available now.")
    ]
    assert current["content"] == "Do not use any tool."
    assert build(conversation).repairs == ("declared_missing_tool", "emulated_tool_choice", "emulated_serial_tools")


def test_choice_of_no_tool_without_history_offers_none() -> None:
    """No tool is declared, and nothing need be said about it."""
    conversation = replace(QUESTION, tools=(GET_TIME,), tool_choice=ToolChoice(mode=ToolChoiceMode.NONE))
    assert read_state(conversation)["currentMessage"] == said("Say hi")
    assert build(conversation).repairs == ()


@pytest.mark.parametrize("mode", list(ToolChoiceMode))
def test_system_text_is_the_same_whatever_the_turn_demands(mode: ToolChoiceMode) -> None:
    """What was sent before stays the beginning, also when this turn may use no tool."""
    tools = (replace(GET_TIME, description="x" * 300),)
    choices = (ToolChoice(mode=mode, name="get_time", parallel=False), ToolChoice(parallel=False))
    first, second = (read_state(replace(ROUND_TRIP, tools=tools, tool_choice=choice), 200) for choice in choices)
    assert first["history"] == second["history"]
    assert "x" * 300 in first["history"][0]["userInputMessage"]["content"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("x-anthropic-billing-header: cc_version=1; cch=2;", "Say hi"),
        ("x-anthropic-billing-header: cc_version=1;\nYou are.", "You are.\n\nSay hi"),
    ],
)
def test_billing_line_is_not_for_the_model(given: str, expected: str) -> None:
    """It differs between requests of one session, and would be the beginning of all of them."""
    conversation = replace(QUESTION, system=(given,))
    assert read_current(conversation) == said(expected)["userInputMessage"]
    assert build(conversation).repairs == ("dropped_billing_line",)


def test_size_is_a_warning() -> None:
    """What is too large by all that is known goes upstream as it is."""
    conversation = replace(QUESTION, turns=(user("天" * 700_000),))
    assert read_current(conversation)["content"] == "天" * 700_000
    assert build(conversation).repairs == ("large_body", "heavy_body", "long_text")


def test_rule_against_parallel_uses_is_system_text() -> None:
    """It holds for the whole conversation, so that it does not change what was sent before."""
    conversation = replace(ROUND_TRIP, tool_choice=ToolChoice(parallel=False))
    first = read_state(conversation)["history"][0]
    assert first == said("You are terse.\n\nVery.\n\nUse at most one tool at a time.\n\nWhat time is it?")


def test_long_description_is_system_text() -> None:
    """A description beyond the limit follows the client's system prompts."""
    conversation = replace(ROUND_TRIP, tools=(replace(GET_TIME, description="x" * 300),))
    first = read_state(conversation, 200)["history"][0]["userInputMessage"]["content"]
    assert first == f"You are terse.\n\nVery.\n\n# Tool get_time\n\n{'x' * 300}\n\nWhat time is it?"
    assert build(conversation, 200).repairs == ("moved_tool_description",)


def test_repairs_are_listed_once_in_a_fixed_order() -> None:
    """Neither the place of a fault nor its number changes the list."""
    turns = (assistant(""), assistant(use("a|b", "x.y")), user(result("q")), user(result("q")), assistant("z"))
    assert build(Conversation(model="m", turns=turns)).repairs == (
        "prepended_user_turn",
        "merged_turns",
        "appended_continue",
        "filled_empty_text",
        "orphan_result_as_text",
        "synthesised_result",
        "renamed_tool_use_id",
        "renamed_tool",
        "declared_missing_tool",
    )


def test_continuation_id_lasts_until_the_user_speaks() -> None:
    """It is a UUID that tool round trips do not change, nor words or pictures beside results."""
    question = (user("What time is it?"),)
    working = (*question, assistant(use("t")), user(result("t"), "hurry", picture()), assistant(use("u")))
    first, second = build_continuation_id("c-1", question), build_continuation_id("c-1", working)
    assert UUID.fullmatch(first)
    assert first == second


@pytest.mark.parametrize(
    ("conversation_id", "texts"),
    [("c-1", ("a", "a")), ("c-1", ("a", "b")), ("c-1", ("b",)), ("c-2", ("a",)), ("c-1", ())],
)
def test_continuation_id_tells_turns_apart(conversation_id: str, texts: tuple[str, ...]) -> None:
    """Another question, the same question again, and another conversation have other ids."""
    other = build_continuation_id(conversation_id, [user(text) for text in texts])
    assert UUID.fullmatch(other)
    assert other != build_continuation_id("c-1", [user("a")])


def test_requests_of_a_growing_conversation_share_their_beginning() -> None:
    """Each request's messages, less its tools, are the beginning of the next one's history."""
    turns = (*ROUND_TRIP.turns, assistant("Noon."), user("Thanks"), assistant(use("u", "x.y")), user(result("u")))
    shorter: list[dict[str, Any]] = []
    for end in range(1, len(turns) + 1, 2):
        state = read_state(replace(ROUND_TRIP, turns=turns[:end]))
        history = state.get("history", [])
        assert history[: len(shorter)] == shorter
        current = state["currentMessage"]
        context = current["userInputMessage"]["userInputMessageContext"]
        del context["tools"]
        if not context:
            del current["userInputMessage"]["userInputMessageContext"]
        shorter = [*history, current]
    assert len(shorter) == 7
