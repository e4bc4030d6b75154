"""What the three dialects do with attachments that have to be converted."""

from collections.abc import Callable, Mapping

import pytest

from kiro2api.protocol.anthropic.request import parse_count_tokens_request, parse_messages_request
from kiro2api.protocol.attachments import (
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    Refusal,
    UnconvertedError,
)
from kiro2api.protocol.conversation import Conversation, Image, Text
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON, encode_json
from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.protocol.responses.items import History
from kiro2api.protocol.responses.request import build_responses_request, parse_responses_inquiry
from tests.support.pictures import encode

BMP, PDF = encode(b"BM pixels"), encode(b"%PDF-1.7")
BMP_URL, PDF_URL = f"data:image/bmp;base64,{BMP}", f"data:application/pdf;base64,{PDF}"
JOBS = (Conversion.of(ConversionKind.IMAGE, BMP), Conversion.of(ConversionKind.PDF, PDF))

type Parse = Callable[[bytes, Mapping[str, Converted]], Conversation]


def _parse_responses(body: bytes, converted: Mapping[str, Converted]) -> Conversation:
    inquiry = parse_responses_inquiry(body)
    return build_responses_request(inquiry, converted, before=History(), references={}).conversation


def _ask(*content: JSON) -> dict[str, JSON]:
    return {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [*content]}]}


ANTHROPIC = _ask(
    {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": BMP}},
    {"type": "document", "title": "T", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
)
OPENAI = _ask(
    {"type": "image_url", "image_url": {"url": BMP_URL}},
    {"type": "file", "file": {"file_data": PDF_URL, "filename": "T"}},
)
RESPONSES: dict[str, JSON] = {
    "model": "m",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": BMP_URL},
                {"type": "input_file", "file_data": PDF_URL, "filename": "T"},
            ],
        }
    ],
}
dialects = pytest.mark.parametrize(
    ("parse", "body", "heading", "path"),
    [
        (lambda *given: parse_messages_request(*given).conversation, ANTHROPIC, "Document: T", ".source.data"),
        (parse_count_tokens_request, ANTHROPIC, "Document: T", ".source.data"),
        (lambda *given: parse_chat_request(*given).conversation, OPENAI, "T:", ".file.file_data"),
        (_parse_responses, RESPONSES, "T:", ".file_data"),
    ],
    ids=["anthropic", "count", "openai", "responses"],
)


@dialects
def test_attachments_are_converted_and_read(parse: Parse, body: dict[str, JSON], heading: str, path: str) -> None:
    """First they are named; then what became of them stands in their places; a refusal has the path."""
    data = encode_json(body)
    with pytest.raises(UnconvertedError) as missing:
        parse(data, {})
    assert missing.value.conversions == JOBS
    image = ConvertedImage(format=ImageFormat.PNG, data="iVBO")
    conversation = parse(data, {JOBS[0].digest: image, JOBS[1].digest: PdfText(pages=("words",))})
    [turn] = conversation.turns
    text = Text(text=f"{heading}\n[page 1 of 1]\nwords")
    assert turn.blocks == (Image(format=ImageFormat.PNG, data="iVBO"), text)
    assert conversation.repairs == ("reencoded_image", "pdf_as_text")
    with pytest.raises(InvalidRequestError, match=r"no\.$") as refused:
        parse(data, {JOBS[0].digest: image, JOBS[1].digest: Refusal(message="no.")})
    assert refused.value.path.endswith(f".content[1]{path}")


@dialects
def test_any_other_fault_is_told_first(parse: Parse, body: dict[str, JSON], heading: str, path: str) -> None:
    """Nothing is converted for a request that is refused anyway."""
    del heading, path
    data = encode_json(body).replace(b"]}]", b',{"type":"hologram"}]}]')
    with pytest.raises(InvalidRequestError, match="hologram") as refused:
        parse(data, {})
    assert refused.value.path.endswith("[0].content[2]")
