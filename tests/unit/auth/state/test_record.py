"""What is kept of a credential, and how it is written down."""

import math
from dataclasses import replace

import pytest

from kiro2api.auth.state.record import (
    Notes,
    Record,
    RecordFormatError,
    decode_notes,
    decode_record,
    drop_ended_cooldowns,
    encode_notes,
    encode_record,
    merge_notes,
)


def build_record(generation: int = 1) -> Record:
    """A record whose secrets name its generation."""
    return Record(
        generation=generation,
        origin="0123456789abcdef",
        refresh_token=f"refresh-{generation}",
        access_token=f"access-{generation}",
        expires_at=3600.0,
        refreshed_at=5.5,
    )


FULL = replace(
    build_record(7), previous_refresh_token="refresh-6", profile_arn="arn:aws:codewhisperer:p", is_rotating=True
)
NOTES = Notes(
    cooldowns={"rate_limited": 20.5, "revoked": math.inf},
    uses=3,
    quota_left=12.5,
    quota_resets_at=99.0,
    quota_checked_at=10.0,
)
DAMAGED = [b"", b"{", b"[]", b'{"generation":1}', b'{"uses":"x","generation":"1"}', b"\xff", b"[" * 100_000]


@pytest.mark.parametrize("record", [build_record(), FULL])
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    """All of it."""
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize("notes", [Notes(), NOTES])
def test_notes_are_read_as_they_were_written(notes: Notes) -> None:
    """With cooldowns that have no end, for which JSON has no number."""
    assert decode_notes(encode_notes(notes)) == notes


def test_members_of_a_later_version_are_ignored() -> None:
    """An older process beside a newer one reads what it knows."""
    assert decode_record(encode_record(FULL).replace(b"{", b'{"new":{"a":[1]},', 1)) == FULL
    assert decode_notes(encode_notes(NOTES).replace(b"{", b'{"new":{"a":[1]},', 1)) == NOTES


@pytest.mark.parametrize("data", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_record_is_an_error(data: bytes) -> None:
    """Nothing is guessed."""
    with pytest.raises(RecordFormatError):
        decode_record(data)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"uses":"x"}', b"\xff", b"[" * 100_000], ids=range(5))
def test_damaged_notes_are_an_error(data: bytes) -> None:
    """The same."""
    with pytest.raises(RecordFormatError):
        decode_notes(data)


def test_neither_repr_nor_errors_tell_a_secret() -> None:
    """A record may end up in a traceback, and a parser's words quote what it read."""
    with pytest.raises(RecordFormatError) as caught:
        decode_record(encode_record(FULL).replace(b'"refresh-7"', b'["refresh-7"]'))

    assert "refresh-" not in f"{FULL!r}{caught.value!r}{caught.value.__cause__!r}"
    assert "access-" not in repr(FULL)


def test_notes_are_merged() -> None:
    """The longest cooldowns, all uses, the newest quota; the order of telling is the same to cooldowns and uses."""
    told = Notes(cooldowns={"rate_limited": 15.0, "forbidden": 30.0}, uses=2, quota_left=11.0, quota_checked_at=11.0)
    merged = Notes(
        cooldowns={"forbidden": 30.0, "rate_limited": 20.5, "revoked": math.inf},
        uses=5,
        quota_left=11.0,
        quota_checked_at=11.0,
    )

    assert merge_notes(NOTES, told) == merge_notes(told, NOTES) == merged


def test_nothing_told_changes_nothing() -> None:
    """Also not the quota, which was never checked."""
    assert merge_notes(NOTES, Notes()) == NOTES


def test_cooldowns_that_are_over_are_dropped() -> None:
    """One that ends now is over."""
    assert drop_ended_cooldowns(NOTES, 20.4) == NOTES
    assert drop_ended_cooldowns(NOTES, 20.5) == replace(NOTES, cooldowns={"revoked": math.inf})
