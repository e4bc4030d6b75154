"""Bodies of generate calls that the service takes; each test changes one thing."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from kiro2api.protocol.jsontext import JSON, JSONObject

MODEL_ID = "claude-sonnet-4.5"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nrest").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0rest").decode()
GIF = base64.b64encode(b"GIF89arest").decode()
WEBP = base64.b64encode(b"RIFF\x0a\x0b\x00\x00WEBPrest").decode()


def user(content: str = "Hello", *, context: JSONObject | None = None, **members: JSON) -> JSON:
    """A user's message."""
    message: JSONObject = {"content": content, "modelId": MODEL_ID, "origin": "AI_EDITOR"}
    if context is not None:
        message["userInputMessageContext"] = context
    return {"userInputMessage": {**message, **members}}


def assistant(content: str = "Hi", **members: JSON) -> JSON:
    """An assistant's message."""
    return {"assistantResponseMessage": {"content": content, **members}}


def tool(name: str = "get_time", schema: JSON = None, **members: JSON) -> JSON:
    """A declared tool."""
    json_schema: JSON = {"type": "object", "properties": {}} if schema is None else schema
    specification: JSONObject = {
        "name": name,
        "description": "Current time.",
        "inputSchema": {"json": json_schema},
    }
    return {"toolSpecification": {**specification, **members}}


def use(tool_use_id: str = "tooluse_1", name: str = "get_time", value: JSON = None) -> JSON:
    """A tool use."""
    return {"toolUseId": tool_use_id, "name": name, "input": {} if value is None else value}


def result(tool_use_id: str = "tooluse_1", text: str = "12:00", **members: JSON) -> JSON:
    """A tool result."""
    content: JSON = [{"text": text}]
    return {"toolUseId": tool_use_id, "status": "success", "content": content, **members}


def image(form: str = "png", data: str = PNG) -> JSON:
    """A picture."""
    return {"format": form, "source": {"bytes": data}}


def request(current: JSON = None, history: Sequence[JSON] = (), **members: JSON) -> JSONObject:
    """A whole body."""
    state: JSONObject = {
        "chatTriggerType": "MANUAL",
        "agentTaskType": "vibe",
        "conversationId": "6f9d1c9e-0f5e-4a5e-9b8e-3f2d7f0a1b2c",
        "currentMessage": user() if current is None else current,
    }
    if history:
        state["history"] = list(history)
    return {"conversationState": state, **members}


def tool_loop(
    *,
    uses: Sequence[JSON] = (),
    results: Sequence[JSON] | None = None,
    tools: Sequence[JSON] | None = None,
) -> JSONObject:
    """A conversation in which the current message answers tool uses."""
    context: JSONObject = {
        "toolResults": [result()] if results is None else list(results),
        "tools": [tool()] if tools is None else list(tools),
    }
    called = assistant("", toolUses=list(uses) or [use()])
    return request(user("", context=context), [user("What time is it?"), called])


def with_member(body: JSONObject, path: str, value: JSON) -> JSONObject:
    """A copy of ``body`` with ``value`` at ``path`` (``a/0/b``), which need not exist yet."""
    copy: JSONObject = json.loads(json.dumps(body))
    *parents, last = PurePosixPath(path).parts
    place: JSON = copy
    for part in parents:
        match place:
            case dict():
                place = place.setdefault(part, {})
            case list():
                place = place[int(part)]
            case _:
                raise TypeError(path)
    if isinstance(place, list):
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    return copy


def encode(body: Mapping[str, JSON]) -> bytes:
    """``body`` as it is sent."""
    return json.dumps(body).encode()
