"""``kiro2api import``: copies logins of the Kiro IDE, kiro-cli or the Amazon Q CLI into a file for ``KIRO_AUTH_TOKEN``.

A copy goes its own way from then on, and what is printed says so. No secret is printed. Everything here blocks.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from kiro2api.auth.credentials import Credential, SharedFileKind
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import (
    Loaded,
    export_credentials,
    find_data_home,
    parse_auth_entries,
    write_secret_file,
)
from kiro2api.auth.sources.cli_store import read_cli_store
from kiro2api.auth.sources.files import read_text
from kiro2api.auth.sources.ide import is_ide_token, read_ide_token
from kiro2api.auth.sources.loaded import get_secret, merge_loaded
from kiro2api.auth.sources.local import list_places
from kiro2api.auth.sources.members import decode_json
from kiro2api.commands.rendering import GAP, fold, render_columns
from kiro2api.config import EXIT_CONFIG

FILE_NAME = "credentials.json"
FOLDER = "kiro2api"

_SQLITE_BEGINS = b"SQLite format 3\0"
_SHARING = {SharedFileKind.IDE_TOKEN: "KIRO_TOKEN_FILE", SharedFileKind.CLI_STORE: "KIRO_CLI_STORE"}
_NOTHING = (
    "there is no login of the Kiro IDE, kiro-cli or the Amazon Q CLI on this machine; log in with one of them, or name "
    "a file: kiro2api import PATH"
)
_WARNING = (
    "This is a copy. From now on kiro2api and the program that the login comes from each renew it for themselves, and "
    "when the service replaces a refresh token, the other of the two may have to log in again. To share the login "
    "instead, leave the copy and set:"
)


def import_logins(
    path: Path | None, target: Path | None, *, environ: Mapping[str, str], out: TextIO, err: TextIO
) -> int:
    """Copies, tells what was copied, and returns the exit code.

    Args:
        path: A token file or a store; by default all that are in their usual places.
        target: Where to; entries that it has stay. By default a file in the user's folder for configuration.
        environ: Says where the usual places are.
        out: For what was done.
        err: For what could not be done.
    """
    try:
        place = _choose_target(target, environ)
        found, faults = _read_logins(path, environ)
        err.writelines(f"{fold(note)}\n" for note in (*found.notes, *faults))
        # Labels that nobody chose are given when the file is read, and would only be in the way in it.
        bare = [replace(credential, label="") for credential in found.credentials]
        existing = _read_existing(place)
        known = _read_secrets(existing, source=str(place))
        text = export_credentials(bare, existing)
        write_secret_file(place, text)
        labels = {get_secret(c.login): c.label for c in parse_auth_entries(text, source=str(place)).credentials}
    except CredentialSourceError as error:
        source = f"{error.source}: " if error.source else ""
        err.write(f"{source}{error.message}\n")
        return EXIT_CONFIG
    out.write(_render(place, found.credentials, labels=labels, known=known))
    return 0


def _choose_target(target: Path | None, environ: Mapping[str, str]) -> Path:
    if target is not None:
        return target.absolute()
    for name, below in (("XDG_CONFIG_HOME", FOLDER), ("HOME", f".config/{FOLDER}")):
        folder = Path(environ.get(name, ""))
        if folder.is_absolute():
            return folder / below / FILE_NAME
    raise CredentialSourceError("neither HOME nor XDG_CONFIG_HOME says where to put the file; say so with --to FILE")


def _read_logins(path: Path | None, environ: Mapping[str, str]) -> tuple[Loaded, tuple[str, ...]]:
    """What there is, and what is wrong with places that were found and cannot be used.

    Raises:
        CredentialSourceError: There is nothing, or nothing that can be used.
    """
    if path is not None:
        return merge_loaded([_read_login(path.absolute(), is_store=_is_store(path))]), ()
    parts: list[Loaded] = []
    faults: list[CredentialSourceError] = []
    for place in list_places(Path(environ.get("HOME") or "/"), data_home=find_data_home(environ)):
        if not place.path.exists():
            continue
        try:
            parts.append(_read_login(place.path, is_store=place.kind is SharedFileKind.CLI_STORE))
        except CredentialSourceError as error:
            faults.append(error)
    if not parts:
        raise faults[0] if faults else CredentialSourceError(_NOTHING)
    return merge_loaded(parts), tuple(f"{fault.source} is left out: {fault.message}." for fault in faults)


def _read_login(path: Path, *, is_store: bool) -> Loaded:
    return read_cli_store(path) if is_store else read_ide_token(path)


def _is_store(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE_BEGINS)) == _SQLITE_BEGINS
    except (OSError, ValueError):
        return False  # reading it as a token file tells what is wrong


def _read_existing(place: Path) -> str | None:
    """What the file has now; ``None`` if it has no entry, or is not there.

    Raises:
        CredentialSourceError: It is another program's, or cannot be read.
    """
    if not place.exists():
        return None
    text = read_text(place)
    value = decode_json(text, source=str(place))
    if is_ide_token(value):
        raise CredentialSourceError("is a file of the Kiro IDE; name another one with --to FILE", source=str(place))
    return None if value == [] else text


def _read_secrets(text: str | None, *, source: str) -> frozenset[str]:
    loaded = Loaded() if text is None else parse_auth_entries(text, source=source)
    return frozenset(get_secret(credential.login) for credential in loaded.credentials)


def _render(place: Path, credentials: Sequence[Credential], *, labels: Mapping[str, str], known: frozenset[str]) -> str:
    rows: list[tuple[str, ...]] = []
    for credential in credentials:
        secret = get_secret(credential.login)
        remark = "(was there already)" if secret in known else "" if secret in labels else "(is there, and disabled)"
        label = labels.get(secret, credential.label)
        rows.append((GAP + label, credential.kind, f"from {credential.source}", remark))
    kept = "" if not known else f"{fold(_describe_kept(known, credentials))}\n\n"
    shares = dict.fromkeys(
        f"{GAP}{_SHARING[credential.shared_file.kind]}={shlex.quote(credential.shared_file.path)}"
        for credential in credentials
        if credential.shared_file is not None
    )
    return (
        f"Copied into {place}:\n\n"
        + "".join(f"{line}\n" for line in render_columns(rows))
        + f"\n{kept}Put this line into .env:\n\n{GAP}KIRO_AUTH_TOKEN={shlex.quote(str(place))}\n\n{fold(_WARNING)}\n\n"
        + "".join(f"{share}\n" for share in shares)
    )


def _describe_kept(known: frozenset[str], credentials: Sequence[Credential]) -> str:
    others = known - {get_secret(credential.login) for credential in credentials}
    if not others:
        return "The file had no other entry."
    return f"The file keeps the entries that it had ({len(others)}): take out what is the same login, only older."
