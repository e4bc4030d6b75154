"""Tests of kiro2api.config.keys: the keys of clients are tested with the settings as a whole."""

import pytest
from pydantic import SecretStr

from tests.support.settings import list_faults, load

CLIENT_KEY = "a-key-of-the-clients"
ADMIN_KEY = "a-key-of-the-admin"


def test_admin_key() -> None:
    """Unset there is none; set, it is a secret."""
    settings = load({"KIRO_CLIENT_TOKEN": CLIENT_KEY, "KIRO_ADMIN_TOKEN": ADMIN_KEY})

    assert load({}).kiro_admin_token is None
    assert settings.kiro_admin_token == SecretStr(ADMIN_KEY)
    assert settings.warnings == ()
    assert ADMIN_KEY not in f"{settings!r}"


@pytest.mark.parametrize(
    "environ", [{"KIRO_ADMIN_TOKEN": CLIENT_KEY, "KIRO_CLIENT_TOKEN": CLIENT_KEY}, {"KIRO_ADMIN_TOKEN": "123456"}]
)
def test_admin_key_is_not_the_clients(environ: dict[str, str]) -> None:
    """Who may spend the quota may not also look behind, not by the default key either."""
    (fault,) = list_faults(environ)

    assert fault.name == "KIRO_ADMIN_TOKEN"
    assert "KIRO_CLIENT_TOKEN" in fault.problem


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_a_short_admin_key_is_a_warning(host: str) -> None:
    """Wherever the proxy listens; the warning does not repeat it."""
    settings = load({"HOST": host, "KIRO_CLIENT_TOKEN": CLIENT_KEY, "KIRO_ADMIN_TOKEN": "fifteen-letters"})

    (warning,) = settings.warnings
    assert warning.startswith("KIRO_ADMIN_TOKEN is short")
    assert "fifteen" not in warning


@pytest.mark.parametrize("url", ["redis://store", "rediss://store", "REDIS://store"])
def test_redis_needs_a_state_key(url: str) -> None:
    """Without one, refresh tokens would lie open in it; the fault says how to make one."""
    (fault,) = list_faults({"STATE_URL": url})

    assert fault.name == "STATE_KEY"
    assert "`openssl rand -base64 32`" in fault.remedy
    assert load({"STATE_URL": url, "STATE_KEY": "sixteen-letters-"}).state_key == SecretStr("sixteen-letters-")


@pytest.mark.parametrize("url", ["", "memory:", "file:/var/lib/kiro2api", "redis://store"])
def test_a_short_state_key_is_a_fault(url: str) -> None:
    """Whatever it seals; elsewhere than in Redis, none at all is fine."""
    assert [fault.name for fault in list_faults({"STATE_URL": url, "STATE_KEY": "fifteen-letters"})] == ["STATE_KEY"]


@pytest.mark.parametrize("url", ["", "memory:", "file:/var/lib/kiro2api"])
def test_no_state_key(url: str) -> None:
    """Nothing but Redis needs one."""
    assert load({"STATE_URL": url}).state_key is None


def test_a_bad_state_url_is_one_fault() -> None:
    """The key is not blamed as well."""
    assert [fault.name for fault in list_faults({"STATE_URL": "redis:"})] == ["STATE_URL"]
