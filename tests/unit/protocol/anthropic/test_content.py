"""Content blocks of the Messages API as blocks of a conversation."""

import base64
import json
from collections.abc import Callable, Mapping

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.attachments import (
    NOTHING_CONVERTED,
    Conversion,
    ConversionKind,
    Converted,
    ConvertedImage,
    PdfText,
    UnconvertedError,
)
from kiro2api.protocol.conversation import Conversation, Image, Text, ToolResult, UserTurn
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
PICTURE = Image(format=ImageFormat.PNG, data=PNG)
IMAGE: JSON = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
BMP = base64.b64encode(b"BM pixels").decode()
PDF = base64.b64encode(b"%PDF-1.7").decode()
BMP_JOB = Conversion.of(ConversionKind.IMAGE, BMP)
PDF_JOB = Conversion.of(ConversionKind.PDF, PDF)
CONVERTED: Mapping[str, Converted] = {
    BMP_JOB.digest: ConvertedImage(format=ImageFormat.PNG, data=PNG),
    PDF_JOB.digest: PdfText(pages=("words",)),
}
PLACE = "messages[0].content[0]"


def parse(role: str, *blocks: JSON, converted: Mapping[str, Converted] = NOTHING_CONVERTED) -> Conversation:
    """The conversation of one message."""
    message: JSON = {"role": role, "content": list(blocks)}
    data: JSON = {"model": "m", "max_tokens": 1, "messages": [message]}
    return parse_messages_request(json.dumps(data).encode(), converted).conversation


def document(source: JSON, **fields: JSON) -> JSON:
    """A document block."""
    return {"type": "document", "source": source} | fields


def result(content: JSON, **fields: JSON) -> JSON:
    """A tool-result block."""
    return {"type": "tool_result", "tool_use_id": "t1", "content": content} | fields


SEARCH: JSON = {
    "type": "search_result",
    "title": "T",
    "source": "https://example.org",
    "content": [{"type": "text", "text": "one"}, {"type": "text", "text": ""}],
}
MATERIAL: list[tuple[JSON, tuple[Text | Image, ...]]] = [
    ({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}, (Text(text="hi"),)),
    ({"type": "text", "text": ""}, ()),
    (IMAGE, (PICTURE,)),
    (
        document({"type": "text", "media_type": "text/plain", "data": "words"}, title=None),
        (Text(text="words"),),
    ),
    (
        document({"type": "text", "data": "words"}, title="T", context="C"),
        (Text(text="Document: T\nContext: C\nwords"),),
    ),
    (document({"type": "content", "content": "words"}, title="T"), (Text(text="Document: T\nwords"),)),
    (
        document({"type": "content", "content": [{"type": "text", "text": "a"}, IMAGE]}, title="T"),
        (Text(text="Document: T"), Text(text="a"), PICTURE),
    ),
    (document({"type": "content", "content": [IMAGE]}), (PICTURE,)),
    (SEARCH, (Text(text="T\nhttps://example.org\none"),)),
    (
        {"type": "tool_reference", "tool_name": "WebSearch"},
        (Text(text="The tool WebSearch is available now."),),
    ),
]


@pytest.mark.parametrize(("block", "expected"), MATERIAL)
def test_material_reads_alike_in_messages_and_tool_results(block: JSON, expected: tuple[Text | Image, ...]) -> None:
    """What the upstream has no block for becomes text in its place."""
    direct, inside = parse("user", block), parse("user", result([block]))
    assert direct.turns == (UserTurn(blocks=expected),)
    assert inside.turns == (UserTurn(blocks=(ToolResult(tool_use_id="t1", content=expected),)),)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "tool_result", "tool_use_id": "t1"}, ToolResult(tool_use_id="t1", content=())),
        (result(None), ToolResult(tool_use_id="t1", content=())),
        (result(""), ToolResult(tool_use_id="t1", content=())),
        (result([]), ToolResult(tool_use_id="t1", content=())),
        (
            result("no", is_error=True),
            ToolResult(tool_use_id="t1", content=(Text(text="no"),), is_error=True),
        ),
        (
            result("ok", is_error=None),
            ToolResult(tool_use_id="t1", content=(Text(text="ok"),)),
        ),
    ],
)
def test_tool_results_may_say_little(block: JSON, expected: ToolResult) -> None:
    """Absent, null, string and array are all good."""
    assert parse("user", block).turns == (UserTurn(blocks=(expected,)),)


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "trio"}},
            "Server tool web_search\nquery: trio",
        ),
        (
            {"type": "mcp_tool_use", "id": "s1", "name": "f", "input": {"n": 1}, "server_name": "s"},
            "Server tool f",
        ),
        ({"type": "server_tool_use", "id": "s1", "name": "f", "input": None}, "Server tool f"),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s1",
                "content": [
                    {"type": "web_search_result", "url": "u", "title": "T", "encrypted_content": "x"},
                    {"type": "web_search_result", "url": "v", "title": "", "page_age": None},
                ],
            },
            "T\nu\nv",
        ),
        (
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "s1",
                "content": {"type": "code_execution_result", "stdout": "42", "return_code": 0},
            },
            "42",
        ),
        ({"type": "compaction", "content": "So far."}, "So far."),
    ],
)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_asides_become_text(role: str, block: JSON, words: str) -> None:
    """The model reads what the service's own tools once did; encrypted parts go."""
    conversation = parse(role, block)
    assert conversation.turns[0].blocks == (Text(text=words),)
    assert conversation.repairs == ()


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("container_upload", None),
        ("fallback", None),
        ("compaction", ""),
        ("web_fetch_tool_result", {"source": {"type": "base64", "data": "JVBERi0x"}}),
        ("new_tool_result", [[[[[[[[["deep"]]]]]]]]]),
    ],
)
def test_asides_without_words_are_dropped_and_noted(kind: str, content: JSON) -> None:
    """There is nothing to read in them."""
    conversation = parse("assistant", {"type": kind, "content": content})
    assert conversation.turns[0].blocks == ()
    assert conversation.repairs == (f"dropped_block:{kind}",)


@pytest.mark.parametrize(
    ("role", "block", "place", "kind"),
    [
        ("user", {"type": "video"}, "a user message", "video"),
        ("user", {"type": "v" * 99}, "a user message", "v" * 64),
        ("user", {"type": "a\nb"}, "a user message", "a?b"),
        ("user", {"type": "tool_use", "id": "t", "name": "f"}, "a user message", "tool_use"),
        ("user", {"type": "thinking", "thinking": ""}, "a user message", "thinking"),
        ("assistant", IMAGE, "an assistant message", "image"),
        ("assistant", result(""), "an assistant message", "tool_result"),
        ("assistant", {"type": "input_audio"}, "an assistant message", "input_audio"),
        ("system", IMAGE, "a system message", "image"),
    ],
)
def test_block_out_of_place_is_refused_by_name(role: str, block: JSON, place: str, kind: str) -> None:
    """Nothing that somebody said is left out in silence."""
    with pytest.raises(InvalidRequestError) as caught:
        parse(role, block)
    assert caught.value.message == (f"{PLACE}: content blocks of type '{kind}' are not supported in {place}")


@pytest.mark.parametrize(
    ("block", "path", "words"),
    [
        (
            {"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}},
            f"{PLACE}.source",
            "type 'url' are not supported: send the image as base64 data",
        ),
        ({"type": "image", "source": {"type": "file"}}, f"{PLACE}.source", "type 'file'"),
        (
            {"type": "image", "source": {"type": "base64", "data": "SUkqAA=="}},
            f"{PLACE}.source.data",
            "TIFF images are not supported",
        ),
        (result([{"type": "image", "source": {"type": "url"}}]), f"{PLACE}.content[0].source", "url"),
        (document({"type": "base64", "data": ""}), f"{PLACE}.source.data", "the document is empty"),
        (document({"type": "url"}), f"{PLACE}.source", "send the document as base64 data or as text"),
        (
            document({"type": "content", "content": [{"type": "table"}]}),
            f"{PLACE}.source.content[0]",
            "type 'table' are not supported in a document",
        ),
        (result([{"type": "tool_use"}]), f"{PLACE}.content[0]", "in a tool result"),
        (
            {"type": "search_result", "title": "", "source": "", "content": [IMAGE]},
            f"{PLACE}.content[0]",
            "in a search result",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_where_it_stands(block: JSON, path: str, words: str) -> None:
    """The error says where and what to do."""
    with pytest.raises(InvalidRequestError, match=words) as caught:
        parse("user", block)
    assert caught.value.path == path


def test_any_number_of_images_is_understood() -> None:
    """What the upstream has no place for is left out where its message is written."""
    assert parse("user", *([IMAGE] * 11)).turns[0].blocks == (PICTURE,) * 11


@pytest.mark.parametrize("wrap", [lambda block: block, lambda block: result([block])])
def test_what_the_upstream_does_not_take_is_converted(wrap: Callable[[JSON], JSON]) -> None:
    """In a message and in a tool result."""
    image: JSON = {"type": "image", "source": {"type": "base64", "data": BMP}}
    pdf = document({"type": "base64", "media_type": "application/pdf", "data": PDF}, title="T")
    with pytest.raises(UnconvertedError) as caught:
        parse("user", wrap(image), wrap(pdf))
    assert caught.value.conversions == (BMP_JOB, PDF_JOB)
    conversation = parse("user", wrap(image), wrap(pdf), converted=CONVERTED)
    plain: list[JSON] = [IMAGE, {"type": "text", "text": "Document: T\n[page 1 of 1]\nwords"}]
    assert conversation.turns == parse("user", *map(wrap, plain)).turns
    assert conversation.repairs == ("reencoded_image", "pdf_as_text")


def test_another_fault_is_told_before_anything_is_converted() -> None:
    """Nobody converts for a request that is refused anyway."""
    with pytest.raises(InvalidRequestError, match="type 'table'"):
        parse("user", {"type": "image", "source": {"type": "base64", "data": BMP}}, {"type": "table"})
