"""The store of kiro-cli and the Amazon Q CLI."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from kiro2api.auth.credentials import (
    Credential,
    ExternalIdpLogin,
    FoundAccess,
    IdcLogin,
    SharedFile,
    SharedFileKind,
    SocialLogin,
    build_fingerprint,
)
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.cli_store import read_cli_login, read_cli_store
from tests.unit.auth.sources.samples import (
    ALL_ROWS,
    ARN,
    EXPIRES_AT,
    EXTERNAL_KEY,
    IDC_KEY,
    IDC_REGISTRATION_KEY,
    IDC_ROW,
    Q_KEY,
    Q_REGISTRATION_KEY,
    REFRESH_TOKEN,
    REGISTRATION_ROW,
    SECRET,
    SOCIAL_KEY,
    SOCIAL_ROW,
    write_store,
)


def _idc(refresh_token: str = "aor-HIDDEN-idc", *, region: str = "eu-west-1", is_builder_id: bool = True) -> IdcLogin:
    return IdcLogin(
        refresh_token=refresh_token,
        client_id="id-HIDDEN",
        client_secret="secret-HIDDEN",
        region=region,
        is_builder_id=is_builder_id,
    )


def test_each_login_is_a_credential(tmp_path: Path) -> None:
    """Social, then IdC, then the external provider, whatever the order of the rows."""
    path = write_store(tmp_path / "data.sqlite3", ALL_ROWS)
    loaded = read_cli_store(path)

    assert [credential.login for credential in loaded.credentials] == [
        SocialLogin(refresh_token=REFRESH_TOKEN),
        _idc(),
        ExternalIdpLogin(
            refresh_token="aor-HIDDEN-external",
            client_id="id-HIDDEN",
            token_endpoint="https://login.example.com/token",
        ),
    ]
    assert (loaded.watched, loaded.notes) == ((path, tmp_path / "data.sqlite3-wal"), ())


def test_what_belongs_to_a_login(tmp_path: Path) -> None:
    """Its id is the place's; the access token comes along."""
    path = write_store(tmp_path / "data.sqlite3", ALL_ROWS)

    assert read_cli_store(path).credentials[0] == Credential(
        credential_id=build_fingerprint(f"cli_store\n{path}\n{SOCIAL_KEY}"),
        origin=build_fingerprint(REFRESH_TOKEN),
        label="",
        source=str(path),
        login=SocialLogin(refresh_token=REFRESH_TOKEN),
        profile_arn=ARN,
        access=FoundAccess(value="aoa-HIDDEN-access", expires_at=EXPIRES_AT),
        shared_file=SharedFile(kind=SharedFileKind.CLI_STORE, path=str(path), key=SOCIAL_KEY),
    )


@pytest.mark.parametrize(
    ("rows", "login"),
    [
        ({Q_KEY: IDC_ROW, Q_REGISTRATION_KEY: REGISTRATION_ROW}, _idc()),
        ({Q_KEY: IDC_ROW, IDC_REGISTRATION_KEY: REGISTRATION_ROW}, _idc()),
        (
            {IDC_KEY: IDC_ROW, Q_KEY: {"refresh_token": "other"}, IDC_REGISTRATION_KEY: REGISTRATION_ROW},
            _idc(),
        ),
        (
            {IDC_KEY: {"refresh_token": None}, Q_KEY: IDC_ROW, IDC_REGISTRATION_KEY: REGISTRATION_ROW},
            _idc(),
        ),
        (
            {IDC_KEY: {"refresh_token": "r"}, IDC_REGISTRATION_KEY: {**REGISTRATION_ROW, "region": "eu-north-1"}},
            _idc("r", region="eu-north-1", is_builder_id=False),
        ),
        (
            {IDC_KEY: {"refresh_token": "r"}, IDC_REGISTRATION_KEY: REGISTRATION_ROW},
            _idc("r", region="us-east-1", is_builder_id=False),
        ),
    ],
)
def test_the_idc_login_of_either_program(tmp_path: Path, rows: Mapping[str, object], login: IdcLogin) -> None:
    """kiro-cli's before that of the Amazon Q CLI, of which it may have taken the store over."""
    (credential,) = read_cli_store(write_store(tmp_path / "data.sqlite3", rows)).credentials

    assert credential.login == login


def test_a_missing_scope_is_noted(tmp_path: Path) -> None:
    """Such a login works for nothing here."""
    rows = {IDC_KEY: {**IDC_ROW, "scopes": ["codewhisperer:completions"]}, IDC_REGISTRATION_KEY: REGISTRATION_ROW}
    (note,) = read_cli_store(write_store(tmp_path / "data.sqlite3", rows)).notes

    assert "lacks the scope codewhisperer:conversations" in note


@pytest.mark.parametrize("row", ['{"HIDDEN', "[]", {}, {"refresh_token": "r"}])
def test_a_row_that_cannot_be_used_is_left_out_with_a_note(tmp_path: Path, row: object) -> None:
    """The other logins are."""
    loaded = read_cli_store(write_store(tmp_path / "data.sqlite3", {EXTERNAL_KEY: row, SOCIAL_KEY: SOCIAL_ROW}))
    (note,) = loaded.notes

    assert len(loaded.credentials) == 1
    assert f"under {EXTERNAL_KEY} cannot be used" in note
    assert SECRET not in note


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ({}, "has no login"),
        ({SOCIAL_KEY: None, EXTERNAL_KEY: b"\xff\xfe"}, f"login under {EXTERNAL_KEY} cannot be used"),
        ({SOCIAL_KEY: 5, EXTERNAL_KEY: None}, "login under .* cannot be used"),
        ({IDC_KEY: IDC_ROW}, "client registration is missing"),
        ({IDC_KEY: IDC_ROW, IDC_REGISTRATION_KEY: {}}, '"client_id" is missing'),
    ],
)
def test_a_store_without_a_login_is_refused(tmp_path: Path, rows: Mapping[str, object], words: str) -> None:
    """With what to do, or the first thing that is wrong."""
    path = write_store(tmp_path / "data.sqlite3", rows)

    with pytest.raises(CredentialSourceError, match=words) as caught:
        read_cli_store(path)

    assert caught.value.source == str(path)
    assert SECRET not in str(caught.value)


def test_a_store_that_another_process_has_open(tmp_path: Path) -> None:
    """What it has committed counts though it is still in the log beside the store, and a transaction does not block."""
    path = write_store(tmp_path / "data.sqlite3", {SOCIAL_KEY: {"refresh_token": "old"}})
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE auth_kv SET value = ?", ('{"refresh_token": "new"}',))
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE auth_kv SET value = ?", ('{"refresh_token": "uncommitted"}',))

        assert read_cli_login(path, SOCIAL_KEY).login == SocialLogin(refresh_token="new")


def test_a_store_in_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    """SQLite may not make its files there; a log that cannot be made stands for the folder, since root may all."""
    path = write_store(tmp_path / "data.sqlite3", {SOCIAL_KEY: SOCIAL_ROW})
    (tmp_path / "data.sqlite3-wal").symlink_to(tmp_path / "nothing" / "there")

    assert read_cli_login(path, SOCIAL_KEY).login == SocialLogin(refresh_token=REFRESH_TOKEN)


@pytest.mark.parametrize("with_link", [False, True])
def test_what_is_no_store_is_refused(tmp_path: Path, *, with_link: bool) -> None:
    """The words are those of SQLite's list of errors."""
    path = tmp_path / "data.sqlite3"
    path.write_text("HIDDEN" * 1000, encoding="utf-8")
    if with_link:
        write_store(tmp_path / "other", {})
        path.write_bytes((tmp_path / "other").read_bytes()[:100] + b"x" * 5000)
        (tmp_path / "data.sqlite3-wal").symlink_to(tmp_path / "nothing" / "there")

    with pytest.raises(CredentialSourceError, match=r"cannot be read as the store of kiro-cli \(SQLITE_"):
        read_cli_store(path)


def test_nothing_is_no_store(tmp_path: Path) -> None:
    """None is made either."""
    with pytest.raises(CredentialSourceError, match="no such file"):
        read_cli_store(tmp_path / "data.sqlite3")
    assert list(tmp_path.iterdir()) == []
