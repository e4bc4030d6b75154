"""How much memory this process holds."""

import os
from pathlib import Path

MIB = 1_048_576
_PAGE = os.sysconf("SC_PAGE_SIZE")


def measure_rss() -> int:
    """Bytes that are resident now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
