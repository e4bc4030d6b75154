"""Files that OpenAI's clients send by value: text becomes words of the conversation."""

import base64
import binascii
from typing import Final

from kiro2api.protocol.conversation import Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageError, parse_data_url

TEXT_MEDIA_TYPES: Final = ("text/", "application/json")
"""Beginnings of the media types that are read."""
MAX_QUOTED_CHARS: Final = 40
"""Of a media type that stands in an error."""


def read_text_file(file_data: str | None, filename: str | None, *, path: str) -> Text:
    """The words in a file that is sent as a ``data:`` URL with base64.

    Raises:
        InvalidRequestError: The file is sent otherwise, or is no text; ``path`` is where it stands.
    """
    try:
        media_type, data = parse_data_url(file_data or "")
    except ImageError:
        message = "only files by value are accepted; send a data: URL with base64 in file_data."
        raise InvalidRequestError(message, path=path) from None
    if media_type is None or not media_type.startswith(TEXT_MEDIA_TYPES):
        kind = media_type[:MAX_QUOTED_CHARS] if media_type else "files without a type"
        raise InvalidRequestError(f"only text files are supported, not {kind}.", path=path)
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequestError("the file is not UTF-8 text in base64.", path=path) from None
    return Text(text=f"{filename}:\n{text}" if filename else text)
