"""A request of the service that has passed the checks, as far as the small model reads it."""

from typing import Any

import msgspec

from kiro2api.protocol.jsontext import JSON

# msgspec cannot look into a type that contains itself, so JSON of any shape is Any here.
type AnyObject = dict[str, Any]


class Schema(msgspec.Struct):
    """The holder of a tool's JSON schema."""

    json: AnyObject


class Specification(msgspec.Struct, rename="camel"):
    """One tool."""

    name: str
    description: str
    input_schema: Schema


class Tool(msgspec.Struct, rename="camel"):
    """The union that holds one tool."""

    tool_specification: Specification


class ToolUse(msgspec.Struct, rename="camel"):
    """A tool use of an earlier answer."""

    name: str
    input: AnyObject


class ToolResult(msgspec.Struct, rename="camel"):
    """The client's answer to a tool use."""

    tool_use_id: str
    content: list[AnyObject]
    status: str | None = None

    def text(self) -> str:
        """The blocks as text, JSON as its source."""
        return " ".join(
            value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for block in self.content
            for value in block.values()
        )


class Context(msgspec.Struct, rename="camel"):
    """What comes with a user's message."""

    tools: list[Tool] | None = None
    tool_results: list[ToolResult] | None = None


class Image(msgspec.Struct):
    """A picture; its bytes are left alone."""

    format: str


class UserMessage(msgspec.Struct, rename="camel"):
    """A user's message."""

    content: str
    model_id: str | None = None
    images: list[Image] | None = None
    user_input_message_context: Context | None = None

    @property
    def tools(self) -> list[Specification]:
        context = self.user_input_message_context or Context()
        return [tool.tool_specification for tool in context.tools or ()]

    @property
    def tool_results(self) -> list[ToolResult]:
        context = self.user_input_message_context or Context()
        return context.tool_results or []


class AssistantMessage(msgspec.Struct, rename="camel"):
    """An earlier answer."""

    content: str
    tool_uses: list[ToolUse] | None = None


class ChatMessage(msgspec.Struct, rename="camel"):
    """The union of the two; exactly one is set."""

    user_input_message: UserMessage | None = None
    assistant_response_message: AssistantMessage | None = None


class CurrentMessage(msgspec.Struct, rename="camel"):
    """The message to answer."""

    user_input_message: UserMessage


class ConversationState(msgspec.Struct, rename="camel"):
    """The conversation."""

    current_message: CurrentMessage
    history: list[ChatMessage] | None = None


class Request(msgspec.Struct, rename="camel"):
    """The body of a generate call."""

    conversation_state: ConversationState
    profile_arn: str | None = None
    additional_model_request_fields: AnyObject | None = None

    def read_field(self, name: str) -> AnyObject:
        """An object among the additional fields; empty when it is absent."""
        value = (self.additional_model_request_fields or {}).get(name)
        return value if isinstance(value, dict) else {}

    @property
    def current(self) -> UserMessage:
        return self.conversation_state.current_message.user_input_message

    @property
    def history(self) -> list[ChatMessage]:
        return self.conversation_state.history or []

    @property
    def user_messages(self) -> list[UserMessage]:
        """All of them, the current one last."""
        earlier = [entry.user_input_message for entry in self.history]
        return [message for message in [*earlier, self.current] if message is not None]


def read_request(body: JSON) -> Request:
    """The request in a body that has passed the checks."""
    return msgspec.convert(body, Request)
