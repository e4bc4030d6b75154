"""The store that replicas share, on a real Redis or Valkey server: holds, records, notes, and every kind of outage."""

import logging
import math
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import trio
import trustme

from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.record import Notes, Record
from kiro2api.auth.state.redis import RedisStore
from kiro2api.auth.state.redis_link import CALL_SECONDS, RedisLink, parse_redis_url
from kiro2api.auth.state.replicated import ReplicatedStore
from kiro2api.auth.state.sealing import Seal
from kiro2api.auth.state.store import Hold, StaleRecordError, StateError
from tests.support.redis import RedisServer, find_free_port, redis_server

NAME = "0123456789abcdef"
NOW = 1_760_000_000.0
CALL_LIMIT = 0.4
"""For a call that may take 0.2 s, on a machine that does other things too."""
AT_ONCE = 0.1
PATIENCE = 2.0
"""For a call of a server that is well, where a machine that stalls shall not matter."""
RECOVERY = 5.0

HOLDER = """
import sys, trio
from kiro2api.auth.state.redis import RedisStore
from kiro2api.auth.state.sealing import Seal

async def main():
    store = RedisStore(sys.argv[1], Seal("key"), hold_seconds=float(sys.argv[3]))
    async with trio.open_nursery() as nursery:
        await nursery.start(store.run)
        async with store.hold(sys.argv[2]):
            print("held", flush=True)
            await trio.sleep_forever()

trio.run(main)
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    """A server with nothing in it."""
    async with redis_server(tmp_path) as server:
        yield server


@asynccontextmanager
async def open_store(
    url: str, *, hold_seconds: float = 30.0, call_seconds: float = PATIENCE, key: str = "key"
) -> AsyncIterator[RedisStore]:
    """A store of one replica; chance always draws 0, the shortest pauses."""
    async with trio.open_nursery() as nursery:
        store = RedisStore(
            url,
            Seal(key),
            hold_seconds=hold_seconds,
            call_seconds=call_seconds,
            now=lambda: NOW,
            draw=lambda: 0.0,
        )
        await nursery.start(store.run)
        yield store
        nursery.cancel_scope.cancel("the test is over")


def build_record(generation: int, origin: str = "o") -> Record:
    """A record with secrets in it."""
    return Record(
        generation=generation,
        origin=origin,
        refresh_token="refresh-secret",
        previous_refresh_token="previous-secret",
        access_token="access-secret",
        expires_at=NOW,
        refreshed_at=NOW,
    )


async def fail_within(limit: float, store: RedisStore) -> None:
    """Every method fails, each within ``limit`` seconds."""

    async def hold() -> None:
        async with store.hold(NAME):
            pytest.fail("a hold was given")

    calls: list[Callable[[], Awaitable[object]]] = [
        hold,
        lambda: store.read(NAME),
        lambda: store.write(Hold(credential_id=NAME), build_record(9)),
        lambda: store.exchange_notes(NAME, Notes(uses=1)),
    ]
    for call in calls:
        with pytest.raises(StateError):
            await within(limit, call)


async def test_one_holder_at_a_time(server: RedisServer) -> None:
    """Four tasks of two replicas take turns; nobody waits for ever."""
    inside = 0
    turns = 0

    async def take_turns(store: RedisStore) -> None:
        nonlocal inside, turns
        for _ in range(2):
            async with store.hold(NAME) as hold:
                assert not hold.was_interrupted
                inside += 1
                await store.read(NAME)
                assert inside == 1
                inside -= 1
                turns += 1

    async with open_store(server.url) as one, open_store(server.url) as two, trio.open_nursery() as nursery:
        for store in (one, two, one, two):
            nursery.start_soon(take_turns, store)
    assert turns == 8


async def test_the_death_of_a_process_gives_its_hold_back(server: RedisServer) -> None:
    """To another process, which is told, when the time of the hold is over."""
    command = [sys.executable, "-c", HOLDER, server.url, NAME, "0.5"]
    async with open_store(server.url) as store:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            with trio.fail_after(30):
                assert (await process.stdout.receive_some()).startswith(b"held")
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        with trio.fail_after(RECOVERY):
            async with store.hold(NAME) as hold:
                assert hold.was_interrupted
            async with store.hold(NAME) as hold:
                assert not hold.was_interrupted


async def test_a_hold_that_ran_out_is_worth_nothing(server: RedisServer) -> None:
    """Its holder, who was paused, can neither replace the record of the next one nor give away the hold of that."""
    async with (
        open_store(server.url, hold_seconds=0.1) as slow,
        open_store(server.url) as fast,
        open_store(server.url) as third,
        AsyncExitStack() as stack,
    ):
        old = await stack.enter_async_context(slow.hold(NAME))
        async with fast.hold(NAME) as new:
            assert (old.was_interrupted, new.was_interrupted) == (False, True)
            await fast.write(new, build_record(1, "fast"))
            with pytest.raises(StaleRecordError):
                await slow.write(old, build_record(1, "slow"))
            await stack.aclose()
            with trio.move_on_after(0.2):
                async with third.hold(NAME):
                    pytest.fail("two have it")
        assert await slow.read(NAME) == build_record(1, "fast")


async def test_a_hold_that_is_cancelled_is_free_at_once(server: RedisServer) -> None:
    """Whether it was had or still waited for."""
    async with open_store(server.url) as one, open_store(server.url) as two:
        with trio.move_on_after(0.05):
            async with one.hold(NAME):
                with trio.move_on_after(0.02):
                    async with two.hold(NAME):
                        pytest.fail("two have it")
                await trio.sleep_forever()
        with trio.fail_after(AT_ONCE):
            async with two.hold(NAME) as hold:
                assert not hold.was_interrupted


async def test_a_hold_that_came_too_late_is_given_back(server: RedisServer) -> None:
    """The server heard of it after the call was given up; it is not left to run out."""
    async with open_store(server.url, call_seconds=CALL_SECONDS) as one, open_store(server.url) as two:
        server.pause()
        with pytest.raises(StateError):
            async with one.hold(NAME):
                pytest.fail("a stalled server gave a hold")
        server.resume()
        with trio.fail_after(RECOVERY):
            await one.wait_change(is_up=False)
            async with two.hold(NAME) as hold:
                assert not hold.was_interrupted


async def test_a_hold_that_could_not_be_given_back_is_given_back_later(server: RedisServer) -> None:
    """The one who had it takes it again without waiting, and then the others."""
    async with open_store(server.url, call_seconds=CALL_SECONDS) as one, open_store(server.url) as two:
        async with one.hold(NAME):
            server.pause()
        server.resume()
        with trio.fail_after(RECOVERY):
            await one.wait_change(is_up=False)
            async with one.hold(NAME) as hold:
                assert not hold.was_interrupted
            async with two.hold(NAME) as hold:
                assert not hold.was_interrupted


async def test_a_hold_in_the_name_of_this_process_is_taken_over(server: RedisServer) -> None:
    """A process asks for one hold of a credential at a time: another one of its own is the fruit of a lost call."""
    async with open_store(server.url) as store, open_link(server.url) as link:
        await link.call("return redis.call('SET', KEYS[1], ARGV[1])", [f"kiro2api:{{{NAME}}}:hold"], f"{store._name}99")
        with trio.fail_after(PATIENCE):
            async with store.hold(NAME) as hold:
                assert not hold.was_interrupted


async def test_only_a_newer_record_is_written(server: RedisServer) -> None:
    """What is read is what was written, by whichever replica."""
    hold = Hold(credential_id=NAME)
    async with open_store(server.url) as one, open_store(server.url) as two:
        assert await one.read(NAME) is None
        await one.write(hold, build_record(9))
        for generation in (8, 9):
            with pytest.raises(StaleRecordError):
                await two.write(hold, build_record(generation, "late"))
        assert await two.read(NAME) == build_record(9)
        await two.write(hold, build_record(10))
        assert await one.read(NAME) == build_record(10)
        assert await one.read("fedcba9876543210") is None


async def test_a_record_of_another_key_does_not_keep_ours_out(server: RedisServer) -> None:
    """It is none to us, said to be in the way, and replaced whatever its generation, but only itself."""
    hold = Hold(credential_id=NAME)
    async with open_store(server.url, key="old") as old, open_store(server.url, key="new") as new:
        await old.write(hold, build_record(9))
        assert await new.read(NAME) is None
        assert "sealed with another key" in new.trouble
        await old.write(hold, build_record(10))
        with pytest.raises(StaleRecordError):
            await new.write(hold, build_record(1))
        assert await new.read(NAME) is None
        await new.write(hold, build_record(1))
        assert (await new.read(NAME), new.trouble) == (build_record(1), "")


async def test_notes_are_merged(server: RedisServer) -> None:
    """The longest cooldowns that are not over, all uses, the newest quota; for ever is a time too."""
    one_told = Notes(cooldowns={"a": NOW + 9, "b": NOW + 1, "over": NOW}, uses=3, quota_left=5.5, quota_checked_at=NOW)
    two_told = Notes(cooldowns={"a": NOW + 2, "b": NOW + 7.25, "c": math.inf}, uses=4, quota_left=1, quota_checked_at=1)
    async with open_store(server.url) as one, open_store(server.url) as two:
        assert await one.exchange_notes(NAME, Notes()) == Notes()
        await one.exchange_notes(NAME, one_told)
        known = await two.exchange_notes(NAME, two_told)
        assert known == await one.exchange_notes(NAME, Notes())
        newest = Notes(quota_left=0.0, quota_resets_at=NOW + 99, quota_checked_at=NOW + 1)
        later = await two.exchange_notes(NAME, newest)
    cooldowns = {"a": NOW + 9, "b": NOW + 7.25, "c": math.inf}
    assert known == Notes(cooldowns=cooldowns, uses=7, quota_left=5.5, quota_checked_at=NOW)
    assert later == replace(newest, cooldowns=cooldowns, uses=7)


async def test_what_stands_where_notes_should_is_an_error(server: RedisServer) -> None:
    """Not a crash, and not an end of the connection."""
    async with open_store(server.url) as store, open_link(server.url) as link:
        await link.call("return redis.call('HSET', KEYS[1], 'uses', 'x')", [f"kiro2api:{{{NAME}}}:notes"])
        with pytest.raises(StateError, match="cannot reach"):
            await store.exchange_notes(NAME, Notes())
        assert store.is_up


async def test_calls_that_are_given_up_disturb_nobody(server: RedisServer) -> None:
    """Fifty at a time, at all moments of a call; there is still one connection, and it answers all others."""

    async def give_up(store: RedisStore, number: int) -> None:
        with trio.move_on_after(number / 5000):
            while True:
                await store.exchange_notes(NAME, Notes())

    async def persist(store: RedisStore) -> None:
        for _ in range(100):
            assert await store.read(NAME) == build_record(1)

    async with open_store(server.url) as store, open_link(server.url) as link:
        await store.write(Hold(credential_id=NAME), build_record(1))
        for _ in range(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(persist, store)
                for number in range(50):
                    nursery.start_soon(give_up, store, number)
        clients = await link.call("return redis.call('INFO', 'clients')", [])
        assert isinstance(clients, bytes)
        assert b"connected_clients:2\r\n" in clients
        assert store.is_up


@pytest.mark.parametrize("outage", ["stopped", "killed", "stalled"])
async def test_an_outage_costs_one_call(server: RedisServer, outage: str) -> None:
    """The first call fails in time, the later ones at once; when the server is back, so is the store, by itself."""
    async with open_store(server.url, call_seconds=CALL_SECONDS) as store:
        await store.write(Hold(credential_id=NAME), build_record(5))
        match outage:
            case "stopped":
                await server.stop()
            case "killed":
                await server.kill()
            case _:
                server.pause()
        with pytest.raises(StateError):
            await within(CALL_LIMIT, partial(store.read, NAME))
        await fail_within(AT_ONCE, store)
        assert "cannot be used" in store.trouble
        if outage == "stalled":
            server.resume()
        else:
            await server.start()
        with trio.fail_after(RECOVERY):
            await store.wait_change(is_up=False)
        # The others have come back empty.
        assert await store.read(NAME) == (build_record(5) if outage == "stalled" else None)
        assert store.trouble == ""


async def test_all_calls_of_a_stalled_server_end_in_time(server: RedisServer) -> None:
    """Those that were under way when the first one failed too."""
    ended: list[float] = []

    async def read(store: RedisStore) -> None:
        with pytest.raises(StateError):
            await store.read(NAME)
        ended.append(trio.current_time())

    async with open_store(server.url, call_seconds=CALL_SECONDS) as store:
        server.pause()
        begun = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(read, store)
        assert max(ended) - begun < CALL_LIMIT


async def test_a_server_that_was_restarted_is_used_on(server: RedisServer) -> None:
    """Between two calls nobody needs to know."""
    async with open_store(server.url) as store:
        await server.stop()
        await server.start()
        assert await store.read(NAME) is None
        assert store.is_up


async def test_a_connection_that_nobody_uses_is_looked_after(server: RedisServer) -> None:
    """Its end is noticed without a call."""
    async with open_link(server.url, check_seconds=0.05) as link:
        await trio.sleep(0.2)
        assert link.is_up
        await server.kill()
        with trio.fail_after(RECOVERY):
            await link.wait_change(is_up=True)


async def test_a_server_that_comes_up_later_is_used_then(tmp_path: Path) -> None:
    """The start does not wait for it; until then every call fails at once."""
    async with redis_server(tmp_path) as server:
        await server.stop()
        async with open_store(server.url) as store:
            await fail_within(AT_ONCE, store)
            await server.start()
            with trio.fail_after(RECOVERY):
                await store.wait_change(is_up=False)
            assert await store.read(NAME) is None


async def test_a_store_that_does_not_run_fails_at_once(server: RedisServer) -> None:
    """Before it runs and after; it can run again."""
    store = RedisStore(server.url, Seal("key"))
    await fail_within(AT_ONCE, store)
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            assert await store.read(NAME) is None
            nursery.cancel_scope.cancel("one run is over")
        await fail_within(AT_ONCE, store)
    await store.aclose()


@pytest.mark.parametrize("arguments", [("--maxmemory", "1"), ("--replicaof", "127.0.0.1", "1")])
async def test_a_server_that_cannot_write_counts_as_down(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Full, or a replica: that it answers is not enough."""
    async with redis_server(tmp_path, *arguments) as server, open_store(server.url) as store:
        assert "cannot be used" in store.trouble
        await fail_within(AT_ONCE, store)


async def test_nothing_that_is_stored_is_secret(server: RedisServer) -> None:
    """In no key, and in no value, while it is held and afterwards."""
    async with open_store(server.url) as store, open_link(server.url) as link:
        async with store.hold(NAME) as hold:
            await store.write(hold, build_record(1))
            await store.exchange_notes(NAME, Notes(cooldowns={"rate_limited": NOW + 9}, uses=1, quota_left=1.0))
            found = await dump(link)
        found += await dump(link)
    assert {key.rpartition(b":")[2] for key in found[::2]} == {b"hold", b"begun", b"record", b"notes", b"probe"}
    assert not [value for value in found if b"secret" in value]


@pytest.mark.parametrize("password", ["wrong-secret", "p@ss/secret"])
async def test_a_password_is_told_to_the_server_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, password: str
) -> None:
    """No error, no log line and no repr holds it, or the address; one with any character works."""
    caplog.set_level(logging.DEBUG)
    async with redis_server(tmp_path, "--requirepass", "p@ss/secret") as server:
        url = f"redis://:{quote(password, safe='')}@127.0.0.1:{server.port}"
        async with open_store(url) as store:
            assert store.is_up == (password == "p@ss/secret")
            await server.stop()
            with pytest.raises(StateError) as caught:
                await store.read(NAME)
            said = "".join([store.trouble, repr(store), caplog.text, *traceback.format_exception(caught.value)])
    assert not [word for word in ("secret", str(server.port), "127.0.0.1") if word in said]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$x\r\n", b"+OK\r\n"])
async def test_what_is_no_redis_server_is_trouble(caplog: pytest.LogCaptureFixture, answer: bytes) -> None:
    """Whatever it answers; the library's own words about it, which name the address, are not logged."""
    caplog.set_level(logging.DEBUG)

    async def respond(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        if answer:
            await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, respond, 0, host="127.0.0.1"))
        async with open_store(f"redis://127.0.0.1:{listener.socket.getsockname()[1]}") as store:
            assert "cannot be used" in store.trouble
        nursery.cancel_scope.cancel("the test is over")
    assert [record for record in caplog.records if record.name == "coredis"] == []


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_tls(tmp_path: Path, *, is_trusted: bool) -> None:
    """The server's name has to be certified by somebody who is trusted."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    (authority if is_trusted else trustme.CA()).cert_pem.write_to_path(tmp_path / "trusted.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    port = find_free_port()
    files = ["--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem", "--tls-auth-clients", "no"]
    url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path / 'trusted.pem'}"
    async with redis_server(tmp_path, "--tls-port", str(port), *files), open_store(url) as store:
        assert store.trouble.rpartition(": ")[2] == ("" if is_trusted else "SSLCertVerificationError")


async def test_authorities_that_cannot_be_read_are_trouble(tmp_path: Path) -> None:
    """As any other reason why there is no connection."""
    async with open_store(f"rediss://127.0.0.1?ssl_ca_certs={tmp_path / 'missing.pem'}") as store:
        assert store.trouble.endswith(": FileNotFoundError")


async def test_two_replicas_go_on_without_the_server_and_find_together_again(server: RedisServer) -> None:
    """What one refreshed alone is read by the other afterwards, though the server has come back with nothing."""
    async with trio.open_nursery() as nursery:
        one, two = (
            ReplicatedStore(
                MemoryStore(), RedisStore(server.url, Seal("key"), draw=lambda: 0.0), replicas=2, log=_ignore
            )
            for _ in range(2)
        )
        for store in (one, two):
            await nursery.start(store.run)
        async with one.hold(NAME) as hold:
            assert hold.is_exclusive
            await one.write(hold, build_record(1))
        assert await two.read(NAME) == build_record(1)
        await server.kill()
        async with one.hold(NAME) as hold:
            assert not hold.is_exclusive
            await one.write(hold, build_record(2))
        assert (await one.read(NAME), bool(one.trouble)) == (build_record(2), True)
        await server.start()
        with trio.fail_after(RECOVERY):
            while await two.read(NAME) != build_record(2):  # noqa: ASYNC110 - the other replica says nothing
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel("the test is over")


def _ignore(_level: int, _event: str, /, **_fields: object) -> None:
    """Keeps no log."""


async def within[T](limit: float, call: Callable[[], Awaitable[T]]) -> T:
    """What ``call`` returns or raises, by itself, in less than ``limit`` seconds."""
    begun = trio.current_time()
    try:
        return await call()
    finally:
        assert trio.current_time() - begun < limit


@asynccontextmanager
async def open_link(url: str, *, check_seconds: float = 5.0) -> AsyncIterator[RedisLink]:
    """Calls any script."""
    async with trio.open_nursery() as nursery:
        link = RedisLink(parse_redis_url(url), call_seconds=PATIENCE, check_seconds=check_seconds)
        await nursery.start(link.run)
        yield link
        nursery.cancel_scope.cancel("the test is over")


async def dump(link: RedisLink) -> list[bytes]:
    """All keys, each followed by the server's own form of its value."""
    script = """
    local all = {}
    for _, key in ipairs(redis.call('KEYS', '*')) do
      all[#all + 1] = key
      all[#all + 1] = redis.call('DUMP', key)
    end
    return all
    """
    found = await link.call(script, [])
    assert isinstance(found, list)
    return found
