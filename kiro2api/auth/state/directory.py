"""The state directory and its locks, as the operating system gives them; everything here blocks.

Files are opened by number and created with 0600, so that no umask opens them to others. What is to survive a crash of
the machine is synced, file first, then the directory that names it.
"""

import fcntl
import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from kiro2api.errors import Kiro2ApiError

_OWNER_ONLY = 0o700
_OTHERS = 0o077
_MAX_MARK_BYTES = 256


class StateDirectoryError(Kiro2ApiError):
    """The directory cannot keep secrets: not ours, not writable, or open to others; the message says what to do."""


def prepare_directory(directory: Path, *, public_endings: tuple[str, ...] = ()) -> None:
    """Makes ``directory`` with its parents, for its owner alone, or makes sure that it is so.

    Args:
        directory: An absolute path.
        public_endings: Endings of the names of files in it that hold no secret: others may read those.

    Raises:
        StateDirectoryError: It cannot be made, or others may use it or a file in it.
    """
    try:
        for path in (*reversed(directory.parents), directory):
            if not path.exists():
                _make_private_directory(path)
        found = directory.stat()
        if not stat.S_ISDIR(found.st_mode):
            raise StateDirectoryError(f"{directory} is to keep the credentials' states, and is not a directory.")
        _check_access(directory, found)
        for path in directory.iterdir():
            if not path.name.endswith(public_endings):
                with suppress(FileNotFoundError):  # another process's draft, which has had its time
                    _check_file(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StateDirectoryError(f"The state directory {directory} cannot be used: {reason}.") from error


def create_private_file(path: Path) -> int:
    """A new file for its owner alone, open for writing.

    Raises:
        OSError: It exists, or cannot be made.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes the whole of ``data``, in as many pieces as it takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_file(path: Path, limit: int) -> bytes | None:
    """What the file holds, its first ``limit`` bytes at most; ``None`` if there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit)


def sync(path: Path) -> None:
    """Makes a file's content, or the names in a directory, survive a crash of the machine."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LockFile:
    """A lock that is ours until it is closed, or forgotten, or this process dies however it may: the kernel sees to it.

    Its content is the mark of whoever has it. The file stays for good; its removal would let two have the lock.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The lock, or ``None`` while another has it, in this process or in another.

        Raises:
            OSError: The file cannot be opened, or its filesystem knows no locks.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        lock = cls(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Somebody may have removed the file between our two steps: then the next one locks another.
            is_named = path.stat().st_ino == os.fstat(descriptor).st_ino
        except (BlockingIOError, FileNotFoundError):
            is_named = False
        except OSError:
            lock.close()
            raise
        if not is_named:
            lock.close()
        return lock if is_named else None

    def read_mark(self) -> bytes:
        """What the last holder left: nothing, if it gave the lock back in order."""
        return os.pread(self._descriptor, _MAX_MARK_BYTES, 0)

    def write_mark(self, mark: bytes) -> None:
        """Leaves ``mark`` for the next holder, which finds it after a crash of the machine too."""
        os.pwrite(self._descriptor, mark, 0)
        os.ftruncate(self._descriptor, len(mark))
        os.fdatasync(self._descriptor)

    def erase_mark(self) -> None:
        os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Gives the lock back, and leaves the mark. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # A thread that takes a lock for a task that has stopped waiting for it: nobody else could give it back.
    __del__ = close


def _make_private_directory(path: Path) -> None:
    try:
        path.mkdir(_OWNER_ONLY)
    except FileExistsError:  # made by another process meanwhile
        return
    path.chmod(_OWNER_ONLY)  # whatever the umask took away


def _check_access(directory: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise StateDirectoryError(
            f"The state directory {directory} belongs to the user with id {found.st_uid}, not to the one that runs "
            f"this program ({os.geteuid()})."
        )
    _check_mode(directory, found, "700")
    if found.st_mode & _OWNER_ONLY != _OWNER_ONLY or not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise StateDirectoryError(
            f"The state directory {directory} cannot be written to (mode {stat.S_IMODE(found.st_mode):04o}); if its "
            f"filesystem is writable, run: chmod 700 {shlex.quote(str(directory))}"
        )


def _check_file(path: Path) -> None:
    found = path.lstat()
    if stat.S_ISREG(found.st_mode):
        _check_mode(path, found, "600")


def _check_mode(path: Path, found: os.stat_result, wanted: str) -> None:
    if found.st_mode & _OTHERS:
        raise StateDirectoryError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: other users may get at the credentials in it. "
            f"Run: chmod {wanted} {shlex.quote(str(path))}"
        )
