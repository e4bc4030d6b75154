"""Texts and conversations like an agent's, made here, and their true counts of model tokens by public vocabularies."""

from tests.support.prompts.conversations import build_conversations, write_out
from tests.support.prompts.counts import COUNTS_FILE, Prompt, describe_prompt, list_prompts, read_counts
from tests.support.prompts.texts import build_texts

__all__ = [
    "COUNTS_FILE",
    "Prompt",
    "build_conversations",
    "build_texts",
    "describe_prompt",
    "list_prompts",
    "read_counts",
    "write_out",
]
