"""The connection to a Redis or Valkey server, by coredis: where it is, and whether it is up.

One task, :meth:`RedisLink.run`, owns the connection: it opens it, finds out whether scripts may run and keys may be
written, looks after it while it is idle, and opens it again when anything failed. Everybody else finds it open, or
fails at once. Neither an address nor a password stands in an error.
"""

import random
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import trio

from kiro2api.auth.state.store import StateError
from kiro2api.errors import Kiro2ApiError

if TYPE_CHECKING:
    from kiro2api.auth.state.redis_client import Client

DEFAULT_PORT = 6379
CALL_SECONDS = 0.2
"""For one call: a healthy server answers within a few milliseconds."""
CONNECT_SECONDS = 1.0
"""For opening the connection, and for the first answer on it."""
CHECK_SECONDS = 5.0
"""Between two looks at a connection that is up."""
BASE_PAUSE_SECONDS = 1.0
CAP_PAUSE_SECONDS = 5.0
"""The pauses before the connection is opened again: doubled with each failure in a row, before chance is added."""

_MAX_DOUBLINGS = 3
_MAX_CAUSES = 8
# Fails where keys cannot be written, as on a replica or a full server.
_PROBE = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)"
_PROBE_KEYS = ("kiro2api:probe",)

type Argument = str | bytes


class RedisUrlError(Kiro2ApiError):
    """The configured address is not one of a Redis server; the error does not repeat it."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RedisAddress:
    """Where the server is, and how it is spoken to."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = None
    password: str | None = None
    is_encrypted: bool = False
    ca_file: str | None = None
    """Whom to trust instead of the system's authorities."""


def parse_redis_url(url: str) -> RedisAddress:
    """What ``redis://[user][:password]@host[:port][/database]`` says, or ``rediss://`` with ``?ssl_ca_certs=PATH``.

    Raises:
        RedisUrlError: It says nothing of the kind.
    """
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        address = _read_parts(parts, options.pop("ssl_ca_certs", [""])[-1])
    except ValueError:
        raise RedisUrlError("The address of the Redis server cannot be read.") from None
    if parts.scheme not in {"redis", "rediss"} or not address.host or parts.fragment:
        raise RedisUrlError("The address of the Redis server has to be like redis://host:6379/0 or rediss://host.")
    if options or (address.ca_file and not address.is_encrypted):
        raise RedisUrlError("The address of the Redis server has an option that is not known.")
    return address


def _read_parts(parts: SplitResult, ca_file: str) -> RedisAddress:
    return RedisAddress(
        host=unquote(parts.hostname or ""),
        port=parts.port or DEFAULT_PORT,
        database=int(parts.path.strip("/") or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        is_encrypted=parts.scheme == "rediss",
        ca_file=ca_file or None,
    )


class RedisLink:
    """A connection that is opened again when it breaks; :meth:`run` has to run meanwhile.

    Args:
        address: Where the server is.
        call_seconds: For one call.
        check_seconds: Between two looks at a connection that is up.
        draw: Draws from 0 to 1, for pauses.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        call_seconds: float = CALL_SECONDS,
        check_seconds: float = CHECK_SECONDS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._call_seconds = call_seconds
        self._check_seconds = check_seconds
        self._draw = draw
        self._client: Client | None = None
        self._trouble = "it has not been connected to yet"
        self._changed = trio.Event()

    @property
    def is_up(self) -> bool:
        """Whether the server can be used, as far as is known."""
        return self._client is not None

    @property
    def trouble(self) -> str:
        """Why it cannot be used; empty if it can."""
        return self._trouble

    async def wait_change(self, *, is_up: bool) -> None:
        """Waits until :attr:`is_up` is another than this."""
        while self.is_up == is_up:
            await self._changed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keeps the connection, until it is cancelled; reports itself started when it is up, or could not be opened."""
        first_news = self._changed
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._connect_again_and_again)
                await first_news.wait()
                task_status.started()
        finally:
            self._enter(None, "it is not connected to")

    async def call(self, script: str, keys: Iterable[str], *arguments: Argument) -> object:
        """What ``script`` returns: numbers as ``int``, texts as ``bytes``, nothing as ``None``.

        A call that is given up, by a deadline of the caller's too, disturbs nobody else; the server may still hear of
        it, but before any later call.

        Raises:
            StateError: The server cannot be used; at once, if that is known. A call that fails ends the connection.
        """
        await trio.lowlevel.checkpoint()
        client = self.check()
        try:
            return await self._ask(client, script, keys, *arguments, limit=self._call_seconds)
        except StateError as error:
            if self._client is client:
                self._enter(None, error.detail)
            raise

    def check(self) -> "Client":
        """The connection.

        Raises:
            StateError: There is none.
        """
        if self._client is None:
            raise StateError(self._trouble)
        return self._client

    async def _connect_again_and_again(self) -> None:
        failures = 0
        while True:
            begun = trio.current_time()
            await self._keep_connection()
            failures = 0 if trio.current_time() - begun > self._check_seconds else failures
            pause = min(CAP_PAUSE_SECONDS, BASE_PAUSE_SECONDS * 2 ** min(failures, _MAX_DOUBLINGS))
            failures += 1
            await trio.sleep(pause * (0.75 + 0.5 * self._draw()))

    async def _keep_connection(self) -> None:
        """One connection, from before it is opened until it fails."""
        try:
            open_client = await trio.to_thread.run_sync(_load_library, self._address)
            async with open_client() as client:
                try:
                    await self._ask(client, _PROBE, _PROBE_KEYS, limit=CONNECT_SECONDS)
                except StateError as error:
                    self._enter(None, error.detail)
                    return
                self._enter(client, "")
                await self._watch(client)
        except* Exception as group:  # noqa: BLE001 - whatever the library's own tasks raise ends the connection only
            self._enter(None, _describe(group))

    async def _watch(self, client: "Client") -> None:
        """Waits for the end of the connection, and asks now and then lest nobody notices it."""
        while self._client is client:
            with trio.move_on_after(self._check_seconds) as patience:
                await self._changed.wait()
            if patience.cancelled_caught:
                with suppress(StateError):
                    await self.call(_PROBE, _PROBE_KEYS)

    async def _ask(
        self, client: "Client", script: str, keys: Iterable[str], *arguments: Argument, limit: float
    ) -> object:
        with trio.move_on_after(limit):
            try:
                return await client.eval(script, list(keys), list(arguments))
            except Exception as error:  # noqa: BLE001 - the library's, Trio's, anyio's: to a caller they are all one
                # Not chained: their words may hold the address.
                raise StateError(_describe(error)) from None
        raise StateError(f"no answer within {limit:g} s")

    def _enter(self, client: "Client | None", trouble: str) -> None:
        self._client = client
        self._trouble = trouble
        self._changed.set()
        self._changed = trio.Event()


def _load_library(address: RedisAddress) -> "Callable[[], Client]":
    """Imports the library, and reads whom to trust; for a worker thread, since it may take half a second."""
    from kiro2api.auth.state.redis_client import build_client  # noqa: PLC0415 - only who has replicas pays for it

    context = ssl.create_default_context(cafile=address.ca_file) if address.is_encrypted else None
    return partial(
        build_client,
        host=address.host,
        port=address.port,
        database=address.database,
        username=address.username,
        password=address.password,
        tls=context,
        connect_seconds=CONNECT_SECONDS,
    )


def _describe(error: BaseException) -> str:
    """The type of what is at the bottom of it: words may hold the address."""
    for _ in range(_MAX_CAUSES):
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif error.__cause__ is not None:
            error = error.__cause__
    return type(error).__name__
