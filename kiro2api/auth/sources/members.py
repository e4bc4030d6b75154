"""JSON objects that hold a login: reading their members, and replacing some of them.

- A fault names the place and the member, never a value; no error of the parser is chained, since those may quote.
- What is replaced keeps every other member, and the order, as other programs wrote them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from kiro2api.auth.credentials import FoundAccess
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.text import check_secret, is_printable_ascii

MAX_LABEL_LENGTH = 64
"""Characters: a column of a table, and shorter than any secret that might be mistaken for a label."""

_MILLISECONDS_FROM = 1e11
"""A larger number is a time in milliseconds: in seconds it would lie beyond the year 5000."""
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}")
_ARN = re.compile(r"arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]+:[0-9]*:[!-~]+")
_ENDPOINT = re.compile(
    r"https://[A-Za-z0-9.-]+(:[0-9]+)?(/[!-~]*)?|http://(localhost|127\.0\.0\.1)(:[0-9]+)?(/[!-~]*)?"
)
_BYTE = re.compile(r"\(byte \d+\)")
_FRACTION = re.compile(r"\.(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The members of one object, for reading; ``find_*`` gives ``None`` where one is absent, null or blank."""

    members: Mapping[str, object] = field(repr=False)
    source: str
    """The variable or the path that it comes from."""
    position: int | None = None
    """In a list."""

    def fault(self, key: str, problem: str) -> CredentialSourceError:
        """The error that the member cannot be used; ``problem`` says what is wrong and what to do."""
        return CredentialSourceError(f'"{key}" {problem}', position=self.position, source=self.source)

    def find_text(self, key: str) -> str | None:
        """The text of the member, without white space around it."""
        value = self.members.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.fault(key, "has to be text in quotation marks")
        return value.strip() or None

    def get_secret(self, key: str) -> str:
        """The secret or identifier, which has to be there, and whole."""
        value = self.find_text(key)
        if value is None:
            raise self.fault(key, "is missing")
        check_secret(value, f'"{key}"', source=self.source, position=self.position)
        return value

    def find_flag(self, key: str) -> bool:
        """The truth value; absent means false."""
        value = self.members.get(key)
        if not isinstance(value, bool | None):
            raise self.fault(key, "has to be true or false, without quotation marks")
        return bool(value)

    def find_region(self, key: str) -> str | None:
        """The AWS region. It becomes part of a host's name: nothing else may pass."""
        value = self.find_text(key)
        if value is not None and not _REGION.fullmatch(value.lower()):
            raise self.fault(key, "is no AWS region, which is like us-east-1")
        return value and value.lower()

    def find_arn(self, key: str) -> str | None:
        """The ARN, which somebody wrote there by hand."""
        value = self.find_text(key)
        if value is not None and not _ARN.fullmatch(value):
            raise self.fault(key, "is no ARN, which is like arn:aws:codewhisperer:us-east-1:…:profile/…")
        return value

    def find_usable_arn(self, key: str) -> str | None:
        """The ARN that another program left there; what is none counts as absent, since a profile can be looked up."""
        value = self.members.get(key)
        return value if isinstance(value, str) and _ARN.fullmatch(value) else None

    def find_label(self, key: str) -> str | None:
        """What the operator calls it."""
        value = self.find_text(key)
        if value is not None and (len(value) > MAX_LABEL_LENGTH or not value.isprintable()):
            raise self.fault(key, f"has to be printable text of at most {MAX_LABEL_LENGTH} characters")
        return value

    def get_endpoint(self, key: str) -> str:
        """The address that secrets are sent to: encrypted, or on this machine."""
        value = self.find_text(key)
        if value is None:
            raise self.fault(key, "is missing")
        if not _ENDPOINT.fullmatch(value):
            raise self.fault(key, "has to be an address that begins with https://")
        return value


class TokenNames(NamedTuple):
    """What a program calls the members that a refresh changes."""

    refresh_token: str
    access_token: str
    expires_at: str
    profile_arn: str


CAMEL_NAMES = TokenNames("refreshToken", "accessToken", "expiresAt", "profileArn")
"""The Kiro IDE's."""
SNAKE_NAMES = TokenNames("refresh_token", "access_token", "expires_at", "profile_arn")
"""Those of kiro-cli and the Amazon Q CLI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What a refresh brought, to be written where the login was read."""

    refresh_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_at: float
    """Epoch seconds."""
    profile_arn: str | None


def decode_json(data: bytes | str, *, source: str) -> object:
    """The value of a JSON text.

    Raises:
        CredentialSourceError: It is none, in words that quote nothing of it.
    """
    return _decode(data, object, source=source, what="valid JSON")


def decode_object(data: bytes, *, source: str) -> Mapping[str, object]:
    """The members of a JSON object.

    Raises:
        CredentialSourceError: It is none.
    """
    return _decode(data, dict[str, object], source=source, what="a JSON object")


def rotate_members(data: bytes, rotation: Rotation, names: TokenNames, *, with_profile: bool, source: str) -> bytes:
    """The JSON object of ``data`` with the new tokens, and all else as it was.

    Args:
        data: The text that is to be replaced; its times and its lines tell how to write the new ones.
        rotation: What is new.
        names: What the members are called.
        with_profile: Whether a profile may be added; one that is there is replaced in any case.
        source: For errors.

    Raises:
        CredentialSourceError: ``data`` is no JSON object.
    """
    members = _decode(data, dict[str, msgspec.Raw], source=source, what="a JSON object")
    found = decode_object(data, source=source).get(names.expires_at)
    changes: dict[str, object] = {
        names.refresh_token: rotation.refresh_token,
        names.access_token: rotation.access_token,
        names.expires_at: render_time(rotation.expires_at, like=found),
    }
    if rotation.profile_arn is not None and (with_profile or names.profile_arn in members):
        changes[names.profile_arn] = rotation.profile_arn
    members |= {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in changes.items()}
    return _render_members(members, like=data)


def parse_time(value: object) -> float | None:
    """Epoch seconds of an RFC 3339 time or of a number of seconds or milliseconds; ``None`` if it is no such thing.

    A time without an offset counts as UTC.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value) / (1000 if value > _MILLISECONDS_FROM else 1)
            return seconds if math.isfinite(seconds) else None
    except (ValueError, OverflowError):
        pass
    return None


def render_time(seconds: float, *, like: object) -> str | int:
    """A time in the form of ``like``; in milliseconds and with a Z if that is no time."""
    if isinstance(like, int | float) and not isinstance(like, bool):
        return int(seconds * 1000) if like > _MILLISECONDS_FROM else int(seconds)
    digits = 3
    if isinstance(like, str) and parse_time(like) is not None:
        fraction = _FRACTION.search(like)
        digits = len(fraction.group(1)) if fraction else 0
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    fraction_text = f".{moment.microsecond:06d}000"[: digits + 1] if digits else ""
    return f"{moment.replace(microsecond=0).isoformat()}{fraction_text}Z"


def find_access(fields: Fields, names: TokenNames) -> FoundAccess | None:
    """The access token beside a login, if that and its expiry can be used."""
    value, expires_at = fields.members.get(names.access_token), parse_time(fields.members.get(names.expires_at))
    if not isinstance(value, str) or not value or not is_printable_ascii(value) or expires_at is None:
        return None
    return FoundAccess(value=value, expires_at=expires_at)


def _decode[T](data: bytes | str, form: type[T], *, source: str, what: str) -> T:
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.ValidationError:
        hint = ""
    except msgspec.DecodeError as error:
        place = _BYTE.search(str(error))
        hint = f"{f' {place.group()}' if place else ''}; look for a missing quotation mark or comma"
    except (UnicodeError, RecursionError):
        hint = ""
    raise CredentialSourceError(f"the text is not {what}{hint}", source=source)


def _render_members(members: Mapping[str, msgspec.Raw], *, like: bytes) -> bytes:
    pairs = [msgspec.json.encode(key) + b": " + bytes(value) for key, value in members.items()]
    if b"\n" not in like.strip():
        return b"{" + b", ".join(pairs) + b"}"
    tail = b"\n" if like.endswith(b"\n") else b""
    return b"{\n  " + b",\n  ".join(pairs) + b"\n}" + tail
