"""The READMEs as a reader copies from them: fenced blocks, examples with their answers, headings."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh-CN.md")

_FENCED = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) .+$", re.MULTILINE)
_LEFT_OUT = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block."""

    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A command and what the README shows of its answer."""

    place: str
    """File and heading, which stand for the example in a test's name."""
    command: str
    fragments: tuple[str, ...]
    """Parts of the answer, in its order."""

    def find_missing(self, answer: str) -> str | None:
        """The first part that ``answer`` does not have behind the parts before; ``None`` if all are there."""
        start = 0
        for fragment in self.fragments:
            found = answer.find(fragment, start)
            if found < 0:
                return fragment
            start = found + len(fragment)
        return None


def read_readme(name: str) -> str:
    """The whole text."""
    return (ROOT / name).read_text(encoding="utf-8")


def read_blocks(name: str) -> list[Block]:
    """The fenced blocks in their order."""
    return [Block(language=found["language"], text=found["text"]) for found in _FENCED.finditer(read_readme(name))]


def read_heading_levels(name: str) -> list[int]:
    """The level of each heading in their order."""
    return [len(found[1]) for found in _HEADING.finditer(_FENCED.sub("", read_readme(name)))]


def read_examples(name: str) -> list[Example]:
    """Every ``bash`` block that contains curl, with the block behind it, which has to be ``text``."""
    document = read_readme(name)
    blocks = list(_FENCED.finditer(document))
    examples = []
    for block, answer in zip(blocks, [*blocks[1:], None], strict=True):
        if block["language"] == "bash" and "curl" in block["text"]:
            heading = list(_HEADING.finditer(document, 0, block.start()))[-1][0].lstrip("# ")
            place = f"{name}: {heading}"
            if answer is None or answer["language"] != "text" or document[block.end() : answer.start()].strip():
                raise ValueError(f"{place}: no answer is shown right below the command")
            examples.append(Example(place=place, command=block["text"], fragments=_split(answer["text"])))
    return examples


def _split(shown: str) -> tuple[str, ...]:
    fragments = (fragment.strip() for line in shown.splitlines() for fragment in line.split(_LEFT_OUT))
    return tuple(fragment for fragment in fragments if fragment)
