"""What a process with secrets in its memory forbids itself."""

import resource


def forbid_core_dumps() -> None:
    """Sees to it that no crash of this process, or of one that it starts, writes its memory into a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
