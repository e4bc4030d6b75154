"""Refresh requests and answers as values."""

import json

import pytest

from kiro2api.auth.credentials import ExternalIdpLogin, IdcLogin, SocialLogin
from kiro2api.auth.errors import RefreshError, RefreshFailedError, RefreshRefusedError, RefreshRejectedError
from kiro2api.auth.refresh import (
    MAX_ANSWER_BYTES,
    Refreshed,
    RefreshEndpoints,
    RefreshSchedule,
    build_refresh,
    build_schedule,
    parse_refresh_answer,
)

ENDPOINTS = RefreshEndpoints(social="https://auth.test/refreshToken", oidc="https://oidc.{region}.test/token")
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"


def test_a_social_refresh_posts_the_refresh_token_as_json() -> None:
    """The request has the one member that the service knows, and does not show it when printed."""
    request = build_refresh(SocialLogin(refresh_token='aor"secret'), endpoints=ENDPOINTS)

    assert request.url == "https://auth.test/refreshToken"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"refreshToken": 'aor"secret'}
    assert "secret" not in repr(request)


def test_an_sso_refresh_goes_to_the_region_of_its_login() -> None:
    """With the client's registration, in the service's spelling."""
    login = IdcLogin(refresh_token="aor", client_id="id", client_secret="hidden", region="eu-west-3")

    request = build_refresh(login, endpoints=ENDPOINTS)

    assert request.url == "https://oidc.eu-west-3.test/token"
    assert json.loads(request.body) == {
        "clientId": "id",
        "clientSecret": "hidden",
        "grantType": "refresh_token",
        "refreshToken": "aor",
    }
    assert "hidden" not in f"{request!r} {login!r}"


def test_an_enterprise_s_login_is_refreshed_by_a_form() -> None:
    """At its own token endpoint, as OAuth has it for public clients."""
    login = ExternalIdpLogin(refresh_token="a&b", client_id="id", token_endpoint="https://idp.test/token")

    request = build_refresh(login, endpoints=ENDPOINTS)

    assert request.url == "https://idp.test/token"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == b"grant_type=refresh_token&client_id=id&refresh_token=a%26b"


def test_an_answer_in_oauth_s_spelling_is_read() -> None:
    """As enterprises' own services write it."""
    body = b'{"access_token":"aoa","refresh_token":"new","expires_in":900,"token_type":"Bearer"}'

    assert parse_refresh_answer(200, body) == Refreshed(
        access_token="aoa", refresh_token="new", expires_in=900.0, profile_arn=None
    )


@pytest.mark.parametrize(
    ("answer", "refreshed"),
    [
        ({}, Refreshed(access_token="aoa", refresh_token=None, expires_in=3600.0, profile_arn=None)),
        (
            {"refreshToken": "new", "expiresIn": 1800, "profileArn": ARN, "other": [1]},
            Refreshed(access_token="aoa", refresh_token="new", expires_in=1800.0, profile_arn=ARN),
        ),
        (
            {"refreshToken": "", "expiresIn": None, "profileArn": 7},
            Refreshed(access_token="aoa", refresh_token=None, expires_in=3600.0, profile_arn=None),
        ),
    ],
)
def test_a_good_answer_brings_its_values(answer: dict[str, object], refreshed: Refreshed) -> None:
    """Everything beside the access token may be missing or of the wrong type; nothing secret is printed."""
    parsed = parse_refresh_answer(200, json.dumps({"accessToken": "aoa", **answer}).encode())

    assert parsed == refreshed
    assert "aoa" not in repr(parsed)
    assert "new" not in repr(parsed)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3600", 3600.0),
        ('"1800"', 1800.0),
        ("28800.5", 28800.5),
        ("1", 1.0),
        ("0.5", 3600.0),
        ("0", 3600.0),
        ("-1", 3600.0),
        ("1000000000000", 86400.0),
        ("1" + "0" * 400, 3600.0),
        ("{}", 3600.0),
        ("true", 3600.0),
        ("null", 3600.0),
        ('"soon"', 3600.0),
        ('"nan"', 3600.0),
    ],
)
def test_a_lifetime_is_read_leniently(text: str, seconds: float) -> None:
    """What is no lifetime counts as an hour, and nothing lives longer than a day."""
    body = b'{"accessToken":"aoa","expiresIn":%s}' % text.encode()

    assert parse_refresh_answer(200, body).expires_in == seconds


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error":"invalid_grant"}'),
        (400, b"<html>invalid_grant"),
        (400, b'{"message":"Invalid refresh token provided"}'),
        (400, b'{"error":"expired_token","error_description":"x"}'),
        (401, b'{"error":"invalid_client"}'),
    ],
)
def test_a_dead_refresh_token_is_rejected_for_good(status: int, body: bytes) -> None:
    """These answers mean the refresh token, and only a new login mends it."""
    with pytest.raises(RefreshRejectedError, match="login"):
        parse_refresh_answer(status, body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"message":"Improperly formed request."}'),
        (400, b'{"error":"slow_down"}'),
        (302, b""),
        (204, b""),
        (429, b""),
        (500, b""),
        (503, b"<html>busy</html>"),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"accessToken":7}'),
        (200, b'{"accessToken":""}'),
        (200, b'{"accessToken":"a b"}'),
        (200, b'{"accessToken":"a\\r\\nx: y"}'),
        (200, '{"accessToken":"ä"}'.encode()),
        (200, b'{"accessToken":"\xff"}'),
        (200, b'{"x":' + b"[" * 50_000),
        (200, b'{"accessToken":"aoa"}' + b" " * MAX_ANSWER_BYTES),
    ],
)
def test_any_other_answer_is_a_failure_that_may_pass(status: int, body: bytes) -> None:
    """The refresh token may do next time."""
    with pytest.raises(RefreshFailedError):
        parse_refresh_answer(status, body)


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (401, b"", "status 401"),
        (401, b"<html>invalid_grant", "status 401"),
        (403, b'{"error":"invalid_grant"}', "status 403 invalid_grant"),
        (403, b'{"error":"<script>"}', "status 403"),
        (403, b'{"error":7}', "status 403"),
    ],
)
def test_a_refusal_without_a_reason_is_not_yet_the_end(status: int, body: bytes, detail: str) -> None:
    """The service says no, but an edge in front of it says so too."""
    with pytest.raises(RefreshRefusedError) as caught:
        parse_refresh_answer(status, body)

    assert caught.value.detail == detail


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(None, None), ("30", 30.0), ("0", 0.0), ("-1", None), ("soon", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_a_failure_carries_the_wait_that_the_service_asks_for(retry_after: str | None, seconds: float | None) -> None:
    """``Retry-After`` is read in seconds and left aside in any other form."""
    with pytest.raises(RefreshFailedError) as caught:
        parse_refresh_answer(429, b"", retry_after=retry_after)

    assert (caught.value.retry_after, caught.value.detail) == (seconds, "status 429")


@pytest.mark.parametrize(
    ("status", "body"), [(200, b'{"accessToken":["hidden"]}'), (400, b"invalid_grant hidden"), (500, b"hidden")]
)
def test_no_error_repeats_the_answer(status: int, body: bytes) -> None:
    """Neither the error nor its cause holds a word of the body."""
    with pytest.raises(RefreshError) as caught:
        parse_refresh_answer(status, body)

    assert "hidden" not in f"{caught.value} {caught.value.detail} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("lifetime", "draw", "schedule"),
    [
        (3600.0, 0.5, RefreshSchedule(advisory_in=3300.0, mandatory_in=3540.0)),
        (3600.0, 0.0, RefreshSchedule(advisory_in=3360.0, mandatory_in=3540.0)),
        (3600.0, 1.0, RefreshSchedule(advisory_in=3240.0, mandatory_in=3540.0)),
        (100.0, 0.5, RefreshSchedule(advisory_in=50.0, mandatory_in=90.0)),
        (2.0, 0.5, RefreshSchedule(advisory_in=30.0, mandatory_in=1.8)),
    ],
)
def test_a_refresh_is_planned_ahead_of_expiry(lifetime: float, draw: float, schedule: RefreshSchedule) -> None:
    """Five minutes ahead, give or take a fifth; less for access tokens that live shorter."""
    assert build_schedule(lifetime, draw=draw) == schedule
