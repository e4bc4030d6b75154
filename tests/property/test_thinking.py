"""The parser of inline thinking agrees with a reading of the whole text, wherever that is cut."""

import itertools
import re
from collections.abc import Iterable

from hypothesis import example, given
from hypothesis import strategies as st

from kiro2api.protocol.kiro.events import AssistantText, Reasoning, ToolUseFragment, UpstreamEvent
from kiro2api.protocol.turn.thinking import InlineThinking

OPEN, CLOSE = "<thinking>", "</thinking>"
ENOUGH = re.compile(r"[ \t\r]*(\n[ \t\r]*\n|\n?[ \t\r]*\Z)")
PIECES = [
    OPEN,
    CLOSE,
    "<think",
    "</thin",
    "ing>",
    "<",
    "\n",
    "\n\n",
    " ",
    "\t",
    "\r\n",
    "a",
    "漢",
    "`",
    "```",
    '"',
    "'",
    "is",
]

USE = ToolUseFragment(tool_use_id="t", name="read", input="{}", stop=True)
NATIVE = Reasoning(text="hm", signature="c2ln")

type Part = tuple[type[AssistantText | Reasoning], str]


def texts() -> st.SearchStrategy[str]:
    """Texts in which tags, blank lines and quotes meet often."""
    whole = st.tuples(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.sampled_from(PIECES), max_size=6))
    often = whole.map(lambda halves: f"{OPEN}{''.join(halves[0])}{CLOSE}\n\n{''.join(halves[1])}")
    return often | st.lists(st.sampled_from(PIECES), max_size=16).map("".join)


def is_quoted(thought: str) -> bool:
    """Whether a tag behind ``thought`` is quoted, read line by line from the beginning."""
    *lines, last = thought.split("\n")
    is_fenced = sum(line.lstrip(" \t").startswith("```") for line in lines) % 2 == 1
    if last.lstrip(" \t").startswith("```"):
        return not is_fenced
    if is_fenced or last.count("`") % 2 == 1:
        return True
    if last.endswith('"'):
        return last.count('"') % 2 == 1
    return last.endswith("'") and not last[-2:-1].isalnum()


def split(text: str) -> list[Part]:
    """What is said and what is thought in all of ``text``."""
    parts: list[Part] = []
    begin = 0
    while True:
        starts = (at.start() for at in re.finditer(OPEN, text[begin:]))
        found = next(
            (at for at in starts if not text[begin : begin + at].strip(" \t\r\n") or text[begin + at - 1] == "\n"), None
        )
        said = text[begin:] if found is None else text[begin : begin + found]
        is_nothing = not said.strip(" \t\r\n") and (found is not None or bool(parts) or begin)
        parts += [] if is_nothing else [(AssistantText, said)]
        if found is None:
            return parts
        begin += found + len(OPEN)
        begin += text[begin : begin + 1] == "\n"
        ends = (at for at in re.finditer(CLOSE, text[begin:]) if not is_quoted(text[begin : begin + at.start()]))
        end = next((at for at in ends if ENOUGH.match(text, begin + at.end())), None)
        parts.append((Reasoning, text[begin:] if end is None else text[begin : begin + end.start()]))
        if end is None:
            return parts
        blank = re.compile(r"[ \t\r]*\n[ \t\r]*\n").match(text, begin + end.end())
        begin = blank.end() if blank else len(text)


def join(parts: Iterable[Part]) -> list[Part]:
    """Neighbours of one kind as one, empty ones left out."""
    joined: list[Part] = []
    for kind, text in parts:
        if joined and joined[-1][0] is kind:
            joined[-1] = (kind, joined[-1][1] + text)
        elif text:
            joined.append((kind, text))
    return joined


def parse(pieces: Iterable[str]) -> list[Part]:
    """What the parser makes of ``pieces`` and the end."""
    thinking = InlineThinking()
    events = [event for piece in pieces for event in say(thinking, piece)]
    return list_parts([*events, *thinking.receive_eof()])


def say(thinking: InlineThinking, text: str) -> list[UpstreamEvent]:
    """What comes of a piece of text."""
    return thinking.receive_event(AssistantText(text=text))


def list_parts(events: Iterable[UpstreamEvent]) -> list[Part]:
    """What is said and thought in ``events``."""
    return [(type(event), event.text) for event in events if isinstance(event, AssistantText | Reasoning)]


def cut(text: str, ends: Iterable[int]) -> list[str]:
    """``text`` in pieces that end at ``ends``, which rise from 0 to its length or beyond."""
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


@given(texts())
@example("")
@example(f' \n{OPEN}\nI say "yes"{CLOSE}\n\n\n{OPEN}b{CLOSE}\n')
def test_one_cut_anywhere(text: str) -> None:
    """Two pieces say what the whole does, for every place of the cut."""
    expected = join(split(text))
    for at in range(len(text) + 1):
        assert join(parse([text[:at], text[at:]])) == expected


@given(texts(), st.integers(1, 3), st.lists(st.integers(0, 120), max_size=8))
def test_many_cuts(text: str, size: int, places: list[int]) -> None:
    """Pieces of a few characters, and of any sizes, say what the whole does, and no piece is empty."""
    ends = sorted({0, len(text), *(place for place in places if place < len(text))})
    expected = join(split(text))
    for pieces in (cut(text, range(0, len(text) + size, size)), cut(text, ends)):
        parts = parse(pieces)
        assert join(parts) == expected
        assert all(part for _, part in parts)


@given(st.lists(texts(), max_size=4), st.integers(1, 60))
def test_a_tool_use_ends_what_stands_before_it(stretches: list[str], size: int) -> None:
    """What is said and thought between two tool uses is read by itself, whether or not a tag is open there."""
    thinking = InlineThinking()
    events: list[UpstreamEvent] = []
    for stretch in stretches:
        for piece in cut(stretch, range(0, len(stretch) + size, size)):
            events += say(thinking, piece)
        events += thinking.receive_event(USE)
    told = [list(group) for is_use, group in itertools.groupby(events, key=lambda event: event == USE) if not is_use]
    expected = [parts for stretch in stretches if (parts := join(split(stretch)))]
    assert [join(list_parts(group)) for group in told] == expected
    assert events.count(USE) == len(stretches)


@given(texts(), texts(), st.integers(1, 60))
def test_behind_reasoning_of_its_own_text_is_text(before: str, after: str, size: int) -> None:
    """Whoever reasons natively has no need of tags: what looks like one is a word."""
    thinking = InlineThinking()
    events = [
        *say(thinking, before),
        *thinking.receive_event(NATIVE),
        *(out for piece in cut(after, range(0, len(after) + size, size)) for out in say(thinking, piece)),
        *thinking.receive_eof(),
    ]
    at = events.index(NATIVE)
    assert join(list_parts(events[:at])) == join(split(before))
    assert "".join(text for _, text in list_parts(events[at + 1 :])) == after
    assert {kind for kind, _ in list_parts(events[at + 1 :])} <= {AssistantText}
