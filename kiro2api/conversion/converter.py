"""Conversions in processes of their own, a few at a time, in bounded time."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import trio

from kiro2api.conversion.cache import ConversionCache
from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.attachments import Conversion, ConversionKind, Converted, Refusal
from kiro2api.supervision import Log

CONVERSION_SECONDS: Final = 60.0
"""For one attachment, from the start of its process. A thousand pages of text take half of it on a slow machine."""
CONVERSIONS_AT_ONCE: Final = 2
"""So that a long one does not hold up everybody; each may take a processor and a gigabyte."""
RETRY_SECONDS: Final = 5.0

TOO_LONG: Final = "converting this takes too long; send a smaller one."
DIED: Final = "converting this failed: it takes too much memory, or is damaged."

_PROGRAMS: Final = {
    ConversionKind.IMAGE: (sys.executable, "-m", "kiro2api.conversion.pictures"),
    ConversionKind.PDF: (sys.executable, "-m", "kiro2api.conversion.documents"),
}
_ENVIRONMENT: Final = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")
"""What the interpreter may need to start; no setting is among it."""

_decoder: Final[msgspec.json.Decoder[Converted]] = msgspec.json.Decoder(Converted)


class ConverterUnavailableError(Kiro2ApiError):
    """The system has no process to spare."""

    kind = ErrorKind.OVERLOADED

    def __init__(self, cause: OSError) -> None:
        super().__init__(
            "An attachment cannot be converted at the moment; please try again.",
            retry_after=RETRY_SECONDS,
            detail=f"no process for a conversion: {cause}",
        )


class Converter:
    """Converts attachments, and remembers the results for a while.

    Args:
        log: Hears of what could not be converted for another reason than its content.
        programs: What to start for each kind: reads base64 text, writes a result as JSON.
        seconds: That one of them may take.
    """

    def __init__(
        self,
        log: Log,
        *,
        programs: Mapping[ConversionKind, tuple[str, ...]] = _PROGRAMS,
        seconds: float = CONVERSION_SECONDS,
    ) -> None:
        self._log = log
        self._programs = programs
        self._seconds = seconds
        self._places = trio.CapacityLimiter(CONVERSIONS_AT_ONCE)
        self._cache = ConversionCache()

    async def convert(self, conversions: Iterable[Conversion]) -> dict[str, Converted]:
        """The results by digest, one for each.

        Those of one request are made one after the other: who sends many does not keep others waiting for longer. If
        it is cancelled, the process that is at work is killed.

        Raises:
            ConverterUnavailableError: No process could be started.
        """
        return {conversion.digest: await self._convert(conversion) for conversion in conversions}

    async def _convert(self, conversion: Conversion) -> Converted:
        found = self._cache.find(conversion.digest)
        if found is not None:
            return found
        async with self._places:
            found = self._cache.find(conversion.digest)  # somebody else may have sent the same
            return await self._run(conversion) if found is None else found

    async def _run(self, conversion: Conversion) -> Converted:
        started = trio.current_time()
        process = None
        with trio.move_on_after(self._seconds):
            process = await self._start(conversion)
        if process is not None and process.returncode == 0:
            result = _decoder.decode(process.stdout)
            self._cache.add(conversion.digest, result)
            return result
        self._log(
            logging.WARNING,
            "conversion_failed",
            kind=conversion.kind.value,
            chars=len(conversion.digits),
            seconds=round(trio.current_time() - started, 1),
            exit_code=None if process is None else process.returncode,
        )
        return Refusal(message=TOO_LONG if process is None else DIED)

    async def _start(self, conversion: Conversion) -> subprocess.CompletedProcess[bytes]:
        try:
            return await trio.run_process(
                self._programs[conversion.kind],
                stdin=conversion.digits.encode(),
                capture_stdout=True,
                stderr=subprocess.DEVNULL,  # libraries write there what they read
                check=False,
                deliver_cancel=_kill,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,  # a Ctrl+C is for the proxy, which has its own way to stop
            )
        except OSError as error:
            raise ConverterUnavailableError(error) from None


async def _kill(process: trio.Process) -> None:
    process.kill()
