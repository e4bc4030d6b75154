"""The page about what is emulated names what the code does."""

import re
from pathlib import Path

from kiro2api.protocol.kiro.repairs import Repair

_PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")

_OF_DIALECTS = frozenset({"ignored:tool_choice", "duplicate_tool"})
"""Given before the request gets here."""


def test_each_repair_is_explained() -> None:
    """The last column of the tables, and the list of sizes, have every name that the builder gives."""
    cells = [line.split(" | ")[-1] for line in _PAGE.splitlines() if line.count(" | ") == 2]
    sizes = re.findall(r"^\| `([a-z_]+)` \| ", _PAGE, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([a-z_:]+)`", cell)} | {*sizes, "dropped_billing_line"}
    expected = {repair.value for repair in Repair}
    assert named - _OF_DIALECTS == expected
    assert named >= _OF_DIALECTS
