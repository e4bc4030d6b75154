"""The models that are known without asking, and what was said about them.

Limits are what the upstream's model lists and its other clients reported; where reports differ, the first one counts
and a comment names the other.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Reasoning(enum.Enum):
    """How a model is asked to reason, as far as that is known without its list."""

    UNKNOWN = enum.auto()
    CLAUDE = enum.auto()
    CLAUDE_WITHOUT_XHIGH = enum.auto()
    GPT = enum.auto()


class Row(NamedTuple):
    """A model as the upstream and its other clients describe it."""

    display_name: str
    public_names: tuple[str, ...]
    upstream_ids: tuple[str, ...]
    """All that the upstream takes, or took, for this model."""
    context_window: int | None = None
    max_output_tokens: int | None = None
    reasoning: Reasoning = Reasoning.UNKNOWN


AUTO: Final = "auto"
"""Leaves the choice of a model to the service; every account may."""

ROWS: Final = (
    Row("Claude Opus 5.5", ("claude-opus-5-5",), ("claude-opus-5.5",), 1_000_000, 128_000),
    Row("Claude Sonnet 5.5", ("claude-sonnet-5-5",), ("claude-sonnet-5.5",), 1_000_000, 128_000),
    Row("Claude Fable 5", ("claude-fable-5",), ("claude-fable-5",), 1_000_000, 128_000),
    Row("Claude Opus 5", ("claude-opus-5",), ("claude-opus-5",), 1_000_000, 128_000, Reasoning.CLAUDE),
    # 64,000 of output are reported too, for this one and the next two.
    Row("Claude Sonnet 5", ("claude-sonnet-5",), ("claude-sonnet-5",), 1_000_000, 128_000, Reasoning.CLAUDE),
    Row("Claude Opus 4.8", ("claude-opus-4-8",), ("claude-opus-4.8",), 1_000_000, 128_000, Reasoning.CLAUDE),
    Row("Claude Opus 4.7", ("claude-opus-4-7",), ("claude-opus-4.7",), 1_000_000, 128_000, Reasoning.CLAUDE),
    # 128,000 of output are reported too.
    Row(
        "Claude Opus 4.6", ("claude-opus-4-6",), ("claude-opus-4.6",), 1_000_000, 64_000, Reasoning.CLAUDE_WITHOUT_XHIGH
    ),
    # A window of 200,000 for the id without -1m is reported too.
    Row(
        "Claude Sonnet 4.6",
        ("claude-sonnet-4-6",),
        ("claude-sonnet-4.6", "claude-sonnet-4.6-1m"),
        1_000_000,
        64_000,
        Reasoning.CLAUDE_WITHOUT_XHIGH,
    ),
    Row("Claude Opus 4.5", ("claude-opus-4-5",), ("claude-opus-4.5",), 200_000, 64_000),
    Row(
        "Claude Haiku 4.5",
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-haiku-4.5",),
        200_000,
        64_000,
    ),
    Row(
        "Claude Sonnet 4.5",
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4.5", "CLAUDE_SONNET_4_5_20250929_V1_0"),
        200_000,
        64_000,
    ),
    Row(
        "Claude Sonnet 4",
        ("claude-sonnet-4-20250514",),
        ("claude-sonnet-4", "CLAUDE_SONNET_4_20250514_V1_0"),
        200_000,
        64_000,
    ),
    Row(
        "Claude Sonnet 3.7",
        ("claude-3-7-sonnet-20250219",),
        ("CLAUDE_3_7_SONNET_20250219_V1_0",),
        200_000,
    ),
    Row(
        "Claude Haiku 3.5",
        ("claude-3-5-haiku-20241022",),
        ("CLAUDE_3_5_HAIKU_20241022_V1_0",),
    ),
    # The service chooses the model; the window is the one reported for this name.
    Row("Auto", ("auto",), ("auto",), 1_000_000),
    # Windows raised to 1,000,000 are reported too, since September 2026, account by account.
    Row("GPT-5.6 Sol", ("gpt-5.6-sol",), ("gpt-5.6-sol",), 272_000, 128_000, Reasoning.GPT),
    Row("GPT-5.6 Terra", ("gpt-5.6-terra",), ("gpt-5.6-terra",), 272_000, 128_000, Reasoning.GPT),
    Row("GPT-5.6 Luna", ("gpt-5.6-luna",), ("gpt-5.6-luna",), 272_000, 128_000, Reasoning.GPT),
    Row("DeepSeek 3.2", ("deepseek-3.2",), ("deepseek-3.2",), 164_000),
    Row("MiniMax M2.5", ("minimax-m2.5",), ("minimax-m2.5",), 196_000),
    Row("MiniMax M2.1", ("minimax-m2.1",), ("minimax-m2.1",), 196_000),
    Row("GLM 5", ("glm-5",), ("glm-5",), 200_000),
    Row("Qwen3 Coder Next", ("qwen3-coder-next",), ("qwen3-coder-next",), 256_000),
)

FIRST_MODELS: Final = {
    "claude-sonnet-4-20250514": "CLAUDE_SONNET_4_20250514_V1_0",
    "claude-3.7-sonnet": "CLAUDE_3_7_SONNET_20250219_V1_0",
    "claude-3.5-haiku": "auto",
}
"""Names to the ids that have worked since the upstream's first models.

No dotted id is known for the two last, so their names stand here normalised and every spelling of
them counts. The upstream gave up its id for Haiku 3.5 and chooses a model for it.
"""

ROWS_BY_UPSTREAM_ID: Final = {upstream_id.lower(): row for row in ROWS for upstream_id in row.upstream_ids}
UPSTREAM_IDS: Final = {upstream_id.lower(): upstream_id for row in ROWS for upstream_id in row.upstream_ids}


def _describe_object(**properties: Mapping[str, object]) -> Mapping[str, object]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _describe_claude(efforts: Sequence[str]) -> Mapping[str, object]:
    return _describe_object(
        thinking=_describe_object(type={"enum": ["adaptive"]}, display={"enum": ["summarized", "omitted"]}),
        output_config=_describe_object(effort={"enum": efforts}),
    )


FIELDS_SCHEMAS: Final[Mapping[Reasoning, Mapping[str, object]]] = {
    Reasoning.CLAUDE: _describe_claude(["low", "medium", "high", "xhigh", "max"]),
    Reasoning.CLAUDE_WITHOUT_XHIGH: _describe_claude(["low", "medium", "high", "max"]),
    Reasoning.GPT: _describe_object(
        reasoning=_describe_object(effort={"enum": ["none", "low", "medium", "high", "xhigh", "max"]})
    ),
}
"""What requests may carry beside the conversation, as it was seen to be taken; the models' own lists have more."""
