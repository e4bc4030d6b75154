"""What is kept of a credential from one process to the next, and how it is written down.

Values and text; times are epoch seconds by the wall clock, since other machines read them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from kiro2api.errors import Kiro2ApiError

MAX_RECORD_BYTES = 64 * 1024
"""Real ones have some 8 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The outcome of a credential's latest refresh; secret throughout."""

    generation: int
    """One more with each refresh: a record never replaces one whose generation is not lower."""
    origin: str
    """:attr:`Credential.origin` of the login that all this descends from."""
    refresh_token: str = field(repr=False)
    previous_refresh_token: str | None = field(repr=False, default=None)
    """The one that was traded for this, if it was another; for when this one turns out to be worth nothing."""
    access_token: str = field(repr=False)
    expires_at: float
    profile_arn: str | None = None
    refreshed_at: float
    is_rotating: bool = False
    """Whether a refresh has ever brought a new refresh token: then trading one twice may end the account's login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What processes tell each other about a credential beside its tokens; nothing of it is secret."""

    cooldowns: Mapping[str, float] = field(default_factory=dict)
    """Until when it is to be left alone, by the value of the :class:`~kiro2api.auth.pool.Standing`."""
    uses: int = 0
    """Leases: given in, those since the last exchange of notes; given back, those of all processes."""
    quota_left: float | None = None
    """Credits, as the service last said."""
    quota_resets_at: float | None = None
    quota_checked_at: float = 0.0
    """The newest check speaks for all."""


class RecordFormatError(Kiro2ApiError):
    """What was stored cannot be read."""


class _Record(msgspec.Struct, rename="camel", omit_defaults=True):
    generation: int
    origin: str
    refresh_token: str
    access_token: str
    expires_at: float
    refreshed_at: float
    previous_refresh_token: str | None = None
    profile_arn: str | None = None
    is_rotating: bool = False


class _Notes(msgspec.Struct, rename="camel", omit_defaults=True):
    cooldowns: dict[str, float | None] = {}
    """``None`` for one without an end: JSON has no infinity."""
    uses: int = 0
    quota_left: float | None = None
    quota_resets_at: float | None = None
    quota_checked_at: float = 0.0


_FIELDS = _Record.__struct_fields__


def encode_record(record: Record) -> bytes:
    """``record`` as JSON, its secrets in the clear: to be sealed before it is stored."""
    return msgspec.json.encode(_Record(**{name: getattr(record, name) for name in _FIELDS}))


def decode_record(data: bytes) -> Record:
    """The record that :func:`encode_record` wrote; unknown members, of a later version, are ignored.

    Raises:
        RecordFormatError: It is none.
    """
    try:
        read = msgspec.json.decode(data, type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not chained: the parser's error quotes what it read.
        raise RecordFormatError("The stored record is damaged.") from None
    return Record(**{name: getattr(read, name) for name in _FIELDS})


def encode_notes(notes: Notes) -> bytes:
    """``notes`` as JSON."""
    cooldowns = {name: None if math.isinf(until) else until for name, until in notes.cooldowns.items()}
    return msgspec.json.encode(
        _Notes(
            cooldowns=cooldowns,
            uses=notes.uses,
            quota_left=notes.quota_left,
            quota_resets_at=notes.quota_resets_at,
            quota_checked_at=notes.quota_checked_at,
        )
    )


def decode_notes(data: bytes) -> Notes:
    """The notes that :func:`encode_notes` wrote; unknown members, of a later version, are ignored.

    Raises:
        RecordFormatError: There are none in it.
    """
    try:
        read = msgspec.json.decode(data, type=_Notes)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RecordFormatError("The stored notes are damaged.") from None
    return Notes(
        cooldowns={name: math.inf if until is None else until for name, until in read.cooldowns.items()},
        uses=read.uses,
        quota_left=read.quota_left,
        quota_resets_at=read.quota_resets_at,
        quota_checked_at=read.quota_checked_at,
    )


def drop_ended_cooldowns(notes: Notes, now: float) -> Notes:
    """``notes`` without the cooldowns that are over at ``now``."""
    return replace(notes, cooldowns={name: until for name, until in notes.cooldowns.items() if until > now})


def merge_notes(known: Notes, told: Notes) -> Notes:
    """What is known after ``told`` was told: the longest cooldowns, all uses, the newest quota."""
    cooldowns = {
        name: max(known.cooldowns.get(name, 0.0), told.cooldowns.get(name, 0.0))
        for name in sorted({*known.cooldowns, *told.cooldowns})
    }
    newest = told if told.quota_checked_at >= known.quota_checked_at else known
    return Notes(
        cooldowns=cooldowns,
        uses=known.uses + told.uses,
        quota_left=newest.quota_left,
        quota_resets_at=newest.quota_resets_at,
        quota_checked_at=newest.quota_checked_at,
    )
