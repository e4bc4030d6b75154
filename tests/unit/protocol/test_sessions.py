"""Keys of conversations."""

import dataclasses
import json
import time
from pathlib import Path

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.conversation import Conversation, Tool
from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.protocol.sessions import (
    KEY_LENGTH,
    MAX_HASHED_CHARS,
    SESSION_HEADERS,
    build_session_key,
    build_thread_key,
)
from tests.support.conversations import assistant, picture, result, user

RECORDINGS = Path(__file__).parents[4] / "shared" / "recordings"
READ = Tool(name="Read", description="", input_schema={})
BASE = Conversation(model="m", turns=(user("Hello"), assistant("Hi")), system=("Be brief.",), tools=(READ,))


def _key(**changes: object) -> str:
    return build_session_key(dataclasses.replace(BASE, **changes), {})  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize("name", SESSION_HEADERS)
def test_a_client_s_own_name_for_its_session_decides(name: str) -> None:
    """In whatever header or in the body: whatever else the request has."""
    key = build_session_key(BASE, {name: " s1 ", "user-agent": "x"})
    assert build_session_key(dataclasses.replace(BASE, turns=(user("Bye"),)), {name: "s1"}) == key
    assert build_session_key(dataclasses.replace(BASE, session_id="s1"), {name: " "}) == key
    assert build_session_key(dataclasses.replace(BASE, session_id="s2"), {name: "s1"}) == key
    assert build_session_key(BASE, {name: "s2"}) != key


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "claude-haiku-4-5"},
        {"max_tokens": 7},
        {"turns": (*BASE.turns, user("And?"))},
        {"turns": (assistant("Hi"), *BASE.turns)},
        {"tools": (Tool(name="Read", description="Reads.", input_schema={"type": "object"}),)},
    ],
)
def test_what_may_change_within_a_conversation_changes_no_key(changes: dict[str, object]) -> None:
    """Models, limits, later turns, descriptions."""
    assert _key(**changes) == _key()


@pytest.mark.parametrize(
    "changes",
    [
        {"turns": (user("Hello!"),)},
        {"turns": (user("Hel", "lo"),)},
        {"turns": (user("Hello", picture(1)),)},
        {"turns": (user(result("toolu_1", "Hello")),)},
        {"turns": (assistant("Hello"),)},
        {"turns": ()},
        {"system": ("Be", "brief.")},
        {"system": ()},
        {"tools": ()},
        {"system": (), "tools": (Tool(name="Be brief.", description="", input_schema={}), READ)},
    ],
)
def test_another_beginning_is_another_conversation(changes: dict[str, object]) -> None:
    """Also when the same words are cut or placed differently."""
    assert _key(**changes) != _key()


@pytest.mark.parametrize("place", ["{}", "{}\n", "Before.\n{}\nAfter.", "Before.\n{}"])
def test_a_line_that_varies_does_not_count(place: str) -> None:
    """Claude Code's attribution differs from request to request."""
    lines = [f"x-anthropic-billing-header: cc_version=2.1.330.{suffix};" for suffix in ("c4f", "1a2")]
    first, second = (_key(system=(place.format(line), "Be brief.")) for line in lines)
    assert first == second
    assert _key(system=("He wrote x-anthropic-billing-header: 1",)) != _key(
        system=("He wrote x-anthropic-billing-header: 2",)
    )


@pytest.mark.parametrize("where", [0, -1])
def test_a_long_text_counts_by_its_ends_and_its_length(where: int) -> None:
    """A change at either end tells conversations apart."""
    text = ["a"] * (2 * MAX_HASHED_CHARS)
    plain, longer = _key(system=("".join(text),)), _key(system=("".join(text) + "a",))
    text[where] = "b"
    assert len({plain, longer, _key(system=("".join(text),))}) == 3


def test_a_key_shows_nothing() -> None:
    """It has hexadecimal digits alone; single surrogates are no obstacle."""
    key = build_session_key(BASE, {"x-session-id": "secret \ud800"})
    assert len(key) == KEY_LENGTH
    assert int(key, 16)


def test_a_long_prompt_is_cheap() -> None:
    """The best of many measurements: this machine may be busy."""
    conversation = dataclasses.replace(BASE, system=("Some line of a prompt.\n" * 4500, "x" * 100_000))
    best = min(_measure(conversation) for _ in range(100))
    assert best < 0.001


def _measure(conversation: Conversation) -> float:
    began = time.perf_counter()
    build_session_key(conversation, {})
    return time.perf_counter() - began


MESSAGES = sorted(RECORDINGS.glob("*/*/*-POST-v1-messages.json"))
CHATS = sorted(RECORDINGS.glob("*/*/*-POST-v1-chat-completions.json"))


def _read_key(path: Path) -> tuple[str, str]:
    """The keys of a recorded request: by its beginning, and by the client's own name for its session."""
    recording = json.loads(path.read_text("utf-8"))
    body = recording["body"]
    body["tools"] = [tool for tool in body.get("tools") or [] if not next(iter(tool)).startswith("\u2026")]
    data = json.dumps(body).encode()
    request = parse_messages_request(data) if path in MESSAGES else parse_chat_request(data)
    headers = {name.lower(): value for name, value in recording["headers"]}
    unnamed = dataclasses.replace(request.conversation, session_id=None)
    return build_session_key(unnamed, {}), build_session_key(request.conversation, headers)


@pytest.mark.skipif(not MESSAGES, reason="the recorded requests are not here")
@pytest.mark.parametrize(
    "folder",
    [
        "claude-code-2.1.330/bash_tool",
        "claude-code-2.1.330/parallel_tools",
        "claude-code-2.1.330/read_image",
        "cline-3/anthropic.run_commands",
        "cline-3/openai-compatible.run_commands",
        "anthropic-python-2/tool_loop",
        "openai-python-3/chat_tool_loop",
    ],
)
def test_recorded_turns_of_one_conversation_have_one_key(folder: str) -> None:
    """By the client's own name for it, and without that too."""
    paths = [path for path in (*MESSAGES, *CHATS) if path.is_relative_to(RECORDINGS / folder)]
    derived, named = zip(*map(_read_key, paths), strict=True)
    assert len(paths) >= 2
    assert (len(set(derived)), len(set(named))) == (1, 1)


def test_agents_of_a_session_have_their_own_threads() -> None:
    """The session and what the conversation begins with make the key of a thread; later turns change nothing."""
    named = {"x-session-id": "s1"}
    key = build_thread_key(BASE, named)
    longer = dataclasses.replace(BASE, turns=(*BASE.turns, user("And?")), model="other")
    assert build_thread_key(longer, named) == build_thread_key(BASE, {"session-id": "s1"}) == key
    assert build_thread_key(dataclasses.replace(BASE, session_id="s1"), {}) == key
    others = {
        build_thread_key(dataclasses.replace(BASE, system=("You search.",)), named),
        build_thread_key(dataclasses.replace(BASE, turns=(user("Search."),)), named),
        build_thread_key(BASE, {"x-session-id": "s2"}),
        build_thread_key(BASE, {}),
        build_session_key(BASE, named),
    }
    assert (len(others), key in others, len(key)) == (5, False, KEY_LENGTH)
