"""Where the states of the credentials are kept, by the settings and the environment alone: no disk is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from kiro2api.config.addresses import REDIS_SCHEMES
from kiro2api.config.settings import Settings

FOLDER = "kiro2api"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatePlace:
    """Where states are kept."""

    kind: Literal["memory", "file", "redis"]
    directory: Path | None = None
    """Of the kind ``file``, absolute."""
    reason: str
    """Why there, for people."""


def locate_state(settings: Settings, environ: Mapping[str, str]) -> StatePlace:
    """The place that ``STATE_URL`` names, else the user's folder for states, else memory.

    Relative folders in the environment are passed over, as the XDG specification wants it.
    """
    if settings.state_url is not None:
        url = urlsplit(settings.state_url.get_secret_value())
        if url.scheme in REDIS_SCHEMES:
            return StatePlace(kind="redis", reason="STATE_URL is set")
        if url.scheme == "file":
            return StatePlace(kind="file", directory=Path(unquote(url.path)), reason="STATE_URL is set")
        return StatePlace(kind="memory", reason="STATE_URL is memory:")
    for name, below in (("XDG_STATE_HOME", FOLDER), ("HOME", f".local/state/{FOLDER}")):
        folder = Path(environ.get(name, "").strip())
        if folder.is_absolute():
            return StatePlace(kind="file", directory=folder / below, reason=f"STATE_URL is not set, and {name} is")
    return StatePlace(kind="memory", reason="neither STATE_URL nor XDG_STATE_HOME nor HOME is set to an absolute place")
