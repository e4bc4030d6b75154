"""The estimate beside the original's, over prompts whose true counts are known."""

from pathlib import Path

import pytest

from kiro2api.protocol.conversation import Conversation, Tool
from tests.support import original_estimate
from tests.support.prompts import describe_prompt, list_prompts, read_counts
from tests.support.prompts.comparison import Row, build_rows, measure_errors, render_rows, render_summary

PAGE = (Path(__file__).parents[4] / "docs" / "usage.md").read_text(encoding="utf-8")
ROWS = build_rows()
TEXTS = [row for row in ROWS if row.is_text]
CONVERSATIONS = [row for row in ROWS if not row.is_text]


def test_counts_are_of_these_prompts() -> None:
    """The counts were made of the very prompts; else ``benchmarks/count_prompts.py`` has to be run again."""
    assert {name: counts.sha256 for name, counts in read_counts().items()} == {
        prompt.name: describe_prompt(prompt, claude=0, o200k=0).sha256 for prompt in list_prompts()
    }


@pytest.mark.parametrize("rows", [TEXTS, CONVERSATIONS], ids=["texts", "conversations"])
def test_better_than_the_original(rows: list[Row]) -> None:
    """By Anthropic's vocabulary, the estimate is less than half as far off as the original's, and off by little."""
    original = measure_errors([(row.original, row.counts.claude) for row in rows])
    ours = measure_errors([(row.ours, row.counts.claude) for row in rows])
    assert ours.mean < min(original.mean / 2, 0.1)
    assert ours.p95 < min(original.p95 / 2, 0.2)


def test_conversations_of_other_models() -> None:
    """By OpenAI's vocabulary, the estimate of a conversation is not behind the original's either."""
    original = measure_errors([(row.original, row.counts.o200k) for row in CONVERSATIONS])
    ours = measure_errors([(row.ours, row.counts.o200k) for row in CONVERSATIONS])
    assert ours.mean < original.mean
    assert ours.p95 < original.p95


@pytest.mark.parametrize("row", CONVERSATIONS, ids=lambda row: str(row.prompt.name))
def test_no_conversation_is_far_off(row: Row) -> None:
    """No conversation is taken for much smaller than it is: the client would not compact it in time."""
    assert 0.88 * row.counts.claude < row.ours < 1.3 * row.counts.claude


def test_page_has_the_tables() -> None:
    """The document shows what is computed here; ``python -m tests.support.prompts.comparison`` prints it."""
    assert render_summary(ROWS) in PAGE
    assert render_rows(ROWS) in PAGE


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello", 2), ("a" * 100, 36), ("a" * 1000, 240), ("中", 2), ("中文", 3), ("中文hello", 4)],
)
def test_original_text(text: str, expected: int) -> None:
    """What is compared with is the original's estimate."""
    assert original_estimate.estimate_text(text) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, 4 + 2 + 2),
        (1, 8 + 320 + 2 + 2 + 106),
        (5, 8 + 100 + 5 * (120 + 2 + 2 + 91)),
        (6, 8 + 180 + 6 * (60 + 2 + 2 + 80)),
    ],
)
def test_original_conversation(count: int, expected: int) -> None:
    """The same for a whole request, with tools of 200 bytes of schema."""
    tool = Tool(name="Bash", description="hello", input_schema={"a": "x" * 192})
    conversation = Conversation(model="m", turns=(), system=("hello",), tools=(tool,) * count)
    assert original_estimate.estimate_conversation(conversation) == expected
