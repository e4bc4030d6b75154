"""Attachments of any content."""

import base64
from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.conversion.documents import extract_text
from kiro2api.conversion.pictures import reencode_picture
from kiro2api.conversion.worker import convert_safely
from kiro2api.protocol.attachments import AttachmentReader, Conversion, ConversionKind, ConvertedImage, PdfText, Refusal
from kiro2api.protocol.conversation import Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import measure_image, tell_format
from tests.support.documents import write_pdf
from tests.support.pictures import draw, encode, load

HEADS = (b"", b"BM", b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF....WEBP")
PICTURES = tuple(draw(name) for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP"))
texts = st.one_of(
    st.text(),
    st.builds(lambda head, rest: encode(head + rest), st.sampled_from(HEADS), st.binary()),
    st.builds(lambda head, rest: f"data:{head};base64,{encode(rest)}", st.text(), st.binary()),
)
types = st.none() | st.sampled_from(("image/png", "image/bmp", "application/pdf", "text/plain")) | st.text()


def read(work: Callable[[AttachmentReader], Image | Text]) -> None:
    """Reads one attachment; it is there, has to be converted, or is refused."""
    block = None
    with suppress(InvalidRequestError):
        block = work(AttachmentReader())
    if isinstance(block, Image):
        assert tell_format(base64.b64decode(block.data, validate=True)) is block.format


@given(data=texts, declared=types)
def test_any_text_is_read_or_refused(data: str, declared: str | None) -> None:
    """By a fault with a place, whatever it is and is called."""
    measure_image(data)
    read(lambda reader: reader.read_image(data, declared=declared, path="p"))
    read(lambda reader: reader.read_image_url(data, path="p"))
    read(lambda reader: reader.read_document(data, declared=declared, path="p"))
    read(lambda reader: reader.read_file(data, declared, path="p"))


@given(data=st.binary())
def test_what_goes_to_be_converted_is_what_came(data: bytes) -> None:
    """However it is wrapped."""
    [plain, wrapped] = [AttachmentReader(), AttachmentReader()]
    text = encode(PICTURES[-1] + data)
    for reader, form in ((plain, text), (wrapped, "\n".join([*text.rstrip("=")]))):
        reader.read_image(form, declared=None, path="p")
    assert list(plain._missing.values()) == list(wrapped._missing.values())
    assert list(plain._missing.values()) == [Conversion.of(ConversionKind.IMAGE, text)]


@given(original=st.sampled_from(PICTURES), place=st.integers(min_value=0), byte=st.integers(0, 255), cut=st.booleans())
def test_any_damage_gives_a_picture_or_a_refusal(original: bytes, place: int, byte: int, cut: bool) -> None:  # noqa: FBT001  a parameter
    """What comes out is a picture whose size was known before anything was decoded."""
    place %= len(original)
    data = original[:place] + (b"" if cut else bytes([byte]) + original[place + 1 :])
    size = measure_image(encode(data))
    if size is not None and max(size) > 1_000:
        return  # which would take long, or come out smaller
    result = convert_safely(reencode_picture, data, damaged="damaged")
    if isinstance(result, Refusal):
        assert result == Refusal(message="damaged")
        return
    assert isinstance(result, ConvertedImage)
    picture = load(base64.b64decode(result.data))
    if not original.startswith(b"GIF"):  # whose frames may be larger than it says itself
        assert size is not None
        assert sorted(picture.size) == sorted(size)


@given(place=st.integers(min_value=0), rest=st.binary(max_size=20))
def test_any_damage_gives_words_or_a_refusal(place: int, rest: bytes) -> None:
    """And nothing else."""
    original = write_pdf("one", "two")
    place %= len(original)
    data = original[:place] + rest + original[place + len(rest) :]
    assert isinstance(convert_safely(extract_text, data, damaged="damaged"), PdfText | Refusal)
