"""Which conversation belongs to which credential.

The upstream caches the beginning of a prompt per account: a conversation that stays is answered sooner.
"""

from collections.abc import Container

MAX_CONVERSATIONS = 10_000
"""Some MiB; one that is forgotten after so many others costs a cached prompt, once."""


class Conversations:
    """A bounded map; the conversation that was used longest ago goes first.

    Args:
        limit: Conversations that are remembered.
    """

    def __init__(self, limit: int = MAX_CONVERSATIONS) -> None:
        self._limit = limit
        self._owners: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def find(self, session: str | None) -> str | None:
        """The id of the credential that the conversation belongs to; looking is no use of it."""
        return self._owners.get(session) if session is not None else None

    def assign(self, session: str, credential_id: str) -> None:
        self._owners.pop(session, None)
        self._owners[session] = credential_id
        if len(self._owners) > self._limit:
            del self._owners[next(iter(self._owners))]

    def retain(self, credential_ids: Container[str]) -> None:
        """Forgets the conversations of all other credentials."""
        self._owners = {session: owner for session, owner in self._owners.items() if owner in credential_ids}
