"""Simple or complex requests."""

import pytest

from kiro2api.protocol.complexity import Complexity, analyse_complexity
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Image,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.images import ImageFormat

PICTURE = Image(format=ImageFormat.PNG, data="A" * 20_000)
TOOL = Tool(name="Bash", description="", input_schema={})


def ask(*texts: str) -> Conversation:
    """A conversation of one user turn."""
    return Conversation(model="m", turns=(UserTurn(blocks=tuple(Text(text=t) for t in texts)),))


@pytest.mark.parametrize(
    ("max_tokens", "expected"),
    [(None, Complexity.SIMPLE), (4000, Complexity.SIMPLE), (4001, Complexity.COMPLEX)],
)
def test_output_limit(max_tokens: int | None, expected: Complexity) -> None:
    """More than 4000 model tokens of output make a request complex."""
    conversation = Conversation(model="m", turns=ask("hi").turns, max_tokens=max_tokens)
    assert analyse_complexity(conversation) is expected


def test_tools() -> None:
    """A single tool makes a request complex."""
    conversation = Conversation(model="m", turns=ask("hi").turns, tools=(TOOL,))
    assert analyse_complexity(conversation) is Complexity.COMPLEX


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        (("a" * 1000, "b" * 1000), Complexity.SIMPLE),
        (("a" * 1000, "b" * 1001), Complexity.COMPLEX),
    ],
)
def test_system_size(system: tuple[str, ...], expected: Complexity) -> None:
    """More than 2000 characters of system prompts make a request complex."""
    conversation = Conversation(model="m", turns=ask("hi").turns, system=system)
    assert analyse_complexity(conversation) is expected


@pytest.mark.parametrize(("last", "expected"), [("é", Complexity.SIMPLE), ("éé", Complexity.COMPLEX)])
def test_content_size(last: str, expected: Complexity) -> None:
    """More than 10,000 characters of text in all turns make a request complex; pictures do not."""
    result = ToolResult(tool_use_id="t", content=(Text(text="r" * 3999), PICTURE))
    turns = (
        UserTurn(blocks=(Text(text="u" * 3000), PICTURE)),
        AssistantTurn(
            blocks=(
                Thinking(text="t" * 2000),
                Text(text="a" * 1000),
                ToolUse(tool_use_id="t", name="n", input={"a": "b" * 20_000}),
            )
        ),
        UserTurn(blocks=(result, Text(text=last))),
    )
    assert analyse_complexity(Conversation(model="m", turns=turns)) is expected


@pytest.mark.parametrize(
    "text",
    [
        "请分析这段",
        "详细说明",
        "总结一下",
        "做代码审查",
        "重构它",
        "Analyze this",
        "ANALYSE: it",
        "an analysis, please",
        "a detailed list",
        "in detail",
        "explain in depth",
        "in-depth",
        "comprehensive",
        "帮我refactor一下",
        "code review",
        "review this code",
        "summarise",
        "optimizing",
    ],
)
def test_keyword(text: str) -> None:
    """Words that ask for long work make a request complex, in either language and any case."""
    assert analyse_complexity(ask(text)) is Complexity.COMPLEX


@pytest.mark.parametrize(
    "text", ["", "hello", "retail", "psychoanalyze", "refactor_it", "in details", "review", "分 析"]
)
def test_no_keyword(text: str) -> None:
    """Parts of other words are no keywords."""
    assert analyse_complexity(ask(text)) is Complexity.SIMPLE


def test_last_user_text_counts() -> None:
    """Keywords are looked for in all blocks of the last user turn that has text, and only there."""
    reply = AssistantTurn(blocks=(Text(text="analysis"),))
    results = UserTurn(blocks=(ToolResult(tool_use_id="t", content=()),))
    latest = (*ask("refactor").turns, reply, *ask("hi").turns)
    assert analyse_complexity(Conversation(model="m", turns=latest)) is Complexity.SIMPLE
    earlier = (*ask("refactor", "now").turns, reply, results)
    assert analyse_complexity(Conversation(model="m", turns=earlier)) is Complexity.COMPLEX


def test_no_user_text() -> None:
    """A conversation without a word of the user is simple."""
    assert analyse_complexity(Conversation(model="m", turns=())) is Complexity.SIMPLE
