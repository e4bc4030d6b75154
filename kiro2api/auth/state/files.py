"""Keeps states in a directory of this machine, for any number of processes on it.

Files with locks of the kernel, not SQLite: the right to refresh is held across a call over the network, and nobody can
keep a transaction of SQLite open so long without keeping everybody else out of the whole database. A row that says who
holds it would need a time limit: before that all wait for the dead, after it two may hold it. A lock of the kernel ends
with its holder, at once and however that dies. What is kept is a few KiB a credential, replaced whole.

Of each credential there are ``<id>.record`` (sealed), ``<id>.lock``, ``<id>.notes.json`` and ``<id>.notes.lock``. The
lock's content is written when a hold is taken and erased when it is given back: if it is found there, its writer died.

Threads do the waiting for the disk, within ``WORK_SECONDS``; only a new record is written to the page cache before the
first wait, since from then on the death of the process must not lose it.
"""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from kiro2api.auth.state import notesfiles
from kiro2api.auth.state.directory import LockFile, prepare_directory
from kiro2api.auth.state.notesfiles import NotesFiles
from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.recordfiles import RecordFiles
from kiro2api.auth.state.sealing import KEY_FILE, Seal, load_or_make_key
from kiro2api.auth.state.store import Hold, StateError, describe_os_error

WORK_SECONDS = 5.0
"""The longest one step may wait for the disk; a healthy one takes milliseconds."""
FIRST_PAUSE_SECONDS = 0.01
LAST_PAUSE_SECONDS = 0.1
"""Between two looks at a lock that another has: they begin short, since most holds are, and grow to this."""
PAUSE_GROWTH = 1.5
MAX_THREADS = 16
"""At once; a limit of its own, so that a disk that hangs takes no threads from the rest of the program."""


class FileStore:
    """A :class:`~kiro2api.auth.state.store.StateStore` in a directory that :func:`open_file_store` has prepared.

    Args:
        directory: Ours alone.
        seal: Of the records.
        wall: Epoch seconds.
    """

    def __init__(self, directory: Path, seal: Seal, *, wall: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._wall = wall
        self._records = RecordFiles(directory, seal)
        self._notes = NotesFiles(directory, wall)
        self._holds: set[Hold] = set()
        self._threads = trio.CapacityLimiter(MAX_THREADS)
        self._failures: dict[str, str] = {}
        self._unreadable: set[str] = set()

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        lock, was_interrupted = await self._take(credential_id)
        hold = Hold(credential_id=credential_id, was_interrupted=was_interrupted)
        self._holds.add(hold)
        try:
            yield hold
        finally:
            self._holds.discard(hold)
            with trio.move_on_after(WORK_SECONDS, shield=True):
                await trio.to_thread.run_sync(_give_back, lock, abandon_on_cancel=True, limiter=self._threads)

    async def read(self, credential_id: str) -> Record | None:
        found = await self._wait_for("read", partial(self._records.find, credential_id))
        if found.is_unreadable:
            self._unreadable.add(credential_id)
        else:
            self._unreadable.discard(credential_id)
        return found.kept if found.newest is None else found.newest[1]

    async def write(self, hold: Hold, record: Record) -> None:
        if hold not in self._holds:
            raise StateError("the hold under which a record was to be written has been given back")
        try:
            draft = self._records.begin(hold.credential_id, record)  # before anything here waits
        except OSError as error:
            raise self._fail("write", describe_os_error(error)) from error
        with trio.CancelScope(shield=True):
            await self._wait_for("write", partial(self._records.finish, draft))
        self._unreadable.discard(hold.credential_id)

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        pause = FIRST_PAUSE_SECONDS
        with trio.move_on_after(WORK_SECONDS):
            while True:
                # Told once or not at all: uses are added up.
                with trio.CancelScope(shield=True):
                    known = await self._wait_for("notes", partial(self._notes.try_exchange, credential_id, told))
                if known is not None:
                    return known
                await trio.sleep(pause)
                pause = min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)
        raise self._fail("notes", "their lock is never free")

    @property
    def trouble(self) -> str:
        told = [f"{name}: {why}" for name, why in sorted(self._failures.items())]
        if self._unreadable:
            told.append(f"{len(self._unreadable)} stored states do not open: sealed with another key, or damaged")
        return "; ".join(told)

    async def aclose(self) -> None:
        """Nothing: holds end with their blocks."""
        await trio.lowlevel.checkpoint()

    def adopt_drafts(self) -> None:
        """Finishes what processes that were killed have begun to write; blocks.

        Raises:
            StateError: The directory cannot be read.
        """
        try:
            for credential_id in self._records.list_drafted():
                lock = LockFile.take(self._name_lock(credential_id))
                if lock is not None:
                    try:
                        self._records.adopt_drafts(credential_id)
                    finally:
                        lock.close()  # with its mark: the next holder is to know
        except OSError as error:
            raise StateError(describe_os_error(error)) from error

    async def _take(self, credential_id: str) -> tuple[LockFile, bool]:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()
            with trio.CancelScope(shield=True):
                taken = await self._wait_for("hold", partial(self._try_take, credential_id))
            if taken is not None:
                return taken
            await trio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LAST_PAUSE_SECONDS)

    def _try_take(self, credential_id: str) -> tuple[LockFile, bool] | None:
        lock = LockFile.take(self._name_lock(credential_id))
        if lock is None:
            return None
        try:
            was_interrupted = lock.read_mark() != b""
        except OSError:
            lock.close()
            raise
        # A full disk takes no mark and no rename; to be the only one who refreshes is worth more than either.
        with suppress(OSError):
            lock.write_mark(b"%d %.3f\n" % (os.getpid(), self._wall()))
        with suppress(OSError):
            self._records.adopt_drafts(credential_id)
        return lock, was_interrupted

    async def _wait_for[T](self, name: str, work: Callable[[], T]) -> T:
        """What ``work`` returns in a thread; one that takes too long is left to itself."""
        with trio.move_on_after(WORK_SECONDS):
            try:
                result = await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._threads)
            except OSError as error:
                raise self._fail(name, describe_os_error(error)) from error
            self._failures.pop(name, None)
            return result
        raise self._fail(name, f"no answer within {WORK_SECONDS:g} s")

    def _fail(self, name: str, why: str) -> StateError:
        self._failures[name] = why
        return StateError(f"{name}: {why}")

    def _name_lock(self, credential_id: str) -> Path:
        return self._directory / f"{credential_id}.lock"


def open_file_store(directory: Path, key: str | None, *, wall: Callable[[], float] = time.time) -> FileStore:
    """The store in ``directory``, which is made if need be; blocks.

    Args:
        directory: An absolute path.
        key: Key material for :class:`Seal`. Without it the directory keeps a key of its own; what that has sealed still
            opens when one is given later.
        wall: Epoch seconds.

    Raises:
        StateDirectoryError: The directory cannot keep secrets.
        SealError: ``key`` is empty.
        StateError: The directory cannot be read or written.
    """
    prepare_directory(directory, public_endings=(notesfiles.ENDING, ".lock"))
    seal = Seal(load_or_make_key(directory) if key is None else key)
    if key is not None and (directory / KEY_FILE).exists():
        seal = Seal(f"{key},{load_or_make_key(directory)}")
    store = FileStore(directory, seal, wall=wall)
    store.adopt_drafts()
    return store


def _give_back(lock: LockFile) -> None:
    with suppress(OSError):  # the next holder is told of an interruption, and takes more care than it need
        lock.erase_mark()
    lock.close()
