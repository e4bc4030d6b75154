"""The short way of a body, in chunks."""

import pytest

from kiro2api.edge.sinks import ChunkSink


class Pipe:
    """Takes so many bytes at once, and all that is waited for."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.data = b""

    def try_write(self, data: bytes) -> bytes:
        taken, rest = data[: self.room], data[self.room :]
        self.room -= len(taken)
        self.data += taken
        return rest

    async def write(self, data: bytes) -> None:
        self.data += data


@pytest.mark.parametrize("room", range(30))
async def test_every_piece_is_a_chunk_whatever_the_client_takes(room: int) -> None:
    """In their order and whole, also when one is offered while another is not out yet."""
    pipe = Pipe(room)
    sink = ChunkSink(pipe.try_write, pipe.write)
    for piece in (b"a", b"0123456789abcdef", b"b"):
        if not sink.offer(piece) and room % 2:
            await sink.flush()
    await sink.flush()
    assert pipe.data == b"1\r\na\r\n10\r\n0123456789abcdef\r\n1\r\nb\r\n"
    assert sink.sent == 18


def test_it_says_whether_the_client_keeps_up() -> None:
    """Exactly."""
    pipe = Pipe(6)
    sink = ChunkSink(pipe.try_write, pipe.write)
    assert [sink.offer(b"a"), sink.offer(b"b")] == [True, False]


def test_nothing_is_no_chunk() -> None:
    """An empty one would end the body, and what follows would be taken for the next answer."""
    pipe = Pipe(0)
    sink = ChunkSink(pipe.try_write, pipe.write)
    assert [sink.offer(b""), sink.offer(b"a"), sink.offer(b"")] == [True, False, False]
    assert (pipe.data, sink.sent) == (b"", 1)
