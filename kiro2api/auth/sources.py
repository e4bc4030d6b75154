"""Credentials from the text in which an operator configures them.

Every fault names the entry's position and never its value.
"""

from kiro2api.auth.credentials import AuthMethod, Credential, build_credential_id
from kiro2api.auth.errors import CredentialSourceError

_ELLIPSES = ("...", "…")


def parse_refresh_tokens(value: str) -> tuple[Credential, ...]:
    """The social credentials of a comma-separated list of refresh tokens, in its order.

    Blank entries and repetitions are dropped, white space around an entry too.

    Raises:
        CredentialSourceError: No entry is left, or one cannot be a whole refresh token.
    """
    refresh_tokens: dict[str, None] = {}
    for position, entry in enumerate(value.split(","), start=1):
        refresh_token = entry.strip()
        if refresh_token:
            _check_refresh_token(refresh_token, position)
            refresh_tokens[refresh_token] = None
    if not refresh_tokens:
        raise CredentialSourceError("the list holds no refresh token")
    return tuple(
        Credential(
            credential_id=build_credential_id(refresh_token),
            label=f"{AuthMethod.SOCIAL.value}-{number}",
            method=AuthMethod.SOCIAL,
            refresh_token=refresh_token,
        )
        for number, refresh_token in enumerate(refresh_tokens, start=1)
    )


def _check_refresh_token(refresh_token: str, position: int) -> None:
    if any(ellipsis in refresh_token for ellipsis in _ELLIPSES):
        raise CredentialSourceError(
            "the refresh token was shortened by the program that displayed it; copy all of it", position=position
        )
    if not refresh_token.isascii() or not refresh_token.isprintable() or " " in refresh_token:
        raise CredentialSourceError("the refresh token holds a character that none can have", position=position)
