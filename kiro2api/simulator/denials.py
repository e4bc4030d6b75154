"""What the state of an account forbids, in the service's words.

Each function looks at one thing and returns the refusal, or ``None``; who asks decides on the order.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from kiro2api.simulator.account import Account, AccountKind, RetryHint
from kiro2api.simulator.refusals import ANSWERS, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal."""

    status: int
    error_type: str
    message: str
    reason: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after_milliseconds: int | None = None


INVALID_BEARER = Denial(
    status=403,
    error_type="AccessDeniedException",
    message="The bearer token included in the request is invalid.",
)
"""For unknown and expired bearers, and for good ones in the wrong region or with somebody else's profile."""
INVALID_TOKEN_TYPE = Denial(status=403, error_type="AccessDeniedException", message="Invalid token")
SUSPENDED = Denial(
    status=403,
    error_type="AccessDeniedException",
    message="Your User ID (simulated) is temporarily suspended. We detected unusual user activity and locked it.",
    reason="TEMPORARILY_SUSPENDED",
)
FORBIDDEN = Denial(
    status=403,
    error_type="AccessDeniedException",
    message="User is not authorized to make this call.",
    reason="FEATURE_NOT_SUPPORTED",
)
NO_PROFILE = Denial(
    status=400,
    error_type="ValidationException",
    message="profileArn is required for this request.",
)
NO_QUOTA_THIS_MONTH = Denial(
    status=402,
    error_type="ServiceQuotaExceededException",
    message="You have reached the limit.",
    reason="MONTHLY_REQUEST_COUNT",
)
NO_QUOTA_TODAY = Denial(
    status=429,
    error_type="ThrottlingException",
    message="You have reached the limit.",
    reason="DAILY_REQUEST_COUNT",
)

_TOKEN_TYPES = {AccountKind.EXTERNAL_IDP: "external_idp", AccountKind.API_KEY: "api_key"}
"""What the header says, in lower case; other kinds send none."""


def find_identity_denial(account: Account, *, token_type: str, region: str | None) -> Denial | None:
    """Whether the bearer may be shown here, and with that ``TokenType``; empty is none."""
    if token_type.casefold() != _TOKEN_TYPES.get(account.kind, ""):
        return INVALID_BEARER if account.kind is AccountKind.API_KEY else INVALID_TOKEN_TYPE
    return None if account.is_served_in(region) else INVALID_BEARER


def find_profile_denial(account: Account, profile_arn: object) -> Denial | None:
    """Whether the profile is the account's, if the account needs one; ``None`` is none."""
    if not account.needs_profile:
        return None
    if profile_arn is None:
        return NO_PROFILE
    return None if profile_arn == account.profile else INVALID_BEARER


def find_model_denial(account: Account, model_id: str) -> Denial | None:
    """Whether the account may use a model; refused as one that does not exist."""
    if account.models is None or model_id in account.models:
        return None
    reason, message = ANSWERS[Rule.MODEL_ID_KNOWN]
    return Denial(status=400, error_type="ValidationException", message=message, reason=reason)


def find_throttle_denial(account: Account, *, now: float) -> Denial | None:
    """Whether the account may call yet."""
    throttle = account.throttle
    if throttle is None or now >= throttle.until:
        return None
    seconds = throttle.until - now
    has_header, has_member = throttle.hint is RetryHint.HEADER, throttle.hint is RetryHint.BODY
    return Denial(
        status=429,
        error_type="ThrottlingException",
        message="Too many requests, please wait before trying again.",
        reason=throttle.reason,
        headers={"retry-after": str(math.ceil(seconds))} if has_header else {},
        retry_after_milliseconds=math.ceil(seconds * 1000) if has_member else None,
    )


def find_quota_denial(account: Account) -> Denial | None:
    """Whether credits are left; the last call may take more than there are."""
    quota = account.quota
    if quota is None or quota.left > 0:
        return None
    return NO_QUOTA_TODAY if quota.is_daily else NO_QUOTA_THIS_MONTH
