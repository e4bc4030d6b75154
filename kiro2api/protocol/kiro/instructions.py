"""What the upstream has no place for, as words: system prompts, demands about tools, and about the answer's form.

The system text begins the first message and is the same in all requests of a session, whatever this turn's demand:
what the upstream has read once it need not read again. So of a demand, only the rule against several tools at once
stands there, which a client sets for good; what it demands for one turn stands at the end of that turn's words.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never

from kiro2api.protocol.conversation import AnswerFormat, Conversation, ToolChoiceMode
from kiro2api.protocol.jsontext import encode_json
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair

SERIAL_TEXT = "Use at most one tool at a time."
ANY_TOOL_TEXT = "You must use at least one tool."
NO_TOOL_TEXT = "Do not use any tool."
JSON_TEXT = "Your answer must be JSON alone: no code fence, and no words before or after it."
OBJECT_TEXT = "It must be one JSON object."
SCHEMA_TEXT = "It must fit this JSON schema:"

BILLING_MARK = "x-anthropic-billing-header:"
"""Begins a line that Claude Code puts before its system prompt, and that need not be the same in the next request."""


def build_system_text(conversation: Conversation, long_descriptions: Iterable[str], repairs: set[Repair]) -> str:
    """The client's system prompts, then ``long_descriptions``, then the rule; may be empty."""
    parts: list[str] = []
    for text in conversation.system:
        if text.startswith(BILLING_MARK):
            repairs.add(Repair.DROPPED_BILLING_LINE)
            parts.append(text.partition("\n")[2])
        else:
            parts.append(text)
    parts += long_descriptions
    if conversation.tools and not conversation.tool_choice.parallel:
        repairs.add(Repair.EMULATED_SERIAL_TOOLS)
        parts.append(SERIAL_TEXT)
    return "\n\n".join(text for text in parts if text.strip())


def build_instruction(conversation: Conversation, used: Sequence[str], names: ToolNames, repairs: set[Repair]) -> str:
    """The sentence that stands in for a tool choice; may be empty.

    Args:
        conversation: Whose choice it is.
        used: The client's names of the tools in its history, which are declared even when none is to be used.
        names: Knows all names.
        repairs: Takes what became of the choice.
    """
    match conversation.tool_choice.mode:
        case ToolChoiceMode.AUTO:
            return ""
        case ToolChoiceMode.NONE:
            if not used:
                return ""  # none is declared either
            sentence = NO_TOOL_TEXT
        case ToolChoiceMode.ANY:
            sentence = ANY_TOOL_TEXT if conversation.tools else ""
        case ToolChoiceMode.NAMED:
            name = conversation.tool_choice.name or ""
            is_declared = any(tool.name == name for tool in conversation.tools)
            sentence = f'You must use the tool "{names.to_upstream(name)}".' if is_declared else ""
        case _:
            assert_never(conversation.tool_choice.mode)
    repairs.add(Repair.EMULATED_TOOL_CHOICE if sentence else Repair.DROPPED_TOOL_CHOICE)
    return sentence


def build_format_instruction(answer_format: AnswerFormat | None, repairs: set[Repair]) -> str:
    """The paragraph that stands in for a form of the answer; empty without one."""
    if answer_format is None:
        return ""
    repairs.add(Repair.EMULATED_ANSWER_FORMAT)
    if answer_format.schema is None:
        return f"{JSON_TEXT} {OBJECT_TEXT}"
    return f"{JSON_TEXT} {SCHEMA_TEXT} {encode_json(answer_format.schema).decode()}"


def build_correction(reason: str) -> str:
    """What the model is told of an answer that had not the form; the form itself is said again behind it."""
    return f"This answer has not the form that was asked for: {reason}. Give the whole answer again."
