"""Pictures, documents and files as blocks of a conversation."""

from collections.abc import Callable

import pytest

from kiro2api.protocol.attachments import (
    AttachmentReader,
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    Refusal,
    UnconvertedError,
)
from kiro2api.protocol.attachments.reader import MAX_DOCUMENT_BYTES, MAX_GIVEN_IMAGE_BYTES
from kiro2api.protocol.conversation import Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import MAX_IMAGE_BYTES, ImageFormat
from tests.support.pictures import draw, encode

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of it"
GIF = b"GIF89a" + b"\x01\x00\x01\x00"
JPEG = b"\xff\xd8\xff\xe0" + b"JFIF"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "
BMP = draw("BMP")
PDF = b"%PDF-1.7 and so on"
HUGE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xc3\x50\x00\x00\xc3\x50".ljust(MAX_IMAGE_BYTES + 1, b"\0")
"""50,000 by 50,000 pixels, and too long to go as it is."""

BMP_JOB = Conversion.of(ConversionKind.IMAGE, encode(BMP))
PDF_JOB = Conversion.of(ConversionKind.PDF, encode(PDF))

type Read = Callable[[AttachmentReader], Image | Text]


def document(data: bytes, declared: str | None = "application/pdf", *heading: str) -> Read:
    """Reads a document."""
    return lambda reader: reader.read_document(encode(data), declared=declared, heading=heading, path="p")


def image(data: bytes, declared: str | None = None) -> Read:
    """Reads a picture."""
    return lambda reader: reader.read_image(encode(data), declared=declared, path="p")


def file(file_data: str | None, filename: str | None = None) -> Read:
    """Reads a file."""
    return lambda reader: reader.read_file(file_data, filename, path="p")


def url(text: str) -> Read:
    """Reads a picture in a URL."""
    return lambda reader: reader.read_image_url(text, path="p")


def read(work: Read, **converted: Converted) -> tuple[Image | Text, list[str]]:
    """The block and the repairs, when nothing is missing; ``bmp`` and ``pdf`` have been converted."""
    jobs = {"bmp": BMP_JOB, "pdf": PDF_JOB}
    reader = AttachmentReader({jobs[name].digest: result for name, result in converted.items()})
    block = work(reader)
    reader.require_converted()
    return block, reader.repairs


def refuse(work: Read, **converted: Converted) -> str:
    """What the client is told."""
    with pytest.raises(InvalidRequestError) as caught:
        read(work, **converted)
    assert caught.value.path == "p"
    return caught.value.message.removeprefix("p: ")


@pytest.mark.parametrize(
    ("data", "declared", "image_format"),
    [
        (PNG, "image/png", ImageFormat.PNG),
        (PNG, None, ImageFormat.PNG),
        (JPEG, "image/jpeg", ImageFormat.JPEG),
        (JPEG, "image/jpg", ImageFormat.JPEG),
        (JPEG, " Image/JPG; q=1", ImageFormat.JPEG),
        (GIF, "image/gif", ImageFormat.GIF),
        (WEBP, "image/webp", ImageFormat.WEBP),
        (PNG.ljust(MAX_IMAGE_BYTES, b"\0"), None, ImageFormat.PNG),
        (HUGE[:-1], None, ImageFormat.PNG),
    ],
)
def test_a_picture_that_the_upstream_takes_goes_as_it_is(
    data: bytes, declared: str | None, image_format: ImageFormat
) -> None:
    """Up to ten million bytes; it is not decoded, so that its pixels and what is wrong with them do not matter."""
    assert read(image(data, declared)) == (Image(format=image_format, data=encode(data)), [])


@pytest.mark.parametrize("declared", ["image/png", "image/bmp", "application/octet-stream", ""])
def test_wrong_declared_type_is_corrected(declared: str) -> None:
    """The bytes decide, and the correction is told."""
    assert read(image(GIF, declared)) == (Image(format=ImageFormat.GIF, data=encode(GIF)), ["corrected_image_type"])


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (image(b""), "the image is empty."),
        (image(b"II*\x00"), "TIFF images are not supported; send PNG, JPEG, GIF, WebP or BMP."),
        (image(PDF), "PDF images are not supported; send PNG, JPEG, GIF, WebP or BMP."),
        (image(b"MZ\x90\x00"), "the data is no known image; send PNG, JPEG, GIF, WebP or BMP."),
        (image(b"\x89"), "the data is no known image; send PNG, JPEG, GIF, WebP or BMP."),
        (
            image(PNG.ljust(MAX_GIVEN_IMAGE_BYTES + 1, b"\0")),
            "the image has 20971521 bytes; at most 20971520 are possible.",
        ),
        (image(HUGE), "the image has 50000 by 50000 pixels, too many to be re-encoded; at most 50000000 are."),
        (url("data:image/png;base64,iVBO*"), "the image is not valid base64."),
        (
            url("https://a.invalid/"),
            "send the image as base64 data (data:image/png;base64,...): URLs are never fetched.",
        ),
        (document(b""), "the document is empty."),
        (
            document(PDF.ljust(MAX_DOCUMENT_BYTES + 1, b"\0")),
            "the document has 24000001 bytes; at most 24000000 are possible.",
        ),
        (document(b"words"), "the document is declared as a PDF, but is none."),
        (document(b"\0" * 1_020 + PDF), "the document is declared as a PDF, but is none."),
        (document(b" " + PDF + b"\xff", "text/plain"), "the document is neither a PDF nor text in UTF-8."),
        (document(b"PK\x03\x04\0", None), "the document is neither a PDF nor text in UTF-8."),
        (file(None), "only files by value are accepted; send a data: URL with base64 in file_data."),
        (file("https://a.invalid/"), "only files by value are accepted; send a data: URL with base64 in file_data."),
        (file("data:text/plain,words"), "a data URL must have the form data:<media type>;base64,<data>."),
        (file("words!"), "the document is not valid base64."),
    ],
)
def test_what_cannot_be_read_is_refused(work: Read, words: str) -> None:
    """By its path, with the reason, and before anything is converted."""
    assert refuse(work) == words


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (document("grüß".encode(), "text/plain", "Title"), "Title\ngrüß"),
        (document(b"\xef\xbb\xbf{}", "application/octet-stream"), "{}"),
        (document(b" " + PDF, "text/markdown"), " " + PDF.decode()),
        (file(f"data:text/plain;base64,{encode(b'a')}"), "a"),
        (file(f"DATA:;base64,{encode(b'a')}", "a.txt"), "a.txt:\na"),
        (file(encode(b"a:b" * 40), ""), "a:b" * 40),
    ],
)
def test_text_is_text_whatever_it_is_declared_as(work: Read, words: str) -> None:
    """Below the lines of its heading, or the name of its file, if there are any."""
    assert read(work) == (Text(text=words), [])


@pytest.mark.parametrize("declared", ["image/bmp", "image/png", None])
def test_a_picture_is_replaced_by_what_became_of_it(declared: str | None) -> None:
    """Wherever it stands, and whatever it was declared as."""
    result = ConvertedImage(format=ImageFormat.PNG, data="iVBO")
    expected = (Image(format=ImageFormat.PNG, data="iVBO"), ["reencoded_image"])
    assert read(image(BMP, declared), bmp=result) == expected
    assert read(url(f"data:{declared or ''};base64,{encode(BMP)}"), bmp=result) == expected


def test_a_large_picture_has_to_be_converted() -> None:
    """From the first byte on that is too many."""
    data = encode(PNG.ljust(MAX_IMAGE_BYTES + 1, b"\0"))
    with pytest.raises(UnconvertedError) as caught:
        read(lambda reader: reader.read_image(data, declared=None, path="p"))
    assert caught.value.conversions == (Conversion.of(ConversionKind.IMAGE, data),)


@pytest.mark.parametrize(
    ("work", "heading", "repairs"),
    [
        (document(PDF, "application/pdf", "Document: T", "Context: C"), "Document: T\nContext: C\n", []),
        (document(PDF, " Application/PDF; x=y"), "", []),
        (document(PDF, None), "", ["corrected_document_type"]),
        (document(PDF, "text/plain"), "", ["corrected_document_type"]),
        (file(f"data:application/pdf;base64,{encode(PDF)}", "a.pdf"), "a.pdf:\n", []),
        (file(encode(PDF)), "", ["corrected_document_type"]),
    ],
)
def test_a_pdf_becomes_text_with_page_marks(work: Read, heading: str, repairs: list[str]) -> None:
    """The bytes decide that it is one; a page without words is told, and so is one that cannot be read."""
    pages = PdfText(pages=("first\nwords", "", None))
    text = "[page 1 of 3]\nfirst\nwords\n[page 2 of 3: no text]\n[page 3 of 3: it cannot be read]"
    assert read(work, pdf=pages) == (Text(text=heading + text), [*repairs, "pdf_as_text"])


def test_a_pdf_may_begin_late() -> None:
    """Some writers put something before the signature; readers look for it in the first kilobyte."""
    late = b"\n\n" + PDF
    with pytest.raises(UnconvertedError) as caught:
        read(document(late))
    assert caught.value.conversions == (Conversion.of(ConversionKind.PDF, encode(late)),)


@pytest.mark.parametrize("pages", [(), ("", ""), (None, "")])
def test_a_pdf_without_words_is_refused(pages: tuple[str | None, ...]) -> None:
    """The model would see nothing of a scan; its pages as images it can read."""
    expected = f"there is no text that could be read in the PDF of {len(pages)} pages; send the pages as images."
    assert refuse(document(PDF), pdf=PdfText(pages=pages)) == expected


def test_a_refusal_is_passed_on() -> None:
    """With the path of the attachment."""
    assert refuse(document(PDF), pdf=Refusal(message="broken.")) == "broken."


def test_all_that_is_missing_is_told_at_once_and_once() -> None:
    """Nothing is told before the end, when all else was found to be good."""
    reader = AttachmentReader()
    for work in (image(BMP), document(PDF), image(BMP), document(PDF, None)):
        assert work(reader) == Text(text="")
    with pytest.raises(UnconvertedError, match="2 to convert") as caught:
        reader.require_converted()
    assert caught.value.conversions == (BMP_JOB, PDF_JOB)


def test_digests_tell_kinds_and_contents_apart() -> None:
    """Nobody gets the result of something else."""
    kinds, contents = (ConversionKind.IMAGE, ConversionKind.PDF), ("AAAA", "AAAB")
    assert len({Conversion.of(kind, digits).digest for kind in kinds for digits in contents}) == 4
