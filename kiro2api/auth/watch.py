"""Credentials that follow their files without a restart.

- The files are looked at in turns; a change of one has all sources read anew, in a thread.
- What cannot be read changes nothing: the credentials stay as they are, and the log says why, once for each change.
- A file that has vanished, or is empty, may be in the middle of being replaced: nothing is read for a while.
- Credentials that are equal to those in use are nobody's news, so that a file which we have written ourselves causes
  no reload.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import trio

from kiro2api.auth.credentials import Credential
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import Loaded
from kiro2api.auth.sources.cli_store import WAL_SUFFIX
from kiro2api.supervision import Log

POLL_SECONDS = 2.0
GRACE_SECONDS = 20.0
"""How long a file may be gone before that counts as a change: a secret of Kubernetes is swapped in milliseconds, an
editor on a slow share takes seconds."""

type _Stock = Mapping[Path, tuple[int, ...] | None]
"""What tells one state of each file from the next; ``None`` for one that is gone or empty."""


class CredentialWatcher:
    """Reads the sources anew when their files change.

    Args:
        loaded: What was read at the start.
        load: Reads all sources; runs in a thread; raises :class:`CredentialSourceError`.
        apply: Puts other credentials to use, all that there are from now on.
        log: Where the events go.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        load: Callable[[], Loaded],
        apply: Callable[[tuple[Credential, ...]], object],
        log: Log,
    ) -> None:
        self._loaded = loaded
        self._load = load
        self._apply = apply
        self._log = log
        self._stock: _Stock = {}
        self._trouble = ""
        self._gone_since: float | None = None
        self._expectations = 0

    def expect(self, credential: Credential) -> None:
        """Notes that this is in use now, after its file was written or read by somebody else than the watcher."""
        credentials = tuple(
            credential if known.credential_id == credential.credential_id else known
            for known in self._loaded.credentials
        )
        self._loaded = replace(self._loaded, credentials=credentials)
        self._expectations += 1

    async def run(self) -> None:
        """Watches until it is cancelled. The first look reads everything: a change since the start is not missed."""
        self._stock = {}
        while True:
            await self._look()
            await trio.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        stock = await trio.to_thread.run_sync(_take_stock, self._loaded.watched, abandon_on_cancel=True)
        has_changed = stock != self._stock
        # After trouble each look tries again: what is amiss need not show in the files that are watched.
        if not has_changed and not self._trouble:
            return
        gone = [path for path, state in stock.items() if state is None and self._stock.get(path)]
        if gone and self._is_in_grace(gone):
            return
        self._gone_since = None
        self._stock = stock
        expectations = self._expectations
        try:
            loaded = await trio.to_thread.run_sync(self._load, abandon_on_cancel=True)
        except CredentialSourceError as error:
            self._keep(error.source, error.message, is_news=has_changed)
            return
        if expectations == self._expectations:
            self._accept(loaded)
        else:
            self._stock = {}  # what was read may be older than what was to be expected meanwhile: once more

    def _is_in_grace(self, gone: Iterable[Path]) -> bool:
        missing = [str(path) for path in gone if not path.name.endswith(WAL_SUFFIX)]
        if not missing:
            return False
        if self._gone_since is None:
            self._gone_since = trio.current_time()
            self._keep(", ".join(missing), "has vanished or is empty", is_news=True)
        return trio.current_time() - self._gone_since < GRACE_SECONDS

    def _keep(self, source: str, reason: str, *, is_news: bool) -> None:
        trouble = f"{source}: {reason}"
        if is_news or trouble != self._trouble:
            self._log(logging.WARNING, "credentials_kept", source=source, reason=reason)
        self._trouble = trouble

    def _accept(self, loaded: Loaded) -> None:
        known, trouble = self._loaded, self._trouble
        if loaded.credentials != known.credentials:
            self._apply(loaded.credentials)
            labels = [credential.label for credential in loaded.credentials]
            self._log(logging.INFO, "credentials_reloaded", count=len(labels), labels=labels)
        elif trouble:
            self._log(logging.INFO, "credentials_unchanged")
        self._loaded, self._trouble = loaded, ""
        for note in loaded.notes:
            if note not in known.notes:
                self._log(logging.INFO, "credentials_note", note=note)


def _take_stock(paths: Iterable[Path]) -> _Stock:
    return {path: _describe_state(path) for path in paths}


def _describe_state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    if not found.st_size:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
