"""The sentences about credentials."""

from collections.abc import Iterator
from dataclasses import asdict

import pytest

from kiro2api.auth.credentials import Credential, SharedFile, SharedFileKind
from kiro2api.auth.pool import Standing
from kiro2api.auth.reports import READY, READY_TO_REFRESH, CredentialView, build_view, explain_login, explain_standing
from kiro2api.auth.sources import parse_api_keys, parse_refresh_tokens
from tests.support.reports import NOW, build_report
from tests.support.timezones import local_time_zone

[SOCIAL] = parse_refresh_tokens("refresh-secret")
[API_KEY] = parse_api_keys("ksk_secret")


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Times are told in UTC."""
    with local_time_zone("UTC"):
        yield


def _share(kind: SharedFileKind) -> Credential:
    return Credential(
        credential_id="i",
        origin="o",
        label="l",
        source="/f",
        login=SOCIAL.login,
        shared_file=SharedFile(kind=kind, path="/f"),
    )


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (Standing.PASSED_OVER, ["failed several times in a row", "in 54 min (03:54)"]),
        (Standing.RATE_LIMITED, ["throttles", "in 54 min (03:54)"]),
        (Standing.TOKEN_REFUSED, ["refuses access tokens", "in 54 min (03:54)", "log in again, and put"]),
        (Standing.FORBIDDEN, ["plan", "profileArn", "in 54 min (03:54)"]),
        (Standing.SUSPENDED, ["locked", "your Kiro account", "every six hours", "in 54 min (03:54)"]),
        (Standing.QUOTA_EXHAUSTED, ["quota is used up", "in 54 min (03:54)"]),
        (Standing.REFRESH_FAILED, ["last refresh failed (status 503)", "in 54 min (03:54)"]),
        (Standing.REVOKED, ["refused for good (status 503)", "Log in again, and put the new refresh token into AWS_"]),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(standing: Standing, words: list[str]) -> None:
    """What happened, until when it lasts, and whether somebody has to do something."""
    why = explain_standing(build_report(standing=standing, until=NOW + 3240, trouble="status 503"), NOW)

    assert [word for word in words if word not in why] == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, READY, id="well"),
        pytest.param({"kind": "api-key", "expires_at": None}, READY, id="API key"),
        pytest.param({"expires_at": None}, READY_TO_REFRESH, id="no access token"),
        pytest.param({"expires_at": NOW}, READY_TO_REFRESH, id="expired"),
        pytest.param({"expires_at": NOW, "trouble": "status 503"}, READY_TO_REFRESH, id="expired after a failure"),
        pytest.param(
            {"trouble": "status 503"},
            "Ready as long as its access token lasts. The last refresh failed (status 503), and is tried again by "
            "itself.",
            id="refresh failed",
        ),
    ],
)
def test_one_that_can_be_used_is_ready(changes: dict[str, object], expected: str) -> None:
    """Whether it has an access token or has to get one."""
    assert explain_standing(build_report(**changes), NOW) == expected


@pytest.mark.parametrize("standing", Standing)
def test_every_standing_has_whole_sentences(standing: Standing) -> None:
    """Also when no time and no reason is known."""
    why = explain_standing(build_report(standing=standing), NOW)

    assert why[0].isupper()
    assert why.endswith((".", ")."))
    assert "None" not in why
    assert "()" not in why


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        (SOCIAL, "Log in again, and put the new refresh token into AWS_REFRESHTOKEN"),
        (API_KEY, "Make a new API key and put it into KIRO_API_KEY"),
        (_share(SharedFileKind.IDE_TOKEN), "Log in again with the Kiro IDE; the new login is taken up by itself"),
        (_share(SharedFileKind.CLI_STORE), "Log in again with kiro-cli; the new login is taken up by itself"),
    ],
    ids=["social", "API key", "IDE", "CLI"],
)
def test_where_to_log_in_depends_on_who_keeps_the_login(credential: Credential, expected: str) -> None:
    """The operator, or another program."""
    assert explain_login(credential) == expected


def test_a_view_has_the_members_of_the_answer() -> None:
    """By their names there, and with nothing of the remedy, which is in the sentence."""
    report = build_report(standing=Standing.RATE_LIMITED, until=NOW + 30)

    assert asdict(build_view(report, NOW)) == asdict(
        CredentialView(
            label="social-1",
            kind="social",
            source="AWS_REFRESHTOKEN",
            state="rate_limited",
            why="The upstream throttles this account. It is left alone, and used again in 30 s (03:00).",
            until=NOW + 30,
            expires_at=NOW + 3240,
            refreshed_at=NOW - 360,
            used=12,
            in_flight=1,
            quota_left=49.5,
            quota_resets_at=NOW + 9 * 86400,
            plan="KIRO FREE",
            region="us-east-1",
        )
    )
