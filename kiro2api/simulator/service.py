"""Generate calls of the simulated service: who may make them, with what body, and the small model's answer.

Also the forms in which every operation of the service fails.
"""

import secrets
import uuid
from collections.abc import Mapping

import msgspec

from kiro2api.simulator.account import Account
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.denials import (
    FORBIDDEN,
    INVALID_BEARER,
    SUSPENDED,
    Denial,
    find_identity_denial,
    find_model_denial,
    find_profile_denial,
    find_quota_denial,
    find_throttle_denial,
)
from kiro2api.simulator.model import answer
from kiro2api.simulator.record import Record
from kiro2api.simulator.refusals import Refusal, RefusedError, Rule
from kiro2api.simulator.request import read_request
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

_OAUTH_STATUSES = {"invalid_client": 401, "server_error": 500}
_OAUTH_SENTENCES = {
    "invalid_grant": "Invalid refresh token provided",
    "invalid_request": "A required parameter is missing or malformed.",
    "unsupported_grant_type": "The grant type is not supported.",
    "invalid_client": "The client registration is unknown or has expired.",
    "server_error": "Internal server error",
}


def build_error(
    status: int, message: str, *, reason: str | None = None, error_type: str = "ValidationException"
) -> Respond:
    """A refusal of a call in the service's form."""
    return render_denial(Denial(status=status, error_type=error_type, message=message, reason=reason))


def render_denial(denial: Denial) -> Respond:
    """The answer that carries ``denial``."""
    headers = {
        "content-type": "application/json",
        "x-amzn-errortype": f"{denial.error_type}:{_ERROR_TYPE_URL}",
        **denial.headers,
    }
    body: dict[str, object] = {"message": denial.message, "reason": denial.reason}
    if denial.retry_after_milliseconds is not None:
        body["retryAfterMilliseconds"] = denial.retry_after_milliseconds
    return Respond(denial.status, headers, msgspec.json.encode(body))


def build_refresh_failure(status: int) -> Respond:
    """The way in which a refresh fails with ``status``: 400, 401, 403, 429, 500 or 503."""
    body, headers = _REFRESH_FAILURES[status]
    return Respond(status, {"content-type": "application/json", **headers}, msgspec.json.encode(body))


def build_oauth_failure(error: str) -> Respond:
    """The way in which a refresh by OIDC or at an identity provider fails: ``error`` is a code of RFC 6749.

    ``invalid_client`` is 401, ``server_error`` 500, everything else 400.
    """
    body = {"error": error, "error_description": _OAUTH_SENTENCES.get(error, "The request was refused.")}
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Respond(_OAUTH_STATUSES.get(error, 400), headers, msgspec.json.encode(body))


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


def read_access_token(headers: Mapping[str, str]) -> str:
    """The access token that a generate call shows; empty if there is none."""
    scheme, _, access_token = headers.get("authorization", "").partition(" ")
    return access_token.strip() if scheme.casefold() == "bearer" else ""


def authorize_call(accounts: Accounts, record: Record, *, region: str | None, now: float) -> Account | Denial:
    """The account that makes a call of the API, or why it may make none; the record keeps the credential.

    The bearer has to be good in ``region``, if there is one.
    """
    record.credential = accounts.authorize(read_access_token(record.headers), now=now)
    if record.credential is None:
        return INVALID_BEARER
    account = accounts[record.credential]
    token_type = record.headers.get("tokentype", "")
    denial = find_identity_denial(account, token_type=token_type, region=region)
    return denial or (SUSPENDED if account.suspended else account)


def refuse_generate(accounts: Accounts, record: Record, *, now: float, strict: bool = False) -> Respond | None:
    """The refusal of a generate call, if its access token, its body or its account deserves one.

    The record keeps the credential, and the rule that the body breaks, which may be one of a ``strict`` service.
    """
    account = authorize_call(accounts, record, region=record.region, now=now)
    if isinstance(account, Denial):
        return render_denial(account)
    if account.forbidden:
        return render_denial(FORBIDDEN)
    refusal = _refuse_media_type(record.headers) or validate_request(record.raw, strict=strict)
    if refusal is not None:
        record.rule = refusal.rule
        return build_error(refusal.status, refusal.message, reason=refusal.reason)
    denial = _find_denial(account, record, now=now)
    return None if denial is None else render_denial(denial)


def _find_denial(account: Account, record: Record, *, now: float) -> Denial | None:
    """What is wrong with a body that breaks no rule, coming from this account now."""
    if account.needs_profile or account.models is not None:
        request = read_request(record.body)
        denial = find_profile_denial(account, request.profile_arn) or find_model_denial(
            account, request.current.model_id or "auto"
        )
        if denial is not None:
            return denial
    return find_throttle_denial(account, now=now) or (None if record.charged else find_quota_denial(account))


def charge_generate(accounts: Accounts, record: Record) -> None:
    """The account pays for a generate call that was not refused."""
    quota = accounts[record.credential].quota if record.credential is not None else None
    if quota is not None:
        quota.used += quota.price
        record.charged = True


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
