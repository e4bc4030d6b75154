"""All configured sources together.

:func:`load_credentials` reads everything anew with each call, so that it serves the start and every reload. It blocks
on files: call it in a thread.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kiro2api.auth.credentials import Credential, SharedFileKind, SocialLogin
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.cli_store import read_cli_store
from kiro2api.auth.sources.entries import split_auth_entries
from kiro2api.auth.sources.files import describe_mode, read_text
from kiro2api.auth.sources.ide import is_ide_token, read_ide_token
from kiro2api.auth.sources.loaded import Loaded, merge_loaded
from kiro2api.auth.sources.local import Place, describe_local_credentials, list_places
from kiro2api.auth.sources.members import decode_json
from kiro2api.auth.sources.text import USUAL_REFRESH_TOKEN_LENGTH, split_api_keys, split_refresh_tokens

AUTO = "auto"
"""The word that stands for whatever is on this machine."""

_MAX_PATH_LENGTH = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """The text of a variable, or the file that holds it."""

    variable: str
    text: str = field(repr=False, default="")
    path: Path | None = None
    """Has precedence, and is read with each load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """Where credentials are to come from; what is ``None`` or blank text is not configured."""

    refresh_tokens: SourceText | None = None
    auth_token: SourceText | None = None
    api_keys: SourceText | None = None
    token_file: Path | None = None
    cli_store: Path | None = None
    home: Path
    data_home: Path | None = None
    """What ``XDG_DATA_HOME`` says."""


def load_credentials(spec: SourceSpec) -> Loaded:
    """The credentials of all sources: of lists, of entries, of files that others keep, and API keys, in this order.

    Raises:
        CredentialSourceError: A source cannot be used, or none has a credential.
    """
    loaded = merge_loaded(_list_parts(spec))
    if not loaded.credentials:
        raise _build_want(spec, loaded)
    return replace(loaded, notes=(*loaded.notes, *_describe_short_ones(loaded.credentials)))


def _list_parts(spec: SourceSpec) -> Iterator[Loaded]:
    def split(function: Callable[..., tuple[Credential, ...]]) -> Callable[[str, str], Loaded]:
        return lambda text, source: Loaded(credentials=function(text, source=source))

    yield _load_text(spec.refresh_tokens, split(split_refresh_tokens), spec.home)
    yield _load_text(spec.auth_token, lambda text, source: _load_auth_token(text, source, spec), spec.home)
    if spec.token_file:
        yield read_ide_token(_expand(spec.token_file, spec.home))
    if spec.cli_store:
        yield read_cli_store(_expand(spec.cli_store, spec.home))
    yield _load_text(spec.api_keys, split(split_api_keys), spec.home)


def _load_text(text: SourceText | None, load: Callable[[str, str], Loaded], home: Path) -> Loaded:
    if text is None:
        return Loaded()
    if text.path is None:
        return load(text.text, text.variable) if text.text.strip() else Loaded()
    path = _expand(text.path, home)
    loaded = load(read_text(path), text.variable)
    return replace(loaded, watched=(path, *loaded.watched), notes=(*describe_mode(path), *loaded.notes))


def _expand(path: Path, home: Path) -> Path:
    """The path in full; no shell has put the home in the place of a tilde that stands in ``.env``."""
    return home.joinpath(*path.parts[1:]) if path.parts[:1] == ("~",) else path.absolute()


def _load_auth_token(text: str, source: str, spec: SourceSpec) -> Loaded:
    value = text.strip()
    if value.lower() == AUTO:
        return _load_local(source, spec)
    if value.startswith(("[", "{")):
        return split_auth_entries(value, source=source)
    path = _find_file(value, source, spec.home)
    content = read_text(path)
    if is_ide_token(decode_json(content, source=str(path))):
        found = read_ide_token(path)
        note = f"{path} is a file of the Kiro IDE, which refreshes it too; it is used as KIRO_TOKEN_FILE would be."
        return replace(found, notes=(note, *found.notes))
    loaded = split_auth_entries(content, source=str(path))
    return replace(loaded, watched=(path,), notes=(*describe_mode(path), *loaded.notes))


def _find_file(value: str, source: str, home: Path) -> Path:
    """The file that ``value`` names. The value is in no error: it may be a secret in the wrong place."""
    if value.startswith(('"', "'")):
        raise CredentialSourceError("begins with a quotation mark; leave the marks out", source=source)
    path = _expand(Path(value), home)
    if len(value) > _MAX_PATH_LENGTH or not path.is_file():
        raise CredentialSourceError(
            "is neither JSON, nor the path of a file, nor the word auto; "
            "a bare refresh token belongs into AWS_REFRESHTOKEN",
            source=source,
        )
    return path


def _load_local(source: str, spec: SourceSpec) -> Loaded:
    places = list_places(spec.home, data_home=spec.data_home)
    parts = [_try_place(place, source) for place in places]
    if not any(part.credentials for part in parts):
        findings = " ".join(note for part in parts for note in part.notes)
        raise CredentialSourceError(
            f"there is no login on this machine that can be used; log in with the Kiro IDE or kiro-cli. {findings}",
            source=source,
        )
    return Loaded(
        credentials=tuple(credential for part in parts for credential in part.credentials),
        watched=tuple(path for part in parts for path in part.watched),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _try_place(place: Place, source: str) -> Loaded:
    absent = Loaded(watched=place.watched, notes=(f"{source}=auto found no login of {place.program} at {place.path}.",))
    if not place.path.exists():
        return absent
    try:
        found = read_ide_token(place.path) if place.kind is SharedFileKind.IDE_TOKEN else read_cli_store(place.path)
    except CredentialSourceError as error:
        note = f"{source}=auto found {place.path} of {place.program}, and cannot use it: {error.message}."
        return replace(absent, notes=(note,))
    note = f"{source}=auto found a login of {place.program} at {place.path}."
    return replace(found, notes=(note, *found.notes))


def _describe_short_ones(credentials: tuple[Credential, ...]) -> Iterator[str]:
    for credential in credentials:
        login = credential.login
        if not isinstance(login, SocialLogin) or credential.shared_file:
            continue
        if len(login.refresh_token) < USUAL_REFRESH_TOKEN_LENGTH:
            yield (
                f"The refresh token of {credential.label} ({credential.source}) has fewer than "
                f"{USUAL_REFRESH_TOKEN_LENGTH} characters: it was probably cut off where it was copied."
            )


def _build_want(spec: SourceSpec, loaded: Loaded) -> CredentialSourceError:
    if loaded.notes:
        return CredentialSourceError(
            f"no credential is left to use. {' '.join(loaded.notes)}", source="KIRO_AUTH_TOKEN"
        )
    local = describe_local_credentials(spec.home, data_home=spec.data_home)
    choices = "set AWS_REFRESHTOKEN, KIRO_AUTH_TOKEN, KIRO_TOKEN_FILE, KIRO_CLI_STORE or KIRO_API_KEY"
    return CredentialSourceError(f"no credential is configured; {local or choices}", source="AWS_REFRESHTOKEN")
