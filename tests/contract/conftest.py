"""The makers' clients on Trio, in front of a running proxy."""

import base64
import struct
import zlib
from collections.abc import AsyncIterator

import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support.proxy import CLIENT_KEY, NO_CERTIFICATES, Proxy, running_proxy


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """A running proxy with one credential, in front of a simulated Kiro."""
    async with running_proxy() as running:
        yield running


@pytest.fixture
def sent() -> list[httpx2.Request]:
    """The requests of the makers' clients so far, repetitions included."""
    return []


@pytest.fixture
async def http(sent: list[httpx2.Request]) -> AsyncIterator[httpx2.AsyncClient]:
    """What the makers' clients are built on."""

    async def note(request: httpx2.Request) -> None:
        sent.append(request)

    async with httpx2.AsyncClient(verify=NO_CERTIFICATES, event_hooks={"request": [note]}) as client:
        yield client


@pytest.fixture
def claude(proxy: Proxy, http: httpx2.AsyncClient) -> AsyncAnthropic:
    """Anthropic's client with the right key, which repeats nothing."""
    return AsyncAnthropic(api_key=CLIENT_KEY, base_url=proxy.url, max_retries=0, http_client=http)


@pytest.fixture
def gpt(proxy: Proxy, http: httpx2.AsyncClient) -> AsyncOpenAI:
    """OpenAI's client with the right key, which repeats nothing."""
    return AsyncOpenAI(api_key=CLIENT_KEY, base_url=f"{proxy.url}/v1", max_retries=0, http_client=http)


@pytest.fixture(scope="session")
def png() -> str:
    """A picture of one grey pixel, in base64."""
    chunks = (
        _build_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        _build_chunk(b"IDAT", zlib.compress(b"\x00\x80")),
        _build_chunk(b"IEND", b""),
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(chunks)).decode()


def _build_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
