"""How many exchanges run at once, and who is next when there is no place for more.

Places are shared out between clients, not between requests: a place that comes free goes to whoever waits and has the
fewest. Clients are told apart by the address that they connect from, and those of one address, as behind a proxy of
their own, by the session that their conversation names. The key says nothing, there is one for all; a forwarded address
is not believed, anyone can write one.
"""

import enum
import math
from collections import Counter
from dataclasses import dataclass

import trio

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.routes.life import RequestLife, ShuttingDownError


class OverloadedError(Kiro2ApiError):
    """There is no place for the request, and none has come free in the time that one may wait."""

    kind = ErrorKind.OVERLOADED

    def __init__(self, reason: str, *, retry_after: float) -> None:
        super().__init__(
            "The proxy is already serving as many requests as it can; please try again in a few seconds.",
            retry_after=retry_after,
            detail=reason,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks, as far as places are shared out by it."""

    address: str
    session: str | None = None
    """As the client names it: it divides the share of its address, and cannot add to it."""


class Standing(enum.Enum):
    """Where a ticket is."""

    OUTSIDE = enum.auto()
    WAITING = enum.auto()
    ADMITTED = enum.auto()


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's claim to a place; only its queue changes the standing."""

    client: Client
    standing: Standing = Standing.OUTSIDE


class FairQueue:
    """Places and the line in front of them; nobody is in line while a place is free.

    Args:
        places: Tickets that are admitted at once.
        room: Tickets that may wait.
    """

    def __init__(self, *, places: int, room: int) -> None:
        self._places = places
        self._room = room
        self._line: list[Ticket] = []
        """In the order in which they came."""
        self._held: Counter[Client | str] = Counter()
        """Places that clients and addresses have; those without any are not in it."""
        self.in_use = 0

    @property
    def waiting(self) -> int:
        return len(self._line)

    def enter(self, ticket: Ticket) -> Ticket | None:
        """Admits ``ticket`` or puts it into the line; returns the one that has to go if that is too long now.

        That is the last one of the client with the most places and waiting tickets together: a client that fills the
        line keeps no other out of it. Among equals it is ``ticket`` itself.
        """
        if self.in_use < self._places:
            self._admit(ticket)
            return None
        ticket.standing = Standing.WAITING
        self._line.append(ticket)
        if len(self._line) <= self._room:
            return None
        refused = self._select_last(ticket.client)
        self._drop(refused)
        return refused

    def leave(self, ticket: Ticket) -> Ticket | None:
        """Takes ``ticket`` out, wherever it is, if it is anywhere; returns the one that got its place, if any did."""
        if ticket.standing is Standing.WAITING:
            self._drop(ticket)
        if ticket.standing is not Standing.ADMITTED:
            return None
        ticket.standing = Standing.OUTSIDE
        self.in_use -= 1
        for owner in (ticket.client.address, ticket.client):
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
        if not self._line:
            return None
        chosen = self._select_next(ticket.client)
        self._drop(chosen)
        self._admit(chosen)
        return chosen

    def _admit(self, ticket: Ticket) -> None:
        ticket.standing = Standing.ADMITTED
        self.in_use += 1
        self._held.update((ticket.client.address, ticket.client))

    def _drop(self, ticket: Ticket) -> None:
        self._line.remove(ticket)
        ticket.standing = Standing.OUTSIDE

    def _select_next(self, leaving: Client) -> Ticket:
        """Of the addresses with the fewest places, and in it of the clients, the one that came first.

        Among equals whoever had the place until now comes last: so clients take turns even at a single place.
        """

        def weigh(ticket: Ticket) -> tuple[int, bool, int, bool]:
            client = ticket.client
            return self._held[client.address], client.address == leaving.address, self._held[client], client == leaving

        return min(self._line, key=weigh)

    def _select_last(self, newcomer: Client) -> Ticket:
        load = self._held.copy()
        for ticket in self._line:
            load.update((ticket.client.address, ticket.client))

        def weigh(ticket: Ticket) -> tuple[int, bool, int, bool]:
            client = ticket.client
            return load[client.address], client.address == newcomer.address, load[client], client == newcomer

        return max(reversed(self._line), key=weigh)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionStatistics:
    """What metrics and tests may know."""

    in_use: int
    waiting: int
    refused: int
    """Since the start, whether at once or after a wait."""


class Admission:
    """Gives places to requests for as long as they live.

    Args:
        places: Requests at once.
        room: Requests that may wait for a place.
        wait_seconds: For a place, before a request is refused.
    """

    def __init__(self, *, places: int, room: int, wait_seconds: float) -> None:
        self._queue = FairQueue(places=places, room=room)
        self._wait_seconds = wait_seconds
        self._calls: dict[Ticket, trio.Event] = {}
        """Of those that wait: set when there is something to learn."""
        self._refused = 0
        self._is_closed = False

    async def enter(self, life: RequestLife, client: Client) -> None:
        """Gets ``life`` a place, which comes free when its tasks have ended, however they end.

        Cancelled while it waits, the request is out of the line at once.

        Raises:
            OverloadedError: The line is full, or the wait was too long.
            ShuttingDownError: No more places are given.
        """
        ticket = Ticket(client)
        life.held.callback(self._leave, ticket)
        self._call(self._queue.enter(ticket))
        reason = "line full"
        if ticket.standing is Standing.WAITING:
            reason = await self._wait(life, ticket)
        if ticket.standing is not Standing.ADMITTED:
            self._refused += 1
            if self._is_closed:
                raise ShuttingDownError
            raise OverloadedError(reason, retry_after=math.ceil(self._wait_seconds))

    def close(self) -> None:
        """Refuses all that wait; those that have a place keep it."""
        self._is_closed = True
        for call in self._calls.values():
            call.set()

    def statistics(self) -> AdmissionStatistics:
        return AdmissionStatistics(in_use=self._queue.in_use, waiting=self._queue.waiting, refused=self._refused)

    async def _wait(self, life: RequestLife, ticket: Ticket) -> str:
        """Returns why the wait would have been in vain, if it was."""
        began = trio.current_time()
        call = self._calls[ticket] = trio.Event()
        try:
            with trio.move_on_after(self._wait_seconds) as scope:
                await call.wait()
        finally:
            life.waited = trio.current_time() - began
            del self._calls[ticket]
            if ticket.standing is Standing.WAITING:
                self._leave(ticket)
        return f"no place within {self._wait_seconds:g} s" if scope.cancelled_caught else "line full"

    def _leave(self, ticket: Ticket) -> None:
        self._call(self._queue.leave(ticket))

    def _call(self, ticket: Ticket | None) -> None:
        """Wakes the request whose standing has changed; one that does not wait needs no waking."""
        if ticket in self._calls:
            self._calls[ticket].set()
