"""Questions to the control plane."""

import json

import pytest

from kiro2api.auth.control import (
    ControlRequest,
    build_auth_headers,
    build_models_request,
    build_profiles_request,
    build_usage_request,
)
from kiro2api.auth.credentials import TokenType

HOST = "https://q.test"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"
QUOTED_ARN = "arn%3Aaws%3Acodewhisperer%3Aus-east-1%3A123456789012%3Aprofile%2FABCDEFGHIJKL"
HEADERS = {"authorization": "Bearer aoa1", "accept": "application/json", "accept-encoding": "identity"}


@pytest.mark.parametrize(
    ("token_type", "headers"),
    [
        (TokenType.BEARER, {}),
        (TokenType.EXTERNAL_IDP, {"tokentype": "EXTERNAL_IDP"}),
        (TokenType.API_KEY, {"tokentype": "API_KEY"}),
    ],
)
def test_the_upstream_is_told_what_the_bearer_is(token_type: TokenType, headers: dict[str, str]) -> None:
    """Where it cannot tell by itself; the same for every question."""
    auth = {"authorization": "Bearer aoa1", **headers}
    assert build_auth_headers("aoa1", token_type) == auth
    models = build_models_request(base_url=HOST, access_token="aoa1", token_type=token_type, profile_arn=None)
    profiles = build_profiles_request(base_url=HOST, access_token="aoa1", token_type=token_type)
    usage = build_usage_request(base_url=HOST, access_token="aoa1", token_type=token_type, profile_arn=None)
    assert all(auth.items() <= request.headers.items() for request in (models, profiles, usage))


@pytest.mark.parametrize(
    ("profile_arn", "query"),
    [(None, ""), (ARN, f"&profileArn={QUOTED_ARN}")],
)
def test_limits_are_asked_for_with_and_without_a_profile(profile_arn: str | None, query: str) -> None:
    """The mail address is not asked for."""
    request = build_usage_request(
        base_url=HOST + "/", access_token="aoa1", token_type=TokenType.BEARER, profile_arn=profile_arn
    )
    url = f"{HOST}/getUsageLimits?origin=AI_EDITOR&resourceType=AGENTIC_REQUEST{query}"
    assert request == ControlRequest(method="GET", url=url, headers=HEADERS)


@pytest.mark.parametrize(
    ("profile_arn", "next_page", "query"),
    [
        (None, None, ""),
        (ARN, None, f"&profileArn={QUOTED_ARN}"),
        (None, "a&b=c/+", "&nextToken=a%26b%3Dc%2F%2B"),
    ],
)
def test_models_are_asked_for_page_by_page(profile_arn: str | None, next_page: str | None, query: str) -> None:
    """Whatever the service calls its pages."""
    request = build_models_request(
        base_url=HOST,
        access_token="aoa1",
        token_type=TokenType.BEARER,
        profile_arn=profile_arn,
        next_page=next_page,
    )
    url = f"{HOST}/ListAvailableModels?origin=AI_EDITOR&maxResults=50{query}"
    assert request == ControlRequest(method="GET", url=url, headers=HEADERS)


@pytest.mark.parametrize(
    ("next_page", "body"),
    [(None, {"maxResults": 10}), ("2", {"maxResults": 10, "nextToken": "2"})],
)
def test_profiles_are_asked_for_with_a_body(next_page: str | None, body: dict[str, object]) -> None:
    """Unlike the others."""
    request = build_profiles_request(
        base_url=HOST, access_token="aoa1", token_type=TokenType.BEARER, next_page=next_page
    )
    assert (request.method, request.url) == ("POST", f"{HOST}/ListAvailableProfiles")
    assert request.headers == {**HEADERS, "content-type": "application/json"}
    assert json.loads(request.body) == body


def test_a_question_shows_no_access_token() -> None:
    """Neither in logs nor in tracebacks."""
    request = build_profiles_request(base_url=HOST, access_token="aoa-secret", token_type=TokenType.BEARER)
    assert "aoa-secret" not in repr(request)
