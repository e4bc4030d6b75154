"""What the clients of the soak ask for, and what the upstream does to some of their calls.

Every request has its number in its system prompt, which travels upstream, so that each call there can be told apart.
"""

import base64
import random
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import trio

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.script import (
    Cut,
    CutBeforeHead,
    ErrorFrame,
    Event,
    ExceptionFrame,
    Hang,
    HangBeforeHead,
    Pause,
    Proceed,
    Respond,
    Script,
    Send,
)
from kiro2api.simulator.service import build_error

FAULT_SHARE = 0.1
LEAVER_SHARE = 0.1
STREAM_SHARE = 0.7
LASTING_SHARE = 0.5
"""Of faults, that meet every call for their request, and not only the first."""
SLOW_UPLOAD_SHARE = 0.3
"""Of those who leave: on this machine other uploads are over at once."""
LONGEST_STAY = 0.6
"""Seconds until a leaver leaves: most answers take less."""
SILENCE_SECONDS = 1.2
"""Of an upstream that thinks first; clients that stream are sent pings meanwhile."""
SILENT_SHARE = 0.05
TRICKLES = 8
TRICKLE_SECONDS = 0.05
"""A slow upload comes in so many pieces, so far apart."""

ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"

TEXT = Event("assistantResponseEvent", {"content": "Hello"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the upstream does instead of answering."""

    name: str
    script: Script
    retries: int = 0
    """Further calls that the proxy may make because of it."""
    is_credentials: bool = False
    """Whether the credential is what is refused: then the first call only, lest no credential is left to others."""


FAULTS = (
    Fault(name="reset before head", script=[CutBeforeHead()], retries=1),
    Fault(name="closed before head", script=[CutBeforeHead(reset=False)], retries=1),
    Fault(name="no head in time", script=[HangBeforeHead()]),
    Fault(name="500", script=[build_error(500, "Internal error", error_type="InternalServerException")], retries=1),
    Fault(
        name="no capacity",
        script=[build_error(503, "Try later", reason="MODEL_TEMPORARILY_UNAVAILABLE")],
        retries=2,
    ),
    Fault(name="429", script=[build_error(429, "Too many requests")], retries=1, is_credentials=True),
    Fault(
        name="403",
        script=[build_error(403, "The bearer token included in the request is invalid.")],
        retries=1,
        is_credentials=True,
    ),
    Fault(name="400", script=[build_error(400, "Improperly formed request.")]),
    Fault(name="too long", script=[build_error(400, "Long", reason="CONTENT_LENGTH_EXCEEDS_THRESHOLD")]),
    Fault(name="unknown model", script=[build_error(400, "Model", reason="INVALID_MODEL_ID")], retries=1),
    Fault(name="redirect", script=[Respond(302, {"location": "http://127.0.0.1:9/"})]),
    Fault(name="captive portal", script=[Respond(200, {"content-type": "text/html"}, b"<html>")], retries=1),
    Fault(name="no content", script=[Event("meteringEvent", {"unit": "credit", "usage": 0.1})], retries=1),
    Fault(name="exception first", script=[ExceptionFrame("internalServerException", {"message": "x"})], retries=1),
    Fault(name="exception", script=[TEXT, ExceptionFrame("internalServerException", {"message": "x"})], retries=1),
    Fault(name="error frame", script=[TEXT, ErrorFrame("InternalFailure", "x")], retries=1),
    Fault(name="reset", script=[TEXT, Cut()], retries=1),
    Fault(name="closed", script=[TEXT, Cut(reset=False)], retries=1),
    Fault(name="stalled", script=[TEXT, Hang()]),
    Fault(name="damaged frame", script=[TEXT, Send(b"\x00" * 16)], retries=1),
    Fault(name="cut frame", script=[TEXT, Send(b"\x00\x00\x00\x7c")], retries=1),
    Fault(name="no frames", script=[Send(b"no event stream at all, but long enough to be read as one" * 9)], retries=1),
    Fault(
        name="cut tool use",
        script=[TEXT, Event("toolUseEvent", {"toolUseId": "t", "name": "get_weather", "input": '{"ci'})],
        retries=1,
    ),
)
"""All but those that take a credential out for longer than a soak lasts: suspended, no quota, no permission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One request of a client."""

    number: int
    path: str
    body: bytes
    stream: bool
    fault: Fault | None
    is_fault_lasting: bool
    """Whether every call for this request meets the fault, and not only the first."""
    is_silent: bool
    """Whether the upstream thinks first."""
    stay: float | None
    """Seconds until the client leaves; ``None`` if it stays to the end."""
    is_slow: bool
    """Whether its upload is."""

    @property
    def retries(self) -> int:
        return 0 if self.fault is None else self.fault.retries

    def select_script(self, calls: int) -> Script | None:
        """What the upstream does, having had ``calls`` calls for this request before."""
        if self.fault is not None and (self.is_fault_lasting or not calls):
            return self.fault.script
        return [Pause(SILENCE_SECONDS), Proceed()] if self.is_silent else None

    async def upload(self) -> AsyncIterator[bytes]:
        """The body in pieces, slowly."""
        size = len(self.body) // TRICKLES + 1
        for start in range(0, len(self.body), size):
            await trio.sleep(TRICKLE_SECONDS)
            yield self.body[start : start + size]

    def judge(self, status: int, text: bytes) -> str:
        """How an answer ended that the client has read to its end."""
        if status != 200:  # noqa: PLR2004  HTTP's own
            return f"status {status}"
        if not self.stream:
            return "completed"
        if self.path == OPENAI:
            is_over, is_error = text.endswith(b"data: [DONE]\n\n"), b'"error":' in text[text.rfind(b"data: ") :]
        else:
            is_over, is_error = b"event: message_stop" in text, b"event: error" in text
        if is_over == is_error:
            return "no proper end"
        return "completed" if is_over else "error in stream"


def draw_order(draw: random.Random, number: int, *, may_leave: bool) -> Order:
    """The next request of a client."""
    path, stream = draw.choice([ANTHROPIC, OPENAI]), draw.random() < STREAM_SHARE
    build = _build_anthropic if path == ANTHROPIC else _build_openai
    body = build(draw, f"You are asked request {number}.") | {"stream": stream}
    fault = draw.choice(FAULTS) if draw.random() < FAULT_SHARE else None
    leaves = may_leave and draw.random() < LEAVER_SHARE
    return Order(
        number=number,
        path=path,
        body=msgspec.json.encode(body),
        stream=stream,
        fault=fault,
        is_fault_lasting=fault is not None and not fault.is_credentials and draw.random() < LASTING_SHARE,
        is_silent=draw.random() < SILENT_SHARE,
        stay=draw.uniform(0, LONGEST_STAY) if leaves else None,
        is_slow=leaves and draw.random() < SLOW_UPLOAD_SHARE,
    )


def find_number(body: bytes) -> int:
    """The number of the request that a call upstream was made for; -1 if it is none of ours."""
    found = _NUMBER.search(body)
    return -1 if found is None else int(found[1])


_NUMBER = re.compile(rb"You are asked request (\d+)\.")
_MODEL = "claude-sonnet-4-5"
_SCHEMA: JSONObject = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_CALL = 'use get_weather {"city": "Oslo"}'
_PICTURES = tuple(base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(size)).decode() for size in (1_000, 50_000, 200_000))
_LONG = "The quick brown fox jumps over the lazy dog. " * 3_000
_KINDS = ("talk", "talk", "think", "history", "call", "call", "result", "picture", "long")


def _say(kind: str) -> str:
    return {"call": _CALL, "think": "Please think first. " * 3, "long": _LONG}.get(kind, "How are you today? " * 5)


def _build_anthropic(draw: random.Random, system: str) -> JSONObject:
    kind = draw.choice(_KINDS)
    content: JSON = _say(kind)
    messages: list[JSON] = []
    if kind == "history":
        messages = [{"role": role, "content": "Well."} for _ in range(20) for role in ("user", "assistant")]
    if kind == "result":
        use: JSON = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
        messages = [{"role": "user", "content": _CALL}, {"role": "assistant", "content": [use]}]
        content = [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sunny."}]
    if kind == "picture":
        source: JSON = {"type": "base64", "media_type": "image/png", "data": draw.choice(_PICTURES)}
        content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    tool: JSON = {"name": "get_weather", "description": "The weather in a city.", "input_schema": _SCHEMA}
    return {
        "model": _MODEL,
        "max_tokens": 1000,
        "system": system,
        "messages": [*messages, {"role": "user", "content": content}],
        "tools": [tool],
    }


def _build_openai(draw: random.Random, system: str) -> JSONObject:
    kind = draw.choice(_KINDS)
    messages: list[JSON] = [{"role": "user", "content": _say(kind)}]
    if kind == "history":
        past: list[JSON] = [{"role": role, "content": "Well."} for _ in range(20) for role in ("user", "assistant")]
        messages = past + messages
    if kind == "result":
        function: JSON = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
        messages = [
            {"role": "user", "content": _CALL},
            {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Sunny."},
        ]
    if kind == "picture":
        url: JSON = {"url": f"data:image/png;base64,{draw.choice(_PICTURES)}"}
        parts: JSON = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": url}]
        messages = [{"role": "user", "content": parts}]
    tool: JSON = {"name": "get_weather", "description": "The weather in a city.", "parameters": _SCHEMA}
    return {
        "model": _MODEL,
        "messages": [{"role": "system", "content": system}, *messages],
        "tools": [{"type": "function", "function": tool}],
    }
