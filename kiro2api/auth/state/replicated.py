"""A store that replicas share, in front of one of this machine that goes on alone while the shared one is down.

Records go to both, the local one first, which is the durable one; the higher generation counts, and at the same
generation the shared one, since it is what the other replicas have. What either lacks is made up for in the background.
Notes go to one of the two, so that nothing is counted twice.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Protocol

import trio

from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError, StateStore
from kiro2api.supervision import Log

SYNCHRONISE_SECONDS = 30.0
"""Between two comparisons of both stores, if nothing asks for one: a shared store may lose all without being down."""
ADOPT_SECONDS = 1.0
"""For the local hold under which a record of the shared store is kept here as well."""
LEFT_ALONE = "refresh tokens that are replaced whenever they are used are left alone meanwhile"
"""What the loss of exclusive holds means to several replicas."""


class SharedStore(StateStore, Protocol):
    """A store beyond this machine, whose connection is looked after by a task."""

    @property
    def is_up(self) -> bool:
        """Whether it can be used, as far as is known."""
        ...

    async def wait_change(self, *, is_up: bool) -> None:
        """Waits until :attr:`is_up` is another than this."""
        ...

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Looks after the connection, until it is cancelled."""
        ...


class ReplicatedStore:
    """A :class:`~kiro2api.auth.state.store.StateStore` over two others; :meth:`run` has to run meanwhile.

    Its holds are exclusive only with the shared store's consent. It raises only where both stores fail.

    Args:
        local: Of this machine; closed with this store.
        shared: Of all replicas; run by :meth:`run`, and closed with this store.
        replicas: How many processes in how many places may use the same credentials, for the words of :attr:`trouble`.
        log: Hears when the shared store goes down and when it is back.
    """

    def __init__(self, local: StateStore, shared: SharedStore, *, replicas: int, log: Log) -> None:
        self._local = local
        self._shared = shared
        self._replicas = replicas
        self._log = log
        self._known: set[str] = set()
        self._local_holds: dict[Hold, Hold] = {}
        self._differs = trio.Event()

    @property
    def trouble(self) -> str:
        parts = [self._local.trouble, self._shared.trouble]
        if not self._shared.is_up and self._replicas > 1:
            parts.append(LEFT_ALONE)
        return "; ".join(filter(None, parts))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Runs the shared store and brings both up to date, until it is cancelled.

        Reports itself started when the shared store is up, or known to be down.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self._shared.run)
            nursery.start_soon(self._report)
            nursery.start_soon(self._synchronise_again_and_again)
            task_status.started()

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        async with AsyncExitStack() as stack:
            # In this order, one process of this machine at a time asks the shared store again and again.
            local = await _enter_hold(stack, self._local, credential_id)
            shared = await _enter_hold(stack, self._shared, credential_id)
            if local is None and shared is None:
                raise StateError(self.trouble or "neither store gives a hold")
            hold = Hold(
                credential_id=credential_id,
                was_interrupted=any(given.was_interrupted for given in (local, shared) if given is not None),
                is_exclusive=shared is not None and shared.is_exclusive,
            )
            if local is not None:
                self._local_holds[hold] = local
                stack.callback(self._local_holds.pop, hold)
            yield hold

    async def read(self, credential_id: str) -> Record | None:
        self._known.add(credential_id)
        shared: Record | None = None
        try:
            local = await self._local.read(credential_id)
        except StateError as error:
            return await self._read_shared_alone(credential_id, error)
        try:
            shared = await self._shared.read(credential_id)
        except StateError:
            return local
        if _generation(local) != _generation(shared):
            self._differs.set()
        return local if _generation(local) > _generation(shared) else shared

    async def write(self, hold: Hold, record: Record) -> None:
        self._known.add(hold.credential_id)
        failure: StateError | None = None
        try:
            await self._local.write(self._local_holds.get(hold, hold), record)
        except StaleRecordError:
            raise
        except StateError as error:
            failure = error
        try:
            await self._shared.write(hold, record)
        except StaleRecordError:
            raise
        except StateError:
            if failure is not None:
                raise failure from None
            # Made up for as soon as the shared store is back.
            self._differs.set()

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        with suppress(StateError):
            return await self._shared.exchange_notes(credential_id, told)
        return await self._local.exchange_notes(credential_id, told)

    async def aclose(self) -> None:
        """Closes both."""
        try:
            await self._shared.aclose()
        finally:
            await self._local.aclose()

    async def _read_shared_alone(self, credential_id: str, failure: StateError) -> Record | None:
        try:
            return await self._shared.read(credential_id)
        except StateError as error:
            raise StateError(f"{failure.detail}; {error.detail}") from None

    async def _report(self) -> None:
        is_up = True
        while True:
            if self._shared.is_up != is_up:
                is_up = not is_up
                if is_up:
                    self._log(logging.INFO, "state_store_up")
                else:
                    self._log(logging.WARNING, "state_store_down", reason=self._shared.trouble, replicas=self._replicas)
            await self._shared.wait_change(is_up=is_up)

    async def _synchronise_again_and_again(self) -> None:
        while True:
            await self._shared.wait_change(is_up=False)
            self._differs = trio.Event()
            for credential_id in sorted(self._known):
                with suppress(StateError):
                    await self._synchronise(credential_id)
            with trio.move_on_after(SYNCHRONISE_SECONDS):
                await self._differs.wait()

    async def _synchronise(self, credential_id: str) -> None:
        """Gives the store whose record is older the other's."""
        local = await self._local.read(credential_id)
        shared = await self._shared.read(credential_id)
        if local is not None and local.generation > _generation(shared):
            await self._shared.write(Hold(credential_id=credential_id), local)
        elif shared is not None and shared.generation > _generation(local):
            with trio.move_on_after(ADOPT_SECONDS):
                async with self._local.hold(credential_id) as hold:
                    await self._local.write(hold, shared)


async def _enter_hold(stack: AsyncExitStack, store: StateStore, credential_id: str) -> Hold | None:
    try:
        return await stack.enter_async_context(store.hold(credential_id))
    except StateError:
        return None


def _generation(record: Record | None) -> int:
    return 0 if record is None else record.generation
