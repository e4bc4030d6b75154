"""How one credential gets a new access token: from another process's refresh, or by one of its own.

- A refresh is made only while we hold the right to it from the store.
- What another process, or a program that shares the file, has refreshed meanwhile is taken over instead.
- What a refresh brings is stored before anybody uses it: a refresh that has been sent is seen through to the store even
  when the process is told to stop.
- The wall clock counts here, since other machines read what is stored.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import trio

from kiro2api.auth.credentials import Credential, RefreshableLogin
from kiro2api.auth.errors import (
    CredentialSourceError,
    RefreshError,
    RefreshFailedError,
    RefreshRefusedError,
    RefreshRejectedError,
)
from kiro2api.auth.holdings import Holding, build_found_record, build_record, is_from, settle
from kiro2api.auth.refresh import MANDATORY_SECONDS, Refreshed
from kiro2api.auth.state.record import Record
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError, StateStore
from kiro2api.supervision import Log, see_through

STOP_GRACE_SECONDS = 5.0
"""For a refresh that is under way when the process is told to stop: its answer may be the only copy of a new token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalTools:
    """What the renewals of all credentials work with."""

    trade: Callable[[RefreshableLogin], Awaitable[Refreshed]]
    """Performs one refresh; raises :class:`RefreshError`."""
    reread: Callable[[Credential], Awaitable[Credential]]
    """A credential as it stands now in the file that another program shares; raises CredentialSourceError."""
    write_back: Callable[[Credential, Record], Awaitable[None]]
    """Puts rotated tokens into that file; raises CredentialSourceError."""
    store: StateStore
    wall: Callable[[], float]
    """Epoch seconds, as the store and other machines understand them."""
    log: Log
    has_replicas: bool = False
    """Whether processes on other machines trade the same refresh tokens."""
    hold_patience: float = 45.0
    """Seconds for another process that is refreshing: longer than a dead one's hold lasts in the store."""


class Renewer:
    """Brings one credential's newest record.

    Attributes:
        credential: As it is configured now.
    """

    def __init__(self, credential: Credential, tools: RenewalTools) -> None:
        self.credential = credential
        self._tools = tools
        self._record: Record | None = None
        self._unsaved: Record | None = None
        self._own_generation = 0
        self._was_interrupted = False

    def is_own(self, record: Record) -> bool:
        """Whether it is of a refresh that this process has made."""
        return record.generation == self._own_generation

    async def load(self) -> Record | None:
        """What an earlier process, or another one, has stored and still lives, without asking anybody."""
        record = await self._read_record()
        if record is None or not is_from(record, self.credential) or not self._is_useful(record):
            return None
        return record

    async def renew(self, *, beyond: int, current: str | None) -> Record:
        """A record whose access token lives and is another than ``current``.

        Args:
            beyond: The highest generation that is known or was refused: only a higher one will do.
            current: The access token in use.

        Raises:
            RefreshError: There is none to be had.
        """
        return await see_through(lambda: self._renew(beyond, current), grace=STOP_GRACE_SECONDS)

    async def save(self) -> None:
        """Stores what could not be stored when it came, if there is anything.

        Raises:
            StateError: It still cannot be.
        """
        if self._unsaved is None:
            return
        async with self._tools.store.hold(self.credential.credential_id) as hold:
            unsaved, self._unsaved = self._unsaved, None
            if unsaved is not None:
                await self._keep(hold, unsaved)

    async def _renew(self, beyond: int, current: str | None) -> Record:
        with trio.move_on_after(self._tools.hold_patience) as patience:
            try:
                async with self._tools.store.hold(self.credential.credential_id) as hold:
                    patience.deadline = float("inf")
                    return await self._renew_under(hold, beyond, current)
            except StateError as error:
                self._write_log(logging.WARNING, "credential_state_unavailable", reason=error.detail)
            patience.deadline = float("inf")
            alone = Hold(credential_id=self.credential.credential_id, is_exclusive=False)
            return await self._renew_under(alone, beyond, current)
        raise RefreshFailedError(f"another process has been refreshing for {self._tools.hold_patience:g} s")

    async def _renew_under(self, hold: Hold, beyond: int, current: str | None) -> Record:
        self._was_interrupted |= hold.was_interrupted
        credential = await self._reread()
        holding = settle(credential, await self._read_record())
        if (record := await self._take_over(hold, holding, beyond, current)) is not None:
            return record
        if self._tools.has_replicas and not hold.is_exclusive and (holding.is_rotating or holding.generation == 0):
            # Without a record, nobody can say that another replica has not traded the configured token long ago.
            raise RefreshFailedError("the shared state store is down, and another replica may be refreshing")
        holding, refreshed = await self._trade(holding)
        if not isinstance(refreshed, Refreshed):
            # If our hold had run out, another process was faster.
            again = settle(credential, await self._read_record())
            if (record := await self._take_over(hold, again, beyond, current)) is not None:
                return record
            raise type(refreshed)(self._explain(refreshed), retry_after=refreshed.retry_after) from refreshed
        generation = max(holding.generation, beyond) + 1
        record = build_record(
            holding, refreshed, origin=credential.origin, generation=generation, wall=self._tools.wall()
        )
        self._was_interrupted = False
        self._own_generation = record.generation
        record = await self._keep(hold, record)
        await self._write_back(credential, record)
        self._write_log(
            logging.INFO,
            "credential_refreshed",
            generation=record.generation,
            expires_in=round(refreshed.expires_in),
            rotated=refreshed.refresh_token is not None,
        )
        return record

    async def _take_over(self, hold: Hold, holding: Holding, beyond: int, current: str | None) -> Record | None:
        """The record of a refresh that another process or program has made meanwhile."""
        access, record = holding.access, self._record
        if access is None or access.value == current:
            return None
        if not holding.is_recorded:
            record = build_found_record(
                holding,
                access,
                origin=self.credential.origin,
                generation=max(holding.generation, beyond) + 1,
                wall=self._tools.wall(),
            )
        if record is None or record.generation <= beyond or not self._is_useful(record):
            return None
        if not holding.is_recorded:
            record = await self._keep(hold, record)
        self._write_log(logging.INFO, "credential_taken_over", generation=record.generation)
        return record

    async def _trade(self, holding: Holding) -> tuple[Holding, Refreshed | RefreshError]:
        """What one refresh brought, or how it was refused; older refresh tokens have their try when the newest is dead.

        Raises:
            RefreshFailedError: It was not refused, it failed.
        """
        refreshed = await self._trade_once(holding)
        if not isinstance(refreshed, RefreshRejectedError):
            return holding, refreshed
        for spare in holding.spares:
            older = replace(holding, login=replace(holding.login, refresh_token=spare))
            again = await self._trade_once(older)
            if isinstance(again, Refreshed):
                self._write_log(logging.WARNING, "older_refresh_token_used")
                return older, again
        return holding, refreshed

    async def _trade_once(self, holding: Holding) -> Refreshed | RefreshError:
        try:
            return await self._tools.trade(holding.login)
        except (RefreshRejectedError, RefreshRefusedError) as error:
            return error

    async def _read_record(self) -> Record | None:
        """The newest record, the store's or our own; the store's trouble is told and not raised."""
        try:
            stored = await self._tools.store.read(self.credential.credential_id)
        except StateError as error:
            self._write_log(logging.WARNING, "credential_state_unreadable", reason=error.detail)
            stored = None
        if stored is not None and (self._record is None or stored.generation > self._record.generation):
            self._record = stored
        return self._record

    async def _keep(self, hold: Hold, record: Record) -> Record:
        """Stores ``record`` before anybody uses it; returns the one that stands afterwards.

        One that cannot be stored is used all the same, and stored later.
        """
        self._record = record
        self._unsaved = None
        try:
            await self._tools.store.write(hold, record)
        except StaleRecordError:
            self._record = None
        except StateError as error:
            self._unsaved = record
            self._write_log(logging.ERROR, "credential_not_stored", reason=error.detail)
        return record if self._record is not None else await self._read_record() or record

    async def _reread(self) -> Credential:
        if self.credential.shared_file is None:
            return self.credential
        try:
            self.credential = await self._tools.reread(self.credential)
        except CredentialSourceError as error:
            self._write_log(logging.WARNING, "credential_file_unreadable", reason=error.message)
        return self.credential

    async def _write_back(self, credential: Credential, record: Record) -> None:
        if credential.shared_file is None:
            return
        try:
            await self._tools.write_back(credential, record)
        except CredentialSourceError as error:
            self._write_log(logging.ERROR, "credential_file_not_written", reason=error.message)

    def _explain(self, error: RefreshError) -> str:
        """What the operator is told of a refresh that the service refused."""
        lost = (
            "; the answer to an earlier refresh was lost when its process was killed" if self._was_interrupted else ""
        )
        return f"{error.detail}{lost}"

    def _is_useful(self, record: Record) -> bool:
        """Whether the access token lives long enough to be taken over, rather than refreshed at once."""
        lifetime = record.expires_at - record.refreshed_at
        return record.expires_at - self._tools.wall() > min(MANDATORY_SECONDS, lifetime / 10)

    def _write_log(self, level: int, event: str, **fields: object) -> None:
        self._tools.log(level, event, credential=self.credential.label, **fields)
