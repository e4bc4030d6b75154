"""Reasoning that a model writes between tags into its text, told apart from the text.

Models without native reasoning can be asked to think between ``<thinking>`` and ``</thinking>``. These tags count:

- An opening one at the beginning of a line, and at the beginning of the answer or of what follows a tool use or a
  thinking block, where white space before it does not matter.
- A closing one that is followed by a blank line, by the end of the text or by a tool use, and that is not quoted: not
  in a code fence, not between backticks on its line, not right behind a quotation mark that opens.

A line break after the opening tag, the blank line after the closing one and white space alone between two blocks belong
to nobody. Thinking that is never closed is thinking. All other tags are words.
"""

import re
from dataclasses import replace
from typing import Final

from kiro2api.protocol.kiro.events import AssistantText, Failed, Reasoning, ToolUseFragment, UpstreamEvent

_OPENING: Final = "<thinking>"
_CLOSING: Final = "</thinking>"
_SPACE: Final = " \t\r\n"
_BLANK_LINE: Final = re.compile(r"[ \t\r]*\n[ \t\r]*\n")
_FENCE: Final = "```"


class InlineThinking:
    """Upstream events in and out: text between tags becomes reasoning, everything else stays as it is.

    What may be the beginning of a tag is held back until it is decided. Once the upstream has sent reasoning of its
    own, text is text.
    """

    def __init__(self) -> None:
        self._splitter = _Splitter()
        self._is_native = False

    def receive_event(self, event: UpstreamEvent) -> list[UpstreamEvent]:
        """``event``, or what its text is made of; text that was held back comes before it where it ends there."""
        match event:
            case AssistantText() if not self._is_native:
                return self._splitter.receive_text(event.text)
            case Reasoning():
                self._is_native = True
                return [*self._splitter.receive_end(), event]
            case ToolUseFragment() | Failed():
                return [*self._splitter.receive_end(), event]
            case _:
                return [event]

    def receive_eof(self) -> list[UpstreamEvent]:
        """What was held back, now that nothing follows."""
        return self._splitter.receive_end()


class _Splitter:
    """One text after another, each cut into what is said and what is thought."""

    def __init__(self) -> None:
        self._held = ""
        self._is_thinking = False
        self._is_blank = True
        """Whether nothing but white space has come since the text, or what follows a thinking block, began."""
        self._follows_thinking = False
        self._is_line_start = True
        """Of text: whether what is held begins a line."""
        self._is_opened = False
        """Of thinking: whether the opening tag was the last thing that came."""
        self._quotes = _Quotes()
        self._events: list[UpstreamEvent] = []

    def receive_text(self, text: str) -> list[UpstreamEvent]:
        """What is certain now."""
        self._advance(self._held + text, is_end=False)
        return self._take_events()

    def receive_end(self) -> list[UpstreamEvent]:
        """The rest of the text; another one may follow."""
        self._advance(self._held, is_end=True)
        self._is_thinking, self._is_blank, self._is_line_start = False, True, True
        self._follows_thinking = False
        return self._take_events()

    def _take_events(self) -> list[UpstreamEvent]:
        events, self._events = self._events, []
        return events

    def _advance(self, data: str, *, is_end: bool) -> None:
        self._held = ""
        rest: str | None = data
        while rest is not None:
            if self._is_thinking:
                rest = self._think(rest, is_end=is_end)
            elif self._is_blank:
                rest = self._begin(rest, is_end=is_end)
            else:
                rest = self._speak(rest, is_end=is_end)

    def _begin(self, data: str, *, is_end: bool) -> str | None:
        """Reads text of which nothing has been said; returns what is left to read, ``None`` when that has to wait."""
        body = data.lstrip(_SPACE)
        if body.startswith(_OPENING):
            return self._open(body)
        if is_end and not body and self._follows_thinking:
            return None
        if not is_end and _OPENING.startswith(body):
            self._held = data
            return None
        self._is_blank = False
        self._is_line_start = False  # a tag there would have been found above
        return data

    def _speak(self, data: str, *, is_end: bool) -> str | None:
        """Reads text, as :meth:`_begin` does."""
        start = 0 if self._is_line_start and data.startswith(_OPENING) else data.find("\n" + _OPENING) + 1
        if start or (self._is_line_start and data.startswith(_OPENING)):
            self._say(data[:start])
            return self._open(data[start:])
        last_line = data.rfind("\n") + 1
        tail = data[last_line:]
        may_open = bool(last_line or self._is_line_start) and _OPENING.startswith(tail)
        if may_open and not is_end:
            data, self._held = data[:last_line], tail
        self._say(data)
        self._is_line_start = may_open
        return None

    def _open(self, data: str) -> str:
        self._is_thinking = self._is_opened = True
        self._quotes = _Quotes()
        return data[len(_OPENING) :]

    def _think(self, data: str, *, is_end: bool) -> str | None:
        """Reads thinking, as :meth:`_begin` does text."""
        if self._is_opened and data:
            self._is_opened = False
            data = data.removeprefix("\n")
        at = data.find(_CLOSING)
        if at < 0:
            keep = 0 if is_end else _measure_beginning(data, _CLOSING)
            self._muse(data[: len(data) - keep])
            self._held = data[len(data) - keep :]
            return None
        self._muse(data[:at])
        after = data[at + len(_CLOSING) :]
        blank_line = _BLANK_LINE.match(after)
        is_last = not after.strip(_SPACE)
        if not self._quotes.is_open and (blank_line or (is_last and is_end)):
            self._is_thinking, self._is_blank, self._follows_thinking = False, True, True
            return after[blank_line.end() :] if blank_line else ""
        if not self._quotes.is_open and is_last:
            self._held = data[at:]
            return None
        self._muse(_CLOSING)
        return after

    def _say(self, text: str) -> None:
        if text:
            self._events.append(AssistantText(text=text))

    def _muse(self, text: str) -> None:
        """Thinks ``text``, in one event with what was thought just before."""
        self._quotes.receive_text(text)
        if not text:
            return
        last = self._events[-1] if self._events else None
        if isinstance(last, Reasoning):
            self._events[-1] = replace(last, text=last.text + text)
        else:
            self._events.append(Reasoning(text=text))


class _Quotes:
    """Whether a text ends inside a quotation, as far as that tells a tag that is quoted from one that is meant.

    A quotation mark counts only where a tag would stand right behind it, so that an inch or an apostrophe in the
    middle of a sentence does not hide the tag at its end.
    """

    def __init__(self) -> None:
        self._is_fenced = False
        self._begin_line()

    def _begin_line(self) -> None:
        self._head = self._tail = ""
        self._backticks = self._marks = 0

    def receive_text(self, text: str) -> None:
        """More of the text."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._extend_line(line)
            self._is_fenced ^= self._head == _FENCE
            self._begin_line()
        self._extend_line(rest)

    def _extend_line(self, text: str) -> None:
        self._head = (self._head + text if self._head else text.lstrip(" \t"))[: len(_FENCE)]
        self._tail = (self._tail + text[-2:])[-2:]
        self._backticks += text.count("`")
        self._marks += text.count('"')

    @property
    def is_open(self) -> bool:
        """Whether what comes next is quoted."""
        if self._head == _FENCE:
            return not self._is_fenced
        if self._is_fenced or self._backticks % 2:
            return True
        before, last = self._tail[:-1], self._tail[-1:]
        return (last == '"' and self._marks % 2 == 1) or (last == "'" and not before.isalnum())


def _measure_beginning(text: str, tag: str) -> int:
    """The length of the longest end of ``text`` that begins ``tag``."""
    longest = min(len(text), len(tag) - 1)
    return next((size for size in range(longest, 0, -1) if tag.startswith(text[-size:])), 0)
