"""Tests of aliases for tool names and tool use ids."""

import hashlib
import itertools
import re

import pytest

from kiro2api.protocol.kiro.names import ToolNames, ToolUseIds

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")


def digest(seed: str) -> str:
    """The eight digits that end an alias."""
    return hashlib.sha256(seed.encode()).hexdigest()[:8]


@pytest.mark.parametrize("name", ["read_file", "mcp__a-b__c", "1", "-", "n" * 64])
def test_legal_name_stays(name: str) -> None:
    """A name that the upstream takes is its own alias."""
    names = ToolNames([name])
    assert (names.to_upstream(name), names.to_client(name), names.has_aliases()) == (name, name, False)


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("files.read", f"files_read_{digest('files.read')}"),
        ("n" * 65, "n" * 55 + f"_{digest('n' * 65)}"),
        ("天气", f"___{digest('天气')}"),
        ("", f"tool_{digest('')}"),
    ],
)
def test_other_name_gets_its_beginning_and_a_hash(name: str, alias: str) -> None:
    """An alias shows where it comes from, is legal, and maps back."""
    names = ToolNames([name])
    assert (names.to_upstream(name), names.to_client(alias), names.has_aliases()) == (alias, name, True)
    assert LEGAL.fullmatch(alias)


def test_name_with_surrogate_gets_a_legal_alias() -> None:
    """Half a character in a name does not stop the request."""
    assert LEGAL.fullmatch(ToolNames(["\ud800"]).to_upstream("\ud800"))


def test_names_that_differ_in_case_become_different() -> None:
    """The upstream does not tell case: all but one of a group get an alias."""
    names = ToolNames(["read", "Read", "READ"])
    aliases = {name: names.to_upstream(name) for name in ("READ", "Read", "read")}
    assert aliases == {"READ": "READ", "Read": f"Read_{digest('Read')}", "read": f"read_{digest('read')}"}


def test_alias_that_is_a_name_already_is_avoided() -> None:
    """An alias gives way to a tool that really has that name, whatever its case."""
    alias = f"a_b_{digest('a.b')}"
    names = ToolNames(["a.b", alias.upper()])
    assert names.to_upstream(alias.upper()) == alias.upper()
    assert names.to_upstream("a.b") == "a_b_" + digest("a.b\x001")


def test_order_of_declared_tools_does_not_matter() -> None:
    """A client that shuffles its tools keeps their aliases."""
    declared = ["read", "READ", "a.b", "a/b"]
    orders = [[ToolNames(order).to_upstream(name) for name in declared] for order in itertools.permutations(declared)]
    assert all(order == orders[0] for order in orders)


def test_declared_name_goes_before_a_used_one() -> None:
    """A name of the history cannot take a declared tool's name away, and the first used keeps its own."""
    names = ToolNames(["read"], ["READ", "Write", "write"])
    upstream = [names.to_upstream(name) for name in ("read", "READ", "Write", "write")]
    assert upstream == ["read", f"READ_{digest('READ')}", "Write", f"write_{digest('write')}"]


def test_earlier_names_do_not_give_way_to_later_ones() -> None:
    """An alias that was sent once stays, whatever tool a later turn of the conversation uses."""
    alias = ToolNames([], ["a.b"]).to_upstream("a.b")
    names = ToolNames([], ["a.b", alias])
    assert [names.to_upstream("a.b"), names.to_upstream(alias)] == [alias, f"{alias}_{digest(alias)}"]


def test_unknown_names_pass() -> None:
    """A name that was never declared is nobody's alias."""
    names = ToolNames(["a.b"])
    assert (names.to_upstream("c.d"), names.to_client("c.d")) == ("c.d", "c.d")


def test_ids_stay_while_legal_and_new() -> None:
    """A repeated id, or one that differs in case only, gets an alias; so does an illegal one."""
    ids = ToolUseIds()
    given = ["toolu_1", "toolu_1", "TOOLU_1", "call|1", "call|1", "", "toolu_1"]
    assert [ids.assign(name) for name in given] == [
        "toolu_1",
        f"toolu_1_{digest('toolu_1')}",
        f"TOOLU_1_{digest('TOOLU_1')}",
        f"call_1_{digest('call|1')}",
        "call_1_" + digest("call|1\x001"),
        f"tooluse_{digest('')}",
        "toolu_1_" + digest("toolu_1\x001"),
    ]


def test_id_equal_to_an_earlier_alias_gets_one_itself() -> None:
    """No id is handed out twice."""
    ids = ToolUseIds()
    alias = ids.assign("call|A")
    assert ids.assign(alias) == f"{alias}_{digest(alias)}"
