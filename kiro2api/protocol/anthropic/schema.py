"""The request bodies of the Messages API as clients may write them.

Unknown fields are ignored and ``null`` means absent wherever a key is optional, as clients send back
what they once received. Known fields are held to their types; the first fault is reported with its
place in the client's own spelling. Lists stop at their first fault, so that a hostile body cannot
grow into millions of errors. Where a block may stand, and what it means, is decided elsewhere.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, FailFast, Field, Tag

from kiro2api.protocol.bodies import MARK, read_fields
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSONObject

_OTHER = "|other"
_SUFFIX_TAGS = {"_tool_use": "|server_tool_use", "_tool_result": "|aside"}
_ASIDES = {"container_upload", "compaction", "fallback"}


def _discriminate(*known: str) -> Discriminator:
    """Tells the members of a union by their ``type``; what is not ``known`` gets the tag of others."""

    def select_tag(value: object) -> str:
        kind = value.get("type") if isinstance(value, dict) else None
        return MARK + kind if isinstance(kind, str) and kind in known else _OTHER

    return Discriminator(select_tag)


def _select_block_tag(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        return _OTHER
    if kind in _BLOCK_TYPES:
        return MARK + kind
    if kind in _ASIDES:
        return "|aside"
    return next((tag for end, tag in _SUFFIX_TAGS.items() if kind.endswith(end)), _OTHER)


def _select_content_tag(value: object) -> str | None:
    match value:
        case str():
            return "|string"
        case list():
            return "|array"
        case _:
            return None


def _select_tool_tag(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return "|custom" if kind is None or kind == "custom" else "|typed"


_STRING_OR_ARRAY = Discriminator(
    _select_content_tag,
    custom_error_type="string_or_array",
    custom_error_message="Input should be a string or an array of content blocks",
)

type _Array[T] = Annotated[list[T], FailFast()]
type Content[T] = Annotated[
    Annotated[str, Tag("|string")] | Annotated[list[T], FailFast(), Tag("|array")],
    _STRING_OR_ARRAY,
]
"""A string, or an array of blocks."""
type _Name = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A part of a body."""

    model_config = ConfigDict(strict=True, extra="ignore")


class Block(Part):
    """A content block; as such, one of a type that has no meaning where it stands."""

    type: str


class TextBlock(Block):
    """``text``."""

    text: str


class Source(Part):
    """Where an image or a document comes from; as such, from where this program does not get it."""

    type: str


class Base64Source(Source):
    """``base64``: the bytes themselves."""

    media_type: str | None = None
    data: str


class TextSource(Source):
    """``text``: a document in plain text."""

    data: str


class ImageBlock(Block):
    """``image``."""

    source: Annotated[
        Annotated[Base64Source, Tag("|base64")] | Annotated[Source, Tag(_OTHER)],
        _discriminate("base64"),
    ]


type PlainBlock = Annotated[Annotated[TextBlock, Tag("|text")] | Annotated[Block, Tag(_OTHER)], _discriminate("text")]
"""What may stand where the service takes text only."""
type PictureBlock = Annotated[
    Annotated[TextBlock, Tag("|text")] | Annotated[ImageBlock, Tag("|image")] | Annotated[Block, Tag(_OTHER)],
    _discriminate("text", "image"),
]
"""What may stand in a document."""


class ContentSource(Source):
    """``content``: a document in blocks."""

    content: Content[PictureBlock]


class DocumentBlock(Block):
    """``document``."""

    source: Annotated[
        Annotated[TextSource, Tag("|text")]
        | Annotated[Base64Source, Tag("|base64")]
        | Annotated[ContentSource, Tag("|content")]
        | Annotated[Source, Tag(_OTHER)],
        _discriminate("text", "base64", "content"),
    ]
    title: str | None = None
    context: str | None = None


class SearchResultBlock(Block):
    """``search_result``: a passage that the client found."""

    source: str
    title: str
    content: _Array[PlainBlock]


class ToolReferenceBlock(Block):
    """``tool_reference``: a deferred tool that is at hand from now on."""

    tool_name: str


type MaterialBlock = Annotated[
    Annotated[TextBlock, Tag("|text")]
    | Annotated[ImageBlock, Tag("|image")]
    | Annotated[DocumentBlock, Tag("|document")]
    | Annotated[SearchResultBlock, Tag("|search_result")]
    | Annotated[ToolReferenceBlock, Tag("|tool_reference")]
    | Annotated[Block, Tag(_OTHER)],
    _discriminate("text", "image", "document", "search_result", "tool_reference"),
]
"""What may stand in a tool result."""


class ToolUseBlock(Block):
    """``tool_use``."""

    id: _Name
    name: _Name
    input: dict[str, Any] | None = None


class ToolResultBlock(Block):
    """``tool_result``."""

    tool_use_id: _Name
    content: Content[MaterialBlock] | None = None
    is_error: bool | None = None


class ThinkingBlock(Block):
    """``thinking``."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Block):
    """``redacted_thinking``."""

    data: str


class ServerToolUseBlock(Block):
    """``server_tool_use`` and its kin: a tool that the service ran itself."""

    name: str
    input: dict[str, Any] | None = None


class AsideBlock(Block):
    """Results of the service's own tools, and its other notes: read for their words only."""

    content: Any = None


_BLOCK_TYPES = {
    "text", "image", "document", "search_result", "tool_reference", "tool_use", "tool_result", "thinking",
    "redacted_thinking",
}  # fmt: skip

type AnyBlock = Annotated[
    Annotated[TextBlock, Tag("|text")]
    | Annotated[ImageBlock, Tag("|image")]
    | Annotated[DocumentBlock, Tag("|document")]
    | Annotated[SearchResultBlock, Tag("|search_result")]
    | Annotated[ToolReferenceBlock, Tag("|tool_reference")]
    | Annotated[ToolUseBlock, Tag("|tool_use")]
    | Annotated[ToolResultBlock, Tag("|tool_result")]
    | Annotated[ThinkingBlock, Tag("|thinking")]
    | Annotated[RedactedThinkingBlock, Tag("|redacted_thinking")]
    | Annotated[ServerToolUseBlock, Tag("|server_tool_use")]
    | Annotated[AsideBlock, Tag("|aside")]
    | Annotated[Block, Tag(_OTHER)],
    Discriminator(_select_block_tag),
]
"""What may stand in a message."""


class Message(Part):
    """A contribution of one side."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content[AnyBlock]
    output_config: Any = None


class CustomTool(Part):
    """A tool of the client's own."""

    name: _Name
    description: str | None = None
    input_schema: dict[str, Any]


class TypedTool(Part):
    """A tool that the service knows by its type."""

    type: str
    name: str | None = None


type AnyTool = Annotated[
    Annotated[CustomTool, Tag("|custom")] | Annotated[TypedTool, Tag("|typed")],
    Discriminator(_select_tool_tag),
]


class ToolChoicePart(Part):
    """``tool_choice``."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Metadata(Part):
    """``metadata``."""

    user_id: str | None = None


class CountTokensBody(Part):
    """The body of ``POST /v1/messages/count_tokens``."""

    model: _Name
    messages: Annotated[list[Message], FailFast(), Field(min_length=1)]
    system: Content[PlainBlock] | None = None
    tools: _Array[AnyTool] | None = None
    tool_choice: ToolChoicePart | None = None


class MessagesBody(CountTokensBody):
    """The body of ``POST /v1/messages``; fields of type ``Any`` are only looked for."""

    max_tokens: Annotated[int, Field(ge=0)]
    stream: bool | None = None
    stop_sequences: _Array[str] | None = None
    metadata: Metadata | None = None
    thinking: Any = None
    output_config: Any = None
    output_format: Any = None
    temperature: Any = None
    top_p: Any = None
    top_k: Any = None
    mcp_servers: Any = None


def read_body[B: CountTokensBody](value: JSONObject, body_type: type[B]) -> B:
    """The fields of a request.

    Raises:
        InvalidRequestError: The first thing that is not as it should be. A ``thread`` is refused with the code that
            makes the makers' SDKs go on without: no state is kept here.
    """
    if value.get("thread") is not None:
        raise InvalidRequestError(
            "Threads are not supported; send the whole history in messages.",
            path="thread",
            code="thread_unsupported_request",
        )
    return read_fields(body_type, value)
