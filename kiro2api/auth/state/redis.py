"""The store that replicas share: a Redis or Valkey server, version 6 or later.

Whatever has to be decided on the server is decided there, in a script; each key of a credential has the credential's id
in braces, so that a cluster keeps them together. Records are sealed; generations, notes and the names of holders are
not secret. The connection is :mod:`kiro2api.auth.state.redis_link`'s.
"""

import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from weakref import WeakValueDictionary

import msgspec
import trio

from kiro2api.auth.state.record import (
    Notes,
    Record,
    RecordFormatError,
    decode_record,
    drop_ended_cooldowns,
    encode_record,
)
from kiro2api.auth.state.redis_link import CALL_SECONDS, RedisLink, parse_redis_url
from kiro2api.auth.state.sealing import Seal, SealError
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError

HOLD_SECONDS = 30.0
"""How long a dead holder keeps the others waiting; three times what a refresh may take."""
RELEASE_SECONDS = 1.0
"""For giving a hold back, whatever was cancelled."""
MIN_POLL_SECONDS = 0.05
MAX_POLL_SECONDS = 0.2
"""Between two attempts to get a hold that another has."""
KEEP_MILLISECONDS = 90 * 24 * 3600 * 1000
"""What is kept of a credential that nobody has refreshed for so long is forgotten."""

# KEYS: hold, begun. ARGV: owner, what all owners of this process begin with, milliseconds, milliseconds to keep.
# This process asks for one hold at a time, so one that stands in its name is the late fruit of a call given up.
_ACQUIRE = """
local function is_ours(owner) return owner and string.sub(owner, 1, #ARGV[2]) == ARGV[2] end
local holder = redis.call('GET', KEYS[1])
if holder and not is_ours(holder) then return -1 end
local begun = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
if begun and not is_ours(begun) then return 1 end
return 0
"""
# KEYS: hold, begun. ARGV: owner.
_RELEASE = """
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
return 1
"""
# KEYS: record. ARGV: generation, sealed record, a record that may be replaced whatever its generation, milliseconds.
_WRITE = """
local known = tonumber(redis.call('HGET', KEYS[1], 'generation') or '-1')
if tonumber(ARGV[1]) <= known and redis.call('HGET', KEYS[1], 'record') ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""
_READ = "return redis.call('HGET', KEYS[1], 'record')"
# KEYS: notes. ARGV: milliseconds, uses, when the quota was checked, quota left, when it resets, {name, until} ...
_EXCHANGE = """
if ARGV[2] ~= '0' then redis.call('HINCRBY', KEYS[1], 'uses', ARGV[2]) end
if tonumber(ARGV[3]) >= tonumber(redis.call('HGET', KEYS[1], 'checked') or '0') then
  redis.call('HSET', KEYS[1], 'checked', ARGV[3], 'left', ARGV[4], 'resets', ARGV[5])
end
for i = 6, #ARGV, 2 do
  local name = 'cooldown:' .. ARGV[i]
  if tonumber(ARGV[i + 1]) > tonumber(redis.call('HGET', KEYS[1], name) or '0') then
    redis.call('HSET', KEYS[1], name, ARGV[i + 1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])
"""


class RedisStore:
    """A :class:`~kiro2api.auth.state.store.StateStore` on a Redis server; :meth:`run` has to run meanwhile.

    What it keeps is as durable as the server is: a store of this machine belongs beside it.

    Args:
        url: See :func:`parse_redis_url`.
        seal: Closes records, and opens them.
        hold_seconds: How long a hold lasts whose owner has died.
        call_seconds: For one call.
        now: Seconds since the epoch by the wall clock.
        draw: Draws from 0 to 1, for pauses.

    Raises:
        RedisUrlError: ``url`` is wrong.
    """

    def __init__(  # noqa: PLR0913 - the seams of the shell: limits, clock, chance
        self,
        url: str,
        seal: Seal,
        *,
        hold_seconds: float = HOLD_SECONDS,
        call_seconds: float = CALL_SECONDS,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._link = RedisLink(parse_redis_url(url), call_seconds=call_seconds, draw=draw)
        self._seal = seal
        self._hold_seconds = hold_seconds
        self._now = now
        self._draw = draw
        self._name = secrets.token_hex(8) + "."
        self._numbers = itertools.count(1)
        self._turns: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()
        self._abandoned: dict[str, tuple[str, float]] = {}
        self._unreadable: dict[str, bytes] = {}

    @property
    def is_up(self) -> bool:
        """Whether the server can be used, as far as is known."""
        return self._link.is_up

    @property
    def trouble(self) -> str:
        if not self._link.is_up:
            return f"the store that replicas share cannot be used: {self._link.trouble}"
        if self._unreadable:
            return "the store that replicas share holds a record that was sealed with another key"
        return ""

    async def wait_change(self, *, is_up: bool) -> None:
        """Waits until :attr:`is_up` is another than this."""
        await self._link.wait_change(is_up=is_up)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keeps the connection, until it is cancelled; reports itself started when it is up, or could not be opened."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._link.run)
            nursery.start_soon(self._give_back_abandoned)
            task_status.started()

    @asynccontextmanager
    async def hold(self, credential_id: str) -> AsyncIterator[Hold]:
        owner = f"{self._name}{next(self._numbers)}"
        async with self._turns.setdefault(credential_id, trio.Lock()):
            self._link.check()
            try:
                was_interrupted = await self._acquire(credential_id, owner)
                yield Hold(credential_id=credential_id, was_interrupted=was_interrupted)
            finally:
                # Also after a call that was given up: the server may still hear of it.
                with trio.move_on_after(RELEASE_SECONDS, shield=True):
                    await self._give_back(credential_id, owner)

    async def read(self, credential_id: str) -> Record | None:
        sealed = await self._link.call(_READ, _build_keys(credential_id, "record"))
        self._unreadable.pop(credential_id, None)
        if not isinstance(sealed, bytes):
            return None
        try:
            return decode_record(self._seal.unseal(credential_id, sealed))
        except (SealError, RecordFormatError):
            # Its generation says nothing to us: it must not keep our records out for ever.
            self._unreadable[credential_id] = sealed
            return None

    async def write(self, hold: Hold, record: Record) -> None:
        sealed = self._seal.seal(hold.credential_id, encode_record(record))
        replaceable = self._unreadable.get(hold.credential_id, b"")
        keys = _build_keys(hold.credential_id, "record")
        if not await self._link.call(_WRITE, keys, str(record.generation), sealed, replaceable, str(KEEP_MILLISECONDS)):
            raise StaleRecordError
        self._unreadable.pop(hold.credential_id, None)

    async def exchange_notes(self, credential_id: str, told: Notes) -> Notes:
        known = await self._link.call(_EXCHANGE, _build_keys(credential_id, "notes"), *_encode_notes(told))
        try:
            return _decode_notes(msgspec.convert(known, list[bytes]), now=self._now())
        except (ValueError, msgspec.ValidationError):
            raise StateError("its notes cannot be read") from None

    async def aclose(self) -> None:
        """Does nothing: the connection is :meth:`run`'s, and closed when that is cancelled."""
        await trio.lowlevel.checkpoint()

    async def _acquire(self, credential_id: str, owner: str) -> bool:
        """Waits for the hold, and tells whether its last holder died with it."""
        keys = _build_keys(credential_id, "hold", "begun")
        milliseconds = str(round(self._hold_seconds * 1000))
        while True:
            outcome = await self._link.call(_ACQUIRE, keys, owner, self._name, milliseconds, str(KEEP_MILLISECONDS))
            if outcome != -1:
                return outcome == 1
            await trio.sleep(MIN_POLL_SECONDS + (MAX_POLL_SECONDS - MIN_POLL_SECONDS) * self._draw())

    async def _give_back(self, credential_id: str, owner: str) -> None:
        """Gives the hold back if it is still ours; later, if the server cannot be reached now."""
        now = trio.current_time()
        self._abandoned = {name: entry for name, entry in self._abandoned.items() if entry[1] > now}
        self._abandoned[owner] = (credential_id, now + 2 * self._hold_seconds)
        with suppress(StateError):
            await self._release(credential_id, owner)

    async def _release(self, credential_id: str, owner: str) -> None:
        await self._link.call(_RELEASE, _build_keys(credential_id, "hold", "begun"), owner)
        self._abandoned.pop(owner, None)

    async def _give_back_abandoned(self) -> None:
        """Whenever the server is back, gives back what could not be given back before."""
        while True:
            await self._link.wait_change(is_up=False)
            with suppress(StateError):
                while self._abandoned:
                    owner, (credential_id, _) = next(iter(self._abandoned.items()))
                    await self._release(credential_id, owner)
            await self._link.wait_change(is_up=True)


def _build_keys(credential_id: str, *names: str) -> list[str]:
    return [f"kiro2api:{{{credential_id}}}:{name}" for name in names]


def _encode_notes(told: Notes) -> list[str]:
    quota = [
        "" if told.quota_left is None else repr(float(told.quota_left)),
        "" if told.quota_resets_at is None else repr(float(told.quota_resets_at)),
    ]
    cooldowns = [text for name, until in told.cooldowns.items() for text in (name, repr(float(until)))]
    return [str(KEEP_MILLISECONDS), str(told.uses), repr(float(told.quota_checked_at)), *quota, *cooldowns]


def _decode_notes(known: list[bytes], *, now: float) -> Notes:
    fields = {name.decode(): value.decode() for name, value in itertools.batched(known, 2, strict=True)}
    cooldowns = {
        name.removeprefix("cooldown:"): float(until)
        for name, until in sorted(fields.items())
        if name.startswith("cooldown:")
    }
    left, resets = fields.get("left"), fields.get("resets")
    notes = Notes(
        cooldowns=cooldowns,
        uses=int(fields.get("uses", 0)),
        quota_left=float(left) if left else None,
        quota_resets_at=float(resets) if resets else None,
        quota_checked_at=float(fields.get("checked", 0.0)),
    )
    return drop_ended_cooldowns(notes, now)
