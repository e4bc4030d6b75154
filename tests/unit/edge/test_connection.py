"""Every wait for a client has a deadline, and what fails ends one connection only."""

import pytest
import trio

from kiro2api.edge.connection import Connection
from tests.support.edge import Message, Receive, Send, answer, lockstep_pair, read_request, serving, wait_disconnect
from tests.support.rawhttp import read_all, render_head

GET = render_head("GET", "/")


async def _greet(_scope: Message, receive: Receive, send: Send) -> None:
    await read_request(receive)
    await answer(send)


class _Failing(Connection):
    async def _read_data(self) -> None:
        raise ExceptionGroup("secret", [ValueError("secret"), KeyError("secret")])


class _Left(Connection):
    async def _read_data(self) -> None:
        raise ExceptionGroup("peer", [trio.BrokenResourceError(), ConnectionResetError()])


class _Stuck(Connection):
    async def _initiate_server_close(self) -> None:
        await trio.sleep_forever()


async def test_a_failure_ends_its_connection_only() -> None:
    """Nothing is raised; the log has one line with the exceptions' names and nothing of what they say."""
    async with serving(_greet, kind=_Failing) as peer:
        await peer.ended.wait()

        assert peer.log.lines == [("connection_failed", {"causes": "KeyError, ValueError"})]
        assert peer.config.faults.counts == {"connection_failed": 1}


async def test_a_client_that_leaves_is_no_failure() -> None:
    """A connection that breaks is not even mentioned."""
    async with serving(_greet, kind=_Left) as peer:
        await peer.ended.wait()

        assert peer.log.lines == []


async def test_cancellation_passes() -> None:
    """A connection is cancelled like any task."""
    async with serving(_greet) as peer:
        peer.scope.cancel()
        await trio.lowlevel.checkpoint()

    assert peer.scope.cancelled_caught
    assert peer.log.lines == []


async def test_a_client_that_does_not_read_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    """After the deadline of a write; its application learns of it at once."""
    del autojump_clock
    gone: list[float] = []

    async def app(_scope: Message, receive: Receive, send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, send, b"x" * 1000)
            await wait_disconnect(receive)
            gone.append(trio.current_time())

    async with serving(app, pair=lockstep_pair, send_seconds=7) as peer:
        began = trio.current_time()
        await peer.stream.send_all(GET)
        await peer.ended.wait()

        assert [moment - began for moment in gone] == [pytest.approx(7)]
        assert peer.log.lines == [("client_stalled", {})]


async def test_a_client_that_reads_slowly_is_served(autojump_clock: trio.testing.MockClock) -> None:
    """The deadline counts from the last progress: a large answer may take much longer than that."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 1_000_000)

    async with serving(app, pair=lockstep_pair, send_seconds=7) as peer:
        await peer.stream.send_all(GET)
        size = 0
        while size < 1_000_000:
            await trio.sleep(6)
            size += len(await peer.stream.receive_some(65_536))

        assert peer.log.lines == []


async def test_a_client_that_left_ends_a_write_to_it(autojump_clock: trio.testing.MockClock) -> None:
    """Once its end has been read, nobody waits for it to read; it has not stalled, it has left."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, b"x" * 1000)

    async with serving(app, pair=lockstep_pair, send_seconds=100) as peer:
        await peer.stream.send_all(GET)
        began = trio.current_time()
        await peer.stream.send_eof()
        await peer.ended.wait()

        assert trio.current_time() - began < 1
        assert peer.log.lines == []


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx: "])
async def test_a_head_has_a_deadline(sent: bytes, autojump_clock: trio.testing.MockClock) -> None:
    """It counts from the moment of connecting, however steadily bytes drip in."""
    del autojump_clock
    async with serving(_greet, header_seconds=5) as peer:
        began = trio.current_time()
        await peer.stream.send_all(sent)
        await trio.sleep(4.5)
        await peer.stream.send_all(b"T")
        await read_all(peer.stream, seconds=1)
        await peer.ended.wait()

        assert trio.current_time() - began == pytest.approx(5)


async def test_an_idle_connection_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    """An answer starts the deadline anew, for the head of the next request."""
    del autojump_clock
    async with serving(_greet, header_seconds=5) as peer:
        await trio.sleep(4)
        await peer.stream.send_all(GET)
        assert await peer.stream.receive_some()
        began = trio.current_time()
        await peer.ended.wait()

        assert trio.current_time() - began == pytest.approx(5)


async def test_a_close_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    """An idle connection that cannot be closed in time is torn down."""
    del autojump_clock
    async with serving(_greet, kind=_Stuck, header_seconds=5) as peer:
        began = trio.current_time()
        await peer.ended.wait()

        assert trio.current_time() - began == pytest.approx(6)


@pytest.mark.parametrize("sent", [b"", GET])
async def test_nothing_is_left_of_a_client_that_closes(sent: bytes, autojump_clock: trio.testing.MockClock) -> None:
    """A connection ends with its client, not with the deadline of an idle one."""
    del autojump_clock
    async with serving(_greet) as peer:
        await peer.stream.send_all(sent)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await peer.stream.send_eof()
        await peer.ended.wait()

        assert trio.current_time() == pytest.approx(began)


async def test_an_application_that_fails_is_answered_for() -> None:
    """Before the answer has begun it is a 500; the log has the names of the exceptions only."""

    async def app(_scope: Message, _receive: Receive, _send: Send) -> None:
        raise ValueError("secret")

    async with serving(app) as peer:
        await peer.stream.send_all(GET)
        answered = await read_all(peer.stream)

        assert answered.startswith(b"HTTP/1.1 500")
        assert peer.log.lines == [("answer_failed", {"causes": "ValueError"})]


async def test_an_answer_that_fails_does_not_look_whole() -> None:
    """The connection ends without the final chunk."""

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send, more=True)
        raise ValueError

    async with serving(app) as peer:
        await peer.stream.send_all(GET)
        answered = await read_all(peer.stream)

        assert answered.endswith(b"5\r\nhello\r\n")


async def test_a_body_that_nobody_reads_blocks_nobody() -> None:
    """An application that fails under an upload leaves no task behind that waits to hand the upload over."""

    async def app(_scope: Message, receive: Receive, _send: Send) -> None:
        await receive()
        await trio.testing.wait_all_tasks_blocked()
        raise ValueError

    async with serving(app) as peer:
        await peer.stream.send_all(render_head("POST", "/", {"transfer-encoding": "chunked"}) + b"1\r\nx\r\n" * 100)
        assert b"500" in await read_all(peer.stream)
        await peer.stream.aclose()
        with trio.fail_after(5):
            await peer.ended.wait()


async def test_an_end_cuts_what_is_stuck(autojump_clock: trio.testing.MockClock) -> None:
    """When the server's grace is over, a client that does not read holds nothing up."""
    del autojump_clock

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await answer(send)

    async with serving(app, pair=lockstep_pair, send_seconds=100) as peer:
        await peer.stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await peer.connection.end()
        peer.scope.cancel()
        await peer.ended.wait()

        assert trio.current_time() - began < 1
