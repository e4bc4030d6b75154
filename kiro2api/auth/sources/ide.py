"""The file in which the Kiro IDE keeps its login.

The IDE refreshes the login too and then replaces the file; the client registration of an IdC login is in
a file beside it.
"""

import re
from pathlib import Path

from kiro2api.auth.credentials import Credential, SharedFile, SharedFileKind, build_fingerprint
from kiro2api.auth.errors import CredentialSourceError, SharedFileChangedError
from kiro2api.auth.sources.entries import Method, find_method, parse_login
from kiro2api.auth.sources.files import describe_mode, read_file, replace_file
from kiro2api.auth.sources.loaded import Loaded, get_secret
from kiro2api.auth.sources.members import (
    CAMEL_NAMES,
    Fields,
    Rotation,
    decode_object,
    find_access,
    rotate_members,
)

# Becomes the name of a file: nothing that leads to another folder may pass.
_HASH = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_ide_token(value: object) -> bool:
    """Whether a JSON value is what the IDE writes, rather than an entry that an operator wrote."""
    return (
        isinstance(value, dict) and "auth" not in value and {"accessToken", "refreshToken", "expiresAt"} <= set(value)
    )


def read_ide_token(path: Path) -> Loaded:
    """The credential that the IDE keeps in the file.

    Raises:
        CredentialSourceError: The file cannot be read or holds no login that can be used.
    """
    place = path.absolute()
    source = str(place)
    fields = Fields(members=decode_object(read_file(place), source=source), source=source)
    method = find_method(fields, "authMethod") or _guess_method(fields)
    watched, notes = [place], [*describe_mode(place)]
    if method is Method.IDC and not (fields.find_text("clientId") and fields.find_text("clientSecret")):
        registration = _name_registration(fields, place)
        fields = _add_registration(fields, registration)
        watched.append(registration)
        notes += describe_mode(registration)
    login = parse_login(fields, method)
    credential = Credential(
        credential_id=build_fingerprint(f"{SharedFileKind.IDE_TOKEN.value}\n{source}\n"),
        origin=build_fingerprint(get_secret(login)),
        label="",
        source=source,
        login=login,
        profile_arn=fields.find_usable_arn("profileArn"),
        access=find_access(fields, CAMEL_NAMES),
        shared_file=SharedFile(kind=SharedFileKind.IDE_TOKEN, path=source),
    )
    return Loaded(credentials=(credential,), watched=tuple(watched), notes=tuple(notes))


def write_ide_token(path: Path, traded: str, rotation: Rotation) -> None:
    """Puts new tokens into the file, if it still holds the refresh token that was traded for them.

    Raises:
        SharedFileChangedError: It holds another.
        CredentialSourceError: The file cannot be read or written.
    """
    source = str(path)
    data = read_file(path)
    fields = Fields(members=decode_object(data, source=source), source=source)
    if fields.find_text("refreshToken") not in {traded, rotation.refresh_token}:
        raise SharedFileChangedError("another program has put another login there", source=source)
    is_social = (find_method(fields, "authMethod") or _guess_method(fields)) is Method.SOCIAL
    rotated = rotate_members(data, rotation, CAMEL_NAMES, with_profile=is_social, source=source)

    def check() -> None:
        if read_file(path) != data:
            raise SharedFileChangedError("another program writes to it at this moment", source=source)

    replace_file(path, rotated, check=check)


def _guess_method(fields: Fields) -> Method:
    if fields.find_text("tokenEndpoint"):
        return Method.EXTERNAL_IDP
    return Method.IDC if fields.find_text("clientIdHash") or fields.find_text("clientId") else Method.SOCIAL


def _name_registration(fields: Fields, place: Path) -> Path:
    name = fields.find_text("clientIdHash")
    if name is None:
        raise fields.fault("clientIdHash", "is missing; log in again with the Kiro IDE")
    if not _HASH.fullmatch(name):
        raise fields.fault("clientIdHash", "is not what the Kiro IDE writes; log in again with it")
    return place.with_name(f"{name}.json")


def _add_registration(fields: Fields, registration: Path) -> Fields:
    source = str(registration)
    try:
        client = Fields(members=decode_object(read_file(registration), source=source), source=source)
        found = {key: client.get_secret(key) for key in ("clientId", "clientSecret")}
    except CredentialSourceError as error:
        raise CredentialSourceError(
            f"needs the client registration in {registration.name} beside it, which cannot be used: {error.message}",
            source=fields.source,
        ) from None
    return Fields(members={**fields.members, **found}, source=fields.source)
