"""Logging of a test's own: started, read from standard error, and stopped."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kiro2api.loglines import LogFormat
from kiro2api.logs import LogLevel, Logs, configure_logging


class Start:
    """Starts logging, and reads what was written."""

    def __init__(self, stack: ExitStack, capsys: pytest.CaptureFixture[str]) -> None:
        self._stack = stack
        self._capsys = capsys
        self._started: list[Logs] = []

    def __call__(
        self,
        *,
        level: LogLevel = "info",
        log_format: LogFormat = "json",
        file: Path | None = None,
        console: bool = True,
        secrets: tuple[str, ...] = (),
    ) -> Logs:
        logs = configure_logging(level=level, log_format=log_format, file=file, console=console, secrets=secrets)
        self._started.append(logs)
        return self._stack.enter_context(closing(logs))

    def read(self) -> str:
        """What came to standard error since the last call."""
        for logs in self._started:
            assert logs.flush()
        return self._capsys.readouterr().err


@contextmanager
def open_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[Start]:
    """Closes at the end what was started."""
    with ExitStack() as stack:
        yield Start(stack, capsys)


def parse_lines(text: str) -> list[dict[str, Any]]:
    """Each line, as the object that it is."""
    return [json.loads(line) for line in text.splitlines()]


def list_messages(text: str) -> list[str]:
    """Each line's message."""
    return [line["message"] for line in parse_lines(text)]
