"""Legal aliases for the tool names and tool use ids of clients.

The upstream takes 1 to 64 characters of ``[A-Za-z0-9_-]`` for both, and holds two tools for one when their names differ
only in case. A name that fits stays as it is. Any other gets an alias: its own beginning, ``_``, and eight hexadecimal
digits of a hash of the whole, so that the alias depends on the name and not on its neighbours.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable

MAX_NAME_LENGTH = 64
"""Characters of a tool name or a tool use id: ``ToolName`` and ``ToolUseId`` of the upstream's model."""

_DIGEST_LENGTH = 8
_LEGAL = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME_LENGTH}}}")
_ILLEGAL_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")


class ToolNames:
    """A map between the client's tool names and the upstream's, without loss in either direction.

    Names that are declared come before names that only the history uses, and earlier ones of those before later ones;
    among the declared ones their order does not matter: an alias stays the same while the conversation grows and when a
    client shuffles its tools.

    Args:
        declared: The names of the client's tools.
        used: The names in tool uses of the history, in their order.
    """

    __slots__ = ("_to_client", "_to_upstream")

    def __init__(self, declared: Iterable[str] = (), used: Iterable[str] = ()) -> None:
        self._to_upstream: dict[str, str] = {}
        taken: set[str] = set()
        known = sorted(set(declared))
        for name in known:
            self._keep(name, taken)
        for name in itertools.chain(known, used):
            if name not in self._to_upstream and not self._keep(name, taken):
                self._to_upstream[name] = _build_free_alias(name, "tool", taken)
        self._to_client = {alias: name for name, alias in self._to_upstream.items()}

    def _keep(self, name: str, taken: set[str]) -> bool:
        """Whether ``name`` may go upstream as it is; if so it does."""
        if not _LEGAL.fullmatch(name) or name.lower() in taken:
            return False
        taken.add(name.lower())
        self._to_upstream[name] = name
        return True

    def to_upstream(self, name: str) -> str:
        """The upstream's name of the client's tool ``name``; unknown names pass unchanged."""
        return self._to_upstream.get(name, name)

    def to_client(self, upstream_name: str) -> str:
        """The client's name of the upstream's tool; unknown names pass unchanged."""
        return self._to_client.get(upstream_name, upstream_name)

    def has_aliases(self) -> bool:
        """Whether any name differs between the two sides."""
        return any(name != alias for name, alias in self._to_upstream.items())


class ToolUseIds:
    """Hands out a legal id, never used before in the request, for each tool use in its order."""

    __slots__ = ("_seen", "_taken")

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._seen: Counter[str] = Counter()

    def assign(self, tool_use_id: str) -> str:
        """The client's id if it is legal and new, else an alias of it."""
        if _LEGAL.fullmatch(tool_use_id) and tool_use_id.lower() not in self._taken:
            self._taken.add(tool_use_id.lower())
            return tool_use_id
        salt = self._seen[tool_use_id]
        self._seen[tool_use_id] += 1
        return _build_free_alias(tool_use_id, "tooluse", self._taken, salt)


def _build_free_alias(name: str, fallback: str, taken: set[str], salt: int = 0) -> str:
    """A legal alias whose lower-case form was not in ``taken``, and is now."""
    stem = _ILLEGAL_CHARACTER.sub("_", name[: MAX_NAME_LENGTH - _DIGEST_LENGTH - 1]) or fallback
    while True:
        seed = f"{name}\0{salt}" if salt else name
        digest = hashlib.sha256(seed.encode(errors="replace")).hexdigest()
        alias = f"{stem}_{digest[:_DIGEST_LENGTH]}"
        if alias.lower() not in taken:
            taken.add(alias.lower())
            return alias
        salt += 1
