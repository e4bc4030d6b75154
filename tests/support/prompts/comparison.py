"""How far the estimates are off, ours and the original's, as tables for the documents.

``python -m tests.support.prompts.comparison`` prints them.
"""

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.usage import estimate_conversation, estimate_text
from tests.support import original_estimate
from tests.support.prompts.counts import Counts, Prompt, list_prompts, read_counts


@dataclass(frozen=True, kw_only=True)
class Row:
    """A prompt with its counts and its estimates."""

    prompt: Prompt
    counts: Counts
    original: int
    ours: int

    @property
    def is_text(self) -> bool:
        """Whether it is one text rather than a conversation."""
        return isinstance(self.prompt.content, str)


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Relative errors of estimates of several prompts, without their signs."""

    mean: float
    p95: float


def build_rows() -> tuple[Row, ...]:
    """All prompts with what is said of them."""
    counts = read_counts()
    return tuple(
        Row(
            prompt=prompt,
            counts=counts[prompt.name],
            original=_estimate(prompt, original_estimate.estimate_text, original_estimate.estimate_conversation),
            ours=_estimate(prompt, estimate_text, estimate_conversation),
        )
        for prompt in list_prompts()
    )


def _estimate(prompt: Prompt, of_text: Callable[[str], int], of_conversation: Callable[[Conversation], int]) -> int:
    content = prompt.content
    return of_text(content) if isinstance(content, str) else of_conversation(content)


def measure_errors(pairs: Sequence[tuple[int, int]]) -> Errors:
    """The errors of pairs of an estimate and the true count."""
    errors = [abs(estimate / true - 1) for estimate, true in pairs]
    return Errors(mean=statistics.mean(errors), p95=statistics.quantiles(errors, n=20, method="inclusive")[-1])


def render_summary(rows: Sequence[Row]) -> str:
    """Mean and 95th percentile by group and vocabulary."""
    lines = [
        "| Prompts | Vocabulary | Original, mean | Original, p95 | Here, mean | Here, p95 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for is_text, group in ((False, "conversations"), (True, "single texts")):
        chosen = [row for row in rows if row.is_text is is_text]
        for vocabulary, name in (("claude", "Anthropic's"), ("o200k", "OpenAI's")):
            original = measure_errors([(row.original, getattr(row.counts, vocabulary)) for row in chosen])
            ours = measure_errors([(row.ours, getattr(row.counts, vocabulary)) for row in chosen])
            figures = (original.mean, original.p95, ours.mean, ours.p95)
            lines.append(f"| {len(chosen)} {group} | {name} | " + " | ".join(f"{x:.0%}" for x in figures) + " |")
    return "\n".join(lines)


def render_rows(rows: Sequence[Row]) -> str:
    """Every prompt, with its count by Anthropic's vocabulary and both estimates."""
    lines = ["| Prompt | True count | Original | Here |", "|---|---:|---:|---:|"]
    for row in sorted(rows, key=lambda row: row.is_text):
        true = row.counts.claude
        estimates = " | ".join(f"{estimate:,} ({estimate / true - 1:+.0%})" for estimate in (row.original, row.ours))
        lines.append(f"| {row.prompt.name} | {true:,} | {estimates} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(f"{render_summary(build_rows())}\n\n{render_rows(build_rows())}\n")
