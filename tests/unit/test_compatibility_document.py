"""The page about what is emulated names what the code does."""

import re
from pathlib import Path

from kiro2api.protocol.kiro.repairs import Repair

_PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")

_OF_DIALECTS = frozenset(
    {
        "apply_patch_as_function",
        "corrected_document_type",
        "corrected_image_type",
        "custom_tool_as_function",
        "dropped_tool:hosted_shell",
        "duplicate_tool",
        "ignored:audio",
        "ignored:logprobs",
        "ignored:max_tool_calls",
        "ignored:output_config.format",
        "ignored:output_format",
        "ignored:prediction",
        "ignored:response_format",
        "ignored:sampling",
        "ignored:temperature",
        "ignored:thinking.between_tools",
        "ignored:tool_choice",
        "ignored:top_k",
        "ignored:top_p",
        "ignored:truncation",
        "ignored:verbosity",
        "ignored:web_search_options",
        "local_shell_as_function",
        "pdf_as_text",
        "reencoded_image",
        "replaced_surrogates",
        "shell_as_function",
    }
)
"""Given before the request gets here."""


def test_each_repair_is_explained() -> None:
    """The last column of the tables, and the list of sizes, have every name that the builder gives."""
    cells = [line.split(" | ")[-1] for line in _PAGE.splitlines() if line.count(" | ") == 2]
    sizes = re.findall(r"^\| `([a-z_]+)` \| ", _PAGE, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"`([a-z_:.]+)`", cell)} | {*sizes, "dropped_billing_line"}
    expected = {repair.value for repair in Repair}
    assert named - _OF_DIALECTS == expected
    assert named >= _OF_DIALECTS
