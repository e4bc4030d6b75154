"""The streamed response body on both of its ways, under virtual time."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock

from kiro2api.routes.pump import CHANNEL_SIZE, ChannelSink, EventBody
from kiro2api.upstream.sinks import Sink

type Step = float | bytes
"""Seconds of silence, or what is said."""


class Player:
    """Plays steps into whatever sink the answer goes to, as the pump does."""

    def __init__(self, steps: list[Step]) -> None:
        self.channel = ChannelSink()
        self._sink: Sink = self.channel
        self._steps = steps

    def turn_to(self, sink: Sink) -> None:
        self._sink = sink

    async def play(self) -> None:
        for step in self._steps:
            if isinstance(step, bytes):
                if not self._sink.offer(step):
                    await self._sink.flush()
            else:
                await trio.sleep(step)
        self.channel.close()

    def new_body(self, *, first: bytes = b"") -> EventBody:
        return EventBody(self, self.channel, first=first, ping=b"ping", ping_seconds=10)


class Client:
    """Notes what it gets and when; takes so long for each piece of the short way."""

    def __init__(self, *, slow: float = 0.0) -> None:
        self.pieces: list[tuple[float, bytes]] = []
        self._slow = slow

    def offer(self, data: bytes) -> bool:
        self.pieces.append((trio.current_time(), data))
        return not self._slow

    async def flush(self) -> None:
        await trio.sleep(self._slow)

    async def read(self, body: EventBody) -> None:
        """The way through the server."""
        async with body as opened:
            async for data in opened:
                self.pieces.append((trio.current_time(), data))

    async def take(self, body: EventBody) -> None:
        """The short way."""
        async with body as opened:
            await opened.write_to(self)


async def _play(steps: list[Step], deliver: Callable[[Client, EventBody], Awaitable[None]], **first: bytes) -> Client:
    player, client = Player(steps), Client()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.play)
        await trio.testing.wait_all_tasks_blocked()
        await deliver(client, player.new_body(**first))
    return client


both_ways = pytest.mark.parametrize("deliver", [Client.read, Client.take], ids=["through the server", "short"])


@both_ways
async def test_what_waits_goes_out_in_one_write(
    autojump_clock: MockClock, deliver: Callable[[Client, EventBody], Awaitable[None]]
) -> None:
    """Several events that are there already cost one write."""
    del autojump_clock
    client = await _play([b"a", b"b", b"c"], deliver)
    assert client.pieces == [(0.0, b"abc")]


@both_ways
async def test_silence_is_broken_by_pings_and_nothing_is_lost(
    autojump_clock: MockClock, deliver: Callable[[Client, EventBody], Awaitable[None]]
) -> None:
    """A ping for each period of silence; what comes in between starts the period anew."""
    del autojump_clock
    client = await _play([25, b"a", 12, b"b"], deliver)
    assert client.pieces == [(10, b"ping"), (20, b"ping"), (25, b"a"), (35, b"ping"), (37, b"b")]


@both_ways
async def test_a_head_without_an_answer_is_followed_by_a_ping(
    autojump_clock: MockClock, deliver: Callable[[Client, EventBody], Awaitable[None]]
) -> None:
    """What the client gets when the first silence is over shows that the stream is alive."""
    del autojump_clock
    client = await _play([11], deliver, first=b"head")
    assert client.pieces == [(0, b"headping"), (10, b"ping")]


@both_ways
async def test_more_than_the_channel_holds_comes_in_order(
    autojump_clock: MockClock, deliver: Callable[[Client, EventBody], Awaitable[None]]
) -> None:
    """The answer waits for the client to begin reading, and changes its way without losing a byte."""
    del autojump_clock
    said = [b"%d " % number for number in range(3 * CHANNEL_SIZE)]
    client = await _play([*said, 1, b"end"], deliver)
    assert b"".join(data for _, data in client.pieces) == b"".join(said) + b"end"


async def test_on_the_short_way_the_answer_passes_no_channel(autojump_clock: MockClock) -> None:
    """Each piece is written when it is said, also when several are said in one go."""
    del autojump_clock
    client = await _play([1, b"a", b"b", 2, b"c"], Client.take)
    assert client.pieces == [(1, b"a"), (1, b"b"), (3, b"c")]


async def test_a_client_that_has_not_taken_a_piece_gets_no_ping(autojump_clock: MockClock) -> None:
    """It is written to when it reads again; until then a ping would only wait with the rest."""
    del autojump_clock
    player, client = Player([1, b"a", b"b"]), Client(slow=25)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.play)
        await client.take(player.new_body())
    assert client.pieces == [(1, b"a"), (26, b"b")]


async def test_a_client_that_has_taken_a_ping_but_not_the_piece_behind_it_gets_no_other(
    autojump_clock: MockClock,
) -> None:
    """Both wait in their order; only when neither does is there silence to be broken."""
    del autojump_clock
    player, client = Player([30, b"a"]), Client(slow=25)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.play)
        with trio.fail_after(1000):
            await client.take(player.new_body())
    assert client.pieces == [(10, b"ping"), (30, b"a")]


async def test_a_client_that_is_slow_to_take_pings_gets_the_end(autojump_clock: MockClock) -> None:
    """Though it takes longer for each than the next one would be due."""
    del autojump_clock
    player, client = Player([30, b"a"]), Client(slow=14)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.play)
        with trio.fail_after(1000):
            await client.take(player.new_body())
    assert client.pieces == [(10, b"ping"), (30, b"a")]


async def test_what_is_said_while_the_client_is_slow_to_take_what_waited_comes_behind_it(
    autojump_clock: MockClock,
) -> None:
    """The answer changes its way only when nothing of it is left on the other one."""
    del autojump_clock
    said: list[Step] = [step for number in range(3 * CHANNEL_SIZE) for step in (b"%d " % number, 0.5)]
    player, client = Player(said), Client(slow=3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(player.play)
        await trio.sleep(0.1)
        await client.take(player.new_body())
    assert b"".join(data for _, data in client.pieces) == b"".join(step for step in said if isinstance(step, bytes))


@both_ways
async def test_leaving_the_body_closes_the_channel(
    autojump_clock: MockClock, deliver: Callable[[Client, EventBody], Awaitable[None]]
) -> None:
    """So that the pump notices, if it still uses it."""
    del autojump_clock
    player, client = Player([]), Client()
    body = player.new_body()
    with trio.move_on_after(1):
        await deliver(client, body)
    with pytest.raises(trio.BrokenResourceError):
        player.channel.offer(b"a")
