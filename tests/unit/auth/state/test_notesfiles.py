"""Notes in files: what they cost when there is no news, and what they survive."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from kiro2api.auth.state import notesfiles
from kiro2api.auth.state.directory import LockFile, read_file
from kiro2api.auth.state.files import open_file_store
from kiro2api.auth.state.notesfiles import NotesFiles
from kiro2api.auth.state.record import Notes
from kiro2api.auth.state.store import StateError

NOW = 1000.0
TOLD = Notes(cooldowns={"rate_limited": NOW + 5}, uses=2, quota_left=3.0, quota_checked_at=NOW)
QUIET = replace(TOLD, uses=0)


def _age(directory: Path) -> None:
    os.utime(directory / "a.notes.json", (1, 1))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read."""
    names: list[str] = []

    def note(path: Path, limit: int) -> bytes | None:
        names.append(path.name)
        return read_file(path, limit)

    monkeypatch.setattr(notesfiles, "read_file", note)
    return names


def test_without_news_nothing_is_read_or_locked(tmp_path: Path, reads: list[str]) -> None:
    """To repeat what all know, or what is over, is no news; the lock may be another's meanwhile."""
    notes = NotesFiles(tmp_path, lambda: NOW)
    assert notes.try_exchange("a", TOLD) == TOLD
    _age(tmp_path)
    notes.try_exchange("a", Notes())
    lock = LockFile.take(tmp_path / "a.notes.lock")
    reads.clear()
    for told in (Notes(), QUIET, replace(QUIET, cooldowns={"forbidden": NOW})):
        assert notes.try_exchange("a", told) == TOLD

    assert reads == []
    assert lock is not None
    assert notes.try_exchange("a", Notes(uses=1)) is None
    lock.close()


def test_a_change_that_does_not_show_is_seen(tmp_path: Path) -> None:
    """So soon after the last look the new file may have the old one's number, size and time."""
    notes = NotesFiles(tmp_path, lambda: NOW)
    notes.try_exchange("a", TOLD)
    notes.try_exchange("a", Notes())
    path = tmp_path / "a.notes.json"
    looks = path.stat()
    path.write_text(path.read_text(encoding="utf-8").replace('"uses":2', '"uses":3'), encoding="utf-8")
    os.utime(path, ns=(looks.st_atime_ns, looks.st_mtime_ns))

    assert notes.try_exchange("a", Notes()) == replace(TOLD, uses=3)


def test_a_change_by_another_is_seen(tmp_path: Path, reads: list[str]) -> None:
    """By its next look, whether it has news of its own or not."""
    ours, theirs = NotesFiles(tmp_path, lambda: NOW), NotesFiles(tmp_path, lambda: NOW)
    theirs.try_exchange("a", TOLD)
    uses = []
    for _ in range(3):
        known = ours.try_exchange("a", Notes())
        uses.append(known.uses if known is not None else None)
        theirs.try_exchange("a", Notes(uses=1))

    assert uses == [2, 3, 4]
    assert reads


def test_cooldowns_that_are_over_are_not_kept(tmp_path: Path) -> None:
    """They go when something else is written, and are not told before that either."""
    now = NOW
    notes = NotesFiles(tmp_path, lambda: now)
    notes.try_exchange("a", TOLD)
    now += 5
    known = notes.try_exchange("a", Notes())
    notes.try_exchange("a", Notes(uses=1))

    assert known == replace(TOLD, cooldowns={})
    assert "cooldowns" not in (tmp_path / "a.notes.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("content", ["", "{", '{"uses":"x"}'])
def test_damaged_notes_are_begun_anew(tmp_path: Path, content: str) -> None:
    """They are worth less than a start."""
    (tmp_path / "a.notes.json").write_text(content, encoding="utf-8")
    notes = NotesFiles(tmp_path, lambda: NOW)

    assert notes.try_exchange("a", Notes()) == Notes()
    assert notes.try_exchange("a", TOLD) == TOLD
    assert notes.try_exchange("a", Notes()) == TOLD


async def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known stays, and no draft."""
    store = open_file_store(tmp_path / "state", "key", wall=lambda: NOW)
    await store.exchange_notes("a", TOLD)
    before = sorted((tmp_path / "state").iterdir())

    def fail(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(StateError) as caught:
        await store.exchange_notes("a", Notes(uses=1))
    monkeypatch.undo()

    assert caught.value.detail == store.trouble == "notes: ENOSPC: No space left on device"
    assert await store.exchange_notes("a", Notes()) == TOLD
    assert (store.trouble, sorted((tmp_path / "state").iterdir())) == ("", before)


async def test_a_process_that_stops_while_it_tells_is_waited_for_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    """Five seconds, and then it is told; others who have no news do not wait."""
    store = open_file_store(tmp_path / "state", "key", wall=lambda: NOW)
    lock = LockFile.take(tmp_path / "state" / "a.notes.lock")
    assert lock is not None

    async def pass_time(_seconds: float) -> None:
        mock_clock.jump(1)
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(trio, "sleep", pass_time)
    assert await store.exchange_notes("a", Notes()) == Notes()
    with pytest.raises(StateError) as caught:
        await store.exchange_notes("a", TOLD)
    lock.close()

    assert caught.value.detail == "notes: their lock is never free"
    assert await store.exchange_notes("a", TOLD) == TOLD
