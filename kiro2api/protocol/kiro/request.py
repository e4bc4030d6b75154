"""The upstream's request, built from a conversation.

The system text stands at the beginning of the first user message, as the upstream has no place of its own for it. What
the client demands for this turn alone (to use a tool or none, to answer in JSON) stands at the end of the current
message.
The conversation is encoded once; each attempt adds its credential's profile.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Text,
    ToolChoiceMode,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.jsontext import JSONObject, encode_json
from kiro2api.protocol.kiro.history import build_transcript
from kiro2api.protocol.kiro.instructions import build_format_instruction, build_instruction, build_system_text
from kiro2api.protocol.kiro.messages import MessageWriter
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair, list_repairs
from kiro2api.protocol.kiro.schema import (
    ConversationState,
    GenerateAssistantResponseRequest,
    ToolEntry,
    UserInputMessage,
    UserInputMessageContext,
    UserMessage,
    encode_wire,
)
from kiro2api.protocol.kiro.sizes import find_size_warnings
from kiro2api.protocol.kiro.tools import build_long_descriptions, build_tool_declarations
from kiro2api.protocol.kiro.truncations import CutRun, build_cut_text

CHAT_TRIGGER_TYPE = "MANUAL"
AGENT_TASK_TYPE = "vibe"

_STATE_PLACE = b"null"
"""Stands for the conversation in an envelope: megabytes are joined to it faster than encoded into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """A request that each attempt sends with its own credential."""

    tool_names: ToolNames
    """For the names in the answer."""
    tools: tuple[ToolEntry, ...]
    """All that are declared, as they stand in the conversation."""
    repairs: tuple[str, ...]
    """What had to be changed, each once, in a fixed order; not those of the conversation."""
    conversation_state: bytes
    """Encoded: the same in each attempt."""

    def encode(self, *, profile_arn: str | None, model_fields: JSONObject | None = None) -> bytes:
        """The body, compact JSON in UTF-8, for a credential with this profile; ``model_fields`` as the model lists."""
        envelope = encode_json(
            GenerateAssistantResponseRequest(
                conversation_state=msgspec.Raw(_STATE_PLACE),
                profile_arn=profile_arn,
                additional_model_request_fields=model_fields or None,
            )
        )
        head, _, tail = envelope.partition(_STATE_PLACE)
        return b"".join((head, self.conversation_state, tail))


def build_request(  # noqa: PLR0913  what one request depends on, keyword-only
    conversation: Conversation,
    *,
    model_id: str,
    conversation_id: str,
    max_tool_description_length: int,
    replay_origin: str | None = None,
    cut_run: CutRun | None = None,
) -> UpstreamRequest:
    """The request for the model's next turn in ``conversation``, whatever its turns look like.

    Args:
        conversation: Strings without surrogates.
        model_id: The upstream's id of the model.
        conversation_id: 1 to 128 characters, the same for all requests of one session.
        max_tool_description_length: In characters; a longer description goes to the system text.
        replay_origin: Whose reasoning in the history goes along; ``None`` for nobody's.
        cut_run: Which of the tool calls in answers to this conversation were cut.
    """
    repairs: set[Repair] = set()
    used = _list_used_tools(conversation)
    names = ToolNames((tool.name for tool in conversation.tools), used)
    if names.has_aliases():
        repairs.add(Repair.RENAMED_TOOL)
    offered = () if conversation.tool_choice.mode is ToolChoiceMode.NONE else conversation.tools
    limit = max_tool_description_length
    tools = build_tool_declarations(offered, used, names, max_description_length=limit, repairs=repairs)
    long = build_long_descriptions(conversation.tools, names, max_description_length=limit, repairs=repairs)
    transcript = build_transcript(
        conversation.turns,
        MessageWriter(model_id=model_id, names=names, repairs=repairs, replay_origin=replay_origin),
        system_text=build_system_text(conversation, long, repairs),
    )
    instruction = build_instruction(conversation, used, names, repairs)
    form = build_format_instruction(conversation.answer_format, repairs)
    cut_text = build_cut_text(cut_run, conversation, names, repairs)
    current = UserMessage(user_input_message=_complete(transcript.current, tools, cut_text, instruction, form))
    state = encode_wire(
        ConversationState(
            chat_trigger_type=CHAT_TRIGGER_TYPE,
            agent_task_type=AGENT_TASK_TYPE,
            conversation_id=conversation_id,
            agent_continuation_id=build_continuation_id(conversation_id, conversation.turns),
            current_message=current,
            history=transcript.history,
        )
    )
    repairs |= find_size_warnings(state, (*transcript.history, current), len(tools))
    return UpstreamRequest(tool_names=names, tools=tools, repairs=list_repairs(repairs), conversation_state=state)


def build_continuation_id(conversation_id: str, turns: Sequence[UserTurn | AssistantTurn]) -> str:
    """A UUID (version 8) that lasts until the user speaks again.

    Tool results, with or without words beside them, do not count as speaking: one id holds for all requests in which
    the model works on one question.
    """
    words = ""
    count = 0
    for turn in turns:
        if isinstance(turn, UserTurn) and (said := _list_words(turn)):
            words = "\n".join(said)
            count += 1
    seed = f"{conversation_id}\0{count}\0{words}"
    digest = hashlib.sha256(seed.encode(errors="replace")).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[12:15]}-a{digest[15:18]}-{digest[18:30]}"


def _list_words(turn: UserTurn) -> list[str]:
    """The texts of ``turn``; none when it brings tool results."""
    if any(isinstance(block, ToolResult) for block in turn.blocks):
        return []
    return [block.text for block in turn.blocks if isinstance(block, Text)]


def _list_used_tools(conversation: Conversation) -> list[str]:
    """The client's names of the tools in the history, each once, in their order."""
    names = (
        block.name
        for turn in conversation.turns
        if isinstance(turn, AssistantTurn)
        for block in turn.blocks
        if isinstance(block, ToolUse)
    )
    return list(dict.fromkeys(names))


def _complete(message: UserInputMessage, tools: tuple[ToolEntry, ...], *instructions: str) -> UserInputMessage:
    """``message`` as the current one: with all tools, and with what goes for this turn alone."""
    context = msgspec.structs.replace(message.user_input_message_context or UserInputMessageContext(), tools=tools)
    texts = [text for text in (message.content, *instructions) if text]
    return msgspec.structs.replace(
        message,
        content="\n\n".join(texts),
        user_input_message_context=context if tools or context.tool_results else None,
    )
