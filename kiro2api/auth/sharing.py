"""What processes tell each other of the credentials beside their tokens: cooldowns, uses, and how much quota is left.

All of it goes through the store of states, in the background, every few seconds: no request waits for it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

import trio

from kiro2api.auth.actor import TokenActor
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.pool import CredentialPool, CredentialState
from kiro2api.auth.state.record import Notes
from kiro2api.auth.state.store import StateError, StateStore
from kiro2api.auth.survey import Findings
from kiro2api.supervision import Log

NOTES_SECONDS = 2.0
"""Between two rounds: for twice as long may a credential that one process knows to be throttled be asked by another,
which has yet to look when the one has told."""


class NotesExchange:
    """Keeps the pool and the store's notes alike.

    Args:
        pool: Learns of the others' cooldowns, and is asked for its own.
        store: Where the notes are.
        actors: Those of the credentials that are configured now.
        find: What the control plane has said of a credential.
        clocks: The pool's, and the store's.
        log: Where the events go.
    """

    def __init__(  # noqa: PLR0913 - it stands between all of them
        self,
        pool: CredentialPool,
        store: StateStore,
        *,
        actors: Iterable[TokenActor],
        find: Callable[[str], Findings],
        clocks: Clocks,
        log: Log,
    ) -> None:
        self._pool = pool
        self._store = store
        self._actors = actors
        self._find = find
        self._clocks = clocks
        self._log = log
        self._told_uses: dict[str, int] = {}
        self._all_uses: dict[str, int] = {}
        self._has_trouble = False

    def count_uses(self, credential_id: str) -> int:
        """Leases of a credential by all processes, as of the last round."""
        return self._all_uses.get(credential_id, 0)

    async def run(self) -> None:
        """A round every few seconds, until it is cancelled."""
        while True:
            await trio.sleep(NOTES_SECONDS)
            await self.exchange()

    async def exchange(self) -> None:
        """One round; a store that fails ends it, and is told of once."""
        try:
            states = {state.credential_id: state for state in self._pool.statistics(self._clocks.now())}
            for actor in self._actors:
                await actor.save()
                if state := states.get(actor.credential.credential_id):
                    await self._exchange_one(state)
        except StateError as error:
            if not self._has_trouble:
                self._log(logging.WARNING, "credential_notes_failed", reason=error.detail)
            self._has_trouble = True
        else:
            self._has_trouble = False

    async def _exchange_one(self, state: CredentialState) -> None:
        credential_id = state.credential_id
        now = self._clocks.now()
        shift = self._clocks.wall() - now
        found = self._find(credential_id)
        told = Notes(
            cooldowns=_move(self._pool.export_cooldowns(credential_id, now), shift),
            uses=state.uses - min(state.uses, self._told_uses.get(credential_id, 0)),  # one that came back counts anew
            quota_left=found.limits.left if found.limits else None,
            quota_resets_at=found.limits.resets_at if found.limits else None,
            quota_checked_at=found.checked_at,
        )
        known = await self._store.exchange_notes(credential_id, told)
        self._told_uses[credential_id] = state.uses
        self._all_uses[credential_id] = known.uses
        self._pool.import_cooldowns(credential_id, _move(known.cooldowns, -shift), self._clocks.now())
        if known.quota_checked_at > found.checked_at:
            self._pool.note_limits(credential_id, left=known.quota_left, resets_at=known.quota_resets_at)


def _move(cooldowns: Mapping[str, float], seconds: float) -> dict[str, float]:
    return {name: until + seconds for name, until in cooldowns.items()}
