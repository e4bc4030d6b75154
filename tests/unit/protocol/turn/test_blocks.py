"""What the books of a turn say of a tool use's input."""

import pytest

from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.turn.blocks import ToolBlock, is_whole


@pytest.mark.parametrize(
    ("parts", "replacement", "whole"),
    [
        ([], None, True),
        ([], {"a": 1}, True),
        (["{", "}"], None, True),
        (['{"a": "\\ud83d', '\\ude00"}'], None, True),
        (['{"a": "\\ud83d"}'], None, True),
        (['{"a":1}'], {"a": 1}, True),
        (['{"a":1}'], {"a": 2}, False),
        (["{"], None, False),
        (["{}", "{}"], None, False),
        (["null"], None, False),
        (['"a"'], None, False),
        (["[]"], None, False),
        (['{"a":NaN}'], None, False),
        (["[" * 100_000], None, False),
        (['{"a":' * 5000 + '"\\ud83d"' + "}" * 5000], None, False),
    ],
)
def test_is_whole(parts: list[str], replacement: JSONObject | None, *, whole: bool) -> None:
    """Whole is nothing, an object, or its text; where both forms came, they must agree."""
    block = ToolBlock(tool_use_id="A", name="read", parts=parts, replacement=replacement)
    assert is_whole(block) is whole
