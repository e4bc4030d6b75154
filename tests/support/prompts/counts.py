"""The true counts of the prompts, as ``benchmarks/count_prompts.py`` has written them down."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kiro2api.protocol.conversation import Conversation
from tests.support.prompts.conversations import TOOL_INSTRUCTIONS_TOKENS, build_conversations, write_out
from tests.support.prompts.texts import build_texts

COUNTS_FILE = Path(__file__).with_name("counts.json")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Something to be counted."""

    name: str
    content: str | Conversation

    @property
    def text(self) -> str:
        """What a vocabulary counts."""
        return self.content if isinstance(self.content, str) else write_out(self.content)

    @property
    def untold_tokens(self) -> int:
        """What comes to the text's tokens."""
        has_tools = isinstance(self.content, Conversation) and bool(self.content.tools)
        return TOOL_INSTRUCTIONS_TOKENS if has_tools else 0


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Model tokens of a prompt."""

    sha256: str
    """Of the text that was counted."""
    claude: int
    """By the last vocabulary that Anthropic has published."""
    o200k: int
    """By OpenAI's."""


def list_prompts() -> tuple[Prompt, ...]:
    """The texts and the conversations, in the order of the table."""
    texts = build_texts()
    contents: dict[str, str | Conversation] = {**texts, **build_conversations(texts)}
    return tuple(Prompt(name=name, content=content) for name, content in contents.items())


def describe_prompt(prompt: Prompt, *, claude: int, o200k: int) -> Counts:
    """The counts of ``prompt`` when the vocabularies find so many tokens in its text."""
    return Counts(
        sha256=hashlib.sha256(prompt.text.encode()).hexdigest(),
        claude=claude + prompt.untold_tokens,
        o200k=o200k + prompt.untold_tokens,
    )


def read_counts() -> dict[str, Counts]:
    """The counts by the prompts' names."""
    return msgspec.json.decode(COUNTS_FILE.read_bytes(), type=dict[str, Counts])
