"""The kinds of values that settings have: what they take, how they are read, and what a fault says of them.

Addresses and secrets have modules of their own.
"""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo


@dataclass(frozen=True, slots=True)
class Allowed:
    """Annotation of a field: the values it takes, as the remedy tells them."""

    values: str


def lower(value: object) -> object:
    """``value``, in lower case if it is a text."""
    return value.lower() if isinstance(value, str) else value


def _parse_level(level: object) -> object:
    lowered = lower(level)
    return "warning" if lowered == "warn" else lowered


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


def split_list(value: object) -> object:
    """The items of a comma-separated text, without blank ones."""
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _expand_home(path: Path | None) -> Path | None:
    """The path with a leading ``~`` resolved, which no shell does in a ``.env`` file; as it is if there is no home."""
    return None if path is None else Path(os.path.expanduser(path))  # noqa: PTH111  Path's own raises without a home


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


def default_level(validated: dict[str, Any]) -> Literal["debug", "info"]:
    """What the original's ``GIN_MODE`` means for the log."""
    return "debug" if validated["gin_mode"] == "debug" else "info"


Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number from 0 to 65535")]
GinMode = Annotated[Literal["debug", "release", "test"], BeforeValidator(lower), Allowed("debug, release or test")]
CredentialChoice = Annotated[
    Literal["round-robin", "least-used", "sequential"],
    BeforeValidator(lower),
    Allowed("round-robin, least-used or sequential"),
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(_parse_level),
    Allowed("debug, info, warning or error"),
]
LogFormat = Annotated[Literal["json", "text"], BeforeValidator(lower), Allowed("json or text")]
HomePath = Annotated[Path | None, AfterValidator(_expand_home)]
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
SecondsOrZero = Annotated[float, Field(ge=0, allow_inf_nan=False), Allowed("a number of seconds, 0 or more")]
Count = Annotated[int, Field(gt=0), Allowed("a whole number above 0")]
OptionalCount = Annotated[Count | None, Allowed("a whole number above 0, or nothing")]
CountOrZero = Annotated[int, Field(ge=0), Allowed("a whole number, 0 or more")]
ByteCount = Annotated[int, Field(gt=0), Allowed("a whole number of bytes above 0")]
DescriptionLength = Annotated[int, Field(ge=1, le=10240), Allowed("a whole number from 1 to 10240")]
ModelMap = Annotated[
    Mapping[str, str],
    BeforeValidator(_parse_model_map),
    AfterValidator(_check_model_map),
    Allowed('a JSON object of names: {"client\'s name": "upstream\'s id"}'),
]
