"""How the upstream is asked to think: in the fields that the model's schema lists, or in words.

Newer models list what their requests may carry; of the client's wishes goes there what the schema admits, exactly or
as near as it gets, and nothing else, as the upstream refuses all else. Older Claude models, which list nothing, know
tags at the beginning of the system text and write their reasoning between tags in the answer. For other models there
is no way. What does not get through as it was asked for is among the repairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingDisplay, ThinkingMode
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.modelfields import Schema, admits, clamp, find_property
from kiro2api.protocol.kiro.repairs import Repair

DEFAULT_BUDGET: Final = 16_000
"""Model tokens of thinking for a client that asks for it and names no number."""
LOW_BUDGET: Final = 4_000
"""Model tokens; a budget up to here is a low effort where there are efforts only."""
MEDIUM_BUDGET: Final = 16_000
"""The same for a medium one; what is more is a high one."""

_EFFORT_TAG: Final = "<thinking_effort>"
_TAG_EFFORTS: Final = (Effort.LOW, Effort.MEDIUM, Effort.HIGH)
"""Those that the tags know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningPlan:
    """What a request says about thinking."""

    fields: JSONObject = field(default_factory=dict, hash=False)
    """``additionalModelRequestFields``; empty when there are none."""
    prompt: str = ""
    """The beginning of the system text; set exactly if the answer may have its reasoning between tags."""
    repairs: frozenset[Repair] = frozenset()


def plan_reasoning(
    choice: ThinkingChoice, *, max_tokens: int | None, schema: Schema | None, knows_tags: bool
) -> ReasoningPlan:
    """How the client's wishes get to the model.

    Args:
        choice: The wishes.
        max_tokens: The longest answer that the client wants; it travels in the same place.
        schema: What the model's requests may carry, a JSON schema; ``None`` for nothing.
        knows_tags: Whether the model can be asked in words.
    """
    planner = _Planner(choice, schema or {})
    planner.plan_thinking(knows_tags=knows_tags)
    planner.plan_effort()
    planner.plan_max_tokens(max_tokens)
    return planner.finish()


class _Planner:
    def __init__(self, choice: ThinkingChoice, schema: Schema) -> None:
        self._choice = choice
        self._schema = schema
        self._thinking = find_property(schema, "thinking")
        self._reasoning = find_property(schema, "reasoning")
        self._fields: JSONObject = {}
        self._prompt = ""
        self._repairs: set[Repair] = set()

    def plan_thinking(self, *, knows_tags: bool) -> None:
        """Whether to think; models with ``reasoning`` do so by themselves, and are told how much."""
        mode = self._choice.mode
        if mode is ThinkingMode.OFF:
            self._turn_off()
        elif mode is not ThinkingMode.UNSET and self._thinking is not None:
            self._turn_on(self._thinking)
        elif mode is not ThinkingMode.UNSET and self._reasoning is None:
            if knows_tags:
                self._prompt = _write_tags(self._choice)
            else:
                self._repairs.add(Repair.IGNORED_THINKING)

    def plan_effort(self) -> None:
        """How much to think, and to write."""
        wanted = self._choice.effort or self._derive_effort()
        if wanted is None or (self._choice.mode is ThinkingMode.OFF and self._reasoning is not None):
            return
        name = "reasoning" if self._reasoning is not None else "output_config"
        holder = find_property(self._schema, name)
        admitted = (effort for effort in _list_nearest(wanted) if admits(holder, {"effort": effort.value}))
        chosen = next(admitted, None)
        if chosen is not None:
            self._fields[name] = {"effort": chosen.value}
        if self._choice.effort is None or chosen is wanted or f"{_EFFORT_TAG}{wanted.value}<" in self._prompt:
            return
        is_carried = chosen is not None or _EFFORT_TAG in self._prompt
        self._repairs.add(Repair.CHANGED_EFFORT if is_carried else Repair.IGNORED_EFFORT)

    def plan_max_tokens(self, max_tokens: int | None) -> None:
        """How long the answer may be; without a place for it nothing enforces that, which no request has to be told."""
        schema = find_property(self._schema, "max_tokens")
        if schema is None or not max_tokens:
            return
        clamped = clamp(schema, max_tokens)
        if admits(schema, clamped):
            self._fields["max_tokens"] = clamped
        if clamped != max_tokens:
            self._repairs.add(Repair.CHANGED_MAX_TOKENS)

    def finish(self) -> ReasoningPlan:
        """The plan; without fields when the schema does not admit them all together."""
        if self._fields and not admits(self._schema, self._fields):
            self._fields = {}
            self._repairs.add(Repair.DROPPED_MODEL_FIELDS)
        return ReasoningPlan(fields=self._fields, prompt=self._prompt, repairs=frozenset(self._repairs))

    def _turn_off(self) -> None:
        """Some models cannot: those say so by not listing the value."""
        if self._thinking is not None and _names(self._thinking, "type", "disabled"):
            self._fields["thinking"] = {"type": "disabled"}
        elif self._reasoning is not None and _names(self._reasoning, "effort", "none"):
            self._fields["reasoning"] = {"effort": "none"}
        elif self._thinking is not None or self._reasoning is not None:
            self._repairs.add(Repair.IGNORED_THINKING)

    def _turn_on(self, schema: Schema) -> None:
        choice = self._choice
        admitted = (value for value in _list_thinking(choice, schema) if admits(schema, value))
        chosen = next(admitted, None)
        if chosen is None:
            self._repairs.add(Repair.IGNORED_THINKING)
            return
        self._fields["thinking"] = chosen
        wanted: JSONObject = {"type": choice.mode.value}
        if choice.budget is not None:
            wanted["budget_tokens"] = choice.budget
        if choice.display is not None:
            wanted["display"] = choice.display.value
        if chosen | wanted != chosen:
            self._repairs.add(Repair.CHANGED_THINKING)

    def _derive_effort(self) -> Effort | None:
        """The effort that a budget means to a model that knows no budgets."""
        budget, thinking = self._choice.budget, self._fields.get("thinking")
        if budget is None or (isinstance(thinking, dict) and "budget_tokens" in thinking):
            return None
        if budget <= LOW_BUDGET:
            return Effort.LOW
        return Effort.MEDIUM if budget <= MEDIUM_BUDGET else Effort.HIGH


def _list_thinking(choice: ThinkingChoice, schema: Schema) -> Iterator[JSONObject]:
    """The ways to say it, the best first."""
    displays = [choice.display or ThinkingDisplay.SUMMARIZED]
    if choice.display is ThinkingDisplay.UPDATES:
        displays.append(ThinkingDisplay.SUMMARIZED)
    kinds: list[JSONObject] = [{"type": "adaptive"}]
    budget = find_property(schema, "budget_tokens")
    if choice.mode is ThinkingMode.ENABLED and budget is not None:
        kinds.insert(0, {"type": "enabled", "budget_tokens": clamp(budget, choice.budget or DEFAULT_BUDGET)})
    for kind in kinds:
        yield from ({**kind, "display": display.value} for display in displays)
        yield kind


def _list_nearest(wanted: Effort) -> list[Effort]:
    """All efforts, the nearest first, and of two that are equally near the greater one."""
    efforts = list(Effort)
    place = efforts.index(wanted)
    return sorted(efforts, key=lambda effort: (abs(efforts.index(effort) - place), -efforts.index(effort)))


def _names(schema: Schema, name: str, value: str) -> bool:
    """Whether ``schema`` lists ``value`` for its property ``name``, rather than leaving that open."""
    return admits(schema, {name: value}) and not admits(schema, {name: ""})


def _write_tags(choice: ThinkingChoice) -> str:
    if choice.mode is ThinkingMode.ENABLED:
        budget = choice.budget or DEFAULT_BUDGET
        return f"<thinking_mode>enabled</thinking_mode><max_thinking_length>{budget}</max_thinking_length>"
    effort = choice.effort if choice.effort in _TAG_EFFORTS else Effort.HIGH
    return f"<thinking_mode>adaptive</thinking_mode>{_EFFORT_TAG}{effort.value}</thinking_effort>"
