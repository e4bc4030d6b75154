"""Where the programs of this machine keep their logins."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kiro2api.auth.credentials import SharedFileKind
from kiro2api.auth.sources.cli_store import list_watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file in which some program keeps its login, if the program is used on this machine."""

    program: str
    kind: SharedFileKind
    path: Path

    @property
    def watched(self) -> tuple[Path, ...]:
        """The files that change when the login does, as far as the place alone tells."""
        return list_watched(self.path) if self.kind is SharedFileKind.CLI_STORE else (self.path,)


def list_places(home: Path, *, data_home: Path | None = None) -> tuple[Place, ...]:
    """Every place known, whether or not there is anything.

    Args:
        home: The user's home.
        data_home: What ``XDG_DATA_HOME`` says.
    """
    folders = (data_home or home / ".local/share", home / "Library/Application Support")
    return (
        Place(
            program="the Kiro IDE",
            kind=SharedFileKind.IDE_TOKEN,
            path=home / ".aws/sso/cache/kiro-auth-token.json",
        ),
        *(
            Place(program=program, kind=SharedFileKind.CLI_STORE, path=folder / name / "data.sqlite3")
            for program, name in (("kiro-cli", "kiro-cli"), ("the Amazon Q CLI", "amazon-q"))
            for folder in folders
        ),
    )


def find_data_home(environ: Mapping[str, str]) -> Path | None:
    """What ``XDG_DATA_HOME`` says; a relative path counts as unset, as the XDG specification has it."""
    value = environ.get("XDG_DATA_HOME", "")
    return Path(value) if value.startswith("/") else None


def find_local_credentials(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The files of :func:`list_places` that exist."""
    return tuple(place.path for place in _list_found(home, find_data_home(environ)))


def describe_local_credentials(home: Path, *, data_home: Path | None = None) -> str:
    """What there is to use, and how; empty if there is nothing."""
    found = [f"a login of {place.program} at {place.path}" for place in _list_found(home, data_home)]
    return f"found {' and '.join(found)}; set KIRO_AUTH_TOKEN=auto to use it" if found else ""


def _list_found(home: Path, data_home: Path | None) -> list[Place]:
    return [place for place in list_places(home, data_home=data_home) if place.path.exists()]
