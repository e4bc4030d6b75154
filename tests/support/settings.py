"""Settings of a test's own, which know nothing of the machine's environment."""

from pathlib import Path

import pytest

from kiro2api.config import ConfigurationError, Fault, Settings, load_settings

type Environ = dict[str, str]


def load(environ: Environ, dotenv: Path | None = None, *, require_credentials: bool = False) -> Settings:
    """The settings that ``environ`` and ``dotenv`` make."""
    return load_settings(environ, dotenv=dotenv, require_credentials=require_credentials)


def list_faults(environ: Environ, dotenv: Path | None = None, *, require_credentials: bool = False) -> list[Fault]:
    """What is wrong with them."""
    with pytest.raises(ConfigurationError) as caught:
        load(environ, dotenv, require_credentials=require_credentials)
    return list(caught.value.faults)
