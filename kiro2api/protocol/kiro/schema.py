"""The upstream's request as it stands on the wire.

Names, nesting and limits are those of the service's published model. Members without a value are left out; a union
(message, tool, content of a result) is a struct with exactly one member, as the service refuses any other number.
"""

import msgspec

from kiro2api.protocol.jsontext import JSONObject

_PICTURE_PLACE = b"\0"
"""Stands for a picture where it is still to be put in: JSON has no such character."""


class _Wire(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A JSON object in the upstream's spelling."""


class Picture:
    """Base64 text without a ``data:`` prefix, in a type that msgspec does not know: see :func:`encode_wire`."""

    __slots__ = ("data",)

    def __init__(self, data: str) -> None:
        self.data = data


class ImageSource(_Wire, frozen=True, kw_only=True):
    """The picture itself."""

    bytes: Picture


class ImageBlock(_Wire, frozen=True, kw_only=True):
    """A picture beside the text of a user message."""

    format: str
    source: ImageSource


class InputSchema(_Wire, frozen=True, kw_only=True):
    """What a tool takes: ``json`` is a JSON Schema whose root is of type ``object``."""

    json: JSONObject


class ToolSpecification(_Wire, frozen=True, kw_only=True):
    """A tool that the model may use."""

    name: str
    """1 to 64 characters of ``[A-Za-z0-9_-]``; names that differ only in case collide."""
    description: str
    """1 to 10,240 characters."""
    input_schema: InputSchema


class ToolEntry(_Wire, frozen=True, kw_only=True):
    """The union around a tool's specification."""

    tool_specification: ToolSpecification


class ToolUseEntry(_Wire, frozen=True, kw_only=True):
    """A tool use in the history."""

    tool_use_id: str
    """1 to 64 characters of ``[A-Za-z0-9_-]``."""
    name: str
    input: JSONObject


class ToolResultText(_Wire, frozen=True, kw_only=True):
    """The union around one text of a tool result."""

    text: str


class ToolResultEntry(_Wire, frozen=True, kw_only=True):
    """The answer to one tool use of the message before."""

    tool_use_id: str
    status: str
    """``success`` or ``error``."""
    content: tuple[ToolResultText, ...]
    """At least one."""


class UserInputMessageContext(_Wire, frozen=True, kw_only=True):
    """What stands beside the user's words; left out when empty."""

    tools: tuple[ToolEntry, ...] = ()
    """On the current message only."""
    tool_results: tuple[ToolResultEntry, ...] = ()
    """One for each tool use of the message before, in their order."""


class UserInputMessage(_Wire, frozen=True, kw_only=True):
    """The user's words and results."""

    content: str
    """Blank only beside tool results."""
    model_id: str
    origin: str
    images: tuple[ImageBlock, ...] = ()
    """At most 10."""
    user_input_message_context: UserInputMessageContext | None = None


class ReasoningText(_Wire, frozen=True, kw_only=True):
    """Reasoning that can be read, with the signature that came with it."""

    text: str
    signature: str


class ReasoningTextContent(_Wire, frozen=True, kw_only=True):
    """The union around readable reasoning."""

    reasoning_text: ReasoningText


class RedactedContent(_Wire, frozen=True, kw_only=True):
    """The union around reasoning that only the service can read."""

    redacted_content: str
    """Base64."""


type ReasoningContent = ReasoningTextContent | RedactedContent


class AssistantResponseMessage(_Wire, frozen=True, kw_only=True):
    """What the model said before."""

    content: str
    """Blank only beside tool uses."""
    tool_uses: tuple[ToolUseEntry, ...] = ()
    reasoning_content: ReasoningContent | None = None
    """Replayed as it came; the upstream checks it against account, model and conversation."""


class UserMessage(_Wire, frozen=True, kw_only=True):
    """The union around a user's message."""

    user_input_message: UserInputMessage


class AssistantMessage(_Wire, frozen=True, kw_only=True):
    """The union around a message of the model."""

    assistant_response_message: AssistantResponseMessage


type ChatMessage = UserMessage | AssistantMessage


class ConversationState(_Wire, frozen=True, kw_only=True):
    """Everything that the model is to see."""

    chat_trigger_type: str
    agent_task_type: str
    conversation_id: str
    """1 to 128 characters."""
    agent_continuation_id: str
    """36 characters in the form of a UUID."""
    current_message: UserMessage
    history: tuple[ChatMessage, ...] = ()


class GenerateAssistantResponseRequest(_Wire, frozen=True, kw_only=True):
    """The body of the request."""

    conversation_state: msgspec.Raw
    """An encoded :class:`ConversationState`: it is the same in each attempt."""
    profile_arn: str | None = None
    """The profile of the attempt's credential; left out for credentials that have none."""
    additional_model_request_fields: JSONObject | None = None
    """What the model's own schema lists, and nothing else."""


def encode_wire(value: _Wire) -> bytes:
    """``value`` as compact JSON in UTF-8; its pictures go round the encoder, which would hold up all other threads."""
    pictures: list[Picture] = []

    def take_out(picture: Picture) -> msgspec.Raw:
        pictures.append(picture)
        return msgspec.Raw(_PICTURE_PLACE)

    data = msgspec.json.encode(value, enc_hook=take_out)
    if not pictures:
        return data
    first, *others = data.split(_PICTURE_PLACE)
    pieces = [first]
    for picture, piece in zip(pictures, others, strict=True):
        pieces += (b'"', picture.data.encode(), b'"', piece)
    return b"".join(pieces)
