"""Pictures and documents that the upstream would not take, from the client's request to the upstream's."""

import base64
import json
import os
import re
import signal
import sys
import zlib
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api.conversion.converter import Converter
from kiro2api.protocol.attachments import ConversionKind
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.routes.intake import HEAVY_BYTES, Intake
from tests.e2e.test_process import running_program
from tests.support.documents import encrypt_pdf, write_pdf
from tests.support.memory import MIB, measure_rss
from tests.support.pictures import draw, encode, load, write_run_length_bmp
from tests.support.proxy import Proxy, running_proxy, until

MODEL = "claude-sonnet-4-5"
ROUTES = ["/v1/messages", "/v1/chat/completions", "/v1/responses"]
HANG = """
import os, sys
with open(sys.argv[1], "a") as file: print(os.getpid(), file=file)
while True: pass
"""


def show(data: bytes, media_type: str, route: str) -> JSON:
    """A picture or a document as the clients of ``route`` send it."""
    is_image = media_type.startswith("image/")
    url = f"data:{media_type};base64,{encode(data)}"
    match route:
        case "/v1/messages":
            source: JSON = {"type": "base64", "media_type": media_type, "data": encode(data)}
            return {"type": "image" if is_image else "document", "source": source}
        case "/v1/chat/completions":
            image: JSON = {"type": "image_url", "image_url": {"url": url}}
            return image if is_image else {"type": "file", "file": {"file_data": url, "filename": "a.pdf"}}
        case _:
            image = {"type": "input_image", "image_url": url}
            return image if is_image else {"type": "input_file", "file_data": url, "filename": "a.pdf"}


def ask(route: str, *content: JSON) -> JSONObject:
    """A request of one message with these blocks."""
    message: JSON = {"role": "user", "content": [*content]}
    if route == "/v1/responses":
        return {"model": MODEL, "input": [message]}
    return {"model": MODEL, "max_tokens": 100, "messages": [message]}


def ask_with_result(route: str, *content: JSON) -> JSONObject:
    """A request with these blocks in what a tool has returned."""
    if route == "/v1/responses":
        call: JSON = {"type": "function_call", "call_id": "t", "name": "read", "arguments": "{}"}
        return {"model": MODEL, "input": [call, {"type": "function_call_output", "call_id": "t", "output": [*content]}]}
    messages: JSON = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [*content]}]},
    ]
    return {"model": MODEL, "max_tokens": 100, "messages": messages}


async def accept(proxy: Proxy, route: str, body: JSONObject) -> dict[str, JSON]:
    """The user's message as it went upstream."""
    response = await proxy.client.post(route, json=body)
    assert response.status_code == 200, response.text
    sent = json.loads(proxy.simulator.generations[-1].raw)
    message = sent["conversationState"]["currentMessage"]["userInputMessage"]
    assert isinstance(message, dict)
    return message


async def refuse(proxy: Proxy, route: str, body: JSONObject) -> str:
    """What the client is told; nothing goes upstream."""
    count = len(proxy.simulator.generations)
    response = await proxy.client.post(route, json=body)
    assert response.status_code == 400, response.text
    assert len(proxy.simulator.generations) == count
    return str(response.json()["error"]["message"])


def read_pictures(message: dict[str, JSON]) -> list[tuple[JSON, str | None, tuple[int, int]]]:
    """The format that is declared, the one that it is, and the size of each picture of a message."""
    images = message["images"]
    assert isinstance(images, list)
    found = []
    for image in images:
        assert isinstance(image, dict)
        source = image["source"]
        assert isinstance(source, dict)
        picture = load(base64.b64decode(str(source["bytes"])))
        found.append((image["format"], picture.format, picture.size))
    return found


@pytest.mark.parametrize("route", ROUTES)
async def test_a_picture_that_the_upstream_does_not_know_is_converted(route: str) -> None:
    """In messages and in what tools return; the log names the repair."""
    picture = show(draw("BMP", (40, 20)), "image/bmp", route)
    async with running_proxy() as proxy:
        message = await accept(proxy, route, ask(route, picture))
        assert read_pictures(message) == [("png", "PNG", (40, 20))]
        [entry] = await proxy.log.wait("exchange")
        assert "reencoded_image" in str(entry["repairs"])
        if route != "/v1/chat/completions":
            message = await accept(proxy, route, ask_with_result(route, picture))
            assert read_pictures(message) == [("png", "PNG", (40, 20))]


@pytest.mark.parametrize("route", ROUTES)
async def test_a_document_becomes_text(route: str) -> None:
    """With marks where its pages begin, in messages and in what tools return."""
    document = show(write_pdf("Chapter one", "", "The end"), "application/pdf", route)
    words = "[page 1 of 3]\nChapter one\n[page 2 of 3: no text]\n[page 3 of 3]\nThe end"
    async with running_proxy() as proxy:
        message = await accept(proxy, route, ask(route, document))
        assert str(message["content"]).endswith(words)
        if route != "/v1/chat/completions":
            message = await accept(proxy, route, ask_with_result(route, document))
            assert json.dumps(words)[1:-1] in json.dumps(message["userInputMessageContext"])


async def test_documents_count_as_what_they_say() -> None:
    """A client that asks for the number of tokens gets that of the words."""
    counts = []
    async with running_proxy() as proxy:
        for words in ("one", "one two three " * 100):
            document = show(write_pdf(words), "application/pdf", "/v1/messages")
            response = await proxy.client.post("/v1/messages/count_tokens", json=ask("/v1/messages", document))
            counts.append(response.json()["input_tokens"])
    assert counts[1] > counts[0] + 100


@pytest.mark.parametrize("route", ROUTES)
async def test_more_pictures_than_the_upstream_takes_are_told_to_the_model(route: str) -> None:
    """The last ten go; the model reads that there were others."""
    pictures = [show(draw("PNG", (number, 1)), "image/png", route) for number in range(1, 13)]
    async with running_proxy() as proxy:
        message = await accept(proxy, route, ask(route, *pictures))
        assert [size for _, _, size in read_pictures(message)] == [(number, 1) for number in range(3, 13)]
        assert str(message["content"]).count("image left out") == 2


@pytest.mark.parametrize("route", ROUTES)
async def test_what_cannot_be_converted_is_refused_where_it_stands(route: str) -> None:
    """Each fault in its own words, with the path."""
    cases = {
        "it is damaged": show(draw("BMP", (40, 20))[:-50], "image/bmp", route),
        "too many to be re-encoded": show(write_run_length_bmp(60_000, 60_000, rows=10), "image/bmp", route),
        "the PDF cannot be read": show(b"%PDF-1.7 and no more", "application/pdf", route),
        "is encrypted": show(encrypt_pdf(write_pdf("x"), user_password="y"), "application/pdf", route),
        "declared as a PDF, but is none": show(b"words", "application/pdf", route),
        "send the pages as images": show(write_pdf("", ""), "application/pdf", route),
    }
    async with running_proxy() as proxy:
        for words, block in cases.items():
            message = await refuse(proxy, route, ask(route, block))
            assert re.match(r"(messages|input)\[0\]\.content\[0\]\.", message)
            assert words in message


def _write_bomb() -> bytes:
    """A document of some 500 kB whose one page unpacks to half a gigabyte."""
    deflate = zlib.compressobj(9)
    packed = b"".join(deflate.compress(bytes(MIB)) for _ in range(512)) + deflate.flush()
    stream = b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed)
    return re.sub(rb"<< /Length \d+ >>\nstream.*?endstream", lambda _: stream, write_pdf("x"), flags=re.DOTALL)


@pytest.mark.slow
async def test_the_proxy_itself_stays_as_it_is() -> None:
    """Whatever unpacks to hundreds of megabytes does so elsewhere."""
    large = write_run_length_bmp(7_000, 7_000, rows=7_000)
    async with running_proxy() as proxy:
        await accept(proxy, ROUTES[0], ask(ROUTES[0], show(draw("BMP"), "image/bmp", ROUTES[0])))
        before = measure_rss()
        message = await accept(proxy, ROUTES[0], ask(ROUTES[0], show(large, "image/bmp", ROUTES[0])))
        assert "send the pages as images" in await refuse(
            proxy, ROUTES[0], ask(ROUTES[0], show(_write_bomb(), "application/pdf", ROUTES[0]))
        )
        assert measure_rss() - before < 16 * MIB
    assert read_pictures(message) == [("png", "PNG", (7_000, 7_000))]


def _read_processes(path: Path) -> list[int]:
    return [int(line) for line in path.read_text(encoding="ascii").split()] if path.exists() else []


def _has_begun(path: Path, count: int) -> bool:
    return len(_read_processes(path)) == count


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("size", [1, HEAVY_BYTES])
async def test_a_client_that_leaves_takes_the_conversion_along(tmp_path: Path, size: int) -> None:
    """Its process is killed, and the next client has the place."""
    path = tmp_path / "processes"
    program = (sys.executable, "-c", HANG, str(path))
    body = ask(ROUTES[0], show(b"%PDF-" + bytes(size), "application/pdf", ROUTES[0]))
    async with running_proxy() as proxy:
        converter = Converter(lambda *_, **__: None, programs=dict.fromkeys(ConversionKind, program))
        proxy.service.intake = Intake(converter)
        for number in (1, 2, 3):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: proxy.client.post(ROUTES[0], json=body))
                await until(partial(_has_begun, path, number))
                nursery.cancel_scope.cancel("the client leaves")
            await until(lambda: not any(map(_is_alive, _read_processes(path))))
        await until(lambda: len(proxy.service.lives) == 0)


async def test_a_real_process_converts_and_stops(tmp_path: Path) -> None:
    """Started as people do, with several requests at once; a Ctrl+C ends it as ever."""
    blocks = [show(draw("BMP", (number, 9)), "image/bmp", ROUTES[0]) for number in range(1, 4)]
    blocks.append(show(write_pdf("words"), "application/pdf", ROUTES[0]))
    async with running_program(
        "demo", cwd=tmp_path, environment={"KIRO_CLIENT_TOKEN": "key-0123456789abcdef"}
    ) as program:
        headers = {"x-api-key": "key-0123456789abcdef"}
        statuses: list[int] = []
        async with httpx.AsyncClient(base_url=program.url, headers=headers, timeout=30) as client:

            async def post(block: JSON) -> None:
                response = await client.post(ROUTES[0], json=ask(ROUTES[0], block))
                statuses.append(response.status_code)

            async with trio.open_nursery() as nursery:
                for block in blocks:
                    nursery.start_soon(post, block)
        program.process.send_signal(signal.SIGINT)
        with trio.fail_after(20):
            await program.process.wait()
    assert statuses == [200] * 4
    assert program.process.returncode == 0
