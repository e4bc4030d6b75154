"""The Kiro IDE's file."""

from collections.abc import Mapping
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
from kiro2api.auth.sources import Loaded
from kiro2api.auth.sources.ide import is_ide_token, read_ide_token
from tests.unit.auth.sources.samples import (
    ARN,
    EXPIRES_AT,
    EXTERNAL_FILE,
    IDC_FILE,
    REFRESH_TOKEN,
    REGISTRATION,
    SECRET,
    SOCIAL_FILE,
    write_json,
)


def _idc(*, is_builder_id: bool = False, region: str = "eu-west-1") -> IdcLogin:
    return IdcLogin(
        refresh_token=REFRESH_TOKEN,
        client_id="id-HIDDEN",
        client_secret="secret-HIDDEN",
        region=region,
        is_builder_id=is_builder_id,
    )


def _write(tmp_path: Path, *parts: Mapping[str, object]) -> Path:
    return write_json(tmp_path / "token.json", {key: value for part in parts for key, value in part.items()})


def test_a_social_login(tmp_path: Path) -> None:
    """Its id is the file's, so that it stays the same when the IDE renews the login."""
    path = _write(tmp_path, SOCIAL_FILE)
    credential = Credential(
        credential_id=build_fingerprint(f"ide_token\n{path}\n"),
        origin=build_fingerprint(REFRESH_TOKEN),
        label="",
        source=str(path),
        login=SocialLogin(refresh_token=REFRESH_TOKEN),
        profile_arn=ARN,
        access=FoundAccess(value="aoa-HIDDEN-access", expires_at=EXPIRES_AT),
        shared_file=SharedFile(kind=SharedFileKind.IDE_TOKEN, path=str(path)),
    )

    assert read_ide_token(path) == Loaded(credentials=(credential,), watched=(path,))


@pytest.mark.parametrize(
    ("changes", "login"),
    [
        ({}, _idc()),
        ({"provider": "BuilderId"}, _idc(is_builder_id=True)),
        ({"authMethod": "builder-id", "region": None}, _idc(is_builder_id=True, region="us-east-1")),
        ({"authMethod": None}, _idc()),
    ],
)
def test_an_idc_login_has_its_registration_beside_it(
    tmp_path: Path, changes: Mapping[str, object], login: IdcLogin
) -> None:
    """Both files are watched."""
    path = _write(tmp_path, IDC_FILE, changes)
    registration = write_json(tmp_path / "abc123.json", REGISTRATION)
    loaded = read_ide_token(path)

    assert loaded.credentials[0].login == login
    assert (loaded.watched, loaded.notes) == ((path, registration), ())


def test_a_registration_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    """Other programs write it there; then no other file is needed."""
    path = _write(tmp_path, IDC_FILE, REGISTRATION, {"authMethod": None, "clientIdHash": None})
    loaded = read_ide_token(path)

    assert (loaded.credentials[0].login, loaded.watched) == (_idc(), (path,))


@pytest.mark.parametrize("method", ["external_idp", None])
def test_a_login_of_an_external_provider(tmp_path: Path, method: str | None) -> None:
    """Its endpoint stands in the file; there need be no access token."""
    credential = read_ide_token(_write(tmp_path, EXTERNAL_FILE, {"authMethod": method})).credentials[0]

    assert (credential.access, credential.login) == (
        None,
        ExternalIdpLogin(
            refresh_token=REFRESH_TOKEN, client_id="id-HIDDEN", token_endpoint="https://login.example.com/token"
        ),
    )


def test_loose_modes_are_noted(tmp_path: Path) -> None:
    """Of the file and of the registration."""
    path, registration = _write(tmp_path, IDC_FILE), write_json(tmp_path / "abc123.json", REGISTRATION)
    path.chmod(0o644)
    registration.chmod(0o644)

    assert [note.split()[0] for note in read_ide_token(path).notes] == [str(path), str(registration)]


@pytest.mark.parametrize(
    ("base", "changes", "words"),
    [
        (SOCIAL_FILE, {"refreshToken": None}, '"refreshToken" is missing'),
        (SOCIAL_FILE, {"authMethod": "HIDDEN"}, '"authMethod" has to be'),
        (IDC_FILE, {"clientIdHash": None}, '"clientIdHash" is missing'),
        (IDC_FILE, {"clientIdHash": "../HIDDEN"}, '"clientIdHash" is not what'),
        (IDC_FILE, {"clientIdHash": "/HIDDEN"}, '"clientIdHash" is not what'),
        (IDC_FILE, {"clientIdHash": ".."}, '"clientIdHash" is not what'),
        (IDC_FILE, {}, "needs the client registration in abc123.json beside it.*no such file"),
        (IDC_FILE, {"clientIdHash": "broken"}, 'in broken.json .*"clientSecret" is missing'),
    ],
)
def test_what_cannot_be_used(
    tmp_path: Path, base: Mapping[str, object], changes: Mapping[str, object], words: str
) -> None:
    """The fault names the file and the member, never a value."""
    write_json(tmp_path / "broken.json", {"clientId": "id-HIDDEN"})
    path = _write(tmp_path, base, changes)

    with pytest.raises(CredentialSourceError, match=words) as caught:
        read_ide_token(path)

    assert caught.value.source == str(path)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(SOCIAL_FILE, True), ([SOCIAL_FILE], False), ({**SOCIAL_FILE, "auth": "social"}, False), (EXTERNAL_FILE, False)],
)
def test_the_file_is_told_from_an_entry(value: object, *, expected: bool) -> None:
    """It has an access token with an expiry, and not the word of this program."""
    assert is_ide_token(value) is expected
