"""OpenAI's own Python client offers the tools that OpenAI's models know by their type, and answers their calls."""

import json

import pytest
from openai import AsyncOpenAI
from openai.types.responses import (
    FunctionShellToolParam,
    Response,
    ResponseApplyPatchToolCall,
    ResponseFunctionShellToolCall,
    ResponseInputItemParam,
    ToolParam,
)

from tests.support.gpt import MODEL, both_ways

SHELL: FunctionShellToolParam = {"type": "shell", "environment": {"type": "local"}}
PATCH: ToolParam = {"type": "apply_patch"}


async def ask(gpt: AsyncOpenAI, item: ResponseInputItemParam, *, stream: bool, previous: str | None = None) -> Response:
    """The model's next turn, gathered by the client's own means when it is streamed."""
    tools = [SHELL, PATCH]
    if not stream:
        return await gpt.responses.create(model=MODEL, input=[item], tools=tools, previous_response_id=previous)
    async with gpt.responses.stream(model=MODEL, input=[item], tools=tools, previous_response_id=previous) as events:
        return await events.get_final_response()


@both_ways
async def test_shell(gpt: AsyncOpenAI, *, stream: bool) -> None:
    """It is called with its commands, and what they print is read."""
    asked = "use shell " + json.dumps({"commands": ["ls", "pwd"], "timeout_ms": 9})
    response = await ask(gpt, {"role": "user", "content": asked}, stream=stream)
    [call] = [item for item in response.output if isinstance(item, ResponseFunctionShellToolCall)]
    assert (call.action.commands, call.action.timeout_ms, call.status) == (["ls", "pwd"], 9, "completed")
    output: ResponseInputItemParam = {
        "type": "shell_call_output",
        "call_id": call.call_id,
        "output": [{"stdout": "a.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
    }
    final = await ask(gpt, output, stream=stream, previous=response.id)
    assert final.output_text.startswith("Tool result: ")
    assert '"stdout":"a.txt"' in final.output_text


@both_ways
@pytest.mark.parametrize(
    "operation",
    [{"type": "update_file", "path": "a.txt", "diff": "-a\n+b"}, {"type": "delete_file", "path": "a.txt"}],
    ids=lambda operation: operation["type"],
)
async def test_apply_patch(gpt: AsyncOpenAI, operation: dict[str, str], *, stream: bool) -> None:
    """It is called with what is to become of a file, and its failure is read."""
    asked = "use apply_patch " + json.dumps(operation)
    response = await ask(gpt, {"role": "user", "content": asked}, stream=stream)
    [call] = [item for item in response.output if isinstance(item, ResponseApplyPatchToolCall)]
    assert call.operation.to_dict() == operation
    output: ResponseInputItemParam = {
        "type": "apply_patch_call_output",
        "call_id": call.call_id,
        "status": "failed",
        "output": "No such file.",
    }
    final = await ask(gpt, output, stream=stream, previous=response.id)
    assert final.output_text.startswith("Tool result: No such file.")
