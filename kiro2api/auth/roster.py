"""The credentials that are configured now, each with its tasks."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

import trio

from kiro2api.auth.actor import ActorTools, TokenActor
from kiro2api.auth.credentials import Credential
from kiro2api.auth.errors import RefreshFailedError
from kiro2api.supervision import Health, Log, supervise


class Roster:
    """One actor per credential, and the nursery in which they live while :meth:`run` runs.

    Args:
        credentials: With distinct ids.
        tools: Of all actors.
        watch: Another task for each credential; by default there is none.
        health: Where the state of the tasks is kept.
        log: Hears of tasks that fail.
    """

    def __init__(
        self,
        credentials: Iterable[Credential],
        tools: ActorTools,
        *,
        watch: Callable[[TokenActor], Awaitable[None]] | None = None,
        health: Health,
        log: Log,
    ) -> None:
        self._tools = tools
        self._watch = watch
        self._health = health
        self._log = log
        self._actors = {credential.credential_id: TokenActor(credential, tools) for credential in credentials}
        self._scopes: dict[str, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    def __iter__(self) -> Iterator[TokenActor]:
        return iter(tuple(self._actors.values()))

    def __getitem__(self, credential_id: str) -> TokenActor:
        return self._actors[credential_id]

    def get(self, credential_id: str) -> TokenActor | None:
        """The actor of a credential, if that is still configured."""
        return self._actors.get(credential_id)

    async def run(
        self,
        others: Iterable[tuple[str, Callable[[], Awaitable[None]]]] = (),
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keeps all tasks running, and ``others`` beside them, each with its name; until it is cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for actor in self:
                    self._start(actor)
                for name, function in others:
                    nursery.start_soon(self._keep_up, name, function)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def replace(self, credentials: Iterable[Credential]) -> None:
        """Another set of credentials: those that stay are updated, new ones begin, the others' tasks end."""
        wanted = {credential.credential_id: credential for credential in credentials}
        kept = {credential_id: self._actors.pop(credential_id, None) for credential_id in wanted}
        for credential_id in self._actors:
            if scope := self._scopes.pop(credential_id, None):
                scope.cancel("the credential is no longer configured")
        self._actors = {}
        for credential_id, credential in wanted.items():
            actor = kept[credential_id]
            if actor is None:
                self._actors[credential_id] = TokenActor(credential, self._tools)
                self._start(self._actors[credential_id])
            else:
                actor.update(credential)
                self._actors[credential_id] = actor

    def _start(self, actor: TokenActor) -> None:
        if self._nursery is not None:
            scope = self._scopes[actor.credential.credential_id] = trio.CancelScope()
            self._nursery.start_soon(self._tend, actor, scope, name=f"credential {actor.credential.label}")

    async def _tend(self, actor: TokenActor, scope: trio.CancelScope) -> None:
        """Everything that goes on for one credential, until it is no longer configured."""
        label = actor.credential.label
        with scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_up, f"token actor {label}", partial(_run_actor, actor))
                if self._watch is not None:
                    nursery.start_soon(self._keep_up, f"survey {label}", partial(self._watch, actor))

    async def _keep_up(self, name: str, function: Callable[[], Awaitable[object]]) -> None:
        # Not vital: what a defect in one credential's task means for requests, the credential's own standing says.
        await supervise(name, function, self._health, log=self._log, jitter=self._tools.jitter, is_vital=False)


async def _run_actor(actor: TokenActor) -> None:
    """The actor's task; those who wait for a refresh in which it fails by a defect are told."""
    try:
        await actor.run()
    except Exception as error:
        actor.fail(RefreshFailedError(f"defect: {type(error).__name__}"))
        raise
