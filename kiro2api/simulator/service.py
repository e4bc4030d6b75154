"""The answers of the simulated service, as scripts: credentials, checks, and the small model."""

import secrets
import uuid
from collections.abc import Mapping

import msgspec

from kiro2api.protocol.jsontext import JSON
from kiro2api.simulator.accounts import PROFILE_ARN, Accounts
from kiro2api.simulator.model import answer
from kiro2api.simulator.record import Record
from kiro2api.simulator.refusals import Refusal, RefusedError, Rule
from kiro2api.simulator.script import Pause, Respond, Script, Step
from kiro2api.simulator.validation import validate_request

GENERATE_PATH = "/generateAssistantResponse"
REFRESH_PATH = "/refreshToken"
TOOL_USE_ID_BYTES = 16
"""Of randomness."""

_ERROR_TYPE_URL = "http://internal.amazon.com/coral/com.amazon.aws.codewhisperer/"
_MEDIA_TYPES = frozenset({"application/json", "application/x-amz-json-1.0"})
_REFRESH_FAILURES: dict[int, tuple[Mapping[str, str], Mapping[str, str]]] = {
    400: ({"error": "invalid_grant", "message": "Invalid refresh token provided"}, {}),
    401: ({"message": "Refresh token expired or revoked"}, {}),
    403: ({"message": "Forbidden"}, {}),
    429: ({"message": "Too many requests"}, {"retry-after": "1"}),
    500: ({"message": "Internal server error"}, {}),
    503: ({"message": "Service unavailable"}, {}),
}


def build_error(
    status: int, message: str, *, reason: str | None = None, error_type: str = "ValidationException"
) -> Respond:
    """A refusal of a generate call in the service's form."""
    headers = {
        "content-type": "application/json",
        "x-amzn-errortype": f"{error_type}:{_ERROR_TYPE_URL}",
    }
    return Respond(status, headers, msgspec.json.encode({"message": message, "reason": reason}))


def build_refresh_failure(status: int) -> Respond:
    """The way in which a refresh fails with ``status``: 400, 401, 403, 429, 500 or 503."""
    body, headers = _REFRESH_FAILURES[status]
    return Respond(status, {"content-type": "application/json", **headers}, msgspec.json.encode(body))


def build_unknown_operation(record: Record) -> Respond:
    """The answer to a method or path that is no operation."""
    body = {
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": f"{record.method} {record.path} is no operation.",
        "reason": None,
    }
    headers = {
        "content-type": "application/json",
        "x-amzn-errortype": f"UnknownOperationException:{_ERROR_TYPE_URL}",
    }
    return Respond(404, headers, msgspec.json.encode(body))


def answer_refresh(accounts: Accounts, record: Record, *, now: float) -> Respond:
    """An access token for the refresh token that the request shows, or the refusal."""
    refresh_token = read_refresh_token(record.body)
    grant = accounts.refresh(refresh_token, now=now)
    if grant is None:
        return build_refresh_failure(401 if accounts.is_dead(refresh_token) else 400)
    body = {
        "accessToken": grant.access_token,
        "refreshToken": grant.refresh_token,
        "expiresIn": grant.expires_in,
        "profileArn": PROFILE_ARN,
    }
    return Respond(200, {"content-type": "application/json"}, msgspec.json.encode(body))


def read_refresh_token(body: JSON) -> str:
    """The refresh token in the body of a refresh; empty if there is none."""
    shown = body.get("refreshToken") if isinstance(body, dict) else None
    return shown if isinstance(shown, str) else ""


def read_access_token(headers: Mapping[str, str]) -> str:
    """The access token that a generate call shows; empty if there is none."""
    scheme, _, access_token = headers.get("authorization", "").partition(" ")
    return access_token.strip() if scheme.casefold() == "bearer" else ""


def refuse_generate(accounts: Accounts, record: Record, *, now: float) -> Respond | None:
    """The refusal of a generate call, if its access token or its body deserves one.

    The record keeps the credential, and the rule that the body breaks.
    """
    credential = accounts.authorize(read_access_token(record.headers), now=now)
    if credential is None:
        message = "The bearer token included in the request is invalid."
        return build_error(403, message, error_type="AccessDeniedException")
    record.credential = credential
    refusal = _refuse_media_type(record.headers) or validate_request(record.raw)
    if refusal is None:
        return None
    record.rule = refusal.rule
    return build_error(refusal.status, refusal.message, reason=refusal.reason)


def _refuse_media_type(headers: Mapping[str, str]) -> Refusal | None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().casefold()
    return None if media_type in _MEDIA_TYPES else RefusedError(Rule.MEDIA_TYPE).refusal


def answer_generate(record: Record, *, delay: float) -> Script:
    """The small model's answer to a call that is not refused, with ``delay`` seconds before each further event."""
    steps: list[Step] = []
    for event in answer(record.body, new_id=_draw_tool_use_id):
        if steps and delay:
            steps.append(Pause(delay))
        steps.append(event)
    return steps


def draw_request_id() -> str:
    """An id for ``x-amzn-requestid``."""
    return str(uuid.uuid4())


def _draw_tool_use_id() -> str:
    return f"tooluse_{secrets.token_urlsafe(TOOL_USE_ID_BYTES)}"
