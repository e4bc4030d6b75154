"""The body of a chat completion request as its fields and types.

Unknown fields are skipped and ``null`` counts as absent wherever a field is optional; what is used must have its exact
type, no text is taken for a number. Unknown roles, parts and tools are read as far as their type, so that the
translation can name them. Each union has a tag of its own, marked, so that paths in errors are in the client's words.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    FailFast,
    Field,
    Tag,
)

from kiro2api.protocol.bodies import MARK, UNKNOWN, Fields, Name, read_fields, require_list, tag_by_type
from kiro2api.protocol.jsontext import JSONObject


def _tag_by_role(value: object) -> str:
    match value:
        case {"role": "system" | "developer"}:
            return "|system"
        case {"role": "user" | "assistant" | "tool" | "function" as role}:
            return f"{MARK}{role}"
        case _:
            return UNKNOWN


def _tag_choice(value: object) -> str:
    match value:
        case str():
            return "|mode"
        case {"type": "function" | "custom" | "allowed_tools" as name}:
            return f"{MARK}{name}"
        case _:
            return UNKNOWN


def _tag_function_choice(value: object) -> str:
    return "|mode" if isinstance(value, str) else "|name"


def _text_as_part(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else require_list(value)


def _text_as_list(value: object) -> object:
    return [value] if isinstance(value, str) else require_list(value)


class TextPart(Fields):
    """Words."""

    text: str


class RefusalPart(Fields):
    """Words with which the model refused."""

    refusal: str


class ImageURL(Fields):
    """Where a picture is: a ``data:`` URL, or one that is never fetched."""

    url: str


class ImagePart(Fields):
    """A picture."""

    image_url: ImageURL


class File(Fields):
    """A file by value (a ``data:`` URL) or by an id that is unknown here."""

    file_data: str | None = None
    filename: str | None = None


class FilePart(Fields):
    """A file."""

    file: File


class UnknownPart(Fields):
    """A content part that is no part of this schema."""

    type: str


Part = Annotated[
    Annotated[TextPart, Tag("|text")]
    | Annotated[RefusalPart, Tag("|refusal")]
    | Annotated[ImagePart, Tag("|image_url")]
    | Annotated[FilePart, Tag("|file")]
    | Annotated[UnknownPart, Tag(UNKNOWN)],
    Discriminator(tag_by_type("text", "refusal", "image_url", "file", untyped="function")),
]
Content = Annotated[list[Part], FailFast(), BeforeValidator(_text_as_part)]


class FunctionCall(Fields):
    """A function's name and its arguments as JSON text."""

    name: Name
    arguments: str | None = None


class FunctionToolCall(Fields):
    """The model's call of a function."""

    id: str
    function: FunctionCall


class CustomCall(Fields):
    """A custom tool's name and its input as free text."""

    name: Name
    input: str


class CustomToolCall(Fields):
    """The model's call of a custom tool."""

    id: str
    custom: CustomCall


class UnknownToolCall(Fields):
    """A call of a tool that is no part of this schema."""

    type: str


ToolCall = Annotated[
    Annotated[FunctionToolCall, Tag("|function")]
    | Annotated[CustomToolCall, Tag("|custom")]
    | Annotated[UnknownToolCall, Tag(UNKNOWN)],
    Discriminator(tag_by_type("function", "custom", untyped="function")),
]


class SystemMessage(Fields):
    """Role ``system`` or ``developer``."""

    content: Content


class UserMessage(Fields):
    """Role ``user``."""

    content: Content


class AssistantMessage(Fields):
    """Role ``assistant``."""

    content: Content | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: Annotated[list[ToolCall], FailFast()] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(Fields):
    """Role ``tool``."""

    tool_call_id: str
    content: Content | None = None


class FunctionMessage(Fields):
    """Role ``function``, the old form of ``tool``."""

    name: Name
    content: Content | None = None


class UnknownMessage(Fields):
    """A message whose role is no part of this schema."""

    role: str


Message = Annotated[
    Annotated[SystemMessage, Tag("|system")]
    | Annotated[UserMessage, Tag("|user")]
    | Annotated[AssistantMessage, Tag("|assistant")]
    | Annotated[ToolMessage, Tag("|tool")]
    | Annotated[FunctionMessage, Tag("|function")]
    | Annotated[UnknownMessage, Tag(UNKNOWN)],
    Discriminator(_tag_by_role),
]


class Function(Fields):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionTool(Fields):
    """A tool that takes a JSON object."""

    function: Function


class Custom(Fields):
    """A custom tool's name and purpose."""

    name: Name
    description: str | None = None


class CustomTool(Fields):
    """A tool that takes free text."""

    custom: Custom


class UnknownTool(Fields):
    """A tool that is no part of this schema."""

    type: str


Tool = Annotated[
    Annotated[FunctionTool, Tag("|function")]
    | Annotated[CustomTool, Tag("|custom")]
    | Annotated[UnknownTool, Tag(UNKNOWN)],
    Discriminator(tag_by_type("function", "custom", untyped="function")),
]


class ToolName(Fields):
    """A tool by its name."""

    name: Name


class FunctionChoice(Fields):
    """One function: must be called as a tool choice, may be among allowed tools."""

    function: ToolName


class CustomChoice(Fields):
    """The same for a custom tool."""

    custom: ToolName


class AllowedTools(Fields):
    """Some of the request's tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[
        Annotated[
            Annotated[FunctionChoice, Tag("|function")]
            | Annotated[CustomChoice, Tag("|custom")]
            | Annotated[UnknownTool, Tag(UNKNOWN)],
            Discriminator(tag_by_type("function", "custom", untyped="function")),
        ]
    ]


class AllowedToolsChoice(Fields):
    """A choice among fewer tools than the request lists."""

    allowed_tools: AllowedTools


ToolChoiceParam = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("|mode")]
    | Annotated[FunctionChoice, Tag("|function")]
    | Annotated[CustomChoice, Tag("|custom")]
    | Annotated[AllowedToolsChoice, Tag("|allowed_tools")]
    | Annotated[UnknownTool, Tag(UNKNOWN)],
    Discriminator(_tag_choice),
]
FunctionCallParam = Annotated[
    Annotated[Literal["none", "auto"], Tag("|mode")] | Annotated[ToolName, Tag("|name")],
    Discriminator(_tag_function_choice),
]


class StreamOptions(Fields):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None


class JSONSchemaFormat(Fields):
    """What the answer has to fit; without a schema, any JSON object does."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(Fields):
    """``text``, ``json_object`` or ``json_schema``."""

    type: str
    json_schema: JSONSchemaFormat | None = None


class ChatBody(Fields):
    """The whole request; fields typed ``object`` are only looked at if they happen to have a use."""

    model: Name
    messages: Annotated[list[Message], FailFast(), Field(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], FailFast()] | None = None
    functions: Annotated[list[Function], FailFast()] | None = None
    tool_choice: ToolChoiceParam | None = None
    function_call: FunctionCallParam | None = None
    parallel_tool_calls: bool | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: Annotated[list[str], BeforeValidator(_text_as_list)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    logit_bias: dict[str, Any] | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: object = None
    verbosity: object = None
    prediction: object = None
    web_search_options: object = None
    audio: object = None
    metadata: object = None
    prompt_cache_key: object = None


def parse_chat_body(value: JSONObject) -> ChatBody:
    """The fields of a request.

    Raises:
        InvalidRequestError: A field is missing or of the wrong type; names the first one.
    """
    return read_fields(ChatBody, value)
