"""How much OpenAI's clients want the model to reason."""

from kiro2api.protocol.conversation import Effort, ThinkingChoice, ThinkingMode

_OFF = frozenset({"none", "minimal"})


def read_effort(effort: object) -> ThinkingChoice | None:
    """What a reasoning effort asks for, ``None`` (or ``null``) being nothing; ``None`` if it is not understood."""
    if effort is None:
        return ThinkingChoice()
    if isinstance(effort, str) and effort in _OFF:
        return ThinkingChoice(mode=ThinkingMode.OFF)
    known = next((known for known in Effort if known.value == effort), None)
    return None if known is None else ThinkingChoice(mode=ThinkingMode.ADAPTIVE, effort=known)
