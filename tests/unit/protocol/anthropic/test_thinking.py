"""What a Messages request says about reasoning and effort."""

import json

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingDisplay, ThinkingMode
from kiro2api.protocol.jsontext import JSON

ENABLED = ThinkingMode.ENABLED


@pytest.mark.parametrize(
    ("thinking", "config", "choice"),
    [
        (None, None, ThinkingChoice()),
        ({"type": "enabled", "budget_tokens": 2048}, None, ThinkingChoice(mode=ENABLED, budget=2048)),
        ({"type": "enabled", "budget_tokens": 0}, None, ThinkingChoice(mode=ENABLED)),
        ({"type": "enabled", "budget_tokens": True}, None, ThinkingChoice(mode=ENABLED)),
        ({"type": "enabled"}, {"effort": "low"}, ThinkingChoice(mode=ENABLED, effort=Effort.LOW)),
        ({"type": "disabled"}, {"effort": "max"}, ThinkingChoice(mode=ThinkingMode.OFF, effort=Effort.MAX)),
        (
            {"type": "adaptive", "display": "omitted", "budget_tokens": 5},
            {"effort": ["low"]},
            ThinkingChoice(mode=ThinkingMode.ADAPTIVE, display=ThinkingDisplay.OMITTED),
        ),
        ({"type": "between_tools"}, "low", ThinkingChoice(mode=ThinkingMode.OFF)),
        ({"type": "between_minds"}, {"effort": None}, ThinkingChoice()),
    ],
)
def test_thinking(thinking: JSON, config: JSON, choice: ThinkingChoice) -> None:
    """Every kind, and what is not understood is as if it were not there."""
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    request = parse_messages_request(json.dumps(body | {"thinking": thinking, "output_config": config}).encode())
    assert request.conversation.thinking == choice


@pytest.mark.parametrize(
    ("thinking", "repairs"),
    [({"type": "between_tools"}, ("ignored:thinking.between_tools",)), ({"type": "new"}, ("ignored:thinking",))],
)
def test_what_is_not_done_is_noted(thinking: JSON, repairs: tuple[str, ...]) -> None:
    """What the model writes between tools stays text; what nobody knows has no effect."""
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}], "thinking": thinking}
    assert parse_messages_request(json.dumps(body).encode()).conversation.repairs == repairs


@pytest.mark.parametrize(
    ("efforts", "effort", "repairs"),
    [
        (["low", None, None], Effort.LOW, ()),
        (["low", "high", None], Effort.HIGH, ()),
        (["low", "high", "max"], Effort.MAX, ()),
        (["low", "high", "new"], Effort.HIGH, ()),
        ([None, "new", None], None, ("ignored:output_config.effort",)),
    ],
)
def test_effort_changes_in_the_course_of_a_conversation(
    efforts: list[JSON], effort: Effort | None, repairs: tuple[str, ...]
) -> None:
    """The latest that is known counts; only system messages have a say."""
    whole, first, second = ({"effort": value} for value in efforts)
    messages: list[JSON] = [
        {"role": "user", "content": "Hi", "output_config": {"effort": "medium"}},
        {"role": "system", "content": "Be quick.", "output_config": first},
        {"role": "assistant", "content": "Yes"},
        {"role": "system", "content": "Be slow.", "output_config": second},
        {"role": "system", "content": "Be."},
    ]
    body = {"model": "m", "max_tokens": 1, "messages": messages, "output_config": whole}
    conversation = parse_messages_request(json.dumps(body).encode()).conversation
    assert (conversation.thinking, conversation.repairs) == (ThinkingChoice(effort=effort), repairs)
