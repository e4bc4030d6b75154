"""The kinds of values that settings have: what they take, how they are read, and what a fault says of them."""

import ipaddress
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo

DEFAULT_CLIENT_KEY = "123456"
PUBLISHED_CLIENT_KEYS = frozenset({DEFAULT_CLIENT_KEY, "my-super-secret-password-123"})
"""Keys that stand in published examples: anyone may try them."""
MIN_CLIENT_KEY_LENGTH = 16
"""Characters; shorter keys can be guessed over a network."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Annotation of a field: the values it takes, as the remedy tells them."""

    values: str


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; names other than ``localhost`` are never trusted to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _parse_host(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host):
            raise ValueError("it is neither an IP address nor a host name") from None
        return host


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _parse_level(level: object) -> object:
    lowered = _lower(level)
    return "warning" if lowered == "warn" else lowered


def _parse_client_key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().strip():
        raise ValueError("it is not set, and HOST is an address that other machines can reach")
    return key


def _parse_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: It is not http(s), names no host, carries more than a path, or would send secrets in clear text.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it holds characters that no URL has")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("it is not a URL that starts with https:// and names a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("it carries a user name, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("it would send secrets over the network in clear text")
    return url.rstrip("/")


def _parse_model_map(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _check_model_map(models: Mapping[str, str]) -> Mapping[str, str]:
    if not all(name.strip() and model_id.strip() for name, model_id in models.items()):
        raise ValueError("one of its names is blank")
    return models


def _split_origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(origin.strip() for origin in value.split(",") if origin.strip())


def _parse_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins as browsers send them: lower case, no slash at the end."""
    found = tuple(origin.lower().rstrip("/") for origin in origins)
    if not all(re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@,]+", origin) for origin in found):
        raise ValueError("one of its items is no origin")
    return found


def _parse_readable(path: Path | None) -> Path | None:
    """The path.

    Raises:
        ValueError: There is no file at it that this process may read.
    """
    try:
        if path is not None:
            with path.open("rb"):
                pass
    except OSError as exc:
        raise ValueError(f"the file cannot be read ({exc.strerror})") from None
    return path


def _parse_key(key: Path | None, validation: ValidationInfo) -> Path | None:
    """The path, if the key is the certificate's.

    Raises:
        ValueError: One of the two is missing, or TLS cannot be spoken with them.
    """
    if "tls_cert_file" not in validation.data:
        return key
    certificate: Path | None = validation.data["tls_cert_file"]
    if (key is None) != (certificate is None):
        raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE belong together, and one of them is not set")
    if key is not None and certificate is not None:
        try:
            # An encrypted key would ask for its password at the terminal: here it gets an empty one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        except OSError as exc:
            reason = exc.reason if isinstance(exc, ssl.SSLError) and exc.reason else "unreadable"
            raise ValueError(f"it cannot be used with the certificate of TLS_CERT_FILE ({reason})") from None
    return key


def default_client_key(validated: dict[str, Any]) -> SecretStr:
    """The published key on loopback, and none elsewhere: there one has to be set."""
    return SecretStr(DEFAULT_CLIENT_KEY if is_loopback(validated["host"]) else "")


def default_level(validated: dict[str, Any]) -> Literal["debug", "info"]:
    """What the original's ``GIN_MODE`` means for the log."""
    return "debug" if validated["gin_mode"] == "debug" else "info"


Host = Annotated[
    str, AfterValidator(_parse_host), Allowed("an IP address or a host name, without a port: 127.0.0.1, ::1, 0.0.0.0")
]
Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number from 0 to 65535")]
ClientKey = Annotated[
    SecretStr,
    AfterValidator(_parse_client_key),
    Allowed(f"a secret of at least {MIN_CLIENT_KEY_LENGTH} characters, or HOST to 127.0.0.1"),
]
GinMode = Annotated[Literal["debug", "release", "test"], BeforeValidator(_lower), Allowed("debug, release or test")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(_parse_level),
    Allowed("debug, info, warning or error"),
]
LogFormat = Annotated[Literal["json", "text"], BeforeValidator(_lower), Allowed("json or text")]
CertificateFile = Annotated[
    Path | None, AfterValidator(_parse_readable), Allowed("the path of a PEM file with the certificate and its chain")
]
KeyFile = Annotated[
    Path | None,
    AfterValidator(_parse_readable),
    AfterValidator(_parse_key),
    Allowed("the path of a PEM file with the certificate's key, without a password, and TLS_CERT_FILE as well"),
]
Switch = Annotated[bool, Allowed("true or false")]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed("a number of minutes above 0")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed("a number of seconds above 0")]
OptionalSeconds = Annotated[Seconds | None, Allowed("a number of seconds above 0, or nothing")]
Count = Annotated[int, Field(gt=0), Allowed("a whole number above 0")]
OptionalCount = Annotated[Count | None, Allowed("a whole number above 0, or nothing")]
CountOrZero = Annotated[int, Field(ge=0), Allowed("a whole number, 0 or more")]
ByteCount = Annotated[int, Field(gt=0), Allowed("a whole number of bytes above 0")]
DescriptionLength = Annotated[int, Field(ge=1, le=10240), Allowed("a whole number from 1 to 10240")]
Url = Annotated[
    str,
    AfterValidator(_parse_url),
    Allowed("a URL that starts with https:// (http:// only for this machine), host and path only"),
]
ModelMap = Annotated[
    Mapping[str, str],
    BeforeValidator(_parse_model_map),
    AfterValidator(_check_model_map),
    Allowed('a JSON object of names: {"client\'s name": "upstream\'s id"}'),
]
Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_origins),
    AfterValidator(_parse_origins),
    Allowed("a comma-separated list like https://app.example,http://localhost:3000"),
]
