"""No secret that the process knows is in a line, however deep it stood; and nothing else is lost."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import structlog
from hypothesis import assume, given
from hypothesis import strategies as st

from kiro2api.loglines import LogFormat, Redactor, build_formatter

HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Where the secret will stand."""

type Fill = Callable[[str], object]
"""Makes a value with the secret in it."""

AROUND = st.text(max_size=5)
SECRETS = st.text(min_size=8, max_size=20).filter(lambda text: "*" not in text)


def _embed(before: str, after: str, shape: int) -> Fill:
    def fill(secret: str) -> object:
        text = before + secret + after
        shapes: tuple[object, ...] = (
            text,
            text.encode("utf-8", "backslashreplace"),
            repr([text]),
            json.dumps({"a": text}),
            {text},
            ValueError(text),
            {text: 1},
            (text, 1),
        )
        return shapes[shape]

    return fill


def _nest(fills: list[Fill]) -> Fill:
    return lambda secret: [fill(secret) for fill in fills]


def _name(fills: dict[str, Fill]) -> Fill:
    return lambda secret: {name: fill(secret) for name, fill in fills.items()}


FILLS = st.recursive(
    st.builds(_embed, AROUND, AROUND, st.integers(0, 7)) | st.just(lambda _secret: 5),
    lambda inner: st.lists(inner, max_size=3).map(_nest) | st.dictionaries(AROUND, inner, max_size=3).map(_name),
    max_leaves=6,
)


class _Lines(logging.Handler):
    def __init__(self, log_format: LogFormat, redactor: Redactor) -> None:
        super().__init__()
        self.setFormatter(build_formatter(log_format, colour=False, redactor=redactor))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def _render(log_format: LogFormat, redactor: Redactor, text: str, value: object) -> str:
    """All lines of some records with ``text`` and ``value``."""
    handler = _Lines(log_format, redactor)
    plain = logging.getLogger("a library of the tests")
    plain.handlers, plain.propagate = [handler], False
    plain.setLevel(logging.INFO)
    logger: Any = structlog.wrap_logger(plain, processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter])
    logger.info("event", field=value)
    logger.info(text)
    plain.info("sent %s", value)
    logger.error("failed", field=value, exc_info=ValueError(text))
    return "\n".join(handler.lines)


@given(secret=SECRETS, fill=FILLS, log_format=st.sampled_from(["json", "text"]))
def test_no_known_secret_is_in_a_line(secret: str, fill: Fill, log_format: LogFormat) -> None:
    """Neither as it is, nor as a renderer escapes it."""
    redactor = Redactor([secret])
    spellings = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    empty = re.sub(r"\d", "0", _render(log_format, redactor, HOLE, fill(HOLE)))
    # Such as eight spaces, which stand in every line.
    assume(not any(spelling in empty for spelling in spellings))

    written = _render(log_format, redactor, f"a {secret} b", fill(secret))

    assert not [spelling for spelling in spellings if spelling in written]


@given(words=st.lists(st.from_regex(r"[a-z0-9]{1,12}[.,:;!?]?", fullmatch=True)), fill=FILLS)
def test_ordinary_words_survive(words: list[str], fill: Fill) -> None:
    """With nothing that is known or looks secret, lines are the same with and without redaction."""
    text = " ".join(words)
    assume(not re.search("bearer|authorization", text))

    assert Redactor(["a-secret-of-this-process"]).redact(text) == text
    assert json.loads(_render("json", Redactor(), text, fill(HOLE)).split("\n")[1])["message"] == text
