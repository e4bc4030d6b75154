"""Schemas of tools that the upstream refuses, over real sockets: asked once more in the simplest form, only once."""

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.service import build_error
from tests.support.proxy import HELLO, running_proxy

pytestmark = pytest.mark.slow

PLAIN: JSONObject = {"type": "object", "properties": {"day": {"type": "string"}}}
DATED: JSONObject = {"type": "object", "properties": {"day": {"type": "string", "format": "date"}}}


def ask(schema: JSON) -> dict[str, object]:
    """A request that has one tool used."""
    tools = [{"name": "look", "description": "Looks.", "input_schema": schema}]
    return HELLO | {"tools": tools, "messages": [{"role": "user", "content": 'use look {"day": "2026-11-22"}'}]}


async def test_the_simplest_schema_is_taken_by_a_strict_service() -> None:
    """The client gets its call, the second request differs in the schema alone, and the log names what was done."""
    async with running_proxy() as proxy:
        proxy.simulator.strict = True
        response = await proxy.client.post("/v1/messages", json=ask(DATED))
        assert response.json()["content"][-1]["input"] == {"day": "2026-11-22"}
        first, second = (record.raw for record in proxy.simulator.generations)
        assert first.replace(b',"format":"date"', b"") == second
        [line] = await proxy.log.wait("exchange")
        assert line["repairs"] == ["simplified_schemas"]


@pytest.mark.parametrize("reason", ["TOOL_SCHEMA_INVALID", "REQUEST_BODY_INVALID"])
@pytest.mark.parametrize(("schema", "calls"), [(DATED, 2), (PLAIN, 1)], ids=["bounded", "plain"])
async def test_there_is_no_third_form(reason: str, schema: JSON, calls: int) -> None:
    """A service that refuses that too, or has got it at once, is not asked again."""
    async with running_proxy() as proxy:
        proxy.simulator.responder = lambda _record: [build_error(400, "Improperly formed request.", reason=reason)]
        response = await proxy.client.post("/v1/messages", json=ask(schema))
        assert (response.status_code, len(proxy.simulator.generations)) == (400, calls)
        assert reason in response.json()["error"]["message"]
