"""The table of faults names tests that exist, and leaves none of the faults of a kind out."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[1]
_ROW = re.compile(r"\| ([A-Z]\d+) \| (.+?) \| (.+) \|")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_NO_TEST = "No test: "

NUMBERS = {
    "C": range(1, 23),
    "B": range(1, 31),
    "D": range(1, 11),
    "P": range(1, 21),
    "U": range(1, 26),
    "S": range(1, 29),
    "T": range(1, 21),
    "A": range(10, 19),
    "R": range(1, 8),
    "W": range(1, 12),
}
"""Of the faults of each kind, and of the checks."""


def _read_rows() -> list[tuple[str, str, str]]:
    lines = (_TESTS / "FAULTS.md").read_text(encoding="utf-8").splitlines()
    found = [_ROW.fullmatch(line) for line in lines if line.startswith("|")]
    return [(row[1], row[2], row[3]) for row in found if row is not None]


@cache
def _list_tests(path: str) -> frozenset[str]:
    """The tests that a file defines."""
    return frozenset(_find_tests(ast.parse((_TESTS / path).read_text(encoding="utf-8"))))


def _find_tests(module: ast.Module) -> Iterator[str]:
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name.startswith("test_"):
            yield statement.name


@pytest.mark.parametrize(("kind", "numbers"), NUMBERS.items())
def test_each_fault_has_one_row(kind: str, numbers: range) -> None:
    """In the order of their numbers, so that a missing one is seen."""
    assert [int(name[1:]) for name, _, _ in _read_rows() if name[0] == kind] == list(numbers)


def test_there_is_no_fault_of_another_kind() -> None:
    """Which nobody would miss if it were taken away."""
    assert {name[0] for name, _, _ in _read_rows()} == set(NUMBERS)


def test_no_line_of_a_table_is_passed_over() -> None:
    """What is neither a row nor the head of a table would be read by nobody."""
    lines = (_TESTS / "FAULTS.md").read_text(encoding="utf-8").splitlines()

    others = {line for line in lines if line.startswith("|") and not _ROW.fullmatch(line)}

    assert others == {"| id | fault | tests |", "| id | check | tests |", "| --- | --- | --- |"}


@pytest.mark.parametrize(("name", "tests"), [pytest.param(row[0], row[2], id=row[0]) for row in _read_rows()])
def test_each_row_names_tests_that_exist_or_a_reason(name: str, tests: str) -> None:
    """A test that is renamed or removed takes its name in the table along."""
    found = _TEST.findall(tests)

    missing = [(path, test) for path, test in found if not (_TESTS / path).is_file() or test not in _list_tests(path)]

    assert missing == [], name
    assert bool(found) is not tests.startswith(_NO_TEST), name
    assert tests.count("::") == len(found), name
