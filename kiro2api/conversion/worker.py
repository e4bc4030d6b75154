"""The part of a converting process that does not depend on what is converted.

It reads base64 text from standard input up to its end, writes one result as JSON to standard output, and ends. It
limits itself, so that it ends even if nobody is left to kill it.
"""

import base64
import os
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from kiro2api.protocol.attachments import Converted, Refusal

MEMORY_BYTES: Final = 1_073_741_824
"""Of address space: the program takes some 150 MB, a picture of 50 million pixels 200 MB for each form it takes."""
CPU_SECONDS: Final = 90
"""More than who started it waits for: the limit of an orphan."""
NICENESS: Final = 10
"""Behind the proxy, which answers everybody else."""

NO_MEMORY: Final = "converting this takes more memory than it may have; send a smaller one."


def serve(convert: Callable[[bytes], Converted], *, damaged: str) -> None:
    """Converts what is on standard input.

    Args:
        convert: Does it; may raise anything.
        damaged: What is said of that.
    """
    limit_resources()
    result = convert_safely(convert, base64.b64decode(sys.stdin.buffer.read()), damaged=damaged)
    sys.stdout.buffer.write(msgspec.json.encode(result))


def convert_safely(convert: Callable[[bytes], Converted], data: bytes, *, damaged: str) -> Converted:
    """The result, which is a refusal if ``convert`` fails."""
    try:
        return convert(data)
    except MemoryError:
        return Refusal(message=NO_MEMORY)
    except Exception:  # noqa: BLE001 - damaged files make the libraries raise whatever their code happens to
        return Refusal(message=damaged)


def limit_resources() -> None:
    """Limits the memory, the time and the importance of this process, as far as its system can do so."""
    for name, limit in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS)):
        with suppress(ValueError, OSError):  # macOS has no limit of address space; an owner's own may be lower
            resource.setrlimit(name, (limit, limit))
    os.nice(NICENESS)
