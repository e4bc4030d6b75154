"""Pictures, documents and files of a request as blocks of a conversation.

A picture goes on as it is if the upstream takes it, whatever its declared type; else it has to be converted. A document
becomes text: of a PDF with marks where its pages begin, as the upstream's own place for documents takes formats that
nobody outside knows. The bytes decide what something is.
"""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

from kiro2api.protocol.attachments.base64text import (
    Base64Error,
    Base64Text,
    DataUrlError,
    parse_data_url,
    read_base64,
)
from kiro2api.protocol.attachments.conversions import (
    NOTHING_CONVERTED,
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    Refusal,
    UnconvertedError,
)
from kiro2api.protocol.conversation import Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import (
    MAX_IMAGE_BYTES,
    MAX_PIXELS,
    SIGNATURE_BYTES,
    ImageFormat,
    measure_image,
    name_foreign_format,
    tell_format,
)

MAX_GIVEN_IMAGE_BYTES: Final = 20 * 1_048_576
"""Of a picture as the client sends it, decoded; 20 MB is what users of the program's forerunners rely on."""
MAX_DOCUMENT_BYTES: Final = 24_000_000
"""Decoded: all that Anthropic's limit of 32,000,000 bytes leaves a document in base64."""

_PDF_SIGNATURE: Final = b"%PDF-"
_PDF_HEAD_BYTES: Final = 1_024
"""Within which readers of PDF look for its signature: some writers put something before it."""
_PDF_TYPE: Final = "application/pdf"
_WAITING: Final = Text(text="")
"""In the place of what is not converted yet; nobody reads it."""


class AttachmentReader:
    """Reads what one request carries by value.

    Args:
        converted: Results of earlier conversions, by digest.

    Attributes:
        repairs: Names of what was changed on the way, in order, with repetitions.
    """

    def __init__(self, converted: Mapping[str, Converted] = NOTHING_CONVERTED) -> None:
        self.repairs: list[str] = []
        self._converted = converted
        self._missing: dict[str, Conversion] = {}

    def read_image(self, data: str, *, declared: str | None, path: str) -> Image | Text:
        """The picture whose base64 text is ``data``.

        Args:
            data: In the standard alphabet; white space and missing padding do not matter.
            declared: The media type that the client names, if any.
            path: Where ``data`` stands.

        Raises:
            InvalidRequestError: This is no picture, or none that can be had in a form that the upstream takes.
        """
        text = _read_text(data, "image", path=path, limit=MAX_GIVEN_IMAGE_BYTES)
        head = text.decode(SIGNATURE_BYTES)
        image_format = tell_format(head)
        if image_format is not None and text.size <= MAX_IMAGE_BYTES:
            if declared is not None and _normalize_image_type(declared) != image_format.value:
                self.repairs.append("corrected_image_type")
            return Image(format=image_format, data=text.digits)
        _check_can_be_converted(image_format, head, text, path)
        return self._find(ConversionKind.IMAGE, text, heading=(), path=path)

    def read_image_url(self, url: str, *, path: str) -> Image | Text:
        """The picture in a ``data:`` URL.

        Raises:
            InvalidRequestError: As for :meth:`read_image`, or the picture is elsewhere.
        """
        try:
            declared, data = parse_data_url(url)
        except DataUrlError as error:
            advice = f"send the image as base64 data (data:image/png;base64,...): {error}."
            raise InvalidRequestError(advice, path=path) from None
        return self.read_image(data, declared=declared, path=path)

    def read_document(self, data: str, *, declared: str | None, heading: Sequence[str] = (), path: str) -> Image | Text:
        """The words of the document whose base64 text is ``data``, below the lines of ``heading``.

        Raises:
            InvalidRequestError: This is neither a PDF with words in it nor text in UTF-8, or not what it is said to be.
        """
        text = _read_text(data, "document", path=path, limit=MAX_DOCUMENT_BYTES)
        head = text.decode(_PDF_HEAD_BYTES)
        is_declared = declared is not None and declared.partition(";")[0].strip().lower() == _PDF_TYPE
        if head.startswith(_PDF_SIGNATURE) or (is_declared and _PDF_SIGNATURE in head):
            if not is_declared:
                self.repairs.append("corrected_document_type")
            return self._find(ConversionKind.PDF, text, heading=heading, path=path)
        if is_declared:
            raise InvalidRequestError("the document is declared as a PDF, but is none.", path=path)
        words = _decode_words(text)
        if words is None:
            raise InvalidRequestError("the document is neither a PDF nor text in UTF-8.", path=path)
        return Text(text="\n".join((*heading, words)))

    def read_file(self, file_data: str | None, filename: str | None, *, path: str) -> Image | Text:
        """The words of a file that is sent as a ``data:`` URL, or as bare base64, below its name.

        Raises:
            InvalidRequestError: As for :meth:`read_document`, or the file is elsewhere.
        """
        if not file_data or (":" in file_data[:64] and file_data[:5].lower() != "data:"):
            message = "only files by value are accepted; send a data: URL with base64 in file_data."
            raise InvalidRequestError(message, path=path)
        declared = None
        if file_data[:5].lower() == "data:":
            try:
                declared, file_data = parse_data_url(file_data)
            except DataUrlError as error:
                raise InvalidRequestError(f"{error}.", path=path) from None
        heading = (f"{filename}:",) if filename else ()
        return self.read_document(file_data, declared=declared, heading=heading, path=path)

    def require_converted(self) -> None:
        """Returns if nothing was missing; to be called when nothing else is amiss with the request.

        Raises:
            UnconvertedError: With what has to be converted.
        """
        if self._missing:
            raise UnconvertedError(tuple(self._missing.values()))

    def _find(self, kind: ConversionKind, text: Base64Text, *, heading: Sequence[str], path: str) -> Image | Text:
        conversion = Conversion.of(kind, text.digits)
        match found := self._converted.get(conversion.digest):
            case ConvertedImage(format=image_format, data=data):
                self.repairs.append("reencoded_image")
                return Image(format=image_format, data=data)
            case PdfText(pages=pages):
                self.repairs.append("pdf_as_text")
                return Text(text="\n".join((*heading, *_render_pages(pages, path))))
            case Refusal(message=message):
                raise InvalidRequestError(message, path=path)
            case None:
                self._missing[conversion.digest] = conversion
                return _WAITING
            case _:
                assert_never(found)


def _read_text(data: str, subject: str, *, path: str, limit: int) -> Base64Text:
    """What ``data`` stands for; without decoding it.

    Raises:
        InvalidRequestError: No base64, empty, or more than ``limit`` bytes.
    """
    try:
        text = read_base64(data)
    except Base64Error as error:
        raise InvalidRequestError(f"the {subject} {error}.", path=path) from None
    if text.size == 0:
        raise InvalidRequestError(f"the {subject} is empty.", path=path)
    if text.size > limit:
        message = f"the {subject} has {text.size} bytes; at most {limit} are possible."
        raise InvalidRequestError(message, path=path)
    return text


def _decode_words(text: Base64Text) -> str | None:
    """The words that ``text`` stands for; ``None`` if it is no text."""
    try:
        words = text.decode().decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in words else words


def _normalize_image_type(declared: str) -> str:
    subtype = declared.partition(";")[0].strip().lower().removeprefix("image/")
    return "jpeg" if subtype == "jpg" else subtype


def _check_can_be_converted(image_format: ImageFormat | None, head: bytes, text: Base64Text, path: str) -> None:
    foreign = None if image_format else name_foreign_format(head)
    if image_format is None and foreign != "BMP":
        found = f"{foreign} images are not supported" if foreign else "the data is no known image"
        raise InvalidRequestError(f"{found}; send PNG, JPEG, GIF, WebP or BMP.", path=path)
    width, height = measure_image(text.digits) or (0, 0)
    if width * height > MAX_PIXELS:
        message = f"the image has {width} by {height} pixels, too many to be re-encoded; at most {MAX_PIXELS} are."
        raise InvalidRequestError(message, path=path)


def _render_pages(pages: Sequence[str | None], path: str) -> list[str]:
    """The words of a document, with a mark before each page.

    Raises:
        InvalidRequestError: There is not a word.
    """
    if not any(pages):
        message = f"there is no text that could be read in the PDF of {len(pages)} pages; send the pages as images."
        raise InvalidRequestError(message, path=path)
    lines: list[str] = []
    for number, words in enumerate(pages, 1):
        place = f"page {number} of {len(pages)}"
        if words:
            lines += (f"[{place}]", words)
        else:
            lines.append(f"[{place}: no text]" if words is not None else f"[{place}: it cannot be read]")
    return lines
