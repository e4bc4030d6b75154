"""Counts the prompts of the tests by public vocabularies, and writes the counts down for the tests.

The vocabularies are no dependencies of the project; they come with two packages that are wanted here only::

    python -m venv /tmp/counting
    /tmp/counting/bin/pip install 'anthropic==0.38.0' bpe-openai msgspec
    PYTHONPATH=. /tmp/counting/bin/python -m benchmarks.count_prompts

It has to be run when a prompt changes. The first package is the last one of its name with Anthropic's vocabulary,
which is the one of Claude 2; later ones have not been published.
"""

from importlib import import_module
from importlib.resources import files

import msgspec

from tests.support.prompts import COUNTS_FILE, describe_prompt, list_prompts


def main() -> None:
    """Writes the file anew."""
    claude = import_module("tokenizers").Tokenizer.from_str((files("anthropic") / "tokenizer.json").read_text())
    o200k = import_module("bpe_openai").get_encoding("o200k_base")
    counts = {
        prompt.name: describe_prompt(
            prompt, claude=len(claude.encode(prompt.text).ids), o200k=len(o200k.encode_ordinary(prompt.text))
        )
        for prompt in list_prompts()
    }
    COUNTS_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(counts), indent=2) + b"\n")


if __name__ == "__main__":
    main()
