"""Profiles of the property tests; ``HYPOTHESIS_PROFILE`` chooses one, else ``ci`` where CI is set, else ``dev``."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Shared and measured machines are slow at times: neither an example's duration nor a slow draw is a failure.
_SLOW = [HealthCheck.too_slow]

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "ci", max_examples=30, deadline=None, suppress_health_check=_SLOW, derandomize=True, print_blob=True
)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(autouse=True)
def no_certificates(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    """Spares each proxy of a test the loading of all certificates, which takes longer than most of the tests."""
    monkeypatch.setenv("SSL_CERT_DIR", str(empty_folder))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
