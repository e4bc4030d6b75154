"""What ``docs/credentials.md`` shows is what the program takes and says."""

import itertools
import re
import shlex

import pytest

from kiro2api.auth.pool import Standing
from kiro2api.auth.sources import parse_auth_entries
from kiro2api.cli import build_parser
from kiro2api.config import list_variables
from kiro2api.config.secret_texts import SECRET_VARIABLES
from tests.support.readme import read_blocks, read_readme

NAME = "docs/credentials.md"
BLOCKS = read_blocks(NAME)
COMMANDS = [line for block in BLOCKS if block.language == "bash" for line in block.text.splitlines()]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("kiro2api ")])
def test_a_command_is_one_of_the_program(command: str) -> None:
    """Its arguments are understood."""
    assert build_parser().parse_args(shlex.split(command)[1:]).command


def test_the_json_of_credentials_can_be_used() -> None:
    """As it is shown, with a secret in the place of each ellipsis; what is disabled is left out."""
    [text] = [block.text for block in BLOCKS if block.language == "json"]

    numbers = itertools.count()
    credentials = parse_auth_entries(re.sub("…", lambda _: f"secret-{next(numbers)}", text)).credentials

    assert [(credential.label, credential.kind) for credential in credentials] == [
        ("private", "social"),
        ("work", "idc"),
        ("external-idp-1", "external-idp"),
    ]


def test_every_state_is_explained() -> None:
    """One row for each, by the word that is shown."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", read_readme(NAME), re.MULTILINE)

    assert sorted(set(rows) & {standing.value for standing in Standing}) == sorted(s.value for s in Standing)


def test_every_variable_that_is_named_exists() -> None:
    """With those that name a file with another's value."""
    known = {variable.name for variable in list_variables()} | {f"{name}_FILE" for name in SECRET_VARIABLES}
    named = set(re.findall(r"\b(?:AWS|KIRO|STATE|CREDENTIAL)_[A-Z_]+\b", read_readme(NAME)))

    assert named - known == set()
