"""The pivot: a client's request in words that belong to no dialect and to no upstream.

Each dialect translates its requests into a :class:`Conversation`; the upstream's request is built from one. Everything
here is a value: immutable, comparable, printable. Nothing here is checked against the upstream's rules; the builder of
the upstream request repairs what those rules forbid.
"""

import enum
from dataclasses import dataclass, field

from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSONObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words; may be empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture as base64 text; its format is what its first bytes say, whatever the client declared."""

    format: ImageFormat
    data: str
    """Standard base64 with padding, no ``data:`` prefix, no white space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """The model's reasoning as a client returns it in history."""

    text: str
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedThinking:
    """Reasoning that only the service can read."""

    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUse:
    """The model's call of a tool."""

    tool_use_id: str
    name: str
    input: JSONObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The client's answer to a tool use."""

    tool_use_id: str
    content: tuple[Text | Image, ...]
    is_error: bool = False


type UserBlock = Text | Image | ToolResult
type AssistantBlock = Text | Thinking | RedactedThinking | ToolUse


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTurn:
    """One contribution of the user, tool results included."""

    blocks: tuple[UserBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantTurn:
    """One contribution of the model."""

    blocks: tuple[AssistantBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that the model may use."""

    name: str
    description: str
    input_schema: JSONObject


class ToolChoiceMode(enum.Enum):
    """How far the model is free to use tools."""

    AUTO = "auto"
    ANY = "any"
    """At least one tool, whichever."""
    NAMED = "named"
    """The tool called ``name``."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """What the client says about the use of tools."""

    mode: ToolChoiceMode = ToolChoiceMode.AUTO
    name: str | None = None
    """Set for ``NAMED`` only."""
    parallel: bool = True
    """Whether the model may use several tools at once."""


class ThinkingMode(enum.Enum):
    """Whether the model is to reason before it answers."""

    UNSET = "unset"
    """The client says nothing: the model does as it is used to."""
    OFF = "off"
    ADAPTIVE = "adaptive"
    """As far as the model finds it worth it."""
    ENABLED = "enabled"


class ThinkingDisplay(enum.Enum):
    """How much of the reasoning the client wants to see."""

    SUMMARIZED = "summarized"
    OMITTED = "omitted"
    """Signatures only."""
    UPDATES = "updates"


class Effort(enum.Enum):
    """How much work goes into an answer, the least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingChoice:
    """What the client says about reasoning and effort."""

    mode: ThinkingMode = ThinkingMode.UNSET
    budget: int | None = None
    """Model tokens of reasoning, at least 1; set for ``ENABLED`` only."""
    display: ThinkingDisplay | None = None
    effort: Effort | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFormat:
    """What the client says about the form of the answer: JSON, and nothing around it."""

    schema: JSONObject | None = None
    """The JSON schema that it fits; ``None`` for any JSON object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """All that a client asks for in one request."""

    model: str
    """As the client spelled it; answers repeat it."""
    turns: tuple[UserTurn | AssistantTurn, ...]
    """In the client's order; need not alternate, begin with the user or end with them."""
    system: tuple[str, ...] = ()
    """System prompts in their order, blocks kept apart."""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    thinking: ThinkingChoice = field(default_factory=ThinkingChoice)
    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    """Non-empty strings."""
    answer_format: AnswerFormat | None = None
    """``None``: words, as the model likes."""
    session_id: str | None = None
    """The client's own name for the session that this request belongs to."""
    repairs: tuple[str, ...] = ()
    """Names of what the dialect left out or changed on the way (``dropped_server_tool``): for the log."""
