"""The store in memory, beside what ``test_store`` says of all."""

from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.record import Notes
from tests.unit.auth.state.test_record import build_record


async def test_nothing_outlives_it() -> None:
    """Another store knows nothing of this one."""
    store = MemoryStore()
    async with store.hold("a") as hold:
        await store.write(hold, build_record())
    await store.exchange_notes("a", Notes(uses=1))

    other = MemoryStore()
    assert (await other.read("a"), await other.exchange_notes("a", Notes())) == (None, Notes())


async def test_cooldowns_end_by_its_clock() -> None:
    """They are dropped when they are over."""
    now = 10.0
    store = MemoryStore(wall=lambda: now)
    first = await store.exchange_notes("a", Notes(cooldowns={"rate_limited": 20.0}))
    now = 20.0

    assert first.cooldowns == {"rate_limited": 20.0}
    assert await store.exchange_notes("a", Notes()) == Notes()
