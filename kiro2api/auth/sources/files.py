"""Files that hold secrets: read within bounds, replaced at once and for good.

Errors of the operating system become :class:`CredentialSourceError`, whose ``source`` is the path.
"""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from kiro2api.auth.errors import CredentialSourceError

MAX_FILE_BYTES = 1024 * 1024
"""Real ones have some 8 KiB."""
SECRET_MODE = 0o600
FOLDER_MODE = 0o700

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_file(path: Path) -> bytes:
    """What the file holds, without a byte order mark.

    Raises:
        CredentialSourceError: There is none, it is no regular file, it may not be read, or it is too long or empty.
    """
    with _reporting(path, "read"):
        # Without O_NONBLOCK a named pipe would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CredentialSourceError("is no regular file", source=str(path))
            data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise CredentialSourceError(f"has more than {MAX_FILE_BYTES} bytes: it is some other file", source=str(path))
    if not data.strip():
        raise CredentialSourceError("the file is empty", source=str(path))
    return data.removeprefix(_BYTE_ORDER_MARK)


def read_text(path: Path) -> str:
    """As :func:`read_file`, decoded.

    Raises:
        CredentialSourceError: As for :func:`read_file`; or it is not UTF-8.
    """
    try:
        return read_file(path).decode()
    except UnicodeDecodeError:
        raise CredentialSourceError("is not UTF-8 text; save it as such", source=str(path)) from None


def describe_mode(path: Path) -> tuple[str, ...]:
    """A note if other users of the machine may read the file or write to it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return ()
    if not mode & _OTHERS:
        return ()
    return (f"{path} holds secrets, and its mode {stat.S_IMODE(mode):04o} lets other users have them: chmod 600 it.",)


def write_secret_file(path: Path, text: str) -> None:
    """Puts ``text`` into the file, which only its owner may read; missing folders are made likewise.

    Raises:
        CredentialSourceError: It cannot be written; the file is then as it was.
    """
    with _reporting(path, "written"):
        target = path.resolve()
        for folder in reversed(target.parents):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    replace_file(path, text.encode())


def replace_file(path: Path, data: bytes, *, check: Callable[[], None] = lambda: None) -> None:
    """Puts ``data`` into the file at once: no reader and no crash finds half of it.

    A link stays one: what it points to is replaced. The owner stays the same, the mode too save that others lose
    their rights.

    Args:
        path: The file.
        data: All that it is to hold.
        check: Called when all is ready; raises to leave the file as it is.

    Raises:
        CredentialSourceError: It cannot be written; the file is then as it was.
    """
    with _reporting(path, "written"):
        target = path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _imitate(target, descriptor)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            check()
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


def _imitate(target: Path, descriptor: int) -> None:
    """Gives the open file the owner of ``target``, and its mode as far as that concerns the owner."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return  # made by mkstemp for us alone
    if os.fstat(descriptor).st_uid != found.st_uid:
        # Fails unless this is root: then the file is left alone, for its owner could no more read it.
        os.fchown(descriptor, found.st_uid, found.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & SECRET_MODE)


def _sync_folder(folder: Path) -> None:
    # Some file systems cannot; the file itself is safe, and its new name will be.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _reporting(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise CredentialSourceError("there is no such file", source=str(path)) from None
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise CredentialSourceError("is mounted by itself; mount its folder instead", source=str(path)) from None
        raise CredentialSourceError(f"cannot be {done}: {error.strerror}", source=str(path)) from None
    except ValueError:
        raise CredentialSourceError("is no path that can exist", source=str(path)) from None
