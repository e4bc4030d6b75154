"""The notes in a state directory, one JSON file a credential; everything here blocks.

Nothing of it is secret, and the loss of the newest by a crash of the machine does no harm: not sealed, not synced.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kiro2api.auth.state.directory import LockFile, read_file, write_all
from kiro2api.auth.state.record import (
    Notes,
    RecordFormatError,
    decode_notes,
    drop_ended_cooldowns,
    encode_notes,
    merge_notes,
)

ENDING = ".notes.json"
_MAX_FILE_BYTES = 64 * 1024
_SETTLED_NS = 1_000_000_000
"""Two changes within one tick of the filesystem's clock can look the same: only a file this old is known by its looks.
The coarsest clock that is met, of network filesystems, ticks once a second."""

type _Looks = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Cached:
    looks: _Looks
    notes: Notes


class NotesFiles:
    """The notes in ``directory``; ``wall`` is the clock that the ends of cooldowns are compared with."""

    def __init__(self, directory: Path, wall: Callable[[], float]) -> None:
        self._directory = directory
        self._wall = wall
        self._cache: dict[str, _Cached] = {}

    def try_exchange(self, credential_id: str, told: Notes) -> Notes | None:
        """What all know with ``told``, ``None`` if another is just telling; one ``stat`` if nobody has news.

        Raises:
            OSError: The notes can be neither read nor written.
        """
        now = self._wall()
        news = drop_ended_cooldowns(told, now)
        known = drop_ended_cooldowns(self._read_cached(credential_id), now)
        if merge_notes(known, news) == known:
            return known
        lock = LockFile.take(self._directory / f"{credential_id}.notes.lock")
        if lock is None:
            return None
        try:
            known = drop_ended_cooldowns(self._read(credential_id), now)
            merged = merge_notes(known, news)
            self._replace(credential_id, encode_notes(merged))
        finally:
            lock.close()
        return merged

    def _read_cached(self, credential_id: str) -> Notes:
        looks = self._look(credential_id)
        cached = self._cache.get(credential_id)
        if cached is not None and cached.looks == looks:
            return cached.notes
        notes = self._read(credential_id)
        if looks is not None and time.time_ns() - looks[1] > _SETTLED_NS:
            self._cache[credential_id] = _Cached(looks, notes)
        return notes

    def _look(self, credential_id: str) -> _Looks | None:
        try:
            found = self._name(credential_id).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self, credential_id: str) -> Notes:
        data = read_file(self._name(credential_id), _MAX_FILE_BYTES)
        if data is not None:
            with suppress(RecordFormatError):  # torn by a crash of the machine: begin anew
                return decode_notes(data)
        return Notes()

    def _replace(self, credential_id: str, data: bytes) -> None:
        draft = self._directory / f"{credential_id}.notes.draft"  # one is enough under the lock
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, data)
            draft.replace(self._name(credential_id))
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        finally:
            os.close(descriptor)

    def _name(self, credential_id: str) -> Path:
        return self._directory / f"{credential_id}{ENDING}"
