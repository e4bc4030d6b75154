"""Packages from npm for tests: installed when their list has changed, into a folder that git ignores.

The folder is ``.node/<name of the list's folder>``. It has a link to the list's folder, so that scripts which are run
by their path below the link, with :data:`KEEP_LINKS`, find the packages.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLDEST_NODE = 20
KEEP_LINKS = ("--preserve-symlinks", "--preserve-symlinks-main")
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
INSTALL_SECONDS = 300


def find_program(name: str) -> str:
    """Its path; skips the test where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name}")
    return path


def find_node() -> str:
    """The path of a Node.js that is new enough; skips the test where there is none."""
    node = find_program("node")
    version = _run(node, "--version", folder=ROOT).strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"Node.js {version} is older than {OLDEST_NODE}")
    return node


def install_packages(manifest: Path) -> Path:
    """Installs what a ``package.json`` lists, unless it is there, and returns the link to its folder.

    Whoever comes at the same time waits. Skips the test where there is no npm.
    """
    npm = find_program("npm")
    folder = ROOT / ".node" / manifest.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "scripts"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = folder / "installed.json"
        if not installed.exists() or installed.read_bytes() != manifest.read_bytes():
            installed.unlink(missing_ok=True)
            shutil.copyfile(manifest, folder / manifest.name)
            _run(npm, *INSTALL, folder=folder)
            shutil.copyfile(manifest, installed)
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(manifest.parent, folder))
    return link


def _run(program: str, *arguments: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  programs that a developer has installed
        [program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=INSTALL_SECONDS,
    )
    assert done.returncode == 0, f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout
