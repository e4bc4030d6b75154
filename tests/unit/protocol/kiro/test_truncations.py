"""Calls that are cut again and again, counted and told."""

import json

import pytest

from kiro2api.protocol.conversation import Conversation, Tool, ToolChoice, ToolChoiceMode
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.request import build_request
from kiro2api.protocol.kiro.truncations import CutRun, build_cut_text, extend_run
from tests.support.conversations import assistant, result, use, user

NAMES = ("Write", "files.edit")
TOOLS = tuple(Tool(name=name, description="", input_schema={}) for name in NAMES)
THREE = CutRun(tool="Write", count=3, size=31_000)


def describe(run: CutRun | None, *, mode: ToolChoiceMode = ToolChoiceMode.AUTO) -> tuple[str, set[Repair]]:
    """What is said of ``run``, and the repairs."""
    repairs: set[Repair] = set()
    conversation = Conversation(model="m", turns=(), tools=TOOLS, tool_choice=ToolChoice(mode=mode))
    return build_cut_text(run, conversation, ToolNames(NAMES), repairs), repairs


def test_run() -> None:
    """Cuts of one tool add up, and the shortest counts; another tool begins anew."""
    run = None
    for size in (700, 500, 600):
        run = extend_run(run, tool="Write", size=size)
    assert run == CutRun(tool="Write", count=3, size=500)
    assert extend_run(run, tool="Edit", size=900) == CutRun(tool="Edit", count=1, size=900)


@pytest.mark.parametrize(("count", "is_stubborn"), [(1, False), (2, False), (3, True), (4, True)])
def test_third_cut_is_told(count: int, *, is_stubborn: bool) -> None:
    """One or two may be chance."""
    run = CutRun(tool="Write", count=count, size=1)
    text, repairs = describe(run)
    assert (run.is_stubborn, bool(text), bool(repairs)) == (is_stubborn,) * 3


def test_text() -> None:
    """It names the tool as the model knows it, how often and after how much; nothing came is no number."""
    text, repairs = describe(THREE)
    assert text.startswith('The last 3 calls of the tool "Write" were cut off after about 31000 characters of input,')
    assert repairs == {Repair.EXPLAINED_TRUNCATION}
    alias = ToolNames(NAMES).to_upstream("files.edit")
    text, _ = describe(CutRun(tool="files.edit", count=4, size=0))
    assert text.startswith(f'The last 4 calls of the tool "{alias}" were cut off, before they were whole')


@pytest.mark.parametrize(
    ("run", "mode"),
    [
        (None, ToolChoiceMode.AUTO),
        (CutRun(tool="Gone", count=3, size=1), ToolChoiceMode.AUTO),
        (THREE, ToolChoiceMode.NONE),
    ],
    ids=["no run", "a tool that is not there", "no tool may be used"],
)
def test_nothing_to_say(run: CutRun | None, mode: ToolChoiceMode) -> None:
    """Of calls that cannot be made nothing is said."""
    assert describe(run, mode=mode) == ("", set())


def test_request_ends_with_it() -> None:
    """It stands behind the current message's own words, before a demand of the client's, and nowhere in the history."""
    conversation = Conversation(
        model="m",
        turns=(user("a"), assistant(use("t", "Write")), user(result("t", "x"), "b")),
        tools=TOOLS,
        tool_choice=ToolChoice(mode=ToolChoiceMode.ANY),
    )
    request = build_request(
        conversation, model_id="m", conversation_id="c", max_tool_description_length=100, cut_run=THREE
    )
    state = json.loads(request.conversation_state)
    own, explanation, demand = state["currentMessage"]["userInputMessage"]["content"].split("\n\n")
    assert (own, demand) == ("b", "You must use at least one tool.")
    assert explanation == describe(THREE)[0]
    assert "cut off" not in json.dumps(state["history"])
    assert Repair.EXPLAINED_TRUNCATION.value in request.repairs
