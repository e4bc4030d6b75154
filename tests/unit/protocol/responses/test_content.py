"""Parts as blocks."""

import base64

import pytest

from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.content import read_parts, read_texts

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(10)).decode()
PICTURE = Image(format=ImageFormat.PNG, data=PNG)


def image(media_type: str = "image/png") -> schema.ImagePart:
    """A picture by value."""
    return schema.ImagePart(image_url=f"data:{media_type};base64,{PNG}")


def file(data: bytes, media_type: str = "text/plain", name: str | None = None) -> schema.FilePart:
    """A file by value."""
    return schema.FilePart(file_data=f"data:{media_type};base64,{base64.b64encode(data).decode()}", filename=name)


def test_parts_keep_their_order() -> None:
    """Words, pictures and files stand as they came, empty words too; a wrong media type is corrected and noted."""
    attachments = AttachmentReader()
    parts: list[schema.Part] = [
        schema.TextPart(text=""),
        image(),
        file(b"x"),
        image("image/jpeg"),
        file(b"y", name="b.txt"),
    ]
    blocks = read_parts(parts, "p", attachments)
    assert blocks == [Text(text=""), PICTURE, Text(text="x"), PICTURE, Text(text="b.txt:\ny")]
    assert attachments.repairs == ["corrected_image_type"]


@pytest.mark.parametrize(
    ("part", "path", "message"),
    [
        (schema.ImagePart(), "p[0].image_url", "send the image as base64 data: ids of files lead nowhere here."),
        (
            schema.ImagePart(image_url="https://a.test/b.png"),
            "p[0].image_url",
            "send the image as base64 data (data:image/png;base64,...): URLs are never fetched.",
        ),
        (
            schema.FilePart(),
            "p[0].file_data",
            "only files by value are accepted; send a data: URL with base64 in file_data.",
        ),
        (file(b"x", "application/pdf"), "p[0].file_data", "the document is declared as a PDF, but is none."),
        (file(b"\xff"), "p[0].file_data", "the document is neither a PDF nor text in UTF-8."),
        (schema.RefusalPart(refusal="no"), "p[0]", "content of type 'refusal' is not supported here."),
        (schema.UnknownPart(type="input_audio"), "p[0]", "content of type 'input_audio' is not supported here."),
    ],
)
def test_what_has_no_place(part: schema.Part, path: str, message: str) -> None:
    """It is refused where it stands."""
    with pytest.raises(InvalidRequestError) as caught:
        read_parts([part], "p", AttachmentReader())
    assert (caught.value.path, caught.value.message) == (path, f"{path}: {message}")


def test_any_number_of_images_is_understood() -> None:
    """What the upstream has no place for is left out where its message is written."""
    assert read_parts([image()] * 11, "p", AttachmentReader()) == [PICTURE] * 11


def test_texts() -> None:
    """Words and refusals are what the model said; empty ones are left out."""
    parts: list[schema.Part] = [schema.TextPart(text="a"), schema.TextPart(text=""), schema.RefusalPart(refusal="no")]
    assert read_texts(parts, "p") == [Text(text="a"), Text(text="no")]


@pytest.mark.parametrize(("part", "name"), [(image(), "input_image"), (file(b"x"), "input_file")])
def test_words_only(part: schema.Part, name: str) -> None:
    """The model says nothing else."""
    with pytest.raises(InvalidRequestError, match=f"content of type '{name}' is not supported here") as caught:
        read_texts([part], "p")
    assert caught.value.path == "p[0]"
