"""What an address of a Redis server says, and what it must not say."""

import sys

import pytest
import trio

from kiro2api.auth.state.redis_link import RedisAddress, RedisUrlError, parse_redis_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://cache.test", RedisAddress(host="cache.test")),
        ("redis://cache.test:7000/3", RedisAddress(host="cache.test", port=7000, database=3)),
        ("redis://[::1]:7000/", RedisAddress(host="::1", port=7000)),
        ("redis://:p%40ss%2F@h", RedisAddress(host="h", password="p@ss/")),
        ("redis://me:secret@h", RedisAddress(host="h", username="me", password="secret")),
        ("rediss://h", RedisAddress(host="h", is_encrypted=True)),
        ("rediss://h?ssl_ca_certs=%2Fca.pem", RedisAddress(host="h", is_encrypted=True, ca_file="/ca.pem")),
    ],
)
def test_an_address_is_read(url: str, address: RedisAddress) -> None:
    """User and password may hold any character, escaped."""
    assert parse_redis_url(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "redis://",
        "redis://:secret@",
        "http://me:secret@h",
        "redis://me:secret@h:port",
        "redis://me:secret@h:99999",
        "redis://me:secret@h/name",
        "redis://me:secret@h#fragment",
        "redis://me:secret@h?noreply=1",
        "redis://me:secret@h?noreply",
        "redis://me:secret@h?ssl_ca_certs=/ca.pem",
        "redis://me:secret@[h",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Without repeating it, neither in the error nor in what led to it."""
    with pytest.raises(RedisUrlError) as caught:
        parse_redis_url(url)
    assert "secret" not in repr(caught.value) + caught.value.detail
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_address_does_not_show_itself() -> None:
    """It holds a password, and the name of a machine."""
    shown = repr(parse_redis_url("redis://me:secret@cache.test"))
    assert not [word for word in ("me:", "secret", "cache.test") if word in shown]


async def test_the_library_is_not_loaded_without_need() -> None:
    """It takes a third of a second and 16 MiB, also of those who have no Redis."""
    code = "import sys, kiro2api.auth.state.redis; sys.exit('coredis' in sys.modules)"
    await trio.run_process([sys.executable, "-c", code])
