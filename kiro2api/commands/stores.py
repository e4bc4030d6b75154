"""The store of states, as a command works with it."""

from collections.abc import Mapping

import trio

from kiro2api.auth.state.memory import MemoryStore
from kiro2api.config import Settings, locate_state
from kiro2api.provision import Supply


async def start_store(supply: Supply, nursery: trio.Nursery) -> None:
    """Starts what has to run for the store, and returns when that is up, or known to be down."""
    for _, task in supply.tasks:
        nursery.start_soon(task)
    if supply.ready is not None:
        await supply.ready.wait()


def describe_store(settings: Settings, supply: Supply, environ: Mapping[str, str]) -> str:
    """Where states are kept, for people."""
    if isinstance(supply.store, MemoryStore):
        return "the configuration alone, since states are kept in the memory of the proxy"
    directory = locate_state(settings, environ).directory
    return "the Redis of STATE_URL" if directory is None else f"the state store in {directory}"
