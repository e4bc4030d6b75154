"""Logins that another program keeps: read once more before a refresh, and written back after it.

These functions block on files: call them in a thread.
"""

from dataclasses import replace
from pathlib import Path
from typing import assert_never

from kiro2api.auth.credentials import Credential, SharedFile, SharedFileKind
from kiro2api.auth.sources.cli_store import read_cli_login, write_cli_login
from kiro2api.auth.sources.ide import read_ide_token, write_ide_token
from kiro2api.auth.sources.loaded import get_secret
from kiro2api.auth.sources.members import Rotation


def reread(credential: Credential) -> Credential:
    """The credential as it is in its file now, by the same id and label; one without such a file as it is.

    Raises:
        CredentialSourceError: The file cannot be read, or holds no login any more.
    """
    shared_file = credential.shared_file
    if shared_file is None:
        return credential
    return replace(_read(shared_file), credential_id=credential.credential_id, label=credential.label)


def write_back(
    credential: Credential, *, refresh_token: str, access_token: str, expires_at: float, profile_arn: str | None
) -> Credential:
    """Puts what a refresh of ``credential`` brought into its file, in that file's own form.

    Args:
        credential: With the refresh token that was traded; one without a shared file is returned as it is.
        refresh_token: The one to keep from now on, new or not.
        access_token: The new one.
        expires_at: Of the access token, in epoch seconds.
        profile_arn: Replaces the one that is there, unless it is ``None``.

    Returns:
        The credential as it is in the file now.

    Raises:
        SharedFileChangedError: The file holds another refresh token than the one that was traded; it stays as it is.
        CredentialSourceError: The file cannot be read or written.
    """
    shared_file = credential.shared_file
    if shared_file is None:
        return credential
    rotation = Rotation(
        refresh_token=refresh_token, access_token=access_token, expires_at=expires_at, profile_arn=profile_arn
    )
    path, traded = Path(shared_file.path), get_secret(credential.login)
    match shared_file.kind:
        case SharedFileKind.IDE_TOKEN:
            write_ide_token(path, traded, rotation)
        case SharedFileKind.CLI_STORE:
            write_cli_login(path, shared_file.key, traded, rotation)
        case _:
            assert_never(shared_file.kind)
    return reread(credential)


def _read(shared_file: SharedFile) -> Credential:
    path = Path(shared_file.path)
    match shared_file.kind:
        case SharedFileKind.IDE_TOKEN:
            return read_ide_token(path).credentials[0]
        case SharedFileKind.CLI_STORE:
            return read_cli_login(path, shared_file.key)
        case _:
            assert_never(shared_file.kind)
