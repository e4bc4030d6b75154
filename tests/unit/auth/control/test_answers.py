"""Answers of the control plane."""

import json
from collections.abc import Callable

import pytest

from kiro2api.auth.control import (
    MAX_ANSWER_BYTES,
    ControlAnswerError,
    ListedModel,
    ModelsPage,
    ProfilesPage,
    UsageLimits,
    join_models,
    parse_models,
    parse_profiles,
    parse_usage,
)

DATE = 1_767_139_200.0
BASE = {"resourceType": "CREDIT", "currentUsage": 10, "usageLimit": 50}
ACTIVE_TRIAL = {"freeTrialStatus": "ACTIVE", "currentUsage": 100, "usageLimit": 500}


def _usage(*entries: object, **fields: object) -> UsageLimits:
    return parse_usage(json.dumps({"usageBreakdownList": entries, **fields}).encode())


def test_limits_as_the_service_tells_them() -> None:
    """Everything in its place, with decimals where there are some."""
    entry = {
        **BASE,
        "displayName": "Credit",
        "currentUsageWithPrecision": 10.25,
        "usageLimitWithPrecision": 50.0,
        "nextDateReset": 1.7671392e9,
        "freeTrialInfo": {**ACTIVE_TRIAL, "freeTrialExpiry": 1_790_000_000.0},
        "bonuses": [
            {"status": "ACTIVE", "currentUsage": 1, "usageLimit": 20},
            {"status": "EXPIRED", "currentUsage": 0, "usageLimit": 1000},
        ],
    }
    subscription = {"type": "Q_DEVELOPER_STANDALONE_FREE", "subscriptionTitle": "KIRO FREE"}
    assert _usage(entry, subscriptionInfo=subscription) == UsageLimits(
        left=39.75 + 400 + 19, resets_at=DATE, plan="KIRO FREE"
    )


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        ([BASE, {**BASE, "currentUsage": 0}], 90),
        ([BASE | {"currentUsage": 60}], 0),
        ([BASE | {"currentUsage": 60, "freeTrialInfo": ACTIVE_TRIAL}], 400),
        ([BASE | {"freeTrialInfo": ACTIVE_TRIAL | {"freeTrialStatus": "EXPIRED"}}], 40),
        ([BASE | {"freeTrialInfo": {"freeTrialStatus": "ACTIVE"}, "bonuses": [{"status": "ACTIVE"}]}], 40),
        ([BASE | {"freeTrialInfo": None, "bonuses": "none"}], 40),
        ([BASE | {"bonuses": [7, None]}], 40),
        ([BASE, {"resourceType": "VIBE", "usageLimit": 1000}], 40),
        (
            [{"resourceType": "VIBE", "usageLimit": 30, "currentUsage": 5}, {"resourceType": "SPEC", "usageLimit": 5}],
            30,
        ),
        ([{"resourceType": "CREDIT", "usageLimit": 7}], 7),
        ([{"resourceType": "CREDIT", "usageLimit": "many"}, BASE], 40),
        ([{"resourceType": "CREDIT", "usageLimit": True}], None),
        ([{"resourceType": "CREDIT", "usageLimit": 10**400}], None),
        ([{"resourceType": "TRANSFORM", "usageLimit": 7}], None),
        (["nonsense"], None),
        ([], None),
    ],
)
def test_what_is_left(entries: list[object], left: float | None) -> None:
    """The sum over all credits; what was counted before there were credits only where there are none."""
    assert _usage(*entries).left == left


@pytest.mark.parametrize(
    ("status", "cap", "left"),
    [("ENABLED", 500, 340), ("ENABLED", None, 40), ("DISABLED", 500, 40), (None, 500, 40)],
)
def test_permitted_overage_is_left_too(status: str | None, cap: int | None, left: float) -> None:
    """Less what has been used of it."""
    entry = BASE | {"overageCap": cap, "currentOverages": 200}
    assert _usage(entry, overageConfiguration={"overageStatus": status}).left == left


@pytest.mark.parametrize(
    ("value", "date"),
    [(DATE, DATE), (int(DATE), DATE), (DATE * 1000, DATE), (0, None), (-1, None), ("soon", None), (None, None)],
)
def test_the_date_of_renewal(value: object, date: float | None) -> None:
    """Seconds, or milliseconds as seen once; of the credits before that of the answer."""
    assert _usage(BASE, nextDateReset=value).resets_at == date
    assert _usage(BASE | {"nextDateReset": DATE}, nextDateReset=value).resets_at == DATE


@pytest.mark.parametrize(
    ("subscription", "plan"),
    [
        ({"type": "Q_DEVELOPER_STANDALONE_PRO"}, "Q_DEVELOPER_STANDALONE_PRO"),
        ({"subscriptionTitle": "two\nlines", "type": 7}, None),
        ({"subscriptionTitle": "x" * 257}, None),
        ({"subscriptionTitle": " "}, None),
        (None, None),
    ],
)
def test_the_plan(subscription: object, plan: str | None) -> None:
    """A line of text, or nothing."""
    assert _usage(subscriptionInfo=subscription).plan == plan


SCHEMA = {"type": "object", "properties": {"output_config": {"type": "object"}}}
SONNET = ListedModel(
    model_id="claude-sonnet-4.6",
    name="Claude Sonnet 4.6",
    max_input_tokens=1_000_000,
    max_output_tokens=64_000,
    input_types=("TEXT", "IMAGE"),
    request_fields_schema=SCHEMA,
    is_default=False,
)
AUTO = ListedModel(
    model_id="auto",
    name="auto",
    max_input_tokens=None,
    max_output_tokens=None,
    input_types=(),
    request_fields_schema=None,
    is_default=True,
)
SONNET_ENTRY = {
    "modelId": "claude-sonnet-4.6",
    "modelName": "Claude Sonnet 4.6",
    "rateMultiplier": 1.3,
    "supportedInputTypes": ["TEXT", "IMAGE"],
    "tokenLimits": {"maxInputTokens": 1_000_000, "maxOutputTokens": 64_000},
    "additionalModelRequestFieldsSchema": SCHEMA,
}


@pytest.mark.parametrize("default", [{"defaultModel": {"modelId": "auto"}}, {"defaultModelId": "auto"}])
def test_models_as_the_service_tells_them(default: dict[str, object]) -> None:
    """With the default one marked, in either way in which it is named."""
    body = {"models": [SONNET_ENTRY, {"modelId": "auto"}], "nextToken": "2", **default}
    assert parse_models(json.dumps(body).encode()) == ModelsPage(models=(SONNET, AUTO), next_page="2")


@pytest.mark.parametrize("next_page", [None, "", 7])
def test_no_models_at_all_is_an_answer(next_page: object) -> None:
    """The last one, if it names no other."""
    body = json.dumps({"models": [], "nextToken": next_page}).encode()
    assert parse_models(body) == ModelsPage(models=(), next_page=None)


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        ({"modelName": ""}, {"name": "claude-sonnet-4.6"}),
        ({"tokenLimits": None}, {"max_input_tokens": None, "max_output_tokens": None}),
        ({"tokenLimits": {"maxInputTokens": 0, "maxOutputTokens": "8"}}, {"max_input_tokens": None}),
        ({"tokenLimits": {"maxInputTokens": 2e5, "maxOutputTokens": -3}}, {"max_input_tokens": 200_000}),
        ({"supportedInputTypes": ["TEXT", 7]}, {"input_types": ("TEXT",)}),
        ({"supportedInputTypes": "TEXT"}, {"input_types": ()}),
        ({"additionalModelRequestFieldsSchema": []}, {"request_fields_schema": None}),
    ],
)
def test_a_field_that_makes_no_sense_is_absent(entry: dict[str, object], fields: dict[str, object]) -> None:
    """And takes nothing with it."""
    (model,) = parse_models(json.dumps({"models": [SONNET_ENTRY | entry]}).encode()).models
    assert {name: getattr(model, name) for name in fields} == fields
    assert model.model_id == "claude-sonnet-4.6"


@pytest.mark.parametrize(
    "entry", [{}, {"modelId": 7}, {"modelId": "a\nb"}, {"modelId": "模型"}, {"modelId": "x" * 300}, "text", None]
)
def test_an_entry_without_an_id_is_no_model(entry: object) -> None:
    """The others stay."""
    (model,) = parse_models(json.dumps({"models": [entry, SONNET_ENTRY]}).encode()).models
    assert model == SONNET


def test_pages_are_joined() -> None:
    """Each model once; the default one counts as such on whichever page that is said."""
    first = ModelsPage(models=(SONNET,), next_page="2")
    body = json.dumps({"models": [SONNET_ENTRY, {"modelId": "auto"}], "defaultModelId": SONNET.model_id}).encode()
    models = join_models([first, parse_models(body)])
    assert [(model.model_id, model.is_default) for model in models] == [("claude-sonnet-4.6", True), ("auto", False)]
    assert join_models([]) == ()


def test_active_profiles_come_first() -> None:
    """In the service's order otherwise; what has no ARN is no profile."""
    profiles = [
        {"arn": "arn:1", "status": "CREATING"},
        {"arn": "arn:2", "status": "ACTIVE"},
        {"arn": "arn:3"},
        {"profileName": "x"},
        {"arn": "x" * 951, "status": "ACTIVE"},
        {"arn": "arn:4", "status": "ACTIVE"},
    ]
    body = json.dumps({"profiles": profiles, "nextToken": "2"}).encode()
    assert parse_profiles(body) == ProfilesPage(arns=("arn:2", "arn:4", "arn:1", "arn:3"), next_page="2")


@pytest.mark.parametrize("parse", [parse_usage, parse_models, parse_profiles])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>secret</html>", b"[]", b"null", b'{"a":"\xff"}', b"[" * 100_000, b" " * (MAX_ANSWER_BYTES + 1)],
    ids=lambda body: body[:5],
)
def test_what_is_no_answer_is_an_error(parse: Callable[[bytes], object], body: bytes) -> None:
    """That does not repeat what was read."""
    with pytest.raises(ControlAnswerError) as caught:
        parse(body)
    assert "secret" not in f"{caught.value} {caught.value.detail}"


@pytest.mark.parametrize("parse", [parse_models, parse_profiles])
@pytest.mark.parametrize("value", [None, {}, "models", 7])
def test_an_answer_without_the_list_is_not_an_empty_one(parse: Callable[[bytes], object], value: object) -> None:
    """Emptiness would be believed."""
    with pytest.raises(ControlAnswerError):
        parse(json.dumps({"models": value, "profiles": value}).encode())
