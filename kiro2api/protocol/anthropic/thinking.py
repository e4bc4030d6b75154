"""``thinking`` and ``output_config`` of a Messages request.

A value that is not understood is left out and noted: clients send new ones before anybody here knows them, and an
answer without them is a legal one.
"""

import enum
from collections.abc import Iterator

from kiro2api.protocol.anthropic.schema import Message, MessagesBody
from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingDisplay, ThinkingMode

_MODES = {
    "enabled": ThinkingMode.ENABLED,
    "adaptive": ThinkingMode.ADAPTIVE,
    "disabled": ThinkingMode.OFF,
    "between_tools": ThinkingMode.OFF,
}
"""The last one is off too, but for the form in which what the model writes between tools comes back."""


def read_thinking(request: MessagesBody) -> ThinkingChoice:
    """What the request says about reasoning and effort, as far as it is understood.

    The effort may change in the course of the conversation: what a system message says of it holds from there on.
    """
    thinking = _as_object(request.thinking)
    mode = _read_mode(thinking.get("type"))
    budget = thinking.get("budget_tokens")
    has_budget = mode is ThinkingMode.ENABLED and type(budget) is int and budget > 0
    return ThinkingChoice(
        mode=mode,
        budget=budget if has_budget and isinstance(budget, int) else None,
        display=_find(ThinkingDisplay, thinking.get("display")),
        effort=next((effort for value in _list_efforts(request) if (effort := _find(Effort, value))), None),
    )


def find_ignored_thinking(request: MessagesBody) -> Iterator[str]:
    """Names of the fields that say something about reasoning and effort that is not understood."""
    choice = read_thinking(request)
    if request.thinking is not None and choice.mode is ThinkingMode.UNSET:
        yield "thinking"
    if _as_object(request.thinking).get("type") == "between_tools":
        yield "thinking.between_tools"
    if choice.effort is None and any(True for _ in _list_efforts(request)):
        yield "output_config.effort"


def _list_efforts(request: MessagesBody) -> Iterator[object]:
    """All that are named, the latest first."""
    systems = [message for message in reversed(request.messages) if message.role == "system"]
    parts: list[Message | MessagesBody] = [*systems, request]
    for part in parts:
        effort = _as_object(part.output_config).get("effort")
        if effort is not None:
            yield effort


def _read_mode(kind: object) -> ThinkingMode:
    return _MODES.get(kind, ThinkingMode.UNSET) if isinstance(kind, str) else ThinkingMode.UNSET


def _find[E: enum.Enum](choices: type[E], value: object) -> E | None:
    return next((choice for choice in choices if choice.value == value), None)


def _as_object(value: object) -> dict[object, object]:
    return value if isinstance(value, dict) else {}
