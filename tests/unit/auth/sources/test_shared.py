"""Files that another program keeps: read once more, and written back."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kiro2api.auth.credentials import Credential, FoundAccess, SocialLogin, build_fingerprint
from kiro2api.auth.errors import CredentialSourceError, SharedFileChangedError
from kiro2api.auth.sources import parse_refresh_tokens, reread, write_back
from kiro2api.auth.sources.cli_store import read_cli_store
from kiro2api.auth.sources.files import replace_file
from kiro2api.auth.sources.ide import read_ide_token
from tests.unit.auth.sources.samples import (
    ARN,
    EXPIRES_AT,
    IDC_FILE,
    IDC_KEY,
    IDC_REGISTRATION_KEY,
    IDC_ROW,
    REFRESH_TOKEN,
    REGISTRATION,
    REGISTRATION_ROW,
    ROTATED,
    SECRET,
    SOCIAL_FILE,
    SOCIAL_KEY,
    SOCIAL_ROW,
    read_row,
    write_json,
    write_store,
)

LATER = EXPIRES_AT + 3600
OTHER_ARN = ARN + "X"


@dataclass(frozen=True)
class Place:
    """One kind of shared file with a social login in it."""

    credential: Credential
    put: Callable[[str], object]
    """Has the other program put another refresh token there."""
    read: Callable[[], str]


@pytest.fixture(params=["ide", "cli"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The IDE's file, and the store of kiro-cli."""
    path = tmp_path / "file"
    if request.param == "ide":
        write_json(path, SOCIAL_FILE)
        return Place(
            credential=replace(read_ide_token(path).credentials[0], label="mine"),
            put=lambda value: write_json(path, {**SOCIAL_FILE, "refreshToken": value}),
            read=lambda: path.read_text(encoding="utf-8"),
        )
    write_store(path, {SOCIAL_KEY: SOCIAL_ROW})
    return Place(
        credential=replace(read_cli_store(path).credentials[0], label="mine"),
        put=lambda value: write_store(path, {SOCIAL_KEY: {**SOCIAL_ROW, "refresh_token": value}}),
        read=lambda: read_row(path, SOCIAL_KEY),
    )


def _write(credential: Credential, *, profile_arn: str | None = OTHER_ARN) -> Credential:
    return write_back(
        credential,
        refresh_token=ROTATED,
        access_token="aoa-HIDDEN-later",
        expires_at=LATER,
        profile_arn=profile_arn,
    )


def test_reading_once_more(place: Place) -> None:
    """Id and label stay; what the other program has put there is taken."""
    place.put("aor-HIDDEN-other")

    assert reread(place.credential) == replace(
        place.credential,
        origin=build_fingerprint("aor-HIDDEN-other"),
        login=SocialLogin(refresh_token="aor-HIDDEN-other"),
    )


def test_writing_back(place: Place) -> None:
    """What is returned is what is there now, and what is read from then on."""
    written = _write(place.credential)

    assert written == replace(
        place.credential,
        origin=build_fingerprint(ROTATED),
        login=SocialLogin(refresh_token=ROTATED),
        access=FoundAccess(value="aoa-HIDDEN-later", expires_at=LATER),
        profile_arn=OTHER_ARN,
    )
    assert reread(place.credential) == written


def test_writing_back_twice_is_as_good_as_once(place: Place) -> None:
    """Whoever does not know whether it was done does it again."""
    assert _write(place.credential) == _write(place.credential)


def test_the_ides_form_is_kept(tmp_path: Path) -> None:
    """Unknown members, the order, the lines, the milliseconds and the mode."""
    path = write_json(tmp_path / "token.json", {**SOCIAL_FILE, "later": {"x": [1.5]}})
    _write(read_ide_token(path).credentials[0])

    expected = {
        **SOCIAL_FILE,
        "refreshToken": ROTATED,
        "accessToken": "aoa-HIDDEN-later",
        "expiresAt": "2026-01-02T04:04:05.678Z",
        "profileArn": OTHER_ARN,
        "later": {"x": [1.5]},
    }
    text = path.read_text(encoding="utf-8")
    assert list(json.loads(text).items()) == list(expected.items())
    assert text.startswith('{\n  "accessToken": "')
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_form_of_the_cli_is_kept(tmp_path: Path) -> None:
    """Unknown members, the nanoseconds; an IdC login gets no member that it has not; other rows stay."""
    rows = {IDC_KEY: {**IDC_ROW, "later": 1}, IDC_REGISTRATION_KEY: REGISTRATION_ROW}
    path = write_store(tmp_path / "data.sqlite3", rows)
    _write(read_cli_store(path).credentials[0])

    assert json.loads(read_row(path, IDC_KEY)) == {
        **IDC_ROW,
        "refresh_token": ROTATED,
        "access_token": "aoa-HIDDEN-later",
        "expires_at": "2026-01-02T04:04:05.678000000Z",
        "later": 1,
    }
    assert json.loads(read_row(path, IDC_REGISTRATION_KEY)) == REGISTRATION_ROW


def test_an_idc_login_of_the_ide_gets_no_profile(tmp_path: Path) -> None:
    """The IDE keeps that elsewhere."""
    write_json(tmp_path / "abc123.json", REGISTRATION)
    path = write_json(tmp_path / "token.json", IDC_FILE)
    _write(read_ide_token(path).credentials[0])

    assert list(json.loads(path.read_bytes())) == list(IDC_FILE)


def test_another_login_is_not_replaced(place: Place) -> None:
    """The other program was faster, or somebody has logged in anew: what is there stays there."""
    place.put("aor-HIDDEN-other")
    before = place.read()

    with pytest.raises(SharedFileChangedError) as caught:
        _write(place.credential)

    assert place.read() == before
    assert SECRET not in str(caught.value)


def test_a_login_that_is_gone_is_not_restored(place: Place) -> None:
    """Whoever has logged out means it."""
    assert place.credential.shared_file
    path = Path(place.credential.shared_file.path)
    path.unlink()

    with pytest.raises(CredentialSourceError, match="no such file"):
        _write(place.credential)
    with pytest.raises(CredentialSourceError, match="no such file"):
        reread(place.credential)
    assert not path.exists()


def test_a_row_that_is_gone_is_not_restored(tmp_path: Path) -> None:
    """The store stays, the login is deleted from it."""
    path = write_store(tmp_path / "data.sqlite3", {SOCIAL_KEY: SOCIAL_ROW})
    (credential,) = read_cli_store(path).credentials
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM auth_kv")

    with pytest.raises(SharedFileChangedError, match="changed the login under kirocli:social:token"):
        _write(credential)
    with pytest.raises(CredentialSourceError, match="no more login under kirocli:social:token"):
        reread(credential)


def test_a_file_that_changes_at_the_last_moment_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is compared once more when the new one is ready."""
    path = write_json(tmp_path / "token.json", SOCIAL_FILE)
    (credential,) = read_ide_token(path).credentials

    def interfere(target: Path, data: bytes, *, check: Callable[[], None]) -> None:
        write_json(path, {**SOCIAL_FILE, "refreshToken": "aor-HIDDEN-other"})
        replace_file(target, data, check=check)

    monkeypatch.setattr("kiro2api.auth.sources.ide.replace_file", interfere)
    with pytest.raises(SharedFileChangedError, match="at this moment"):
        _write(credential)
    assert json.loads(path.read_bytes())["refreshToken"] == "aor-HIDDEN-other"


def test_a_busy_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's transaction is waited for, but not for ever."""
    monkeypatch.setattr("kiro2api.auth.sources.cli_store.BUSY_SECONDS", 0.01)
    path = write_store(tmp_path / "data.sqlite3", {SOCIAL_KEY: SOCIAL_ROW})
    (credential,) = read_cli_store(path).credentials
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CredentialSourceError, match=r"cannot be written .*\(SQLITE_BUSY\)"):
            _write(credential)

    assert json.loads(read_row(path, SOCIAL_KEY)) == SOCIAL_ROW


def test_a_credential_of_ours_alone_is_left_as_it_is() -> None:
    """It has no file to read or to write."""
    (credential,) = parse_refresh_tokens(REFRESH_TOKEN)

    assert (reread(credential), _write(credential)) == (credential, credential)
