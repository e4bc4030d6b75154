"""Whose reasoning it is: a mark on the signatures that clients get, and read again when these come back.

The upstream takes reasoning back only with its own signature, from the account and for the model that it came from,
and refuses the whole request otherwise. A signature tells none of that, so what the client gets has the origin before
it, as a digest. Clients pass signatures on as they are; without a mark, or with another one, they are none of ours.
"""

import hashlib
from collections.abc import Iterable

from kiro2api.protocol.conversation import (
    AssistantTurn,
    RedactedThinking,
    Thinking,
    UserTurn,
)

_PREFIX = "kiro"
_SEPARATOR = "."
_ORIGIN_LENGTH = 16
"""Hexadecimal digits."""


def build_origin(*, credential_id: str, model_id: str) -> str:
    """The origin of what a model says to a credential."""
    digest = hashlib.sha256(f"{model_id}\0{credential_id}".encode()).hexdigest()
    return digest[:_ORIGIN_LENGTH]


def mark(proof: str, origin: str) -> str:
    """``proof``, a signature or reasoning that nobody can read, as the client gets it; nothing stays nothing."""
    return _SEPARATOR.join((_PREFIX, origin, proof)) if proof else ""


def unmark(marked: str, origin: str) -> str:
    """What was marked as of ``origin``; empty for everything else."""
    prefix = mark("x", origin)[:-1]
    return marked.removeprefix(prefix) if marked.startswith(prefix) else ""


def find_origin(turns: Iterable[UserTurn | AssistantTurn]) -> str | None:
    """The origin of the last reasoning in ``turns`` that has one."""
    proofs = [
        block.signature if isinstance(block, Thinking) else block.data
        for turn in turns
        if isinstance(turn, AssistantTurn)
        for block in turn.blocks
        if isinstance(block, Thinking | RedactedThinking)
    ]
    for proof in reversed(proofs):
        prefix, _, rest = proof.partition(_SEPARATOR)
        origin, separator, _ = rest.partition(_SEPARATOR)
        if prefix == _PREFIX and separator and len(origin) == _ORIGIN_LENGTH:
            return origin
    return None
