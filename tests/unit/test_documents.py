"""The documents say about every setting what the code says."""

from pathlib import Path

import pytest

from kiro2api.config import Variable, list_variables

_ROOT = Path(__file__).parents[2]


def _read_lines(name: str) -> list[str]:
    return (_ROOT / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("variable", list_variables(), ids=lambda variable: variable.name)
def test_env_example_has_the_variable(variable: Variable) -> None:
    """``.env.example`` has each variable with its default, commented out, below its meaning."""
    lines = _read_lines(".env.example")

    place = lines.index(f"#{variable.name}={variable.default}")

    assert lines[place - 1] == f"# {variable.meaning}"


def test_env_example_sets_nothing_and_invents_nothing() -> None:
    """``.env.example`` can be copied as it is: it has the known variables only, none of them in force."""
    lines = _read_lines(".env.example")

    assignments = [line.removeprefix("#").partition("=")[0] for line in lines if "=" in line and line[1:2] != " "]

    assert assignments == [variable.name for variable in list_variables()]
    assert all(not line or line.startswith("#") for line in lines)


@pytest.mark.parametrize("variable", list_variables(), ids=lambda variable: variable.name)
def test_readme_has_the_variable(variable: Variable) -> None:
    """The README's table has one row for each variable, with its default in the second column."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in _read_lines("README.md")]

    found = [row for row in rows if row and row[0] == f"`{variable.name}`"]

    assert [row[1] for row in found] == [f"`{variable.default}`" if variable.default else "none"]
