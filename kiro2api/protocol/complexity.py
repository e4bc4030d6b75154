"""Simple or complex: the class of a request, which sets how long the upstream may be silent over it.

A request is complex as soon as one criterion is met; the limits are the original kiro2api's. A wrong
class makes a hung upstream noticed later or a slow answer given up early, so guesses go to complex.
"""

import enum
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from kiro2api.protocol.conversation import Conversation, Text, Thinking, ToolResult, UserTurn

MAX_SIMPLE_OUTPUT_TOKENS: Final = 4000
MAX_SIMPLE_CONTENT_CHARS: Final = 10_000
"""Over all turns; tool inputs and images do not count."""
MAX_SIMPLE_SYSTEM_CHARS: Final = 2000
MAX_SEARCHED_CHARS: Final = MAX_SIMPLE_CONTENT_CHARS
"""How much of the last user text is searched for keywords; a longer text is complex anyway."""

_CHINESE_KEYWORDS: Final = (
    "分析",
    "详细",
    "总结",
    "归纳",
    "全面",
    "深入",
    "代码审查",
    "审查代码",
    "重构",
    "优化",
)
_ENGLISH_KEYWORDS: Final = (
    r"analy[sz](?:e[sd]?|ing)",
    r"analys[ei]s",
    r"detailed",
    r"in (?:full |great |more )?detail",
    r"in[ -]depth",
    r"comprehensive(?:ly)?",
    r"thorough(?:ly)?",
    r"summar(?:y|i[sz]e[sd]?|i[sz]ing)",
    r"code[ -]review",
    r"review (?:(?:my|the|this) )?code",
    r"refactor(?:s|ed|ing)?",
    r"optimi[sz](?:e[sd]?|ing|ation)",
)
_KEYWORD: Final = re.compile(
    rf"{'|'.join(_CHINESE_KEYWORDS)}|(?<![a-z0-9_])(?:{'|'.join(_ENGLISH_KEYWORDS)})(?![a-z0-9_])"
)
"""English words end at anything but an ASCII letter, digit or underscore: Chinese sets no spaces."""


class Complexity(enum.Enum):
    """How much time a request may take."""

    SIMPLE = "simple"
    COMPLEX = "complex"


def analyse_complexity(conversation: Conversation) -> Complexity:
    """The class of a request, by the first criterion that is met."""
    is_complex = any(criterion(conversation) for criterion in _CRITERIA)
    return Complexity.COMPLEX if is_complex else Complexity.SIMPLE


def _has_large_output(conversation: Conversation) -> bool:
    return (conversation.max_tokens or 0) > MAX_SIMPLE_OUTPUT_TOKENS


def _has_tools(conversation: Conversation) -> bool:
    return bool(conversation.tools)


def _has_long_system(conversation: Conversation) -> bool:
    return sum(map(len, conversation.system)) > MAX_SIMPLE_SYSTEM_CHARS


def _has_long_content(conversation: Conversation) -> bool:
    return any(chars > MAX_SIMPLE_CONTENT_CHARS for chars in accumulate(map(len, _iterate_texts(conversation))))


def _has_keyword(conversation: Conversation) -> bool:
    text = _select_last_user_text(conversation)[:MAX_SEARCHED_CHARS]
    return _KEYWORD.search(text.lower()) is not None


_CRITERIA: Final = (
    _has_large_output,
    _has_tools,
    _has_long_system,
    _has_long_content,
    _has_keyword,
)
"""What makes a request complex, the cheapest first."""


def _iterate_texts(conversation: Conversation) -> Iterator[str]:
    for turn in conversation.turns:
        for block in turn.blocks:
            match block:
                case Text(text=text) | Thinking(text=text):
                    yield text
                case ToolResult(content=content):
                    yield from (part.text for part in content if isinstance(part, Text))
                case _:
                    pass


def _select_last_user_text(conversation: Conversation) -> str:
    """The text blocks of the last user turn that has any, a line each."""
    for turn in reversed(conversation.turns):
        if isinstance(turn, UserTurn):
            texts = [block.text for block in turn.blocks if isinstance(block, Text)]
            if texts:
                return "\n".join(texts)
    return ""
