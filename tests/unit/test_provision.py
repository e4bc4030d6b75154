"""From the settings to the credentials, to the store of their states, and to the broker."""

import json
import logging
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import Loaded, SourceSpec, SourceText, parse_refresh_tokens
from kiro2api.auth.state.directory import StateDirectoryError
from kiro2api.auth.state.files import FileStore
from kiro2api.auth.state.memory import MemoryStore
from kiro2api.auth.state.replicated import ReplicatedStore
from kiro2api.auth.state.store import StateError
from kiro2api.provision import Supply, build_broker, build_source_spec, open_supply
from kiro2api.supervision import Health
from tests.support.proxy import NO_CERTIFICATES
from tests.support.redis import find_free_port
from tests.support.settings import Environ, load

TOKENS = {"AWS_REFRESHTOKEN": "refresh-a,refresh-b"}
STATE_KEY = "a-key-for-tests-that-seals"
PATIENCE = 10.0

type Line = tuple[int, str, dict[str, object]]


class Lines:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.kept: list[Line] = []

    def __call__(self, level: int, event: str, /, **fields: object) -> None:
        self.kept.append((level, event, fields))


def open_with(variables: Environ, environ: Environ, lines: Lines | None = None) -> Supply:
    """The supply of settings that ``variables`` make."""
    return open_supply(load(TOKENS | variables), environ, log=lines or Lines())


def find_mode(path: Path) -> int:
    """Who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


def test_no_source() -> None:
    """Nothing is configured, and the home is the root where there is none."""
    assert build_source_spec(load({}), {}) == SourceSpec(home=Path("/"))


def test_every_source(tmp_path: Path) -> None:
    """Each setting in its place; a secret that was read from a file is read from there again."""
    keys = tmp_path / "keys"
    keys.write_text("ksk_one")
    settings = load(
        {
            "AWS_REFRESHTOKEN": "refresh-a",
            "KIRO_AUTH_TOKEN": "auto",
            "KIRO_API_KEY_FILE": str(keys),
            "KIRO_TOKEN_FILE": "/ide.json",
            "KIRO_CLI_STORE": "/cli.sqlite3",
        }
    )
    assert build_source_spec(settings, {"HOME": "/home/me", "XDG_DATA_HOME": "/data"}) == SourceSpec(
        refresh_tokens=SourceText(variable="AWS_REFRESHTOKEN", text="refresh-a"),
        auth_token=SourceText(variable="KIRO_AUTH_TOKEN", text="auto"),
        api_keys=SourceText(variable="KIRO_API_KEY", text="ksk_one", path=keys),
        token_file=Path("/ide.json"),
        cli_store=Path("/cli.sqlite3"),
        home=Path("/home/me"),
        data_home=Path("/data"),
    )


def test_a_supply_of_credentials_alone() -> None:
    """It never changes, and keeps nothing."""
    credentials = parse_refresh_tokens("refresh-a")
    supply = Supply.of(credentials)
    assert (supply.loaded, supply.load, supply.tasks, supply.warnings) == (
        Loaded(credentials=credentials),
        None,
        (),
        (),
    )
    assert isinstance(supply.store, MemoryStore)


@pytest.mark.parametrize(
    ("variables", "environ", "place"),
    [
        ({"STATE_URL": "file:{}/chosen"}, {"HOME": "{}/home"}, "chosen"),
        ({}, {"HOME": "{}/home", "XDG_STATE_HOME": "{}/xdg"}, "xdg/kiro2api"),
        ({}, {"HOME": "{}/home"}, "home/.local/state/kiro2api"),
    ],
)
def test_a_store_in_files(tmp_path: Path, variables: Environ, environ: Environ, place: str) -> None:
    """In the folder that is named, else in the user's; for its owner alone, and with nothing to run."""
    fill = partial(_fill, tmp_path)
    supply = open_with(fill(variables), fill(environ))
    assert isinstance(supply.store, FileStore)
    assert (supply.tasks, supply.ready, supply.warnings) == ((), None, ())
    assert find_mode(tmp_path / place) == 0o700
    assert (tmp_path / place / "seal.key").exists()


def _fill(folder: Path, variables: Environ) -> Environ:
    return {name: value.format(folder) for name, value in variables.items()}


def test_the_operator_s_key_seals(tmp_path: Path) -> None:
    """Then the directory keeps none."""
    open_with({"STATE_URL": f"file:{tmp_path}/state", "STATE_KEY": STATE_KEY}, {})
    assert list((tmp_path / "state").iterdir()) == []


def test_memory_that_was_asked_for(tmp_path: Path) -> None:
    """Nothing to warn of, and nothing on the disk."""
    supply = open_with({"STATE_URL": "memory:"}, {"HOME": str(tmp_path)})
    assert isinstance(supply.store, MemoryStore)
    assert (supply.warnings, list(tmp_path.iterdir())) == ((), [])


def test_memory_for_want_of_a_place() -> None:
    """The warning says why, and what to do."""
    supply = open_with({}, {})
    assert isinstance(supply.store, MemoryStore)
    (warning,) = supply.warnings
    assert "neither STATE_URL nor XDG_STATE_HOME nor HOME is set" in warning
    assert warning.endswith("Set STATE_URL.")


def loosen(directory: Path) -> None:
    """A directory that the group may read."""
    directory.mkdir()
    directory.chmod(0o750)


def empty_key(directory: Path) -> None:
    """One whose own key is gone."""
    directory.mkdir(mode=0o700)
    (directory / "seal.key").touch(mode=0o600)


@pytest.mark.parametrize(
    ("spoil", "kind", "reason"),
    [
        (loosen, StateDirectoryError, "chmod 700 "),
        (Path.touch, StateDirectoryError, "is not a directory"),
        (empty_key, StateError, "seal.key is empty"),
    ],
)
def test_a_directory_that_cannot_be_used(
    tmp_path: Path, spoil: Callable[[Path], None], kind: type[StateDirectoryError | StateError], reason: str
) -> None:
    """One that was asked for is an error; the usual one is replaced by memory, with the same reason in a warning."""
    spoil(tmp_path / "kiro2api")
    with pytest.raises(kind) as caught:
        open_with({"STATE_URL": f"file:{tmp_path}/kiro2api"}, {})
    assert reason in f"{caught.value.message} {caught.value.detail}"
    supply = open_with({}, {"XDG_STATE_HOME": str(tmp_path)})
    assert isinstance(supply.store, MemoryStore)
    (warning,) = supply.warnings
    assert reason in warning


def test_credentials_that_cannot_be_read(tmp_path: Path) -> None:
    """Nothing is made on the disk for their sake."""
    with pytest.raises(CredentialSourceError):
        open_with({"KIRO_AUTH_TOKEN": "[{]"}, {"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_home", [True, False])
async def test_a_redis_has_a_store_of_this_machine_beside_it(tmp_path: Path, *, has_home: bool) -> None:
    """Which is all there is while nobody listens; the process starts nevertheless, and the log says so."""
    lines = Lines()
    address = f"127.0.0.1:{find_free_port()}"
    variables = {"STATE_URL": f"redis://:canary-password@{address}", "STATE_KEY": STATE_KEY, "REPLICAS": "2"}
    supply = open_with(variables, {"XDG_STATE_HOME": str(tmp_path)} if has_home else {}, lines)
    assert isinstance(supply.store, ReplicatedStore)
    assert ((tmp_path / "kiro2api").exists(), len(supply.warnings)) == (has_home, not has_home)
    ((name, task),) = supply.tasks
    assert (name, supply.ready is not None and not supply.ready.is_set()) == ("state store", True)
    async with trio.open_nursery() as nursery:
        with trio.fail_after(PATIENCE):
            await nursery.start(task)
            assert supply.ready is not None
            await supply.ready.wait()
        assert await supply.store.read("0123456789abcdef") is None
        nursery.cancel_scope.cancel("the test is over")
    ((level, event, fields),) = lines.kept
    assert (level, event, fields["replicas"]) == (logging.WARNING, "state_store_down", 2)
    assert "canary" not in str(fields) + supply.store.trouble


def test_a_redis_without_a_key_is_a_defect() -> None:
    """Settings never come like this: nothing would be sealed."""
    settings = load(TOKENS | {"STATE_URL": "redis://127.0.0.1", "STATE_KEY": STATE_KEY})
    with pytest.raises(ValueError, match="STATE_KEY"):
        open_supply(settings.model_copy(update={"state_key": None}), {}, log=Lines())


def list_tasks(supply: Supply, variables: Environ, client: httpx.AsyncClient) -> tuple[list[str], list[str]]:
    """The labels of the broker's credentials, and the names of the tasks beside it."""
    settings = load(TOKENS | variables)
    broker, tasks = build_broker(settings, supply, client=client, log=Lines(), health=Health())
    return [report.label for report in broker.describe()], [name for name, _ in tasks]


async def test_the_broker_of_a_supply(tmp_path: Path) -> None:
    """It has the credentials in their order; files are watched where there are any."""
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps([{"auth": "Social", "refreshToken": "refresh-c", "label": "mine"}]))
    variables = {"KIRO_AUTH_TOKEN": str(path), "STATE_URL": "memory:"}
    async with httpx.AsyncClient(verify=NO_CERTIFICATES) as client:
        plain = open_with({"STATE_URL": "memory:"}, {})
        assert list_tasks(plain, {}, client) == (["social-1", "social-2"], [])
        watched = open_with(variables, {})
        assert list_tasks(watched, variables, client) == (["social-1", "social-2", "mine"], ["credential files"])
        assert list_tasks(Supply(loaded=watched.loaded), variables, client)[1] == []
