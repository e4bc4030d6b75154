"""The content of messages and of tool outputs as blocks.

What a client said is never left out: a part that has no place in a conversation is an error that names it.
"""

from collections.abc import Sequence
from typing import assert_never

from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.responses import schema

MAX_QUOTED_CHARS = 40
"""A client's word goes into an error or the log no longer than this."""

type _UnreadablePart = schema.RefusalPart | schema.ImagePart | schema.FilePart | schema.UnknownPart


def read_parts(parts: Sequence[schema.Part], path: str, attachments: AttachmentReader) -> list[Text | Image]:
    """The blocks of what a user or a tool said; empty texts stay in.

    Raises:
        InvalidRequestError: A part is unknown, or not by value, or not what it is said to be.
    """
    blocks: list[Text | Image] = []
    for index, part in enumerate(parts):
        part_path = f"{path}[{index}]"
        match part:
            case schema.TextPart():
                blocks.append(Text(text=part.text))
            case schema.ImagePart():
                blocks.append(_read_image(part, f"{part_path}.image_url", attachments))
            case schema.FilePart():
                blocks.append(attachments.read_file(part.file_data, part.filename, path=f"{part_path}.file_data"))
            case schema.RefusalPart() | schema.UnknownPart():
                raise _unsupported(part, part_path)
            case _:
                assert_never(part)
    return blocks


def read_texts(parts: Sequence[schema.Part], path: str) -> list[Text]:
    """The words of somebody who has nothing but words: the model, or who instructs it; empty ones are left out.

    Raises:
        InvalidRequestError: A part is something else.
    """
    texts: list[str] = []
    for index, part in enumerate(parts):
        match part:
            case schema.TextPart():
                texts.append(part.text)
            case schema.RefusalPart():
                texts.append(part.refusal)
            case _:
                raise _unsupported(part, f"{path}[{index}]")
    return [Text(text=text) for text in texts if text]


def _read_image(part: schema.ImagePart, path: str, attachments: AttachmentReader) -> Image | Text:
    if part.image_url is None:
        raise InvalidRequestError("send the image as base64 data: ids of files lead nowhere here.", path=path)
    return attachments.read_image_url(part.image_url, path=path)


def _unsupported(part: _UnreadablePart, path: str) -> InvalidRequestError:
    match part:
        case schema.RefusalPart():
            name = "refusal"
        case schema.ImagePart():
            name = "input_image"
        case schema.FilePart():
            name = "input_file"
        case schema.UnknownPart():
            name = part.type
        case _:
            assert_never(part)
    return InvalidRequestError(f"content of type {name[:MAX_QUOTED_CHARS]!r} is not supported here.", path=path)
