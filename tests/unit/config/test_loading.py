"""Tests of kiro2api.config.loading: what is enough to serve, and what is not read any more."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from kiro2api.config.settings import OLD_NAMES
from tests.support.settings import list_faults, load

CREDENTIALS = {
    "AWS_REFRESHTOKEN": "one",
    "KIRO_AUTH_TOKEN": "auto",
    "KIRO_TOKEN_FILE": "/nonexistent/kiro-auth-token.json",
    "KIRO_CLI_STORE": "/nonexistent/data.sqlite3",
    "KIRO_API_KEY": "ksk_one",
}


@pytest.mark.parametrize("value", [None, "", "  ", " , ,"])
def test_credentials_are_required_to_serve(value: str | None) -> None:
    """Without a credential there is nothing to serve with, and the fault says how to get one; a demo needs none."""
    environ = {} if value is None else {"AWS_REFRESHTOKEN": value, "KIRO_API_KEY": value}

    (fault,) = list_faults(environ, require_credentials=True)

    assert fault.name == "AWS_REFRESHTOKEN"
    assert all(name in f"{fault}" for name in CREDENTIALS)
    assert "Set KIRO_AUTH_TOKEN to auto" in fault.remedy
    assert load(environ).port == 8080


@pytest.mark.parametrize(("name", "value"), CREDENTIALS.items())
def test_any_credential_is_enough(name: str, value: str) -> None:
    """One source is enough; whether it holds anything is seen when it is read."""
    found = getattr(load({name: value}, require_credentials=True), name.lower())

    assert found in {SecretStr(value), Path(value)}


@pytest.mark.parametrize("name", ["AWS_REFRESHTOKEN", "KIRO_AUTH_TOKEN", "KIRO_API_KEY"])
def test_a_credential_in_a_file_is_enough(name: str, tmp_path: Path) -> None:
    """A file stands for its variable; one that cannot be read is one fault, and not a missing credential too."""
    path = tmp_path / "secret"
    environ = {f"{name}_FILE": str(path)}

    (fault,) = list_faults(environ, require_credentials=True)
    path.write_text("one", encoding="utf-8")

    assert fault.name == f"{name}_FILE"
    assert getattr(load(environ, require_credentials=True), name.lower()) == SecretStr("one")


@pytest.mark.parametrize(("name", "heir"), OLD_NAMES.items())
def test_an_old_name_is_a_warning(name: str, heir: str, tmp_path: Path) -> None:
    """A variable of the original that is not read is told, with what to use, and without its value."""
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{name}=a-secret\n", encoding="utf-8")

    settings = load({"KIRO_CLIENT_TOKEN": "any"}, dotenv)

    assert settings.old_names == (name,)
    assert settings.warnings == (f"{name} is not read, unlike in the original: put its value into {heir}.",)


def test_faults_stand_in_the_order_of_the_fields(tmp_path: Path) -> None:
    """Those of files too."""
    environ = {"STATE_URL_FILE": str(tmp_path / "none"), "PORT": "x", "WORKERS": "0", "KIRO_API_KEY_FILE": "/"}

    names = [fault.name for fault in list_faults(environ)]

    assert names == ["KIRO_API_KEY_FILE", "PORT", "STATE_URL_FILE", "WORKERS"]
