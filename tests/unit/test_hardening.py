"""Tests of kiro2api.hardening."""

import subprocess
import sys

_SCRIPT = """
import resource
from kiro2api.hardening import forbid_core_dumps
forbid_core_dumps()
forbid_core_dumps()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_no_core_dumps() -> None:
    """Neither the limit in force nor its upper bound allows one; in a process of its own, since it cannot go back."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)  # noqa: S603  ours

    assert done.stdout == "(0, 0)\n"
