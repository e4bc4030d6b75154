"""Where a running proxy is looked for, and what is made of its answers; without a network."""

from dataclasses import asdict

import msgspec
import pytest

from kiro2api.auth.reports import CredentialsView, StoreView
from kiro2api.commands.instance import InstanceError, ask_instance, build_url, parse_answer
from kiro2api.config import Settings
from tests.support.reports import build_shown

URL = "http://127.0.0.1:8080"


def _build_settings(**values: object) -> Settings:
    return Settings.model_validate({"kiro_client_token": "k" * 16} | values, by_name=True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing listens
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("192.0.2.1", "http://192.0.2.1:8080"),
        ("localhost", "http://localhost:8080"),
    ],
)
def test_it_is_asked_where_it_listens(host: str, expected: str) -> None:
    """What listens everywhere is asked on this machine."""
    assert build_url(_build_settings(host=host)) == expected


def test_one_with_a_certificate_is_asked_behind_tls() -> None:
    """Never without: the key would travel in clear text."""
    settings = _build_settings().model_copy(update={"tls_cert_file": "cert.pem"})

    assert build_url(settings) == "https://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("values", "reason"),
    [({}, "KIRO_ADMIN_TOKEN is not set"), ({"kiro_admin_token": "a" * 16, "port": 0}, "PORT is 0")],
)
async def test_nobody_is_asked_without_a_key_or_a_place(values: dict[str, object], reason: str) -> None:
    """And that is said."""
    with pytest.raises(InstanceError, match=reason):
        await ask_instance(_build_settings(**values))


def test_an_answer_is_what_the_route_gives() -> None:
    """Members that a later version has are left out."""
    view = CredentialsView(credentials=(build_shown(), build_shown(plan=None)), state_store=StoreView(trouble="slow"))
    body = msgspec.json.encode({**asdict(view), "later": 1})

    assert parse_answer(URL, 200, body) == view


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b"", "does not take KIRO_ADMIN_TOKEN"),
        (404, b"", "was started without KIRO_ADMIN_TOKEN"),
        (302, b"", "status 302"),
        (200, b"<html>", "cannot be read"),
        (200, b"{}", "cannot be read"),
        (200, b'{"credentials": [{}], "state_store": {"trouble": ""}}', "cannot be read"),
        (200, b"\xff", "cannot be read"),
        (200, b"[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(status: int, body: bytes, reason: str) -> None:
    """Another program may have the port."""
    with pytest.raises(InstanceError, match=f"{URL} .*{reason}"):
        parse_answer(URL, status, body)
