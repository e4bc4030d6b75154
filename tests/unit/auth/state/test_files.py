"""The store on disk, beside what ``test_store`` says of all: what is left when a step fails, and whom it lets in."""

import errno
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trio
import trio.testing

from kiro2api.auth.state.directory import LockFile, StateDirectoryError
from kiro2api.auth.state.files import FileStore, open_file_store
from kiro2api.auth.state.record import MAX_RECORD_BYTES, Record, encode_record
from kiro2api.auth.state.sealing import KEY_FILE, Seal, SealError
from kiro2api.auth.state.store import StateError
from tests.unit.auth.state.test_record import build_record

OLD, NEW, NEWER = (build_record(generation) for generation in (1, 2, 3))
STEPS = ("open", "write", "fsync", "replace", "unlink", "listdir")


@dataclass(slots=True)
class Failpoint:
    """Lets one of the calls to the system fail, counted from the moment when ``left`` is set."""

    left: int = 0

    def wrap[**P, T](self, step: Callable[P, T]) -> Callable[P, T]:
        def count(*args: P.args, **kwargs: P.kwargs) -> T:
            self.left -= 1
            if self.left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return step(*args, **kwargs)

        return count


@pytest.fixture
def failpoint(monkeypatch: pytest.MonkeyPatch) -> Failpoint:
    """None fails until the test says so."""
    failpoint = Failpoint()
    for name in STEPS:
        monkeypatch.setattr(os, name, failpoint.wrap(getattr(os, name)))
    return failpoint


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the states are; nothing is there yet."""
    return tmp_path / "state"


@pytest.fixture
def store(directory: Path) -> FileStore:
    """An empty store."""
    return open_file_store(directory, "key")


async def _write(store: FileStore, record: Record) -> None:
    async with store.hold("a") as hold:
        await store.write(hold, record)


def _list_drafts(directory: Path) -> list[str]:
    return [path.name for path in directory.glob("*.draft")]


def _read_all(directory: Path) -> tuple[bytes, set[int]]:
    paths = list(directory.iterdir())
    return b"".join(path.read_bytes() for path in paths), {path.stat().st_mode & 0o777 for path in paths}


def _move(source: Path, target: Path) -> None:
    source.rename(target)


def _leave_draft(directory: Path, record: Record, *, key: str = "key", length: int | None = None) -> None:
    path = directory / f"a.{record.generation:02x}.draft"
    path.write_bytes(Seal(key).seal("a", encode_record(record))[:length])
    path.chmod(0o600)


@pytest.mark.parametrize("number", range(1, 30))
async def test_whatever_step_fails_one_record_is_whole(
    directory: Path, store: FileStore, failpoint: Failpoint, number: int
) -> None:
    """The old one or the new one, to all; who is told that it went well finds the new one. The next write goes well."""
    await _write(store, OLD)
    async with store.hold("a") as hold:
        error = None
        failpoint.left = number
        try:
            await store.write(hold, NEW)
        except StateError as caught:
            error = caught
        failpoint.left = 0
        assert ("ENOSPC" in store.trouble) == (error is not None)
    found = await open_file_store(directory, "key").read("a")
    assert found in ([OLD, NEW] if error else [NEW])
    await _write(store, NEWER)

    assert (await store.read("a"), store.trouble, _list_drafts(directory)) == (NEWER, "", [])


async def test_every_step_of_a_write_was_tried(store: FileStore, failpoint: Failpoint) -> None:
    """More than are in it, and no fewer than these: make, write, look, sync, rename, sync, clear up."""
    async with store.hold("a") as hold:
        failpoint.left = 0
        await store.write(hold, OLD)

    assert 8 <= -failpoint.left < 29


async def test_a_record_is_synced_before_it_takes_its_place(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File, rename, directory: a crash of the machine, too, leaves the old one or the new one whole."""
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        sync(descriptor)

    def note_rename(source: Path, target: Path) -> None:
        steps.append(f"rename {source.suffix} {target.name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    await _write(store, OLD)
    _leave_draft(directory, NEW)
    open_file_store(directory, "key")

    assert steps == ["sync .draft", "rename .draft a.record", "sync "] * 2


async def test_a_write_that_failed_may_be_tried_again(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same hold, with the same record; until then its draft counts, since nobody else has that token."""
    sync = os.fsync

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    await _write(store, OLD)
    async with store.hold("a") as hold:
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(StateError):
            await store.write(hold, NEW)
        monkeypatch.setattr(os, "fsync", sync)
        assert (await store.read("a"), len(_list_drafts(directory))) == (NEW, 1)
        await store.write(hold, NEW)

        assert (await store.read("a"), _list_drafts(directory)) == (NEW, [])


async def test_a_full_disk_leaves_nothing_behind(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a record for which there was half the room."""
    await _write(store, OLD)
    write = os.write
    pieces = [40, 0]

    def take_some(descriptor: int, data: bytes) -> int:
        taken = pieces.pop(0)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:taken])

    async with store.hold("a") as hold:
        monkeypatch.setattr(os, "write", take_some)
        with pytest.raises(StateError) as caught:
            await store.write(hold, NEW)

    assert caught.value.detail == "write: ENOSPC: No space left on device"
    assert (await store.read("a"), _list_drafts(directory)) == (OLD, [])


async def test_torn_drafts_are_passed_over_and_removed(directory: Path, store: FileStore) -> None:
    """Wherever the writer was cut off."""
    await _write(store, OLD)
    whole = len(Seal("key").seal("a", encode_record(NEW)))
    found = []
    for length in (0, 1, 13, 28, 29, whole // 2, whole - 1):
        _leave_draft(directory, NEW, length=length)
        found.append(await store.read("a"))
        async with store.hold("a"):
            found.append(await store.read("a"))
        assert _list_drafts(directory) == []

    assert set(found) == {OLD}


@pytest.mark.parametrize("records", [(), (OLD,)])
async def test_the_whole_draft_of_a_dead_writer_counts(
    directory: Path, store: FileStore, records: tuple[Record, ...]
) -> None:
    """The highest of several, at once for readers; it takes the record's place when somebody holds."""
    for record in records:
        await _write(store, record)
    for draft in (NEW, NEWER, build_record(0)):
        _leave_draft(directory, draft)
    assert await store.read("a") == NEWER
    assert len(_list_drafts(directory)) == 3
    async with store.hold("a"):
        assert _list_drafts(directory) == []

    assert await store.read("a") == NEWER


async def test_a_draft_as_old_as_the_record_does_not_count(directory: Path, store: FileStore) -> None:
    """What others have read and use stands."""
    await _write(store, OLD)
    _leave_draft(directory, replace(OLD, access_token="another"))
    found = [await store.read("a")]
    async with store.hold("a"):
        found.append(await store.read("a"))

    assert (found, _list_drafts(directory)) == ([OLD, OLD], [])


@pytest.mark.parametrize("is_held", [False, True])
async def test_drafts_are_adopted_when_the_store_is_opened(
    directory: Path,
    store: FileStore,
    is_held: bool,  # noqa: FBT001  a parameter
) -> None:
    """Not those of a writer that lives; the next holder is still told of an interruption."""
    await _write(store, OLD)
    _leave_draft(directory, NEW)
    lock = LockFile.take(directory / "a.lock")
    assert lock is not None
    lock.write_mark(b"1 2.0\n")
    if not is_held:
        lock.close()
    other = open_file_store(directory, "key")
    lock.close()

    assert (len(_list_drafts(directory)), await other.read("a")) == (int(is_held), NEW)
    async with other.hold("a") as hold:
        assert hold.was_interrupted


async def test_an_interruption_is_told_once(directory: Path, store: FileStore) -> None:
    """To the next holder, who gives the hold back in order."""
    lock = LockFile.take(directory / "a.lock")
    assert lock is not None
    lock.write_mark(b"1 2.0\n")
    lock.close()
    told = []
    for _ in range(2):
        async with store.hold("a") as hold:
            told.append(hold.was_interrupted)

    assert told == [True, False]


async def test_the_mark_says_who_and_when(directory: Path) -> None:
    """For people; it is gone when the hold is given back."""
    store = open_file_store(directory, "key", wall=lambda: 1000.5)
    mark = directory / "a.lock"
    async with store.hold("a"):
        assert mark.read_text(encoding="ascii") == f"{os.getpid()} 1000.500\n"

    assert mark.read_bytes() == b""


async def test_pauses_grow_while_another_holds(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 10 to 100 ms."""
    lock = LockFile.take(directory / "a.lock")
    assert lock is not None
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        pauses.append(round(seconds, 3))
        if len(pauses) == 8:
            lock.close()

    monkeypatch.setattr(trio, "sleep", pause)
    async with store.hold("a"):
        assert pauses == [0.01, 0.015, 0.022, 0.034, 0.051, 0.076, 0.1, 0.1]


async def test_what_another_key_has_sealed_is_told_and_kept(directory: Path, store: FileStore) -> None:
    """To hold and to read with a mistyped key loses nothing: also not a draft, which may be the newest there is."""
    await _write(store, OLD)
    _leave_draft(directory, NEW)
    other = open_file_store(directory, "other key")
    async with other.hold("a"):
        assert await other.read("a") is None
    assert "1 stored states do not open" in other.trouble

    assert (await store.read("a"), store.trouble) == (NEW, "")


async def test_what_does_not_open_is_replaced(directory: Path, store: FileStore) -> None:
    """By the next refresh; then there is no trouble any more."""
    (directory / "a.record").write_bytes(b"damaged")
    assert await store.read("a") is None
    assert store.trouble
    await _write(store, OLD)

    assert (await store.read("a"), store.trouble) == (OLD, "")


async def test_no_secret_is_in_any_file(directory: Path) -> None:
    """But for the seal's key, which a directory of its own has."""
    store = open_file_store(directory, None)
    async with store.hold("a") as hold:
        await store.write(hold, NEW)
        content, modes = _read_all(directory)

    assert b"refresh-" not in content
    assert b"access-" not in content
    assert modes == {0o600}


async def test_a_key_given_later_does_not_shut_out(directory: Path) -> None:
    """The directory's own key opens what it has sealed, until the next refresh."""
    await _write(open_file_store(directory, None), OLD)
    store = open_file_store(directory, "key")
    assert await store.read("a") == OLD
    await _write(store, NEW)
    (directory / KEY_FILE).unlink()

    assert await open_file_store(directory, "key").read("a") == NEW


def test_a_directory_that_cannot_keep_secrets_is_refused(directory: Path) -> None:
    """Nor is an empty key one; what holds no secret may be read by others."""
    with pytest.raises(SealError):
        open_file_store(directory, "")
    for name in ("a.notes.json", "a.lock", "a.notes.lock"):
        (directory / name).touch(0o644)
    open_file_store(directory, "key")
    (directory / "a.record").touch()
    (directory / "a.record").chmod(0o644)
    with pytest.raises(StateDirectoryError):
        open_file_store(directory, "key")


async def test_a_record_that_could_not_be_read_back_is_not_written(directory: Path, store: FileStore) -> None:
    """There is a limit to both."""
    with pytest.raises(StateError, match="store"):
        await _write(store, replace(OLD, access_token="x" * MAX_RECORD_BYTES))

    assert (await store.read("a"), _list_drafts(directory)) == (None, [])


async def test_a_directory_that_is_gone_is_an_error(tmp_path: Path, directory: Path, store: FileStore) -> None:
    """Every call says so, and the trouble is told until it is over."""
    aside = tmp_path / "aside"
    _move(directory, aside)
    with pytest.raises(StateError):
        await store.read("a")
    with pytest.raises(StateError):
        await _write(store, OLD)
    with pytest.raises(StateError, match="store"):
        store.adopt_drafts()
    told = store.trouble
    _move(aside, directory)
    await _write(store, OLD)
    await store.read("a")

    assert told == "hold: ENOENT: No such file or directory; read: ENOENT: No such file or directory"
    assert store.trouble == ""


async def test_an_unreadable_mark_is_an_error_and_no_hold(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell whether the last holder was interrupted; the lock is free again."""

    def fail(_lock: LockFile) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(LockFile, "read_mark", fail)
    with pytest.raises(StateError) as caught:
        await _write(store, OLD)
    monkeypatch.undo()
    await _write(store, NEW)

    assert caught.value.detail == "hold: EIO: Input/output error"


async def test_a_mark_that_stays_costs_care_only(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be erased: the next holder is told of an interruption."""

    def fail(_lock: LockFile) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(LockFile, "erase_mark", fail)
    await _write(store, OLD)
    async with store.hold("a") as hold:
        assert hold.was_interrupted


async def test_a_disk_that_hangs_holds_up_nobody_for_long(
    directory: Path, store: FileStore, monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    """The writer is told after five seconds; what it has begun to keep is kept, and the hold is given back."""
    release, ended = threading.Event(), trio.Event()
    token, sync = trio.lowlevel.current_trio_token(), os.fsync

    def hang(descriptor: int) -> None:
        token.run_sync_soon(mock_clock.jump, 5)
        release.wait()
        sync(descriptor)
        token.run_sync_soon(ended.set)

    async with store.hold("a") as hold:
        monkeypatch.setattr(os, "fsync", hang)
        with pytest.raises(StateError) as caught:
            await store.write(hold, OLD)
        monkeypatch.setattr(os, "fsync", sync)
    assert (caught.value.detail, await store.read("a")) == ("write: no answer within 5 s", OLD)
    await _write(store, NEW)
    release.set()
    await ended.wait()
    assert (await store.read("a"), _list_drafts(directory)) == (NEW, [])
