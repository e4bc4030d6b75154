"""The control plane: what an account has used, which models it may use, and its profiles.

Each answer follows from the account's state as it is now.
"""

import hashlib
import re
from datetime import UTC, datetime

import msgspec

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.account import UNMETERED_LIMIT, Account, AccountKind, Quota
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import MODELS_PATH, PROFILES_PATH, USAGE_LIMITS_PATH
from kiro2api.simulator.denials import INVALID_BEARER, Denial
from kiro2api.simulator.models import LISTED, describe_model_fields, find_model
from kiro2api.simulator.record import Record
from kiro2api.simulator.refusals import IMPROPER
from kiro2api.simulator.script import Respond
from kiro2api.simulator.service import authorize_call, render_denial

MODELS_PER_PAGE = range(1, 101)
PROFILES_PER_PAGE = range(1, 11)
DEFAULT_MODELS_PER_PAGE = 50
DEFAULT_PROFILES_PER_PAGE = 10
MAX_OUTPUT_TOKENS = 64_000

_IMPROPER = Denial(status=400, error_type="ValidationException", message=IMPROPER, reason="REQUEST_BODY_INVALID")
_INVALID_PROFILE = Denial(status=400, error_type="ValidationException", message="Invalid profileArn.")
_NO_BUILDER_ID = Denial(
    status=403,
    error_type="AccessDeniedException",
    message="AWS Builder ID is not supported for this operation.",
)
_PROFILE_OWNERS = frozenset({AccountKind.IDC, AccountKind.EXTERNAL_IDP})
"""Kinds that have to name their profile."""
_RATES = {"opus": 2.2, "sonnet": 1.3, "haiku": 0.4}
_PAGE_PREFIX = "page-from-"
_NUMBER = re.compile(r"[0-9]{1,3}")
_CONTINUATION = re.compile(_PAGE_PREFIX + r"([0-9]{1,6})")


def answer_control(accounts: Accounts, record: Record, *, now: float) -> Respond:
    """The answer to an operation of the control plane; the record keeps the credential."""
    # Profiles are looked for in every region; each tells of its own.
    region = None if record.path == PROFILES_PATH else record.region
    account = authorize_call(accounts, record, region=region, now=now)
    if isinstance(account, Denial):
        return render_denial(account)
    if record.path == USAGE_LIMITS_PATH:
        answer = _list_usage_limits(account, record)
    elif record.path == MODELS_PATH:
        answer = _list_models(account, record)
    else:
        answer = _list_profiles(account, record)
    if isinstance(answer, Denial):
        return render_denial(answer)
    return Respond(200, {"content-type": "application/json"}, msgspec.json.encode(answer))


def _find_profile_denial(account: Account, profile_arn: str | None) -> Denial | None:
    if account.kind not in _PROFILE_OWNERS:
        return None
    if not profile_arn:
        return _INVALID_PROFILE
    return None if profile_arn == account.profile else INVALID_BEARER


def _list_usage_limits(account: Account, record: Record) -> JSONObject | Denial:
    denial = _find_profile_denial(account, record.query.get("profileArn"))
    if denial is not None:
        return denial
    resets_at = _find_reset(account.quota)
    user: JSONObject = {"userId": "d-" + hashlib.sha256(account.name.encode()).hexdigest()[:16], "email": None}
    if record.query.get("isEmailRequired") == "true":
        user["email"] = "user@example.com"
    return {
        "limits": [],
        "daysUntilReset": max(0, int((resets_at - datetime.now(UTC).timestamp()) // 86_400)),
        "nextDateReset": resets_at,
        "overageConfiguration": {"overageStatus": "DISABLED", "overageLimit": None},
        "subscriptionInfo": {
            "type": "Q_DEVELOPER_STANDALONE" + account.plan.upper().removeprefix("KIRO").replace(" ", "_"),
            "subscriptionTitle": account.plan,
            "upgradeCapability": "UPGRADE_CAPABLE",
            "overageCapability": "OVERAGE_INCAPABLE",
            "subscriptionManagementTarget": "PURCHASE",
        },
        "usageBreakdown": None,
        "usageBreakdownList": [_describe_credits(account.quota, resets_at)],
        "userInfo": user,
    }


def _describe_credits(quota: Quota | None, resets_at: float) -> JSONObject:
    limit, used = (UNMETERED_LIMIT, 0.0) if quota is None else (quota.limit, quota.used)
    return {
        "resourceType": "CREDIT",
        "displayName": "Credit",
        "displayNamePlural": "Credits",
        "unit": "INVOCATIONS",
        "currency": "USD",
        "currentUsage": int(used),
        "currentUsageWithPrecision": used,
        "usageLimit": int(limit),
        "usageLimitWithPrecision": limit,
        "currentOverages": 0,
        "currentOveragesWithPrecision": 0.0,
        "overageCap": 0,
        "overageCapWithPrecision": 0.0,
        "overageRate": 0.04,
        "overageCharges": 0.0,
        "nextDateReset": resets_at,
        "freeTrialInfo": None,
        "bonuses": [],
    }


def _find_reset(quota: Quota | None) -> float:
    if quota is not None and quota.resets_at is not None:
        return quota.resets_at
    today = datetime.now(UTC)
    years, month = divmod(today.month, 12)
    return datetime(today.year + years, month + 1, 1, tzinfo=UTC).timestamp()


def _list_models(account: Account, record: Record) -> JSONObject | Denial:
    denial = _find_profile_denial(account, record.query.get("profileArn"))
    if denial is not None:
        return denial
    size = _NUMBER.fullmatch(record.query.get("maxResults", str(DEFAULT_MODELS_PER_PAGE)))
    start = _CONTINUATION.fullmatch(record.query.get("nextToken", f"{_PAGE_PREFIX}0"))
    if not record.query.get("origin") or size is None or int(size[0]) not in MODELS_PER_PAGE or start is None:
        return _IMPROPER
    model_ids = list(LISTED if account.models is None else account.models)
    page = int(start[1])
    end = page + int(size[0])
    default = "auto" if "auto" in model_ids else next(iter(model_ids), None)
    return {
        "models": [_describe_model(model_id) for model_id in model_ids[page:end]],
        "defaultModel": None if default is None else {"modelId": default},
        "nextToken": f"{_PAGE_PREFIX}{end}" if end < len(model_ids) else None,
    }


def _describe_model(model_id: str) -> JSONObject:
    model = find_model(model_id)
    takes_images = model_id == "auto" or model_id.startswith(("claude", "gpt"))
    inputs: list[JSON] = ["TEXT", "IMAGE"] if takes_images else ["TEXT"]
    description: JSONObject = {
        "modelId": model_id,
        "modelName": model_id.replace("-", " ").title(),
        "description": f"The simulated {model_id}",
        "rateMultiplier": next((rate for family, rate in _RATES.items() if family in model_id), 1.0),
        "rateUnit": "Credit",
        "supportedInputTypes": inputs,
        "tokenLimits": {
            "maxInputTokens": 200_000 if model is None else model.window,
            "maxOutputTokens": MAX_OUTPUT_TOKENS,
        },
        "promptCaching": {"supportsPromptCaching": False},
    }
    schema = None if model is None else describe_model_fields(model)
    return description if schema is None else {**description, "additionalModelRequestFieldsSchema": schema}


def _list_profiles(account: Account, record: Record) -> JSONObject | Denial:
    if account.kind is AccountKind.BUILDER_ID:
        return _NO_BUILDER_ID
    if not isinstance(record.body, dict):
        return _IMPROPER
    size = record.body.get("maxResults", DEFAULT_PROFILES_PER_PAGE)
    if not isinstance(size, int) or size not in PROFILES_PER_PAGE:
        return _IMPROPER
    has_profile = account.profile and record.region in {None, account.profile_region}
    profile: JSONObject = {"arn": account.profile, "profileName": "Simulated", "status": "ACTIVE"}
    return {"profiles": [profile] if has_profile else [], "nextToken": None}
