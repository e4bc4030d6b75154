"""Wishes for reasoning and effort on their way to the model."""

from collections.abc import Collection

import pytest

from kiro2api.protocol.catalog.table import FIELDS_SCHEMAS, Reasoning
from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingDisplay, ThinkingMode
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.modelfields import Schema
from kiro2api.protocol.kiro.reasoning import ReasoningPlan, plan_reasoning
from kiro2api.protocol.kiro.repairs import Repair

CLAUDE = FIELDS_SCHEMAS[Reasoning.CLAUDE]
BASIC = FIELDS_SCHEMAS[Reasoning.CLAUDE_WITHOUT_XHIGH]
GPT = FIELDS_SCHEMAS[Reasoning.GPT]
KINDS: JSONObject = {"enum": ["adaptive", "disabled", "enabled"]}
BUDGETED: JSONObject = {
    "properties": {"thinking": {"properties": {"type": KINDS, "budget_tokens": {"minimum": 1024, "maximum": 9000}}}}
}
LIMITED: JSONObject = {"properties": {"max_tokens": {"type": "integer", "minimum": 1024, "maximum": 64_000}}}
EFFORT_ONLY: JSONObject = {"properties": {"output_config": {"properties": {"effort": {"enum": ["low", "high"]}}}}}
SUMMARIZED: JSONObject = {"type": "adaptive", "display": "summarized"}
OFF, ADAPTIVE = ThinkingChoice(mode=ThinkingMode.OFF), ThinkingChoice(mode=ThinkingMode.ADAPTIVE)


def enabled(budget: int | None = None, effort: Effort | None = None) -> ThinkingChoice:
    """Thinking with a budget."""
    return ThinkingChoice(mode=ThinkingMode.ENABLED, budget=budget, effort=effort)


def adaptive(display: ThinkingDisplay | None = None, effort: Effort | None = None) -> ThinkingChoice:
    """As much thinking as the model likes."""
    return ThinkingChoice(mode=ThinkingMode.ADAPTIVE, display=display, effort=effort)


def plan(choice: ThinkingChoice, schema: Schema | None, *, knows_tags: bool = False) -> ReasoningPlan:
    """The plan without a limit."""
    return plan_reasoning(choice, max_tokens=None, schema=schema, knows_tags=knows_tags)


@pytest.mark.parametrize(
    ("choice", "schema", "fields", "repairs"),
    [
        (ThinkingChoice(), CLAUDE, {}, ()),
        (ADAPTIVE, CLAUDE, {"thinking": SUMMARIZED}, ()),
        (adaptive(ThinkingDisplay.OMITTED), CLAUDE, {"thinking": {"type": "adaptive", "display": "omitted"}}, ()),
        (adaptive(ThinkingDisplay.UPDATES), CLAUDE, {"thinking": SUMMARIZED}, (Repair.CHANGED_THINKING,)),
        (ADAPTIVE, {"properties": {"thinking": {}}}, {"thinking": SUMMARIZED}, ()),
        (ADAPTIVE, {"properties": {"thinking": {"const": 1}}}, {}, (Repair.IGNORED_THINKING,)),
        (ADAPTIVE, BUDGETED, {"thinking": {"type": "adaptive"}}, ()),
        (adaptive(ThinkingDisplay.OMITTED), BUDGETED, {"thinking": {"type": "adaptive"}}, (Repair.CHANGED_THINKING,)),
        (enabled(2000), BUDGETED, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, ()),
        (enabled(), BUDGETED, {"thinking": {"type": "enabled", "budget_tokens": 9000}}, ()),
        (
            enabled(99_000),
            BUDGETED,
            {"thinking": {"type": "enabled", "budget_tokens": 9000}},
            (Repair.CHANGED_THINKING,),
        ),
        (
            enabled(4000),
            CLAUDE,
            {"thinking": SUMMARIZED, "output_config": {"effort": "low"}},
            (Repair.CHANGED_THINKING,),
        ),
        (enabled(16_001), GPT, {"reasoning": {"effort": "high"}}, ()),
        (ADAPTIVE, GPT, {}, ()),
        (OFF, CLAUDE, {}, (Repair.IGNORED_THINKING,)),
        (OFF, {"properties": {"thinking": {}}}, {}, (Repair.IGNORED_THINKING,)),
        (OFF, BUDGETED, {"thinking": {"type": "disabled"}}, ()),
        (OFF, GPT, {"reasoning": {"effort": "none"}}, ()),
        (OFF, {"properties": {"reasoning": {}}}, {}, (Repair.IGNORED_THINKING,)),
        (OFF, LIMITED, {}, ()),
        (OFF, None, {}, ()),
        (ADAPTIVE, LIMITED, {}, (Repair.IGNORED_THINKING,)),
        (ADAPTIVE, None, {}, (Repair.IGNORED_THINKING,)),
    ],
)
def test_thinking_by_schema(
    choice: ThinkingChoice, schema: Schema | None, fields: JSONObject, repairs: Collection[Repair]
) -> None:
    """As the schema has it, or as near as it gets, or not at all; a departure has a name."""
    assert plan(choice, schema) == ReasoningPlan(fields=fields, repairs=frozenset(repairs))


@pytest.mark.parametrize(
    ("effort", "schema", "fields", "repairs"),
    [
        (Effort.XHIGH, CLAUDE, {"output_config": {"effort": "xhigh"}}, ()),
        (Effort.XHIGH, BASIC, {"output_config": {"effort": "max"}}, (Repair.CHANGED_EFFORT,)),
        (Effort.MEDIUM, EFFORT_ONLY, {"output_config": {"effort": "high"}}, (Repair.CHANGED_EFFORT,)),
        (Effort.LOW, GPT, {"reasoning": {"effort": "low"}}, ()),
        (Effort.LOW, {"properties": {"output_config": False}}, {}, (Repair.IGNORED_EFFORT,)),
        (Effort.LOW, None, {}, (Repair.IGNORED_EFFORT,)),
    ],
)
def test_effort(effort: Effort, schema: Schema | None, fields: JSONObject, repairs: Collection[Repair]) -> None:
    """The nearest one that there is, rather too much than too little."""
    assert plan(ThinkingChoice(effort=effort), schema) == ReasoningPlan(fields=fields, repairs=frozenset(repairs))


@pytest.mark.parametrize(
    ("budget", "effort"), [(1, "low"), (4000, "low"), (4001, "medium"), (16_000, "medium"), (16_001, "high")]
)
def test_a_budget_as_effort(budget: int, effort: str) -> None:
    """For models that know efforts only."""
    assert plan(enabled(budget), GPT).fields == {"reasoning": {"effort": effort}}


@pytest.mark.parametrize(
    ("max_tokens", "sent", "repairs"),
    [
        (32_000, {"max_tokens": 32_000}, ()),
        (128_000, {"max_tokens": 64_000}, (Repair.CHANGED_MAX_TOKENS,)),
        (100, {"max_tokens": 1024}, (Repair.CHANGED_MAX_TOKENS,)),
        (0, {}, ()),
        (None, {}, ()),
    ],
)
def test_max_tokens(max_tokens: int | None, sent: JSONObject, repairs: Collection[Repair]) -> None:
    """Within the bounds of the schema."""
    limited = plan_reasoning(ThinkingChoice(), max_tokens=max_tokens, schema=LIMITED, knows_tags=False)
    assert limited == ReasoningPlan(fields=sent, repairs=frozenset(repairs))


def test_a_limit_of_an_unknown_kind_is_not_sent() -> None:
    """A schema that admits no number gets none."""
    schema: JSONObject = {"properties": {"max_tokens": {"type": "string"}}}
    assert plan_reasoning(ThinkingChoice(), max_tokens=5, schema=schema, knows_tags=False) == ReasoningPlan()


def test_fields_that_do_not_go_together_are_left_out() -> None:
    """Nothing is sent that the schema as a whole does not admit."""
    assert plan(ADAPTIVE, {**CLAUDE, "required": ["max_tokens"]}) == ReasoningPlan(
        repairs=frozenset({Repair.DROPPED_MODEL_FIELDS})
    )


@pytest.mark.parametrize(
    ("choice", "prompt", "repairs"),
    [
        (enabled(2000), "enabled</thinking_mode><max_thinking_length>2000</max_thinking_length>", ()),
        (enabled(), "enabled</thinking_mode><max_thinking_length>16000</max_thinking_length>", ()),
        (
            enabled(2000, Effort.LOW),
            "enabled</thinking_mode><max_thinking_length>2000</max_thinking_length>",
            (Repair.IGNORED_EFFORT,),
        ),
        (ADAPTIVE, "adaptive</thinking_mode><thinking_effort>high</thinking_effort>", ()),
        (
            adaptive(effort=Effort.LOW),
            "adaptive</thinking_mode><thinking_effort>low</thinking_effort>",
            (),
        ),
        (
            adaptive(effort=Effort.MAX),
            "adaptive</thinking_mode><thinking_effort>high</thinking_effort>",
            (Repair.CHANGED_EFFORT,),
        ),
    ],
)
def test_tags(choice: ThinkingChoice, prompt: str, repairs: Collection[Repair]) -> None:
    """Older models are asked in words, with the budget or an effort that the words have."""
    expected = ReasoningPlan(prompt=f"<thinking_mode>{prompt}", repairs=frozenset(repairs))
    assert plan(choice, None, knows_tags=True) == expected


@pytest.mark.parametrize("choice", [ThinkingChoice(), OFF])
def test_no_tags_unasked(choice: ThinkingChoice) -> None:
    """A client that does not ask for thinking gets none."""
    assert plan(choice, None, knows_tags=True) == ReasoningPlan()
