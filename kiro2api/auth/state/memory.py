"""Keeps states in this process, and no longer than it lives."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from kiro2api.auth.state.record import Notes, Record, drop_ended_cooldowns, merge_notes
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError


class MemoryStore:
    """A :class:`~kiro2api.auth.state.store.StateStore` for one process; it never fails.

    Args:
        wall: Epoch seconds.
    """

    trouble = ""

    def __init__(self, *, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._locks: defaultdict[str, trio.Lock] = defaultdict(trio.Lock)
        self._holds: set[Hold] = set()
        self._records: dict[str, Record] = {}
        self._notes: dict[str, Notes] = {}

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        async with self._locks[credential_id]:
            hold = Hold(credential_id=credential_id)
            self._holds.add(hold)
            try:
                yield hold
            finally:
                self._holds.discard(hold)

    async def read(self, credential_id: str) -> Record | None:
        await trio.lowlevel.checkpoint()
        return self._records.get(credential_id)

    async def write(self, hold: Hold, record: Record) -> None:
        if hold not in self._holds:
            raise StateError("the hold under which a record was to be written has been given back")
        kept = self._records.get(hold.credential_id)
        if kept is not None and kept.generation >= record.generation:
            raise StaleRecordError
        self._records[hold.credential_id] = record
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        merged = merge_notes(self._notes.get(credential_id, Notes()), told)
        known = self._notes[credential_id] = drop_ended_cooldowns(merged, self._wall())
        await trio.lowlevel.cancel_shielded_checkpoint()
        return known

    async def aclose(self) -> None:
        """Nothing is held of the machine."""
        await trio.lowlevel.checkpoint()
