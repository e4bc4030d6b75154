"""Content blocks of the Messages API as blocks of a conversation.

What the upstream has no place for becomes text where it stands, so that the model still reads it. What
has no meaning here, or none in its place, is refused by name: leaving out what somebody said would
make the model answer another question.
"""

from collections.abc import Iterator, Sequence
from typing import assert_never

from kiro2api.protocol.anthropic.schema import (
    AnyBlock,
    AsideBlock,
    Base64Source,
    Block,
    ContentSource,
    DocumentBlock,
    ImageBlock,
    MaterialBlock,
    PlainBlock,
    RedactedThinkingBlock,
    SearchResultBlock,
    ServerToolUseBlock,
    Source,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import (
    AssistantBlock,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UserBlock,
)
from kiro2api.protocol.errors import InvalidRequestError

MAX_TYPE_CHARS = 64
"""How much of a client's type name goes into an error or a note: enough for every real one."""
MAX_ASIDE_DEPTH = 8
"""Levels of an aside that are read: twice those of the service's own results."""
_SPOKEN_KEYS = (
    "title", "url", "text", "content", "source", "data", "stdout", "stderr", "error_code", "tool_name",
    "tool_references",
)  # fmt: skip
"""Keys of an aside that hold words; the rest is encrypted, or ids and types."""


class ContentReader:
    """Reads the blocks of one request.

    Args:
        attachments: Reads the request's pictures and documents.

    Attributes:
        repairs: Names of what was changed or left out on the way, in order, with repetitions.
    """

    def __init__(self, attachments: AttachmentReader) -> None:
        self._attachments = attachments
        self.repairs = attachments.repairs

    def read_user(self, content: str | Sequence[AnyBlock], path: str) -> tuple[UserBlock, ...]:
        """The blocks of a user message.

        Raises:
            InvalidRequestError: A block that cannot be here or cannot be served.
        """
        if isinstance(content, str):
            return _texts(content)
        blocks: list[UserBlock] = []
        for index, block in enumerate(content):
            blocks.extend(self._read_user_block(block, f"{path}[{index}]"))
        return tuple(blocks)

    def read_assistant(self, content: str | Sequence[AnyBlock], path: str) -> tuple[AssistantBlock, ...]:
        """The blocks of an assistant message.

        Raises:
            InvalidRequestError: A block that cannot be here.
        """
        if isinstance(content, str):
            return _texts(content)
        blocks: list[AssistantBlock] = []
        for index, block in enumerate(content):
            blocks.extend(self._read_assistant_block(block, f"{path}[{index}]"))
        return tuple(blocks)

    def _read_user_block(self, block: AnyBlock, path: str) -> tuple[UserBlock, ...]:
        match block:
            case ToolResultBlock():
                return (self._read_tool_result(block, path),)
            case ServerToolUseBlock() | AsideBlock():
                return self._read_aside(block)
            case ToolUseBlock() | ThinkingBlock() | RedactedThinkingBlock():
                raise _misplaced(block, path, "a user message")
            case _:
                return self._read_material(block, path, "a user message")

    def _read_assistant_block(self, block: AnyBlock, path: str) -> tuple[AssistantBlock, ...]:
        match block:
            case TextBlock(text=text):
                return _texts(text)
            case ThinkingBlock(thinking=thinking, signature=signature):
                return (Thinking(text=thinking, signature=signature or ""),)
            case RedactedThinkingBlock(data=data):
                return (RedactedThinking(data=data),)
            case ToolUseBlock(id=tool_use_id, name=name, input=tool_input):
                return (ToolUse(tool_use_id=tool_use_id, name=name, input=tool_input or {}),)
            case ServerToolUseBlock() | AsideBlock():
                return self._read_aside(block)
            case _:
                raise _misplaced(block, path, "an assistant message")

    def _read_tool_result(self, block: ToolResultBlock, path: str) -> ToolResult:
        content: list[Text | Image] = []
        if isinstance(block.content, str):
            content.extend(_texts(block.content))
        else:
            for index, part in enumerate(block.content or ()):
                place = f"{path}.content[{index}]"
                content.extend(self._read_material(part, place, "a tool result"))
        return ToolResult(tool_use_id=block.tool_use_id, content=tuple(content), is_error=bool(block.is_error))

    def _read_material(self, block: MaterialBlock, path: str, place: str) -> tuple[Text | Image, ...]:
        match block:
            case TextBlock(text=text):
                return _texts(text)
            case ImageBlock():
                return (self._read_image(block, path),)
            case DocumentBlock():
                return self._read_document(block, path)
            case SearchResultBlock():
                words = read_plain(block.content, f"{path}.content", "a search result")
                return (Text(text="\n".join((block.title, block.source, *words))),)
            case ToolReferenceBlock(tool_name=name):
                return (Text(text=f"The tool {name} is available now."),)
            case _:
                raise _misplaced(block, path, place)

    def _read_image(self, block: ImageBlock, path: str) -> Image | Text:
        match block.source:
            case Base64Source(data=data, media_type=media_type):
                return self._attachments.read_image(data, declared=media_type, path=f"{path}.source.data")
            case source:
                raise InvalidRequestError(
                    f"image sources of type '{clip(source.type)}' are not supported: send the image "
                    "as base64 data, as nothing is ever fetched",
                    path=f"{path}.source",
                )

    def _read_document(self, block: DocumentBlock, path: str) -> tuple[Text | Image, ...]:
        head = [f"Document: {block.title}"] if block.title else []
        if block.context:
            head.append(f"Context: {block.context}")
        match block.source:
            case TextSource(data=data) | ContentSource(content=str(data)):
                return _texts("\n".join((*head, data)))
            case Base64Source(data=data, media_type=media_type):
                place = f"{path}.source.data"
                return (self._attachments.read_document(data, declared=media_type, heading=head, path=place),)
            case ContentSource(content=list(parts)):
                read: list[Text | Image] = [*_texts("\n".join(head))]
                for index, part in enumerate(parts):
                    place = f"{path}.source.content[{index}]"
                    read.extend(self._read_material(part, place, "a document"))
                return tuple(read)
            case source:
                raise _refuse_document(source, f"{path}.source")

    def _read_aside(self, block: ServerToolUseBlock | AsideBlock) -> tuple[Text, ...]:
        match block:
            case ServerToolUseBlock(name=name):
                words = [f"{key}: {value}" for key, value in (block.input or {}).items() if isinstance(value, str)]
                return (Text(text="\n".join((f"Server tool {name}", *words))),)
            case AsideBlock():
                words = list(_spoken_lines(block.content, MAX_ASIDE_DEPTH))
                if words:
                    return (Text(text="\n".join(words)),)
                self.repairs.append(f"dropped_block:{clip(block.type)}")
                return ()
            case _:
                assert_never(block)


def read_plain(content: str | Sequence[PlainBlock], path: str, place: str) -> tuple[str, ...]:
    """The non-empty texts of a place that takes nothing else; ``place`` names it.

    Raises:
        InvalidRequestError: A block of another type.
    """
    if isinstance(content, str):
        return (content,) if content else ()
    texts: list[str] = []
    for index, block in enumerate(content):
        if not isinstance(block, TextBlock):
            raise _misplaced(block, f"{path}[{index}]", place)
        if block.text:
            texts.append(block.text)
    return tuple(texts)


def clip(kind: str) -> str:
    """A client's type name, short and plain enough for an error or a line of a log."""
    return "".join(char if char.isprintable() else "?" for char in kind[:MAX_TYPE_CHARS])


def _texts(text: str) -> tuple[Text, ...]:
    return (Text(text=text),) if text else ()


def _misplaced(block: Block, path: str, place: str) -> InvalidRequestError:
    return InvalidRequestError(f"content blocks of type '{clip(block.type)}' are not supported in {place}", path=path)


def _refuse_document(source: Source, path: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"document sources of type '{clip(source.type)}' are not supported: send the document as base64 data "
        "or as text, as nothing is ever fetched",
        path=path,
    )


def _spoken_lines(value: object, depth: int) -> Iterator[str]:
    """The words in an aside, no deeper than ``depth`` levels."""
    match value:
        case str() if value:
            yield value
        case list() if depth:
            for item in value:
                yield from _spoken_lines(item, depth - 1)
        case dict() if depth and value.get("type") != "base64":
            for key in _SPOKEN_KEYS:
                yield from _spoken_lines(value.get(key), depth - 1)
        case _:
            return
