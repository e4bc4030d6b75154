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
        ({"type": "between_tools"}, "low", ThinkingChoice()),
    ],
)
def test_thinking(thinking: JSON, config: JSON, choice: ThinkingChoice) -> None:
    """Every kind, and what is not understood is as if it were not there."""
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
    request = parse_messages_request(json.dumps(body | {"thinking": thinking, "output_config": config}).encode())
    assert request.conversation.thinking == choice
