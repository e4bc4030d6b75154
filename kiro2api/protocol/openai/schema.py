"""The body of a chat completion request as its fields and types.

Unknown fields are skipped and ``null`` counts as absent wherever a field is optional; what is used must have its exact
type, no text is taken for a number. Unknown roles, parts and tools are read as far as their type, so that the
translation can name them. Each union has a tag of its own, marked, so that paths in errors are in the client's words.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    Tag,
)
from pydantic_core import PydanticCustomError

from kiro2api.protocol.bodies import MARK, read_fields
from kiro2api.protocol.jsontext import JSONObject

_UNKNOWN = "|unknown"


def _tag_by_type(*known: str) -> Callable[[object], str]:
    def tag(value: object) -> str:
        name = value.get("type") if isinstance(value, dict) else None
        if name is None and isinstance(value, dict) and "function" in value:
            name = "function"
        return f"{MARK}{name}" if name in known else _UNKNOWN

    return tag


def _tag_by_role(value: object) -> str:
    match value:
        case {"role": "system" | "developer"}:
            return "|system"
        case {"role": "user" | "assistant" | "tool" | "function" as role}:
            return f"{MARK}{role}"
        case _:
            return _UNKNOWN


def _tag_choice(value: object) -> str:
    match value:
        case str():
            return "|mode"
        case {"type": "function" | "custom" | "allowed_tools" as name}:
            return f"{MARK}{name}"
        case _:
            return _UNKNOWN


def _tag_function_choice(value: object) -> str:
    return "|mode" if isinstance(value, str) else "|name"


def _text_as_part(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else _require_list(value)


def _text_as_list(value: object) -> object:
    return [value] if isinstance(value, str) else _require_list(value)


def _require_list(value: object) -> object:
    if not isinstance(value, list):
        raise PydanticCustomError("text_or_list", "Input should be a string or an array")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


type Name = Annotated[str, Field(min_length=1)]


class TextPart(_Model):
    """Words."""

    text: str


class RefusalPart(_Model):
    """Words with which the model refused."""

    refusal: str


class ImageURL(_Model):
    """Where a picture is: a ``data:`` URL, or one that is never fetched."""

    url: str


class ImagePart(_Model):
    """A picture."""

    image_url: ImageURL


class File(_Model):
    """A file by value (a ``data:`` URL) or by an id that is unknown here."""

    file_data: str | None = None
    filename: str | None = None


class FilePart(_Model):
    """A file."""

    file: File


class UnknownPart(_Model):
    """A content part that is no part of this schema."""

    type: str


Part = Annotated[
    Annotated[TextPart, Tag("|text")]
    | Annotated[RefusalPart, Tag("|refusal")]
    | Annotated[ImagePart, Tag("|image_url")]
    | Annotated[FilePart, Tag("|file")]
    | Annotated[UnknownPart, Tag(_UNKNOWN)],
    Discriminator(_tag_by_type("text", "refusal", "image_url", "file")),
]
Content = Annotated[list[Part], FailFast(), BeforeValidator(_text_as_part)]


class FunctionCall(_Model):
    """A function's name and its arguments as JSON text."""

    name: Name
    arguments: str | None = None


class FunctionToolCall(_Model):
    """The model's call of a function."""

    id: str
    function: FunctionCall


class CustomCall(_Model):
    """A custom tool's name and its input as free text."""

    name: Name
    input: str


class CustomToolCall(_Model):
    """The model's call of a custom tool."""

    id: str
    custom: CustomCall


class UnknownToolCall(_Model):
    """A call of a tool that is no part of this schema."""

    type: str


ToolCall = Annotated[
    Annotated[FunctionToolCall, Tag("|function")]
    | Annotated[CustomToolCall, Tag("|custom")]
    | Annotated[UnknownToolCall, Tag(_UNKNOWN)],
    Discriminator(_tag_by_type("function", "custom")),
]


class SystemMessage(_Model):
    """Role ``system`` or ``developer``."""

    content: Content


class UserMessage(_Model):
    """Role ``user``."""

    content: Content


class AssistantMessage(_Model):
    """Role ``assistant``."""

    content: Content | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: Annotated[list[ToolCall], FailFast()] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(_Model):
    """Role ``tool``."""

    tool_call_id: str
    content: Content | None = None


class FunctionMessage(_Model):
    """Role ``function``, the old form of ``tool``."""

    name: Name
    content: Content | None = None


class UnknownMessage(_Model):
    """A message whose role is no part of this schema."""

    role: str


Message = Annotated[
    Annotated[SystemMessage, Tag("|system")]
    | Annotated[UserMessage, Tag("|user")]
    | Annotated[AssistantMessage, Tag("|assistant")]
    | Annotated[ToolMessage, Tag("|tool")]
    | Annotated[FunctionMessage, Tag("|function")]
    | Annotated[UnknownMessage, Tag(_UNKNOWN)],
    Discriminator(_tag_by_role),
]


class Function(_Model):
    """A function that the model may call."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionTool(_Model):
    """A tool that takes a JSON object."""

    function: Function


class Custom(_Model):
    """A custom tool's name and purpose."""

    name: Name
    description: str | None = None


class CustomTool(_Model):
    """A tool that takes free text."""

    custom: Custom


class UnknownTool(_Model):
    """A tool that is no part of this schema."""

    type: str


Tool = Annotated[
    Annotated[FunctionTool, Tag("|function")]
    | Annotated[CustomTool, Tag("|custom")]
    | Annotated[UnknownTool, Tag(_UNKNOWN)],
    Discriminator(_tag_by_type("function", "custom")),
]


class ToolName(_Model):
    """A tool by its name."""

    name: Name


class FunctionChoice(_Model):
    """One function: must be called as a tool choice, may be among allowed tools."""

    function: ToolName


class CustomChoice(_Model):
    """The same for a custom tool."""

    custom: ToolName


class AllowedTools(_Model):
    """Some of the request's tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[
        Annotated[
            Annotated[FunctionChoice, Tag("|function")]
            | Annotated[CustomChoice, Tag("|custom")]
            | Annotated[UnknownTool, Tag(_UNKNOWN)],
            Discriminator(_tag_by_type("function", "custom")),
        ]
    ]


class AllowedToolsChoice(_Model):
    """A choice among fewer tools than the request lists."""

    allowed_tools: AllowedTools


ToolChoiceParam = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("|mode")]
    | Annotated[FunctionChoice, Tag("|function")]
    | Annotated[CustomChoice, Tag("|custom")]
    | Annotated[AllowedToolsChoice, Tag("|allowed_tools")]
    | Annotated[UnknownTool, Tag(_UNKNOWN)],
    Discriminator(_tag_choice),
]
FunctionCallParam = Annotated[
    Annotated[Literal["none", "auto"], Tag("|mode")] | Annotated[ToolName, Tag("|name")],
    Discriminator(_tag_function_choice),
]


class StreamOptions(_Model):
    """What a stream carries beside the answer."""

    include_usage: bool | None = None


class JSONSchemaFormat(_Model):
    """What the answer has to fit; without a schema, any JSON object does."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class ResponseFormat(_Model):
    """``text``, ``json_object`` or ``json_schema``."""

    type: str
    json_schema: JSONSchemaFormat | None = None


class ChatBody(_Model):
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
