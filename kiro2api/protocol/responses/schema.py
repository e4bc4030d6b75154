"""The body of a request for a response as its fields and types.

Unknown fields are skipped and ``null`` counts as absent wherever a field is optional; what is used must have its exact
type, no text is taken for a number. Unknown items, parts and tools are read as far as their type, so that the
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

_ITEM_TAGS = {
    "message": "|message",
    "function_call": "|function_call",
    "function_call_output": "|output",
    "custom_tool_call": "|custom_tool_call",
    "custom_tool_call_output": "|output",
    "local_shell_call": "|shell_call",
    "local_shell_call_output": "|shell_output",
    "shell_call": "|shell_call",
    "shell_call_output": "|shell_output",
    "apply_patch_call": "|apply_patch_call",
    "apply_patch_call_output": "|shell_output",
    "reasoning": "|reasoning",
    "item_reference": "|item_reference",
    "additional_tools": "|additional_tools",
}


def _tag_item(value: object) -> str:
    """By the type; an item without one is what its other fields say."""
    if not isinstance(value, dict):
        return UNKNOWN
    match value.get("type"):
        case str() as name:
            return _ITEM_TAGS.get(name, UNKNOWN)
        case None if "role" in value:
            return "|message"
        case None if "id" in value:
            return "|item_reference"
        case _:
            return UNKNOWN


def _tag_tool(value: object) -> str:
    match value:
        case {"type": "function" | "custom" | "namespace" as name}:
            return f"{MARK}{name}"
        case {"type": "local_shell" | "shell" | "apply_patch"}:
            return "|typed"
        case _:
            return UNKNOWN


def _tag_tool_name(value: object) -> str:
    match value:
        case {"type": "function" | "custom"}:
            return "|name"
        case {"type": "local_shell" | "shell" | "apply_patch"}:
            return "|typed"
        case _:
            return UNKNOWN


def _tag_choice(value: object) -> str:
    match value:
        case str():
            return "|mode"
        case {"type": "allowed_tools"}:
            return "|allowed_tools"
        case _:
            return _tag_tool_name(value)


def _text_as_part(value: object) -> object:
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else require_list(value)


def _text_as_message(value: object) -> object:
    return [{"type": "message", "role": "user", "content": value}] if isinstance(value, str) else require_list(value)


class TextPart(Fields):
    """Words of anyone."""

    text: str


class RefusalPart(Fields):
    """Words with which the model refused."""

    refusal: str


class ImagePart(Fields):
    """A picture: a ``data:`` URL, a URL that is never fetched, or an id that is unknown here."""

    image_url: str | None = None


class FilePart(Fields):
    """A file by value (a ``data:`` URL), or by a URL or an id, which lead nowhere here."""

    file_data: str | None = None
    filename: str | None = None


class UnknownPart(Fields):
    """A content part that is no part of this schema."""

    type: str


def _tag_part(value: object) -> str:
    match value:
        case {"type": "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text"}:
            return "|text"
        case {"type": "input_image" | "input_file" | "refusal" as name}:
            return f"{MARK}{name}"
        case _:
            return UNKNOWN


Part = Annotated[
    Annotated[TextPart, Tag("|text")]
    | Annotated[RefusalPart, Tag("|refusal")]
    | Annotated[ImagePart, Tag("|input_image")]
    | Annotated[FilePart, Tag("|input_file")]
    | Annotated[UnknownPart, Tag(UNKNOWN)],
    Discriminator(_tag_part),
]
Content = Annotated[list[Part], FailFast(), BeforeValidator(_text_as_part)]


class Message(Fields):
    """What somebody said."""

    role: str
    content: Content


class FunctionCall(Fields):
    """The model's call of a function."""

    call_id: str
    name: Name
    namespace: str | None = None
    arguments: str | None = None
    """JSON text."""


class CustomToolCall(Fields):
    """The model's call of a tool that takes free text."""

    call_id: str
    name: Name
    namespace: str | None = None
    input: str


class CallOutput(Fields):
    """What a function or a custom tool gave."""

    call_id: str
    output: Content | None = None


class ShellCall(Fields):
    """The model's command for the client's shell."""

    type: str
    call_id: str | None = None
    id: str | None = None
    action: dict[str, Any]


class PatchCall(Fields):
    """The model's change of a file, in the form of the tool that is built into OpenAI's models."""

    call_id: str
    operation: dict[str, Any]


class ShellOutput(Fields):
    """What came of either."""

    call_id: str | None = None
    id: str | None = None
    output: object = None
    status: object = None
    """``failed`` of a change of a file that could not be made."""


class Reasoning(Fields):
    """The model's reasoning, as it was given to the client."""

    summary: list[Part] | None = None
    content: list[Part] | None = None
    encrypted_content: str | None = None


class ItemReference(Fields):
    """Stands for an item of an earlier response."""

    id: str


class FunctionTool(Fields):
    """A tool that takes a JSON object."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None


class CustomTool(Fields):
    """A tool that takes free text, in some grammar at times."""

    name: Name
    description: str | None = None
    format: dict[str, Any] | None = None


class TypedTool(Fields):
    """A tool of the client's, unless its environment says otherwise, that is known by its type."""

    type: Literal["local_shell", "shell", "apply_patch"]
    environment: dict[str, Any] | None = None

    @property
    def is_clients(self) -> bool:
        """Whether the client runs it: OpenAI has machines of its own for shells."""
        return self.environment is None or self.environment.get("type") == "local"


class UnknownTool(Fields):
    """A tool that is no part of this schema."""

    type: str


class NamespaceTool(Fields):
    """Tools with a family name."""

    name: Name
    description: str | None = None
    tools: Annotated[
        list[
            Annotated[
                Annotated[FunctionTool, Tag("|function")]
                | Annotated[CustomTool, Tag("|custom")]
                | Annotated[UnknownTool, Tag(UNKNOWN)],
                Discriminator(tag_by_type("function", "custom")),
            ]
        ],
        FailFast(),
    ]


Tool = Annotated[
    Annotated[FunctionTool, Tag("|function")]
    | Annotated[CustomTool, Tag("|custom")]
    | Annotated[TypedTool, Tag("|typed")]
    | Annotated[NamespaceTool, Tag("|namespace")]
    | Annotated[UnknownTool, Tag(UNKNOWN)],
    Discriminator(_tag_tool),
]
Tools = Annotated[list[Tool], FailFast()]


class AdditionalTools(Fields):
    """More tools, from here on."""

    tools: Tools


class UnknownItem(Fields):
    """An item that is no part of this schema."""

    type: str


Item = Annotated[
    Annotated[Message, Tag("|message")]
    | Annotated[FunctionCall, Tag("|function_call")]
    | Annotated[CustomToolCall, Tag("|custom_tool_call")]
    | Annotated[CallOutput, Tag("|output")]
    | Annotated[ShellCall, Tag("|shell_call")]
    | Annotated[PatchCall, Tag("|apply_patch_call")]
    | Annotated[ShellOutput, Tag("|shell_output")]
    | Annotated[Reasoning, Tag("|reasoning")]
    | Annotated[ItemReference, Tag("|item_reference")]
    | Annotated[AdditionalTools, Tag("|additional_tools")]
    | Annotated[UnknownItem, Tag(UNKNOWN)],
    Discriminator(_tag_item),
]


class NameChoice(Fields):
    """One tool: must be called as a tool choice, may be among allowed tools."""

    name: Name
    namespace: str | None = None


class TypedChoice(Fields):
    """One tool that is known by its type: must be called, or may be."""

    type: Literal["local_shell", "shell", "apply_patch"]


class AllowedTools(Fields):
    """Some of the request's tools, and whether one of them must be called."""

    mode: Literal["auto", "required"]
    tools: list[
        Annotated[
            Annotated[NameChoice, Tag("|name")]
            | Annotated[TypedChoice, Tag("|typed")]
            | Annotated[UnknownTool, Tag(UNKNOWN)],
            Discriminator(_tag_tool_name),
        ]
    ]


ToolChoiceParam = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("|mode")]
    | Annotated[NameChoice, Tag("|name")]
    | Annotated[TypedChoice, Tag("|typed")]
    | Annotated[AllowedTools, Tag("|allowed_tools")]
    | Annotated[UnknownTool, Tag(UNKNOWN)],
    Discriminator(_tag_choice),
]


class ResponsesBody(Fields):
    """The whole request; fields typed ``object`` are only looked at if they happen to have a use."""

    model: Name
    input: Annotated[list[Item], FailFast(), BeforeValidator(_text_as_message)] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    tools: Tools | None = None
    tool_choice: ToolChoiceParam | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: float | None = None
    top_p: float | None = None
    background: bool | None = None
    include: object = None
    reasoning: object = None
    text: object = None
    metadata: object = None
    client_metadata: object = None
    prompt_cache_key: object = None
    prompt: object = None
    conversation: object = None
    top_logprobs: object = None
    max_tool_calls: object = None
    truncation: object = None


def parse_responses_body(value: JSONObject) -> ResponsesBody:
    """The fields of a request.

    Raises:
        InvalidRequestError: A field is missing or of the wrong type; names the first one.
    """
    return read_fields(ResponsesBody, value)
