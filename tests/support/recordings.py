"""Requests that real clients sent to a test server; they lie beside the checkout, where somebody has them."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.proxy import CLIENT_KEY

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "recordings"
MISSING = "the recorded requests are not beside this checkout"

_RECORDED_KEY = "sk-recording"
_OF_THE_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_CUT = "\N{HORIZONTAL ELLIPSIS}"
"""A list that was shortened ends with an object whose only key begins so."""


@dataclass(frozen=True)
class Recording:
    """One request, ready to be sent again with another key."""

    file: Path

    @property
    def client(self) -> str:
        return self.file.parts[-3]

    @property
    def name(self) -> str:
        """The situation and the number in it."""
        return "/".join(self.file.with_suffix("").parts[-2:])

    @cached_property
    def _recorded(self) -> dict[str, Any]:
        recorded: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return recorded

    @property
    def path(self) -> str:
        """With the query."""
        return str(self._recorded["path"])

    @property
    def endpoint(self) -> str:
        return self.path.partition("?")[0]

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [
            (name, value.replace(_RECORDED_KEY, CLIENT_KEY))
            for name, value in self._recorded["headers"]
            if name.lower() not in _OF_THE_CONNECTION
        ]

    @cached_property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = self._recorded["body"]
        if isinstance(tools := body.get("tools"), list):
            body["tools"] = [tool for tool in tools if not next(iter(tool)).startswith(_CUT)]
        return body


def list_recordings() -> list[Recording]:
    """All that were posted, in their order; none where nobody has them."""
    return [Recording(file) for file in sorted(RECORDINGS.glob("*/*/*-POST-*.json"))]
