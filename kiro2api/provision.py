"""From the settings to the credentials, the store of their states and the broker that hands them out."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import trio

from kiro2api.auth.broker import CredentialBroker
from kiro2api.auth.clocks import Clocks
from kiro2api.auth.credentials import Credential
from kiro2api.auth.files import SharedFiles
from kiro2api.auth.pool import ChoiceRule
from kiro2api.auth.refresh import RefreshEndpoints
from kiro2api.auth.sources import Loaded, SourceSpec, SourceText, load_credentials
from kiro2api.auth.state.directory import StateDirectoryError
from kiro2api.auth.state.files import open_file_store
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.replicated import ReplicatedStore
from kiro2api.auth.state.sealing import Seal
from kiro2api.auth.state.store import StateError, StateStore
from kiro2api.auth.survey import Surveyor
from kiro2api.auth.watch import CredentialWatcher
from kiro2api.auth.wire import Wire
from kiro2api.config import Settings, locate_state
from kiro2api.supervision import Health, Log

HOLD_FACTOR = 3
"""A hold on a credential lasts so many times as long as a refresh may take: it must not end before its refresh."""
MIN_HOLD_SECONDS = 30.0
HOLD_SLACK_SECONDS = 15.0
"""By which those who wait for a hold outlast a dead holder's."""

type Task = tuple[str, Callable[..., Awaitable[None]]]
"""A name, and what is to run under it; tells ``task_status``, if it is given one, when it is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """The credentials of a process, and where their states are kept."""

    loaded: Loaded
    load: Callable[[], Loaded] | None = None
    """Reads the credentials anew; blocks. ``None`` if they cannot change."""
    store: StateStore = field(default_factory=MemoryStore)
    """To be closed by whoever has the supply."""
    tasks: tuple[Task, ...] = ()
    """What has to run for the store, longer than anything that may write to it."""
    ready: trio.Event | None = None
    """Set by those tasks when the store is up, or known to be down: nothing should be refreshed before that."""
    warnings: tuple[str, ...] = ()
    """What the operator should be told at the start."""

    @classmethod
    def of(cls, credentials: tuple[Credential, ...]) -> "Supply":
        """A supply that never changes, and whose states end with the process."""
        return cls(loaded=Loaded(credentials=credentials))


def build_source_spec(settings: Settings, environ: Mapping[str, str]) -> SourceSpec:
    """Where the settings say that credentials are."""

    def find(variable: str) -> SourceText | None:
        secret = getattr(settings, variable.lower())
        if secret is None:
            return None
        return SourceText(variable=variable, text=secret.get_secret_value(), path=settings.secret_files.get(variable))

    data_home = environ.get("XDG_DATA_HOME", "")
    return SourceSpec(
        refresh_tokens=find("AWS_REFRESHTOKEN"),
        auth_token=find("KIRO_AUTH_TOKEN"),
        api_keys=find("KIRO_API_KEY"),
        token_file=settings.kiro_token_file,
        cli_store=settings.kiro_cli_store,
        home=Path(environ.get("HOME") or "/"),
        data_home=Path(data_home) if data_home else None,
    )


def open_supply(settings: Settings, environ: Mapping[str, str], *, log: Log) -> Supply:
    """The credentials and the store that the settings name.

    Raises:
        CredentialSourceError: The credentials cannot be read.
        StateDirectoryError: The directory that ``STATE_URL`` names cannot keep secrets.
        StateError: It cannot be read or written.
    """
    load = partial(load_credentials, build_source_spec(settings, environ))
    loaded = load()
    place = locate_state(settings, environ)
    key = None if settings.state_key is None else settings.state_key.get_secret_value()
    if place.kind != "redis":
        store, warnings = _open_local(place.directory, key, place.reason, is_chosen=settings.state_url is not None)
        return Supply(loaded=loaded, load=load, store=store, warnings=warnings)
    # While the shared store is down, this machine goes on with one of its own.
    beside = locate_state(settings.model_copy(update={"state_url": None}), environ)
    local, warnings = _open_local(beside.directory, key, beside.reason, is_chosen=False)
    replicated = _open_redis(settings, local, log=log)
    ready = trio.Event()

    async def run_store(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(replicated.run)
            ready.set()
            task_status.started()

    return Supply(
        loaded=loaded,
        load=load,
        store=replicated,
        tasks=(("state store", run_store),),
        ready=ready,
        warnings=warnings,
    )


def build_broker(
    settings: Settings, supply: Supply, *, client: httpx.AsyncClient, log: Log, health: Health
) -> tuple[CredentialBroker, tuple[Task, ...]]:
    """The broker, and the tasks that have to run beside it; those of the store are not among them."""
    clocks = Clocks()
    endpoints = RefreshEndpoints(social=settings.kiro_refresh_url, oidc=settings.kiro_oidc_url)
    wire = Wire(client, endpoints=endpoints, refresh_seconds=settings.kiro_refresh_timeout)
    surveyor = Surveyor(
        wire,
        wall=clocks.wall,
        control_url=settings.kiro_control_url,
        pause=settings.limits_interval,
        uses_builder_id_profile=settings.kiro_builder_id_profile,
    )
    files = SharedFiles()
    broker = CredentialBroker(
        supply.loaded.credentials,
        wire=wire,
        log=log,
        store=supply.store,
        surveyor=surveyor,
        files=files,
        health=health,
        clocks=clocks,
        rule=ChoiceRule(settings.credential_choice),
        api_region=settings.kiro_api_region,
        has_replicas=settings.replicas > 1,
        hold_patience=_find_hold_seconds(settings) + HOLD_SLACK_SECONDS,
    )
    if supply.load is None or not supply.loaded.watched:
        return broker, ()
    watcher = CredentialWatcher(supply.loaded, load=supply.load, apply=broker.replace, log=log)
    files.on_change = watcher.expect
    return broker, (("credential files", watcher.run),)


def _open_local(
    directory: Path | None, key: str | None, reason: str, *, is_chosen: bool
) -> tuple[StateStore, tuple[str, ...]]:
    """The store of this machine; what cannot be opened, and was not asked for by name, is replaced by memory."""
    if directory is None:
        if is_chosen:
            return MemoryStore(), ()
        return MemoryStore(), (_describe_memory(reason),)
    try:
        return open_file_store(directory, key), ()
    except (StateDirectoryError, StateError) as error:
        if is_chosen:
            raise
        return MemoryStore(), (_describe_memory(f"{error.message} {error.detail}".strip().removesuffix(".")),)


def _describe_memory(reason: str) -> str:
    return f"Rotated refresh tokens are kept in memory only and are lost with the process ({reason}). Set STATE_URL."


def _open_redis(settings: Settings, local: StateStore, *, log: Log) -> ReplicatedStore:
    # Only here: it takes a while to import, and few need it.
    from kiro2api.auth.state.redis import RedisStore  # noqa: PLC0415

    url, key = settings.state_url, settings.state_key
    if url is None or key is None:
        raise ValueError("a shared store needs STATE_URL and STATE_KEY")
    hold_seconds = _find_hold_seconds(settings)
    shared = RedisStore(url.get_secret_value(), Seal(key.get_secret_value()), hold_seconds=hold_seconds)
    return ReplicatedStore(local, shared, replicas=settings.replicas, log=log)


def _find_hold_seconds(settings: Settings) -> float:
    return max(MIN_HOLD_SECONDS, HOLD_FACTOR * settings.kiro_refresh_timeout)
