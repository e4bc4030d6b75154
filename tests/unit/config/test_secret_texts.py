"""Tests of kiro2api.config.secret_texts."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from kiro2api.config import SecretFileError, list_secrets, read_secret_file, take_secrets
from kiro2api.config.secret_texts import MAX_SECRET_BYTES, SECRET_VARIABLES
from tests.support.settings import list_faults, load

SECRET = "correct-horse-battery-staple"
VALUES = dict.fromkeys(SECRET_VARIABLES, SECRET) | {"STATE_URL": "redis://:correct@store", "STATE_KEY": SECRET * 2}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file with a secret."""
    path = tmp_path / "secret"
    path.write_text(SECRET, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SECRET_VARIABLES)
@pytest.mark.parametrize("is_in_dotenv", [False, True])
def test_a_file_stands_for_its_variable(name: str, is_in_dotenv: bool, tmp_path: Path) -> None:  # noqa: FBT001  a case
    """Its text, without white space at the ends, is the value; where it was read is known, the rest is as ever."""
    path = tmp_path / "secret"
    path.write_text(f"\ufeff \n{VALUES[name]}\r\n\n", encoding="utf-8")
    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{name}_FILE={path}\n" if is_in_dotenv else "", encoding="utf-8")
    environ = {} if is_in_dotenv else {f"{name}_FILE": f" {path} "}
    key = {"STATE_KEY": SECRET} if name == "STATE_URL" else {}

    settings = load(environ | key, dotenv)

    assert getattr(settings, name.lower()) == SecretStr(VALUES[name])
    assert settings.secret_files == {name: path}
    assert load(key).secret_files == {}


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_a_variable_and_its_file_are_a_fault(name: str, path: Path) -> None:
    """Nobody can tell which one was meant."""
    (fault,) = list_faults({"STATE_KEY": SECRET, name: VALUES[name], f"{name}_FILE": str(path)})

    assert fault == (f"{name}_FILE", f"{name} is set as well", "Take one of the two away")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "the file cannot be read (No such file or directory)"),
        (b"", "the file is empty"),
        (b"\xef\xbb\xbf \n", "the file is empty"),
        (b"\xffsecret", "the file is no UTF-8 text"),
        (b"s" * (MAX_SECRET_BYTES + 1), "the file is larger than 1 MiB"),
    ],
    ids=["missing", "empty", "blank", "binary", "huge"],
)
def test_a_file_that_cannot_be_used(data: bytes | None, problem: str, tmp_path: Path) -> None:
    """One fault that says why, and neither the path nor what is in it; the variable is not missing as well."""
    path = tmp_path / "horse"
    if data is not None:
        path.write_bytes(data)

    faults = list_faults({"HOST": "192.0.2.1", "KIRO_CLIENT_TOKEN_FILE": str(path)})

    assert faults == [("KIRO_CLIENT_TOKEN_FILE", problem, "Set it to a file with the value of KIRO_CLIENT_TOKEN")]


def test_the_largest_file(path: Path) -> None:
    """One of the limit's size is read."""
    path.write_bytes(b"s" * MAX_SECRET_BYTES)

    assert len(read_secret_file(path)) == MAX_SECRET_BYTES


@pytest.mark.parametrize("name", ["/", "a\0b"])
def test_no_file(name: str) -> None:
    """A folder, and what no path can be, are refused like a file that cannot be read."""
    with pytest.raises(SecretFileError):
        read_secret_file(Path(name))


def test_take_secrets() -> None:
    """The variables that hold secrets are gone from the environment, those of older versions too, and handed over."""
    secrets = {"AWS_REFRESHTOKEN": "a", "STATE_URL": "b", "STATE_KEY": "", "IDC_CLIENT_SECRET": "c"}
    others = {"PATH": "/bin", "KIRO_API_KEY_FILE": "/run/secrets/key", "KIRO_TOKEN_FILE": "/a"}
    environ = secrets | others

    assert take_secrets(environ) == secrets
    assert environ == others
    assert take_secrets(environ) == {}


def test_list_secrets() -> None:
    """Keys, passwords as they are written and as they are meant, and the entries of lists, each once."""
    settings = load(
        {
            "AWS_REFRESHTOKEN": "refresh-1, refresh-2,",
            "KIRO_API_KEY": "ksk_1",
            "KIRO_CLIENT_TOKEN": "client",
            "KIRO_ADMIN_TOKEN": "admin",
            "STATE_URL": "redis://me:p%40ss@store",
            "STATE_KEY": SECRET,
        }
    )

    expected = ("client", "admin", SECRET, "refresh-1", "refresh-2", "ksk_1", "p%40ss", "p@ss")
    assert list_secrets(settings) == expected


@pytest.mark.parametrize("url", ["", "memory:", "file:/a", "redis://store"])
def test_nothing_to_hide(url: str) -> None:
    """The published key is no secret, and a URL need not have a password."""
    assert list_secrets(load({"STATE_URL": url, "STATE_KEY": SECRET})) == (SECRET,)
