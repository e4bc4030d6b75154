"""Credentials from the lists in which an operator configures them.

Every fault names the entry's position and never its value.
"""

from collections.abc import Callable

from kiro2api.auth.credentials import ApiKey, Credential, Login, SocialLogin
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.loaded import assign_labels, build_credential, drop_doubles

API_KEY_PREFIX = "ksk_"
USUAL_REFRESH_TOKEN_LENGTH = 100
"""Characters: the service's refresh tokens have more."""

_ELLIPSES = ("...", "…")
_QUOTATION_MARKS = ('"', "'")


def parse_refresh_tokens(value: str, *, source: str = "AWS_REFRESHTOKEN") -> tuple[Credential, ...]:
    """The social credentials of a list of refresh tokens, with commas or line ends between them, in its order.

    Blank entries and repetitions are dropped, white space around an entry too.

    Raises:
        CredentialSourceError: No entry is left, or one cannot be a whole refresh token.
    """
    return assign_labels(drop_doubles(split_refresh_tokens(value, source=source))[0])


def parse_api_keys(value: str, *, source: str = "KIRO_API_KEY") -> tuple[Credential, ...]:
    """The credentials of a list of Kiro API keys, read as :func:`parse_refresh_tokens` reads its list.

    Raises:
        CredentialSourceError: No entry is left, or one cannot be a whole API key.
    """
    return assign_labels(drop_doubles(split_api_keys(value, source=source))[0])


def split_refresh_tokens(value: str, *, source: str) -> tuple[Credential, ...]:
    """As :func:`parse_refresh_tokens`, without labels and with repetitions."""

    def build(entry: str, position: int) -> Login:
        check_secret(entry, "the refresh token", source=source, position=position)
        return SocialLogin(refresh_token=entry)

    return _split(value, build, what="refresh token", source=source)


def split_api_keys(value: str, *, source: str) -> tuple[Credential, ...]:
    """As :func:`parse_api_keys`, without labels and with repetitions."""

    def build(entry: str, position: int) -> Login:
        check_api_key(entry, "the API key", source=source, position=position)
        return ApiKey(key=entry)

    return _split(value, build, what="API key", source=source)


def check_api_key(secret: str, name: str, *, source: str, position: int | None = None) -> None:
    """Refuses what cannot be a whole Kiro API key.

    Raises:
        CredentialSourceError: As for :func:`check_secret`; or it lacks the prefix.
    """
    check_secret(secret, name, source=source, position=position)
    if not secret.startswith(API_KEY_PREFIX):
        raise CredentialSourceError(
            f"{name} does not begin with {API_KEY_PREFIX} as Kiro's do; copy all of it",
            position=position,
            source=source,
        )


def check_secret(secret: str, name: str, *, source: str, position: int | None = None) -> None:
    """Refuses what cannot be a whole secret.

    Raises:
        CredentialSourceError: It was shortened for display, is in quotation marks, or holds a blank, a control
            character or anything beyond ASCII.
    """
    if any(ellipsis in secret for ellipsis in _ELLIPSES):
        problem = "was shortened by the program that displayed it; copy all of it"
    elif secret.startswith(_QUOTATION_MARKS):
        problem = "begins with a quotation mark; leave the marks out"
    elif not is_printable_ascii(secret):
        problem = "holds a character that none can have; copy it again"
    else:
        return
    raise CredentialSourceError(f"{name} {problem}", position=position, source=source)


def is_printable_ascii(text: str) -> bool:
    """Whether ``text`` has visible ASCII characters only, as every secret and identifier here must."""
    return text.isascii() and text.isprintable() and " " not in text


def _split(value: str, build: Callable[[str, int], Login], *, what: str, source: str) -> tuple[Credential, ...]:
    entries = [entry.strip() for entry in value.replace("\n", ",").split(",")]
    credentials = tuple(
        build_credential(build(entry, position), source=source)
        for position, entry in enumerate(entries, start=1)
        if entry
    )
    if not credentials:
        raise CredentialSourceError(f"the list holds no {what}", source=source)
    return credentials
