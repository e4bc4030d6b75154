"""The SQLite store of kiro-cli and of the Amazon Q CLI.

Those programs refresh the logins too, and may have the store open; it is in WAL mode. We read it through a connection
that cannot write, and write single rows in transactions of their own. ``odic`` is how its keys are spelled.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from kiro2api.auth.credentials import (
    Credential,
    ExternalIdpLogin,
    IdcLogin,
    Login,
    SharedFile,
    SharedFileKind,
    SocialLogin,
    build_fingerprint,
)
from kiro2api.auth.errors import CredentialSourceError, SharedFileChangedError
from kiro2api.auth.sources.entries import DEFAULT_SSO_REGION, is_builder_start_url
from kiro2api.auth.sources.files import describe_mode
from kiro2api.auth.sources.loaded import Loaded, get_secret
from kiro2api.auth.sources.members import (
    SNAKE_NAMES,
    Fields,
    Rotation,
    decode_object,
    find_access,
    rotate_members,
)

BUSY_SECONDS = 1.0
"""How long another program's transaction is waited for: theirs last milliseconds."""
WAL_SUFFIX = "-wal"
"""Of the file beside the store that takes the changes first; it comes and goes."""
NEEDED_SCOPE = "codewhisperer:conversations"
"""Without it the upstream refuses every conversation."""

_SOCIAL_KEY = "kirocli:social:token"
_EXTERNAL_IDP_KEY = "kirocli:external-idp:token"
_REGISTRATIONS = {
    "kirocli:odic:token": "kirocli:odic:device-registration",
    "codewhisperer:odic:token": "codewhisperer:odic:device-registration",
}
_LOGINS = ((_SOCIAL_KEY,), tuple(_REGISTRATIONS), (_EXTERNAL_IDP_KEY,))
"""The keys of each login, of which the first that can be used counts."""
_KEYS = (_SOCIAL_KEY, _EXTERNAL_IDP_KEY, *_REGISTRATIONS, *_REGISTRATIONS.values())
_SELECT = "SELECT key, value FROM auth_kv"
_PRIMARY_CODE = 0xFF
"""The bits of an extended result code of SQLite that are the plain one."""


def read_cli_store(path: Path) -> Loaded:
    """A credential for each login that the store has; notes about rows that cannot be used.

    Raises:
        CredentialSourceError: The store cannot be read, or has no login that can be used.
    """
    place = path.absolute()
    rows = _read_rows(place)
    credentials: list[Credential] = []
    notes = [*describe_mode(place)]
    faults: list[CredentialSourceError] = []
    for keys in _LOGINS:
        for key in keys:
            if key in rows:
                try:
                    credentials.append(_parse_row(place, key, rows))
                    notes += _describe_scopes(place, key, rows)
                    break
                except CredentialSourceError as error:
                    faults.append(error)
    if not credentials:
        raise faults[0] if faults else CredentialSourceError("has no login; run kiro-cli login", source=str(place))
    notes += [f"{place} has a login that is left out: {fault.message}." for fault in faults]
    return Loaded(credentials=tuple(credentials), watched=list_watched(place), notes=tuple(notes))


def read_cli_login(path: Path, key: str) -> Credential:
    """The credential under one key of the store.

    Raises:
        CredentialSourceError: The store cannot be read, or has no such login that can be used.
    """
    rows = _read_rows(path)
    if key not in rows:
        raise CredentialSourceError(f"has no more login under {key}; run kiro-cli login", source=str(path))
    return _parse_row(path, key, rows)


def write_cli_login(path: Path, key: str, traded: str, rotation: Rotation) -> None:
    """Puts new tokens into one row, if it still holds the refresh token that was traded for them.

    Raises:
        SharedFileChangedError: It holds another, or is gone.
        CredentialSourceError: The store cannot be written, or is busy for longer than ``BUSY_SECONDS``.
    """
    source = str(path)
    try:
        with closing(_connect(path, "mode=rw")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
            data = row[1] if row and isinstance(row[1], bytes) else b"{}"
            fields = Fields(members=decode_object(data, source=source), source=source)
            if fields.find_text("refresh_token") not in {traded, rotation.refresh_token}:
                raise SharedFileChangedError(f"another program has changed the login under {key}", source=source)
            rotated = rotate_members(data, rotation, SNAKE_NAMES, with_profile=key == _SOCIAL_KEY, source=source)
            connection.execute("UPDATE auth_kv SET value = ? WHERE key = ?", (rotated.decode(), key))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise _translate(error, path, "written") from None


def list_watched(path: Path) -> tuple[Path, ...]:
    """The files that change when the store does."""
    return (path, path.with_name(path.name + WAL_SUFFIX))


def _parse_row(path: Path, key: str, rows: Mapping[str, bytes]) -> Credential:
    source = str(path)
    try:
        fields = Fields(members=decode_object(rows[key], source=source), source=source)
        login = _parse_login(fields, key, rows)
    except CredentialSourceError as error:
        raise CredentialSourceError(f"the login under {key} cannot be used, {error.message}", source=source) from None
    return Credential(
        credential_id=build_fingerprint(f"{SharedFileKind.CLI_STORE.value}\n{source}\n{key}"),
        origin=build_fingerprint(get_secret(login)),
        label="",
        source=source,
        login=login,
        profile_arn=fields.find_usable_arn("profile_arn"),
        access=find_access(fields, SNAKE_NAMES),
        shared_file=SharedFile(kind=SharedFileKind.CLI_STORE, path=source, key=key),
    )


def _parse_login(fields: Fields, key: str, rows: Mapping[str, bytes]) -> Login:
    refresh_token = fields.get_secret("refresh_token")
    if key == _SOCIAL_KEY:
        return SocialLogin(refresh_token=refresh_token)
    if key == _EXTERNAL_IDP_KEY:
        return ExternalIdpLogin(
            refresh_token=refresh_token,
            client_id=fields.get_secret("client_id"),
            token_endpoint=fields.get_endpoint("token_endpoint"),
        )
    client = _find_registration(fields, key, rows)
    return IdcLogin(
        refresh_token=refresh_token,
        client_id=client.get_secret("client_id"),
        client_secret=client.get_secret("client_secret"),
        region=fields.find_region("region") or client.find_region("region") or DEFAULT_SSO_REGION,
        is_builder_id=is_builder_start_url(fields.members.get("start_url")),
    )


def _find_registration(fields: Fields, key: str, rows: Mapping[str, bytes]) -> Fields:
    """The registration of the program that wrote the login, else that of the other, whose store this was before."""
    for registration in (_REGISTRATIONS[key], *_REGISTRATIONS.values()):
        if registration in rows:
            return Fields(members=decode_object(rows[registration], source=fields.source), source=fields.source)
    raise CredentialSourceError("the client registration is missing; run kiro-cli login", source=fields.source)


def _describe_scopes(path: Path, key: str, rows: Mapping[str, bytes]) -> list[str]:
    scopes = decode_object(rows[key], source=str(path)).get("scopes")
    if not isinstance(scopes, list) or NEEDED_SCOPE in scopes:
        return []
    return [
        f"The login under {key} in {path} lacks the scope {NEEDED_SCOPE}: the upstream will refuse it; log in anew."
    ]


def _read_rows(path: Path) -> dict[str, bytes]:
    """The rows that concern logins, of those keys that have text."""
    try:
        return _select_rows(path, "mode=ro")
    except sqlite3.Error as error:
        if not _is_alone(error, path):
            raise _translate(error, path, "read") from None
    try:
        return _select_rows(path, "mode=ro&immutable=1")
    except sqlite3.Error as error:
        raise _translate(error, path, "read") from None


def _is_alone(error: sqlite3.Error, path: Path) -> bool:
    """Whether the store failed to open only because SQLite may not make its files for WAL mode there.

    Then nobody else has made them either: the store is all there is.
    """
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
    return code == sqlite3.SQLITE_CANTOPEN and path.is_file() and not path.with_name(path.name + WAL_SUFFIX).exists()


def _select_rows(path: Path, query: str) -> dict[str, bytes]:
    with closing(_connect(path, query)) as connection:
        rows = connection.execute(f"{_SELECT} WHERE key IN ({', '.join('?' * len(_KEYS))})", _KEYS)
        return {key.decode(): value for key, value in rows if isinstance(value, bytes)}


def _connect(path: Path, query: str) -> sqlite3.Connection:
    if not path.is_file():
        raise CredentialSourceError("there is no such file", source=str(path))
    connection = sqlite3.connect(f"{path.as_uri()}?{query}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    # An error about text that cannot be decoded would quote it.
    connection.text_factory = bytes
    return connection


def _translate(error: sqlite3.Error, path: Path, done: str) -> CredentialSourceError:
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return CredentialSourceError(f"cannot be {done} as the store of kiro-cli ({name})", source=str(path))
