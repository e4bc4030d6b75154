"""Reasoning between tags in the text."""

from collections.abc import Sequence

import pytest

from kiro2api.protocol.kiro.events import AssistantText, Failed, Ignored, Metering, Reasoning, UpstreamEvent
from kiro2api.protocol.turn.thinking import InlineThinking
from tests.support.upstream_events import fault
from tests.unit.protocol.turn.transcripts import say, think, use


def play(events: Sequence[UpstreamEvent]) -> list[UpstreamEvent]:
    """What becomes of ``events`` and the end."""
    thinking = InlineThinking()
    return [out for event in events for out in thinking.receive_event(event)] + thinking.receive_eof()


def parse(*texts: str) -> list[UpstreamEvent]:
    """The same for texts."""
    return play(say(*texts))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", say("a")),
        (" \n", say(" \n")),
        ("<thinking>\nhm\n</thinking>\n\nyes", [*think("hm\n"), *say("yes")]),
        ("\n <thinking>\n\nhm</thinking> \n \nyes", [*think("\nhm"), *say("yes")]),
        ("a\n<thinking>hm</thinking>\n\nyes", [*say("a\n"), *think("hm"), *say("yes")]),
        ("a <thinking>hm</thinking>\n\nyes", say("a <thinking>hm</thinking>\n\nyes")),
        ("</thinking>\n\nyes", say("</thinking>\n\nyes")),
        ("<thinking>hm", think("hm")),
        ("<thinking>hm</thinking>", think("hm")),
        ("<thinking>hm</thinking> \n ", think("hm")),
        ("<thinking>hm</thinking>\n\n\n", think("hm")),
        ("<thinking>hm</thinking>\nyes", think("hm</thinking>\nyes")),
        ("<thinking>a<thinking>b</thinking>c</thinking>\n\nd", [*think("a<thinking>b</thinking>c"), *say("d")]),
        ("<thinking>a</thinking>\n\n<thinking>b</thinking>\n\nc", [*think("ab"), *say("c")]),
        ('<thinking>5" </thinking>\n\n<thinking>a "</thinking>\n\nb', think('5" a "</thinking>\n\nb')),
    ],
)
def test_tags(text: str, parts: list[UpstreamEvent]) -> None:
    """They count at a beginning, and before a blank line or the end; all else is text, or thinking."""
    assert parse(text) == parts


@pytest.mark.parametrize(
    ("thought", "is_quoted"),
    [
        ("the tag `", True),
        ("`a` and ", False),
        ("the tag `a, then ", True),
        ("`a\nb ", False),
        ('say "', True),
        ('say "yes"', False),
        ('5" wide ', False),
        ("say '", True),
        ("the users'", False),
        ("```xml\na\n", True),
        ("```xml\na\n```\n", False),
        ("```xml\na\n  ```", False),
        ("```", True),
    ],
)
def test_quoted_tags(thought: str, *, is_quoted: bool) -> None:
    """In a fence, between backticks or behind a quotation mark, the tag is a word."""
    after = f"{thought}</thinking>\n\nend"
    expected = think(after) if is_quoted else [*think(thought), *say("end")]
    assert parse(f"<thinking>{after}") == expected


def test_text_goes_on_at_once() -> None:
    """Only what may begin a tag waits."""
    thinking = InlineThinking()
    rows = [
        ("<thi", []),
        ("nking>\nhm", think("hm")),
        (" so</thin", think(" so")),
        ("king", []),
        (">\n", []),
        ("\nyes\n<", say("yes\n")),
        ("b", say("<b")),
    ]
    assert [(text, thinking.receive_event(AssistantText(text=text))) for text, _ in rows] == rows


def test_a_tool_use_ends_the_text() -> None:
    """Thinking ends there, closed or not, and what follows may begin with thinking again."""
    tools = use("A", "{}")
    script = [*say("<thinking>a</thinking>"), *tools, *say("<thinking>b"), *tools, *say("\n", "<thinking>c")]
    assert play(script) == [*think("a"), *tools, *think("b"), *tools, *think("c")]


def test_a_failure_brings_what_was_held_back() -> None:
    """Before it; and accounting passes by."""
    metering = Metering(usage=1.0, unit="credit")
    failed = Failed(fault=fault())
    script = [*say("a\n<thin"), metering, Ignored(name="x"), failed]
    assert play(script) == [*say("a\n"), metering, Ignored(name="x"), *say("<thin"), failed]


def test_native_reasoning_makes_text_text() -> None:
    """Whoever sends reasoning of its own means what it writes."""
    script = [*say("<thin"), Reasoning(text="hm"), *say("<thinking>a</thinking>", "\n\nb")]
    assert play(script) == script
