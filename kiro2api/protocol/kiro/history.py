"""Turns of any order and content as messages that the upstream takes.

The upstream refuses a conversation that breaks one of these rules, and goes on refusing it, as clients send all of it
again each time. They hold for whatever comes out of here:

1. The first message is the user's and carries no tool results.
2. The last message is the user's.
3. The two sides alternate.
4. After tool uses, the next message has a result for each, in their order.
5. Nowhere else are there tool results.
6. No tool use id occurs twice.
7. A message without text has tool uses or tool results.

What the rules have no place for becomes text where it stood; only reasoning, and what is there twice, is left out. A
message depends on what is before it and not on what follows, so that the beginning of a growing conversation stays the
same, byte for byte, which the upstream's prompt cache rewards.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec

from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Text,
    ToolUse,
    UserBlock,
    UserTurn,
)
from kiro2api.protocol.kiro.messages import MessageWriter
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import (
    AssistantMessage,
    ChatMessage,
    UserInputMessage,
    UserMessage,
)

CONTINUE_TEXT = "Continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A conversation that keeps the rules."""

    history: tuple[ChatMessage, ...]
    current: UserInputMessage


def build_transcript(
    turns: Iterable[UserTurn | AssistantTurn], writer: MessageWriter, *, system_text: str
) -> Transcript:
    """``turns`` as messages, with ``system_text`` (empty for none) at the beginning of the first.

    Args:
        turns: In any order, with any content; may be empty.
        writer: A fresh one, whose repairs take what had to be changed.
        system_text: What the model has to know before the conversation.
    """
    users, assistants = _alternate(turns, writer.repairs)
    current = writer.build_user(users[0], ())
    if system_text:
        current = msgspec.structs.replace(current, content=f"{system_text}\n\n{current.content}")
    history: list[ChatMessage] = []
    for said, answer in zip(assistants, users[1:], strict=True):
        assistant, uses = writer.build_assistant(said)
        history.append(UserMessage(user_input_message=current))
        history.append(AssistantMessage(assistant_response_message=assistant))
        current = writer.build_user(answer, uses)
    return Transcript(history=tuple(history), current=current)


def _alternate(
    turns: Iterable[UserTurn | AssistantTurn], repairs: set[Repair]
) -> tuple[list[list[UserBlock]], list[list[AssistantBlock]]]:
    """The blocks of the user's messages, one at least, and of the model's messages between them."""
    users: list[list[UserBlock]] = [[]]
    assistants: list[list[AssistantBlock]] = []
    before: UserTurn | AssistantTurn | None = None
    for turn in turns:
        if type(turn) is type(before):
            repairs.add(Repair.MERGED_TURNS)
        match turn:
            case UserTurn():
                if len(users) == len(assistants):
                    users.append([])
                users[-1].extend(turn.blocks)
            case AssistantTurn():
                if before is None:
                    repairs.add(Repair.PREPENDED_USER_TURN)
                if len(users) > len(assistants):
                    assistants.append([])
                assistants[-1].extend(turn.blocks)
            case _:
                assert_never(turn)
        before = turn
    if len(users) == len(assistants):
        users.append(_build_end(assistants[-1], repairs))
    return users, assistants


def _build_end(said: Sequence[AssistantBlock], repairs: set[Repair]) -> list[UserBlock]:
    """What the user says after the model's last turn: nothing when results are still to be made up."""
    if any(isinstance(block, ToolUse) for block in said):
        return []
    repairs.add(Repair.APPENDED_CONTINUE)
    return [Text(text=CONTINUE_TEXT)]
