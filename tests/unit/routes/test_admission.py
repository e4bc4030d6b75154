"""Who gets a place, who waits and who has to go: the policy with values alone, the waiting under virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from kiro2api.routes.admission import Admission, AdmissionStatistics, Client, FairQueue, OverloadedError, Ticket
from kiro2api.routes.life import IncomingBody, RequestLife, ShuttingDownError


def _parse(word: str) -> Client:
    """``a``: an address; ``a1``: a session of it."""
    return Client(address=word[0], session=word[1:] or None)


def _name(ticket: Ticket | None) -> str | None:
    return None if ticket is None else ticket.client.address + (ticket.client.session or "")


def _fill(queue: FairQueue, words: str) -> list[Ticket]:
    """The tickets of ``words``, entered one after the other; none may be refused."""
    tickets = [Ticket(_parse(word)) for word in words.split()]
    assert [queue.enter(ticket) for ticket in tickets] == [None] * len(tickets)
    return tickets


def _empty(queue: FairQueue, admitted: list[Ticket]) -> list[str | None]:
    """Who is admitted, in turn, if always the one that has its place for longest leaves."""
    names = []
    for ticket in admitted:
        chosen = queue.leave(ticket)
        if chosen is not None:
            admitted.append(chosen)
            names.append(_name(chosen))
    return names


@pytest.mark.parametrize(
    ("admitted", "waiting", "order"),
    [
        pytest.param("a", "b c d", "b c d", id="equals, in the order in which they came"),
        pytest.param("a a", "a a b", "b a a", id="one that has none before one that has"),
        pytest.param("a a a b", "a a b b", "b a a b", id="one that has fewer before one that has more"),
        pytest.param("a1 a1", "a1 a1 a2", "a2 a1 a1", id="sessions of one address as well"),
        pytest.param("b1 a1 a2", "a3 a4 b2", "b2 a3 a4", id="more sessions are not more places"),
        pytest.param("a", "a a b c", "b a c a", id="clients take turns at a single place"),
        pytest.param("a1", "a1 a1 a2", "a2 a1 a1", id="and so do sessions"),
        pytest.param("a a1", "a a a1", "a a1 a", id="those without a session are one"),
    ],
)
def test_a_free_place_goes_to_whoever_has_the_fewest(admitted: str, waiting: str, order: str) -> None:
    """First by address, then by session, and within a client in the order of coming."""
    queue = FairQueue(places=len(admitted.split()), room=9)
    inside = _fill(queue, admitted)
    _fill(queue, waiting)

    assert _empty(queue, inside) == order.split()
    assert (queue.in_use, queue.waiting, queue._held) == (0, 0, {})


@pytest.mark.parametrize(
    ("admitted", "waiting", "newcomer", "refused"),
    [
        pytest.param("a", "b c", "d", "d", id="among equals it is the newcomer"),
        pytest.param("a", "a a", "b", "a", id="a client that fills the line makes room"),
        pytest.param("c", "a a", "b", "a", id="also one that has no place yet"),
        pytest.param("a a", "a b", "c", "a", id="places count as well"),
        pytest.param("a", "b a", "a", "a", id="the newcomer may be the one with the most"),
        pytest.param("c", "a b", "b", "b", id="and is refused when it would have the most"),
        pytest.param("a1", "a1 a1", "a2", "a1", id="sessions of one address as well"),
        pytest.param("x", "a1 a1 b1", "b2", "b2", id="but not of two"),
        pytest.param("a", "", "b", "b", id="no line at all"),
    ],
)
def test_a_full_line_refuses_the_client_with_the_most(admitted: str, waiting: str, newcomer: str, refused: str) -> None:
    """Whether that is the newcomer or one that waits already; the line is no longer than before."""
    queue = FairQueue(places=len(admitted.split()), room=len(waiting.split()))
    _fill(queue, admitted)
    _fill(queue, waiting)

    assert _name(queue.enter(Ticket(_parse(newcomer)))) == refused
    assert queue.waiting == len(waiting.split())


def test_the_youngest_of_a_client_is_the_one_that_has_to_go() -> None:
    """The others have waited for longer."""
    queue = FairQueue(places=1, room=3)
    _, first, second, third = _fill(queue, "a a a a")

    assert queue.enter(Ticket(_parse("b"))) is third
    assert queue.enter(Ticket(_parse("c"))) is second
    assert queue.leave(first) is None


def test_leaving_twice_gives_one_place_back() -> None:
    """From the line, from a place, and from nowhere."""
    queue = FairQueue(places=1, room=2)
    inside, leaving, waiting = _fill(queue, "a b c")

    assert [queue.leave(leaving), queue.leave(leaving)] == [None, None]
    assert [queue.leave(inside), queue.leave(inside), queue.leave(Ticket(_parse("d")))] == [waiting, None, None]
    assert (queue.in_use, queue.waiting) == (1, 0)


def _build_life() -> RequestLife:
    body = IncomingBody(limit=1, seconds=1, is_expected=False)
    return RequestLife(request_id="r", began_at=0, nursery=trio.lowlevel.current_task().child_nurseries[-1], body=body)


type Ask = Callable[[str, float], Awaitable[RequestLife]]


class _Requests:
    """Requests that come, hold their places for a while, and go."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.seen: list[tuple[str, float, str]] = []
        """Name, moment, and what happened, in the order of happening."""
        self.waited: dict[str, float] = {}
        self.scopes: dict[str, trio.CancelScope] = {}

    async def ask(self, word: str, seconds: float) -> None:
        """One whole request of the client that ``word`` names, which has its place for so long."""
        async with trio.open_nursery():
            life = _build_life()
        with trio.CancelScope() as self.scopes[word], life.held:
            try:
                await self.admission.enter(life, _parse(word))
            except (OverloadedError, ShuttingDownError) as error:
                self._note(word, f"{type(error).__name__} {error.detail}")
            else:
                self._note(word, "admitted")
                await trio.sleep(seconds)
            finally:
                self.waited[word] = life.waited

    def _note(self, word: str, what: str) -> None:
        self.seen.append((word, trio.current_time(), what))


@asynccontextmanager
async def _asking(*requests: tuple[str, float], places: int = 1, room: int = 2) -> AsyncIterator[_Requests]:
    """Requests that come right after one another, before the block; on the way out all have gone."""
    asked = _Requests(Admission(places=places, room=room, wait_seconds=4.5))
    async with trio.open_nursery() as nursery:
        for word, seconds in requests:
            nursery.start_soon(partial(asked.ask, word, seconds))
            await trio.testing.wait_all_tasks_blocked()
        yield asked
    assert asked.admission.statistics().in_use == asked.admission.statistics().waiting == 0


async def test_a_place_that_comes_free_is_given_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """Who has to wait knows for how long it did."""
    del autojump_clock
    async with _asking(("a", 3), ("b", 1), ("c", 1)) as requests:
        assert requests.admission.statistics() == AdmissionStatistics(in_use=1, waiting=2, refused=0)

    assert requests.seen == [("a", 0, "admitted"), ("b", 3, "admitted"), ("c", 4, "admitted")]
    assert requests.waited == {"a": 0, "b": 3, "c": 4}


async def test_a_wait_has_an_end(autojump_clock: trio.testing.MockClock) -> None:
    """Then the request is refused, with the time after which to come again, and it is out of the line."""
    del autojump_clock
    async with _asking(("a", 9), ("b", 1)) as requests:
        await trio.sleep(4.6)
        assert requests.admission.statistics() == AdmissionStatistics(in_use=1, waiting=0, refused=1)

    assert requests.seen == [("a", 0, "admitted"), ("b", 4.5, "OverloadedError no place within 4.5 s")]
    assert requests.waited["b"] == 4.5


async def test_a_full_line_refuses_at_once(autojump_clock: trio.testing.MockClock) -> None:
    """The newcomer, or the one that makes room for it."""
    del autojump_clock
    async with _asking(("a", 3), ("a1", 1), ("a2", 1), ("a3", 1), ("b", 1)) as requests:
        assert requests.admission.statistics() == AdmissionStatistics(in_use=1, waiting=2, refused=2)

    full = "OverloadedError line full"
    assert requests.seen == [
        ("a", 0, "admitted"),
        ("a3", 0, full),
        ("a2", 0, full),
        ("b", 3, "admitted"),
        ("a1", 4, "admitted"),
    ]


async def test_a_refusal_says_when_to_come_again(autojump_clock: trio.testing.MockClock) -> None:
    """In whole seconds, not before the wait would have been over."""
    del autojump_clock
    async with trio.open_nursery():
        life = _build_life()
        with pytest.raises(OverloadedError) as caught:
            await Admission(places=0, room=0, wait_seconds=4.5).enter(life, _parse("a"))
    assert caught.value.retry_after == 5


async def test_who_leaves_while_waiting_is_out_of_the_line(autojump_clock: trio.testing.MockClock) -> None:
    """At once, and the next one in line gets the place."""
    del autojump_clock
    async with _asking(("a", 3), ("b", 1), ("c", 1)) as requests:
        requests.scopes["b"].cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert requests.admission.statistics() == AdmissionStatistics(in_use=1, waiting=1, refused=0)

    assert requests.seen == [("a", 0, "admitted"), ("c", 3, "admitted")]


async def test_who_is_cancelled_gives_its_place_back(autojump_clock: trio.testing.MockClock) -> None:
    """Also one that is cancelled in the moment in which it gets the place."""
    del autojump_clock
    async with _asking(("a", 3), ("b", 1), ("c", 1)) as requests:
        requests.scopes["a"].cancel()
        requests.scopes["b"].cancel()

    assert requests.seen == [("a", 0, "admitted"), ("c", 0, "admitted")]


async def test_a_stop_refuses_all_that_wait(autojump_clock: trio.testing.MockClock) -> None:
    """Who has a place keeps it; nobody gets one any more."""
    del autojump_clock
    async with _asking(("a", 3), ("b", 1)) as requests:
        requests.admission.close()
        await trio.testing.wait_all_tasks_blocked()

    assert requests.seen == [("a", 0, "admitted"), ("b", 0, "ShuttingDownError shutdown")]
