"""The streamed response body under virtual time."""

import trio

from kiro2api.routes.streaming import CHANNEL_SIZE, EventBody


async def _read(body: EventBody, count: int) -> list[tuple[float, bytes]]:
    pieces = []
    async with body as opened:
        async for data in opened:
            pieces.append((trio.current_time(), data))
            if len(pieces) == count:
                break
    return pieces


async def test_what_waits_goes_out_in_one_write(autojump_clock: trio.testing.MockClock) -> None:
    """Several events that are there already cost one write."""
    del autojump_clock
    send, receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)
    for data in (b"a", b"b", b"c"):
        await send.send(data)
    send.close()
    assert await _read(EventBody(receive, b"", b"ping", 10), 9) == [(0.0, b"abc")]


async def test_silence_is_broken_by_pings_and_nothing_is_lost(autojump_clock: trio.testing.MockClock) -> None:
    """A ping for each period of silence; what comes in between starts the period anew."""
    del autojump_clock
    send, receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)

    async def produce() -> None:
        async with send:
            await trio.sleep(25)
            await send.send(b"a")
            await trio.sleep(12)
            await send.send(b"b")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        pieces = await _read(EventBody(receive, b"", b"ping", 10), 9)
    assert pieces == [(10, b"ping"), (20, b"ping"), (25, b"a"), (35, b"ping"), (37, b"b")]


async def test_a_head_without_an_answer_is_followed_by_a_ping(autojump_clock: trio.testing.MockClock) -> None:
    """What the client gets when the first silence is over shows that the stream is alive."""
    del autojump_clock
    _send, receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)
    assert await _read(EventBody(receive, b"head", b"ping", 10), 2) == [(0, b"headping"), (10, b"ping")]


async def test_leaving_the_body_closes_the_channel(autojump_clock: trio.testing.MockClock) -> None:
    """So that the pump notices."""
    del autojump_clock
    send, receive = trio.open_memory_channel[bytes](CHANNEL_SIZE)
    await send.send(b"a")
    await _read(EventBody(receive, b"", b"ping", 10), 1)
    assert send.statistics().open_receive_channels == 0
