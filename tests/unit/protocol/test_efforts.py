"""Reasoning efforts of OpenAI's clients."""

import json

import pytest

from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingMode
from kiro2api.protocol.efforts import read_effort
from kiro2api.protocol.openai.request import parse_chat_request


@pytest.mark.parametrize("effort", Effort)
def test_efforts(effort: Effort) -> None:
    """An effort is a wish to reason that much."""
    assert read_effort(effort.value) == ThinkingChoice(mode=ThinkingMode.ADAPTIVE, effort=effort)


@pytest.mark.parametrize(
    ("effort", "choice"),
    [
        (None, ThinkingChoice()),
        ("none", ThinkingChoice(mode=ThinkingMode.OFF)),
        ("minimal", ThinkingChoice(mode=ThinkingMode.OFF)),
        ("utmost", None),
        (["low"], None),
    ],
)
def test_other_words(effort: object, choice: ThinkingChoice | None) -> None:
    """The two least are a wish not to reason; what is not understood is told apart from nothing."""
    assert read_effort(effort) == choice
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": effort}
    conversation = parse_chat_request(json.dumps(body).encode()).conversation
    assert conversation.thinking == (choice or ThinkingChoice())
