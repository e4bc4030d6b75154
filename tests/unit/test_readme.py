"""The two READMEs say the same, and about the settings what the code says."""

import pytest

from kiro2api.config import Variable, list_variables
from tests.support.readme import READMES, read_blocks, read_examples, read_heading_levels, read_readme

ENGLISH, CHINESE = READMES
NO_DEFAULT = {ENGLISH: "none", CHINESE: "无"}


def _read_rows(name: str) -> list[list[str]]:
    """The cells of each row of the table of variables."""
    lines = read_readme(name).splitlines()
    names = {f"`{variable.name}`" for variable in list_variables()}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]
    return [row for row in rows if row[0] in names]


def _render_default(variable: Variable, none: str) -> str:
    return f"`{variable.default}`" if variable.default else none


def test_both_readmes_have_the_same_blocks() -> None:
    """Commands, answers, scripts and the picture are the same, in the same order."""
    assert read_blocks(CHINESE) == read_blocks(ENGLISH)


def test_both_readmes_have_the_same_headings() -> None:
    """As many sections, nested in the same way."""
    assert read_heading_levels(CHINESE) == read_heading_levels(ENGLISH)


@pytest.mark.parametrize("name", READMES)
def test_the_table_has_every_variable_with_its_default(name: str) -> None:
    """All of them, in the order of the settings, each with a meaning."""
    rows = _read_rows(name)

    expected = [[f"`{variable.name}`", _render_default(variable, NO_DEFAULT[name])] for variable in list_variables()]

    assert [row[:2] for row in rows] == expected
    assert all(row[2] for row in rows)


def test_the_english_table_has_the_meanings_of_the_settings() -> None:
    """Word for word."""
    assert [row[2] for row in _read_rows(ENGLISH)] == [variable.meaning for variable in list_variables()]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/claude-sonnet-4-6",
        "/healthz",
        "/readyz",
    ],
)
def test_an_endpoint_has_an_example_that_shows_an_answer(path: str) -> None:
    """A command calls it, and something of its answer stands below."""
    examples = [example for example in read_examples(ENGLISH) if example.command.split()[2].endswith(f":8080{path}")]

    assert examples
    assert all(example.fragments for example in examples)
