"""What every store of states is able to do, and how it fails.

A store keeps one :class:`Record` and one :class:`Notes` a credential, and gives the right to refresh a credential to
one task at a time: of this process, of this machine, or of all replicas, as far as the store reaches.
"""

import errno
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from kiro2api.auth.state.record import Notes, Record
from kiro2api.errors import ErrorKind, Kiro2ApiError


class StateError(Kiro2ApiError):
    """The store cannot be used now; ``detail`` says why, without an address or a secret."""

    kind = ErrorKind.NO_CREDENTIAL

    def __init__(self, detail: str) -> None:
        super().__init__("The proxy cannot reach the store of its credentials' states.", detail=detail)


def describe_os_error(error: OSError) -> str:
    """Its name and the system's words, for :attr:`StateError.detail`: no path, no address."""
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return f"{name}: {error.strerror}" if error.strerror else name


class StaleRecordError(StateError):
    """A record was to replace one that is not older: another process was faster, and its record stands."""

    def __init__(self) -> None:
        super().__init__("another process has refreshed the credential meanwhile")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hold:
    """The right to refresh one credential."""

    credential_id: str
    was_interrupted: bool = False
    """Whether the last holder ended without giving its hold back: it may have traded the refresh token, and the answer
    may be lost."""
    is_exclusive: bool = True
    """Whether nobody else can have it; not so while the store that replicas share is down."""


class StateStore(Protocol):
    """Keeps records and notes.

    Every method may be called by any task at any time, and raises StateError in bounded time rather than hang; none
    blocks Trio's loop.
    """

    def hold(self, credential_id: str) -> AbstractAsyncContextManager[Hold]:
        """The right to refresh the credential, waited for as long as another has it; the caller sets the deadline.

        It is given back on the way out, in a shield of its own with a deadline; the death of the process gives it back
        too, at once or after a time that is longer than a refresh may take.

        Raises:
            StateError: Nobody can tell who has it.
        """
        ...

    async def read(self, credential_id: str) -> Record | None:
        """The record of the credential, ``None`` if there is none or it cannot be opened with our key.

        Raises:
            StateError: The store cannot be used now.
        """
        ...

    async def write(self, hold: Hold, record: Record) -> None:
        """Keeps ``record`` for the credential that ``hold`` is for; when this returns, no crash loses it.

        The death of the process after the call has begun to wait does not lose it either.

        Raises:
            StaleRecordError: There is one whose generation is not lower.
            StateError: The store cannot be used now.
        """
        ...

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        """Tells the others, and returns what all know together; see ``merge_notes``. Cooldowns that are over may go.

        Raises:
            StateError: The store cannot be used now.
        """
        ...

    @property
    def trouble(self) -> str:
        """Why the store does not reach as far as it should, for people; empty if it does."""
        ...

    async def aclose(self) -> None:
        """Gives back what the store holds of the machine. Idempotent."""
        ...
