"""The control plane, driven by the account's state."""

import json
from datetime import UTC, datetime

import pytest

from kiro2api.protocol.jsontext import JSONObject
from kiro2api.simulator.account import PROFILE_ARN, Account, AccountKind, Quota
from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.addresses import MODELS_PATH, PROFILES_PATH, USAGE_LIMITS_PATH
from kiro2api.simulator.control import answer_control
from kiro2api.simulator.models import LISTED, find_model
from tests.unit.simulator.records import IDC_ARN, authorize, build_account, build_record

RESETS_AT = 1.7671392e9
ORIGIN = {"origin": "AI_EDITOR"}


def ask(
    account: Account,
    path: str,
    body: JSONObject | None = None,
    *,
    region: str | None = None,
    query: dict[str, str] | None = None,
) -> tuple[int, JSONObject]:
    """Status and body of the answer to ``account``."""
    accounts = Accounts([])
    accounts.add(account)
    headers = authorize(accounts, account)
    record = build_record(path, body, headers=headers, query=query, region=region)
    answer = answer_control(accounts, record, now=0.0)
    assert record.credential == account.name
    return answer.status, json.loads(answer.body)


def test_usage_limits_follow_the_quota() -> None:
    """Credits in whole numbers and exactly, the plan, and when it begins anew."""
    quota = Quota(limit=50.0, used=12.5, resets_at=RESETS_AT)
    account = Account(refresh_token="r", plan="KIRO PRO", quota=quota)
    status, body = ask(account, USAGE_LIMITS_PATH)
    assert (status, body["nextDateReset"], body["daysUntilReset"], body["limits"]) == (200, RESETS_AT, 0, [])
    assert body["subscriptionInfo"] == {
        "type": "Q_DEVELOPER_STANDALONE_PRO",
        "subscriptionTitle": "KIRO PRO",
        "upgradeCapability": "UPGRADE_CAPABLE",
        "overageCapability": "OVERAGE_INCAPABLE",
        "subscriptionManagementTarget": "PURCHASE",
    }
    match body["usageBreakdownList"]:
        case [dict() as credits_]:
            figures = [credits_[name] for name in ("resourceType", "currentUsage", "currentUsageWithPrecision")]
            assert figures == ["CREDIT", 12, 12.5]
            assert [credits_[name] for name in ("usageLimit", "usageLimitWithPrecision")] == [50, 50.0]
        case other:
            pytest.fail(f"no single breakdown: {other}")


def test_usage_limits_without_a_quota_are_plausible() -> None:
    """A limit of which nothing is used, until the first of next month; an address only for those who ask."""
    _, body = ask(Account(refresh_token="r"), USAGE_LIMITS_PATH, query={"isEmailRequired": "true"})
    assert isinstance(body["nextDateReset"], float)
    resets = datetime.fromtimestamp(body["nextDateReset"], UTC)
    assert (resets.day, resets.hour) == (1, 0)
    assert resets > datetime.now(UTC)
    match body:
        case {"usageBreakdownList": [{"currentUsage": 0, "usageLimit": 1000}], "userInfo": {"email": str()}}:
            pass
        case _:
            pytest.fail(f"not plausible: {body}")
    _, anonymous = ask(Account(refresh_token="r"), USAGE_LIMITS_PATH)
    assert isinstance(anonymous["userInfo"], dict)
    assert anonymous["userInfo"]["email"] is None


@pytest.mark.parametrize("path", [USAGE_LIMITS_PATH, MODELS_PATH])
@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 400), ({"profileArn": PROFILE_ARN}, 403), ({"profileArn": IDC_ARN}, 200)],
)
def test_an_organisations_account_names_its_profile(path: str, query: dict[str, str], status: int) -> None:
    """Its own, and no other."""
    assert ask(build_account(AccountKind.IDC), path, query=ORIGIN | query)[0] == status


@pytest.mark.parametrize("kind", [AccountKind.SOCIAL, AccountKind.BUILDER_ID, AccountKind.API_KEY])
def test_other_accounts_need_not_name_a_profile(kind: AccountKind) -> None:
    """Usage limits answer without one."""
    assert ask(build_account(kind), USAGE_LIMITS_PATH)[0] == 200


def test_models_come_in_pages() -> None:
    """Together the pages list each model once, in order; the last has no continuation."""
    account = Account(refresh_token="r", models=["auto", "a", "b", "c", "d"])
    listed: list[object] = []
    query = {**ORIGIN, "maxResults": "2"}
    sizes: list[int] = []
    while True:
        status, body = ask(account, MODELS_PATH, query=query)
        assert (status, body["defaultModel"]) == (200, {"modelId": "auto"})
        assert isinstance(body["models"], list)
        sizes.append(len(body["models"]))
        listed += [model["modelId"] for model in body["models"] if isinstance(model, dict)]
        if not isinstance(body["nextToken"], str):
            break
        query["nextToken"] = body["nextToken"]
    assert (listed, sizes) == (["auto", "a", "b", "c", "d"], [2, 2, 1])


def test_an_account_that_may_use_everything_is_told_so() -> None:
    """Every model listed is one that generate calls take; the old upper-case ids are not listed."""
    status, body = ask(Account(refresh_token="r"), MODELS_PATH, query=ORIGIN)
    assert isinstance(body["models"], list)
    listed = [model["modelId"] for model in body["models"] if isinstance(model, dict)]
    assert (status, listed) == (200, list(LISTED))
    assert all(find_model(model_id) for model_id in LISTED)
    assert not any(model_id.isupper() for model_id in LISTED)


def describe_object(**properties: object) -> dict[str, object]:
    """A schema of an object that has these properties at the most."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def test_a_model_is_described_as_the_service_does() -> None:
    """Its window, its price, what it reads, and the schema of further fields if it takes any."""
    account = Account(refresh_token="r", models=["claude-opus-4.6", "glm-5", "unheard-of"])
    _, body = ask(account, MODELS_PATH, query=ORIGIN)
    assert isinstance(body["models"], list)
    opus, glm, unknown = body["models"]
    assert isinstance(glm, dict)
    assert isinstance(unknown, dict)
    effort = describe_object(effort={"enum": ["high", "low", "max", "medium"]})
    thinking = describe_object(type={"enum": ["adaptive", "disabled"]}, display={"enum": ["omitted", "summarized"]})
    limit = {"type": "integer", "minimum": 1024, "maximum": 128_000}
    assert opus == {
        "modelId": "claude-opus-4.6",
        "modelName": "Claude Opus 4.6",
        "description": "The simulated claude-opus-4.6",
        "rateMultiplier": 2.2,
        "rateUnit": "Credit",
        "supportedInputTypes": ["TEXT", "IMAGE"],
        "tokenLimits": {"maxInputTokens": 1_000_000, "maxOutputTokens": 64_000},
        "promptCaching": {"supportsPromptCaching": False},
        "additionalModelRequestFieldsSchema": describe_object(
            max_tokens=limit, output_config=effort, thinking=thinking
        ),
    }
    assert (glm["rateMultiplier"], glm["supportedInputTypes"]) == (1.0, ["TEXT"])
    assert "additionalModelRequestFieldsSchema" not in glm
    assert unknown["tokenLimits"] == glm["tokenLimits"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {**ORIGIN, "maxResults": "0"},
        {**ORIGIN, "maxResults": "101"},
        {**ORIGIN, "maxResults": "many"},
        {**ORIGIN, "nextToken": "guessed"},
    ],
)
def test_models_are_asked_for_properly(query: dict[str, str]) -> None:
    """With an origin, a size within bounds, and a continuation of ours."""
    status, body = ask(Account(refresh_token="r"), MODELS_PATH, query=query)
    assert (status, body["reason"]) == (400, "REQUEST_BODY_INVALID")


@pytest.mark.parametrize(("models", "default"), [((), None), (("glm-5",), {"modelId": "glm-5"})])
def test_a_list_of_models_may_lack_auto(models: tuple[str, ...], default: JSONObject | None) -> None:
    """The default is one that is listed, if any is."""
    _, body = ask(Account(refresh_token="r", models=models), MODELS_PATH, query=ORIGIN)
    assert body["defaultModel"] == default


@pytest.mark.parametrize(
    ("kind", "region", "arns"),
    [
        (AccountKind.IDC, None, [IDC_ARN]),
        (AccountKind.IDC, "eu-central-1", [IDC_ARN]),
        (AccountKind.IDC, "us-east-1", []),
        (AccountKind.EXTERNAL_IDP, "us-east-1", [PROFILE_ARN]),
        (AccountKind.SOCIAL, None, [PROFILE_ARN]),
        (AccountKind.API_KEY, None, []),
    ],
)
def test_profiles_are_those_of_the_account(kind: AccountKind, region: str | None, arns: list[str]) -> None:
    """In the region asked, or in any."""
    status, body = ask(build_account(kind), PROFILES_PATH, {"maxResults": 10}, region=region)
    profiles = [{"arn": arn, "profileName": "Simulated", "status": "ACTIVE"} for arn in arns]
    assert (status, body) == (200, {"profiles": profiles, "nextToken": None})


def test_a_builder_id_has_no_profiles() -> None:
    """In the service's words."""
    status, body = ask(build_account(AccountKind.BUILDER_ID), PROFILES_PATH, {})
    assert (status, body["message"]) == (403, "AWS Builder ID is not supported for this operation.")


@pytest.mark.parametrize("body", [None, {"maxResults": 11}, {"maxResults": 0}, {"maxResults": "1"}])
def test_profiles_are_asked_for_properly(body: JSONObject | None) -> None:
    """With a body, and a size within bounds."""
    assert ask(build_account(AccountKind.IDC), PROFILES_PATH, body)[0] == 400


def test_limits_are_those_of_the_accounts_region() -> None:
    """Elsewhere the bearer is no good."""
    account = build_account(AccountKind.IDC)
    query = {"profileArn": IDC_ARN}
    regions = ("eu-central-1", "us-east-1")
    assert [ask(account, USAGE_LIMITS_PATH, region=region, query=query)[0] for region in regions] == [200, 403]


def test_the_control_plane_knows_its_callers() -> None:
    """Without a good bearer, with the wrong token type, or suspended: 403 as for generate calls."""
    accounts = Accounts([])
    account = accounts.add(build_account(AccountKind.EXTERNAL_IDP))
    headers = authorize(accounts, account)
    untyped = {"authorization": headers["authorization"]}
    messages = []
    for shown, suspended in (({}, False), (untyped, False), (headers, True)):
        account.suspended = suspended
        answer = answer_control(accounts, build_record(USAGE_LIMITS_PATH, headers=shown), now=0.0)
        assert answer.status == 403
        messages.append(json.loads(answer.body)["message"])
    assert messages[:2] == ["The bearer token included in the request is invalid.", "Invalid token"]
    assert "temporarily suspended" in messages[2]
