"""Processes that convert: those that do, those that fail, those that never end."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import trio

from kiro2api.conversion.converter import CONVERSIONS_AT_ONCE, DIED, TOO_LONG, Converter, ConverterUnavailableError
from kiro2api.conversion.worker import CPU_SECONDS, MEMORY_BYTES, NICENESS, NO_MEMORY
from kiro2api.errors import ErrorKind
from kiro2api.protocol.attachments import Conversion, ConversionKind, Converted, ConvertedImage, PdfText, Refusal
from kiro2api.protocol.images import ImageFormat
from tests.support.documents import write_pdf
from tests.support.pictures import draw, encode

REPLY = """
import json, os, sys
def reply(message): print(json.dumps({"type": "refusal", "message": message}))
"""
WORKER = (
    "import os, resource\nfrom kiro2api.conversion import worker\nfrom kiro2api.protocol.attachments import Refusal\n"
)


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str, Mapping[str, object]]] = []

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        self.lines.append((level, event, fields))


def job(kind: ConversionKind, data: bytes) -> Conversion:
    """Something to convert."""
    return Conversion.of(kind, encode(data))


def converter(program: str, log: Log | None = None, *, seconds: float = 20) -> Converter:
    """One whose work is done by this Python code."""
    command = (sys.executable, "-c", program)
    return Converter(log or Log(), programs=dict.fromkeys(ConversionKind, command), seconds=seconds)


async def convert(converter: Converter, data: bytes = b"x") -> Converted:
    """The one result."""
    [result] = (await converter.convert([job(ConversionKind.PDF, data)])).values()
    return result


async def test_pictures_and_documents_are_converted() -> None:
    """In real processes; each result stands under the digest of what it was made of, and nothing is logged."""
    log = Log()
    jobs = {
        name: job(kind, data)
        for name, kind, data in (
            ("bmp", ConversionKind.IMAGE, draw("BMP")),
            ("no bmp", ConversionKind.IMAGE, b"BM"),
            ("pdf", ConversionKind.PDF, write_pdf("one", "two")),
            ("no pdf", ConversionKind.PDF, b"%PDF-"),
        )
    }
    results = await Converter(log).convert(jobs.values())
    found = {name: results[conversion.digest] for name, conversion in jobs.items()}
    bmp = found.pop("bmp")
    assert isinstance(bmp, ConvertedImage)
    assert bmp.format is ImageFormat.PNG
    assert found == {
        "no bmp": Refusal(message="the image cannot be decoded: it is damaged."),
        "pdf": PdfText(pages=("one", "two")),
        "no pdf": Refusal(message="the PDF cannot be read: it is damaged."),
    }
    assert not log.lines


async def test_a_process_gets_the_text_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting, whatever it is called; and a session of its own, so that no Ctrl+C reaches it."""
    monkeypatch.setenv("KIRO_CANARY", "secret")
    tell = "reply(json.dumps([sys.stdin.read(), sorted(os.environ), os.getsid(0) == os.getpid()]))"
    result = await convert(converter(REPLY + tell), b"words")
    assert isinstance(result, Refusal)
    text, names, is_alone = json.loads(result.message)
    assert (text, is_alone) == (encode(b"words"), True)
    assert set(names) <= {"PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "LANG", "LC_CTYPE"}


async def test_a_process_limits_itself() -> None:
    """In memory, time and importance."""
    tell = (
        "limits = [resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_CPU), os.nice(0)]\n"
        "    return Refusal(message=str(limits))\n"
    )
    program = f"{WORKER}def tell(data):\n    {tell}worker.serve(tell, damaged='')"
    limits = [(MEMORY_BYTES, MEMORY_BYTES), (CPU_SECONDS, CPU_SECONDS), min(19, os.nice(0) + NICENESS)]
    assert await convert(converter(program)) == Refusal(message=str(limits))


async def test_memory_is_limited() -> None:
    """Who needs too much is refused, and the machine has the rest."""
    program = f"{WORKER}worker.serve(lambda data: bytearray({MEMORY_BYTES}), damaged='')"
    assert await convert(converter(program)) == Refusal(message=NO_MEMORY)


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os.abort()", "sys.exit(3)", "1/0"])
async def test_a_process_that_dies_is_a_refusal(end: str) -> None:
    """Of this attachment; the log says how it died, and nothing of what it was."""
    log = Log()
    assert await convert(converter(REPLY + end, log)) == Refusal(message=DIED)
    [(level, event, fields)] = log.lines
    assert (level, event, fields["kind"], fields["chars"]) == (logging.WARNING, "conversion_failed", "pdf", 4)
    assert fields["exit_code"] in {-9, -6, 3, 1}


def _list_starts(path: Path) -> list[int]:
    """The processes that have told that they are at work."""
    return [int(line) for line in path.read_text(encoding="ascii").split()] if path.exists() else []


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Path]:
    """Where processes note that they are at work; none of them outlives the test."""
    path = tmp_path / "starts"
    yield path
    assert not [process for process in _list_starts(path) if _is_alive(process)]


def note(path: Path) -> str:
    """Code that notes the process in ``path``."""
    return f"{REPLY}with open({str(path)!r}, 'a') as file: print(os.getpid(), file=file)\n"


HANG = "while True: pass"


async def test_a_process_that_takes_too_long_is_killed(starts: Path) -> None:
    """And tried again when it is asked for again: it may have been the machine's fault."""
    log = Log()
    slow = converter(note(starts) + HANG, log, seconds=1.5)
    assert [await convert(slow), await convert(slow)] == [Refusal(message=TOO_LONG)] * 2
    assert len(_list_starts(starts)) == 2
    assert [fields["exit_code"] for _, _, fields in log.lines] == [None, None]


async def test_a_process_is_killed_when_nobody_waits_for_it_any_more(starts: Path) -> None:
    """As soon as it is cancelled."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(convert, converter(note(starts) + HANG))
            while not _list_starts(starts):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel("the client has left")


@pytest.mark.parametrize("seconds", [0, 0.001, 0.01, 0.05])
async def test_a_start_that_is_cancelled_leaves_nothing(starts: Path, seconds: float) -> None:
    """Whenever it happens."""
    with trio.move_on_after(seconds):
        await convert(converter(note(starts) + HANG))


async def test_what_was_converted_is_not_converted_again(starts: Path) -> None:
    """A client sends its attachments with each turn; refusals are kept as well."""
    quick = converter(note(starts) + "reply('no')")
    for data in (b"x", b"x", b"y", b"x"):
        assert await convert(quick, data) == Refusal(message="no")
    assert len(_list_starts(starts)) == 2


async def test_few_are_at_work_at_once(starts: Path) -> None:
    """Who waits for a place finds what others have made of the same in the meantime."""
    quick = converter(note(starts) + "reply('no')")
    async with trio.open_nursery() as nursery:
        for _ in range(3 * CONVERSIONS_AT_ONCE):
            nursery.start_soon(convert, quick)
    assert len(_list_starts(starts)) == CONVERSIONS_AT_ONCE


async def test_those_of_one_request_come_one_after_the_other(tmp_path: Path) -> None:
    """So that others need not wait for all of them."""
    mark = str(tmp_path / "mark")
    program = f"""{REPLY}
import time
try:
    open({mark!r}, "x").close()
except FileExistsError:
    reply("together")
else:
    time.sleep(0.1)
    os.remove({mark!r})
    reply("alone")
"""
    jobs = [job(ConversionKind.PDF, bytes([number])) for number in range(3)]
    results = await converter(program).convert(jobs)
    assert results == {conversion.digest: Refusal(message="alone") for conversion in jobs}


async def test_the_proxy_itself_loads_no_decoder() -> None:
    """Who sends no attachments pays nothing for them, and no damaged file meets the code that unpacks it."""
    program = "import sys, kiro2api.cli; print(sorted({'PIL', 'pypdf'} & set(sys.modules)))"
    done = await trio.run_process([sys.executable, "-c", program], capture_stdout=True)
    assert done.stdout == b"[]\n"


async def test_no_process_to_be_had_is_no_fault_of_the_client() -> None:
    """It may try again."""
    nothing = Converter(Log(), programs=dict.fromkeys(ConversionKind, ("/nowhere/python",)))
    with pytest.raises(ConverterUnavailableError) as caught:
        await convert(nothing)
    assert (caught.value.kind, caught.value.retry_after) == (ErrorKind.OVERLOADED, 5.0)
