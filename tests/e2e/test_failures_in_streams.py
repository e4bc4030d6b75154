"""What no repetition cures, told in a stream that has begun already: in words on which clients do not ask again."""

import json

import pytest

from kiro2api.protocol.jsontext import JSONObject
from kiro2api.simulator.script import Pause, Respond
from kiro2api.simulator.service import build_error
from tests.support.proxy import HELLO, running_proxy

pytestmark = pytest.mark.slow

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions", "responses": "/v1/responses"}
QUOTA = build_error(402, "x", reason="MONTHLY_REQUEST_COUNT", error_type="ServiceQuotaExceededException")
NO_CREDENTIAL = build_error(403, "User is not authorized to make this call.", error_type="AccessDeniedException")
NO_MODEL = build_error(400, "x", reason="INVALID_MODEL_ID")
IMPROPER = build_error(400, "Improperly formed request.", reason="REQUEST_BODY_INVALID")


def read_failure(stream: str) -> JSONObject:
    """The error in the last event of a stream."""
    document = json.loads(stream.rstrip().splitlines()[-1].removeprefix("data: "))
    failure: JSONObject = document.get("response", document)["error"]
    return failure


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize(
    ("refusal", "words", "names"),
    [
        (
            QUOTA,
            "quota",
            {"anthropic": "billing_error", "openai": "insufficient_quota", "responses": "insufficient_quota"},
        ),
        (NO_CREDENTIAL, "owner", {"anthropic": "api_error", "openai": "upstream_auth", "responses": "invalid_prompt"}),
        (
            NO_MODEL,
            "model",
            {"anthropic": "not_found_error", "openai": "model_not_found", "responses": "invalid_prompt"},
        ),
        (
            IMPROPER,
            "refused the form",
            {"anthropic": "invalid_request_error", "openai": None, "responses": "invalid_prompt"},
        ),
    ],
    ids=["quota", "credential", "model", "form"],
)
async def test_permanent_failure(dialect: str, refusal: Respond, words: str, names: dict[str, str | None]) -> None:
    """Its name is the dialect's, its message says whose turn it is, and the upstream was asked once."""
    async with running_proxy() as proxy:
        proxy.service.ping_seconds = 0.05
        proxy.simulator.responder = lambda _record: [Pause(0.3), refusal]
        response = await proxy.client.post(PATHS[dialect], json=HELLO | {"input": "Hello", "stream": True})
        failure = read_failure(response.text)
        assert response.status_code == 200
        assert failure["type" if dialect == "anthropic" else "code"] == names[dialect]
        assert words in str(failure["message"])
        assert len(proxy.simulator.generations) == 1
