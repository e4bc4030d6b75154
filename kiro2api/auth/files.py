"""The files that other programs share with us, read and written in a thread."""

from collections.abc import Callable
from functools import partial

import trio

from kiro2api.auth.credentials import Credential
from kiro2api.auth.sources import reread, write_back
from kiro2api.auth.state.record import Record


class SharedFiles:
    """Where some credentials are kept by a program that refreshes them as well.

    Args:
        on_change: Told of each credential as it is in its file after we have read or written that.
    """

    def __init__(self, on_change: Callable[[Credential], object] | None = None) -> None:
        self.on_change = on_change

    async def reread(self, credential: Credential) -> Credential:
        """``credential`` as it stands in its file now.

        Raises:
            CredentialSourceError: The file cannot be read, or no longer holds it.
        """
        found = await trio.to_thread.run_sync(reread, credential)
        self._tell(found)
        return found

    async def write_back(self, credential: Credential, record: Record) -> None:
        """Puts what a refresh brought into the file of ``credential``, in the file's own form.

        Raises:
            CredentialSourceError: The file cannot be written, or holds another login by now.
        """
        write = partial(
            write_back,
            credential,
            refresh_token=record.refresh_token,
            access_token=record.access_token,
            expires_at=record.expires_at,
            profile_arn=record.profile_arn,
        )
        self._tell(await trio.to_thread.run_sync(write))

    def _tell(self, credential: Credential) -> None:
        if self.on_change is not None:
            self.on_change(credential)
