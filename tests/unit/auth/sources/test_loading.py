"""All sources together."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import Loaded, SourceSpec, SourceText, load_credentials
from tests.unit.auth.sources.samples import (
    ALL_ROWS,
    REFRESH_TOKEN,
    SECRET,
    SOCIAL_FILE,
    SOCIAL_KEY,
    SOCIAL_ROW,
    write_json,
    write_store,
)

LONG = "aor" + "x" * 100
IDE = ".aws/sso/cache/kiro-auth-token.json"
CLI = ".local/share/kiro-cli/data.sqlite3"


def _auth_token(home: Path, text: str) -> SourceSpec:
    return SourceSpec(home=home, auth_token=SourceText(variable="KIRO_AUTH_TOKEN", text=text))


def _labels(loaded: Loaded) -> list[str]:
    return [credential.label for credential in loaded.credentials]


def test_every_source_in_a_stable_order(tmp_path: Path) -> None:
    """Labels are distinct over all of them; every file is watched."""
    token_file = write_json(tmp_path / "token.json", {**SOCIAL_FILE, "refreshToken": "ide"})
    store = write_store(tmp_path / "data.sqlite3", ALL_ROWS)
    entries = [{"refreshToken": LONG + "2", "label": "work"}, {"kiroApiKey": "ksk_a"}]
    spec = SourceSpec(
        home=tmp_path,
        refresh_tokens=SourceText(variable="AWS_REFRESHTOKEN", text=LONG),
        auth_token=SourceText(variable="KIRO_AUTH_TOKEN", text=json.dumps(entries)),
        api_keys=SourceText(variable="KIRO_API_KEY", text="ksk_b"),
        token_file=token_file,
        cli_store=store,
    )
    loaded = load_credentials(spec)

    assert _labels(loaded) == [
        *("social-1", "work", "api-key-1", "social-2", "social-3", "idc-1", "external-idp-1", "api-key-2"),
    ]
    assert loaded.watched == (token_file, store, tmp_path / "data.sqlite3-wal")
    assert loaded.notes == ()


def test_a_variable_may_be_a_file(tmp_path: Path) -> None:
    """It is read anew with each load, watched, and its mode looked at."""
    path = tmp_path / "secret"
    path.write_text(f"{LONG}\n{LONG}2\n", encoding="utf-8")
    path.chmod(0o644)
    spec = SourceSpec(home=tmp_path, refresh_tokens=SourceText(variable="AWS_REFRESHTOKEN_FILE", path=path))
    loaded = load_credentials(spec)
    path.write_text(LONG, encoding="utf-8")

    assert (_labels(loaded), loaded.watched) == (["social-1", "social-2"], (path,))
    assert [credential.source for credential in loaded.credentials] == ["AWS_REFRESHTOKEN_FILE"] * 2
    assert "chmod 600" in loaded.notes[0]
    assert _labels(load_credentials(spec)) == ["social-1"]


@pytest.mark.parametrize("name", ["~/entries.json", "absolute"])
def test_entries_may_stand_in_a_file(tmp_path: Path, name: str) -> None:
    """A tilde stands for the home, though no shell has looked at it."""
    path = write_json(tmp_path / "entries.json", [{"refreshToken": LONG}])
    loaded = load_credentials(_auth_token(tmp_path, f" {path if name == 'absolute' else name}\n"))

    assert (loaded.watched, loaded.credentials[0].source, loaded.notes) == ((path,), str(path), ())


def test_paths_of_other_settings_may_begin_with_a_tilde(tmp_path: Path) -> None:
    """As they stand in ``.env``."""
    write_json(tmp_path / IDE, SOCIAL_FILE)

    assert load_credentials(SourceSpec(home=tmp_path, token_file=Path("~") / IDE)).watched == (tmp_path / IDE,)


def test_the_ides_file_is_known_as_such_where_entries_are_expected(tmp_path: Path) -> None:
    """Otherwise the IDE and the proxy would take the login from each other."""
    path = write_json(tmp_path / "token.json", SOCIAL_FILE)
    (credential,) = load_credentials(SourceSpec(home=tmp_path, token_file=path)).credentials
    loaded = load_credentials(_auth_token(tmp_path, str(path)))

    assert (loaded.credentials, loaded.watched) == ((credential,), (path,))
    assert "is a file of the Kiro IDE" in loaded.notes[0]


@pytest.mark.parametrize(
    "text", [LONG + SECRET, "./HIDDEN/nothing.json", SECRET * 1000, "HIDDEN\0", '"HIDDEN"', "'[{\"HIDDEN\"}]'", "/"]
)
def test_what_is_neither_json_nor_a_file_is_not_shown(tmp_path: Path, text: str) -> None:
    """It may be a refresh token in the wrong place."""
    with pytest.raises(CredentialSourceError) as caught:
        load_credentials(_auth_token(tmp_path, text))

    assert caught.value.source == "KIRO_AUTH_TOKEN"
    assert SECRET not in str(caught.value)


def test_a_double_over_two_sources_is_used_once(tmp_path: Path) -> None:
    """The one that the IDE keeps, by the label that the operator gave."""
    path = write_json(tmp_path / "token.json", SOCIAL_FILE)
    entry = json.dumps({"refreshToken": REFRESH_TOKEN, "label": "mine"})
    spec = replace(_auth_token(tmp_path, entry), token_file=path)
    loaded = load_credentials(spec)

    assert [(c.label, c.source) for c in loaded.credentials] == [("mine", str(path))]
    assert loaded.notes == (f"KIRO_AUTH_TOKEN and {path} hold the same credential; it is used once.",)


def test_a_short_refresh_token_is_noted(tmp_path: Path) -> None:
    """It is tried all the same: the demo's is short too."""
    spec = SourceSpec(home=tmp_path, refresh_tokens=SourceText(variable="AWS_REFRESHTOKEN", text=f"{LONG},HIDDEN"))

    (note,) = load_credentials(spec).notes

    assert note.startswith("The refresh token of social-2 (AWS_REFRESHTOKEN) has fewer than 100 characters: it was")


def test_auto_says_what_it_found_and_what_not(tmp_path: Path) -> None:
    """What cannot be used keeps nothing else from being used; places where nothing is yet are watched."""
    ide = write_json(tmp_path / IDE, {"refreshToken": "HIDDEN..."})
    store = write_store(tmp_path / CLI, {SOCIAL_KEY: SOCIAL_ROW})
    loaded = load_credentials(_auth_token(tmp_path, "Auto"))

    assert [credential.source for credential in loaded.credentials] == [str(store)]
    assert len(loaded.watched) == 9
    empty = tmp_path / "Library/Application Support/kiro-cli/data.sqlite3"
    assert loaded.notes[0].startswith(
        f'KIRO_AUTH_TOKEN=auto found {ide} of the Kiro IDE, and cannot use it: "refreshToken" was shortened by'
    )
    assert loaded.notes[1:3] == (
        f"KIRO_AUTH_TOKEN=auto found a login of kiro-cli at {store}.",
        f"KIRO_AUTH_TOKEN=auto found no login of kiro-cli at {empty}.",
    )


def test_auto_that_finds_nothing_says_where_it_looked(tmp_path: Path) -> None:
    """All places, with what to do."""
    with pytest.raises(CredentialSourceError, match="log in with the Kiro IDE or kiro-cli") as caught:
        load_credentials(_auth_token(tmp_path, "auto"))

    assert str(tmp_path / IDE) in str(caught.value)
    assert str(tmp_path / CLI) in str(caught.value)


def test_auto_reads_the_ides_file(tmp_path: Path) -> None:
    """As the setting of its own would."""
    path = write_json(tmp_path / IDE, SOCIAL_FILE)

    assert load_credentials(_auth_token(tmp_path, "auto")).credentials[0].source == str(path)


@pytest.mark.parametrize("text", ["", " "])
def test_nothing_configured(tmp_path: Path, text: str) -> None:
    """Blank counts as unset; what is on the machine is offered."""
    with pytest.raises(CredentialSourceError, match="no credential is configured; set AWS_REFRESHTOKEN"):
        load_credentials(_auth_token(tmp_path, text))
    write_json(tmp_path / IDE, SOCIAL_FILE)
    with pytest.raises(CredentialSourceError, match="no credential is configured; found a login of the Kiro IDE at"):
        load_credentials(_auth_token(tmp_path, text))


def test_everything_disabled(tmp_path: Path) -> None:
    """Nothing is left, and the reason is told."""
    with pytest.raises(CredentialSourceError, match=r"no credential is left to use\. KIRO_AUTH_TOKEN entry 1 is"):
        load_credentials(_auth_token(tmp_path, '[{"disabled": true}]'))


@pytest.mark.parametrize("text", [" , ,", "\n"])
def test_a_blank_file_is_refused(tmp_path: Path, text: str) -> None:
    """Whoever names a file means to have credentials in it."""
    path = tmp_path / "secret"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CredentialSourceError, match=r"no API key|empty"):
        load_credentials(SourceSpec(home=tmp_path, api_keys=SourceText(variable="KIRO_API_KEY_FILE", path=path)))
