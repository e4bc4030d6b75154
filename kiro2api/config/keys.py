"""The keys among the settings: those that callers have to show, and the one that seals what is stored."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo

from kiro2api.config.addresses import REDIS_SCHEMES, is_loopback
from kiro2api.config.values import Allowed

DEFAULT_CLIENT_KEY = "123456"
PUBLISHED_CLIENT_KEYS = frozenset({DEFAULT_CLIENT_KEY, "my-super-secret-password-123"})
"""Keys that stand in published examples: anyone may try them."""
MIN_KEY_LENGTH = 16
"""Characters; shorter keys can be guessed, over a network or from what they seal."""


def default_client_key(validated: dict[str, Any]) -> SecretStr:
    """The published key on loopback, and none elsewhere: there one has to be set."""
    return SecretStr(DEFAULT_CLIENT_KEY if is_loopback(validated["host"]) else "")


def _parse_client_key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().strip():
        raise ValueError("it is not set, and HOST is an address that other machines can reach")
    return key


def _check_admin_key(key: SecretStr | None, validation: ValidationInfo) -> SecretStr | None:
    if key is not None and key == validation.data.get("kiro_client_token"):
        raise ValueError("it is the same as KIRO_CLIENT_TOKEN, and every client could use it")
    return key


def _check_state_key(key: SecretStr | None, validation: ValidationInfo) -> SecretStr | None:
    """The key.

    Raises:
        ValueError: It is short, or missing where others could read what is stored.
    """
    url: SecretStr | None = validation.data.get("state_url")
    if key is None and url is not None and urlsplit(url.get_secret_value()).scheme in REDIS_SCHEMES:
        raise ValueError("it is not set, and STATE_URL is a Redis, where refresh tokens must not lie open")
    if key is not None and len(key.get_secret_value()) < MIN_KEY_LENGTH:
        raise ValueError(f"it has fewer than {MIN_KEY_LENGTH} characters")
    return key


ClientKey = Annotated[
    SecretStr,
    AfterValidator(_parse_client_key),
    Allowed(f"a secret of at least {MIN_KEY_LENGTH} characters, or HOST to 127.0.0.1"),
]
AdminKey = Annotated[
    SecretStr | None,
    AfterValidator(_check_admin_key),
    Allowed(f"a secret of its own of at least {MIN_KEY_LENGTH} characters, or nothing"),
]
StateKey = Annotated[
    SecretStr | None,
    AfterValidator(_check_state_key),
    Allowed(f"a secret of at least {MIN_KEY_LENGTH} characters, such as `openssl rand -base64 32` makes"),
]
