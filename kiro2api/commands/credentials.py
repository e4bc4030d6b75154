"""``kiro2api credentials`` and ``kiro2api credentials test``: how the credentials are, without serving anything."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import trio

from kiro2api.auth.inspection import inspect_credentials
from kiro2api.auth.reports import CredentialView, build_view
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.commands.instance import InstanceError, ask_instance
from kiro2api.commands.rendering import fold, render_json, render_table, render_trial, render_trials, render_view
from kiro2api.commands.stores import describe_store, start_store
from kiro2api.commands.trials import Verdict, risks_loss, try_credentials
from kiro2api.config import EXIT_CONFIG, Settings
from kiro2api.provision import Supply
from kiro2api.supervision import Log

if TYPE_CHECKING:
    from kiro2api.protocol.jsontext import JSONObject

EXIT_UNWELL = 1
"""Some credential could not be refreshed."""

_MEMORY = (
    "The states of the credentials are kept in memory only. A test may bring a new refresh token in the place of the "
    "configured one, and it would be lost with this process: nothing was tested. Set STATE_URL to a folder, or to a "
    "Redis, and let the proxy use the same."
)
_UNKNOWN = "Whether a login is still accepted does not stand there: kiro2api credentials test."


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Where a command speaks, and how."""

    out: TextIO
    err: TextIO
    as_json: bool = False
    wall: Callable[[], float] = time.time
    """Epoch seconds."""


async def show_credentials(settings: Settings, supply: Supply, console: Console, *, environ: Mapping[str, str]) -> int:
    """Prints how the credentials are, by a running proxy's word or else by the store's; returns the exit code."""
    now = console.wall()
    try:
        instance = await ask_instance(settings)
    except InstanceError as error:
        views, trouble = await _inspect(settings, supply, now)
        place = describe_store(settings, supply, environ)
        origin, url = f"As they stand in {place}; {error.message}. {_UNKNOWN}", None
    else:
        views, trouble = instance.view.credentials, instance.view.state_store.trouble
        origin, url = f"As the proxy at {instance.url} sees them.", instance.url
    if console.as_json:
        shown: JSONObject = {
            "instance": url,
            "credentials": [render_view(view) for view in views],
            "state_store": {"trouble": trouble},
        }
        console.out.write(render_json(shown))
        return 0
    console.out.write(f"{fold(origin)}\n\n{render_table(views, now)}{_render_trouble(trouble)}")
    return 0


async def tell_trials(settings: Settings, supply: Supply, console: Console, *, log: Log) -> int:
    """Refreshes every credential once and prints what came of it; returns the exit code."""
    if isinstance(supply.store, MemoryStore) and any(map(risks_loss, supply.loaded.credentials)):
        console.err.write(f"{fold(_MEMORY)}\n")
        return EXIT_CONFIG
    trials, trouble = await try_credentials(settings, supply, log=log, wall=console.wall)
    is_well = all(trial.verdict is not Verdict.FAILED for trial in trials)
    if console.as_json:
        shown: JSONObject = {
            "well": is_well,
            "credentials": [render_trial(trial) for trial in trials],
            "state_store": {"trouble": trouble},
        }
        console.out.write(render_json(shown))
    else:
        console.out.write(f"{render_trials(trials)}{_render_trouble(trouble)}")
    return 0 if is_well else EXIT_UNWELL


async def _inspect(settings: Settings, supply: Supply, now: float) -> tuple[tuple[CredentialView, ...], str]:
    """What the store has of the credentials, and its trouble."""
    views: list[CredentialView] = []
    trouble = ""
    async with trio.open_nursery() as nursery:
        await start_store(supply, nursery)
        reports = await inspect_credentials(
            supply.loaded.credentials, supply.store, now=now, api_region=settings.kiro_api_region
        )
        views += [build_view(report, now) for report in reports]
        trouble = supply.store.trouble  # later there is more of it: the connection ends with its task
        nursery.cancel_scope.cancel("all has been read")
    return tuple(views), trouble


def _render_trouble(trouble: str) -> str:
    return "\n" + fold(f"The state store has trouble: {trouble}.") + "\n" if trouble else ""
