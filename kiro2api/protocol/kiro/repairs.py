"""Names of what the builder of the upstream request had to change, for the log."""

import enum
from collections.abc import Collection


class Repair(enum.Enum):
    """A departure from what the client sent; the order here is the order in which repairs are listed."""

    PREPENDED_USER_TURN = "prepended_user_turn"
    """The first turn was the model's."""
    MERGED_TURNS = "merged_turns"
    APPENDED_CONTINUE = "appended_continue"
    """The last turn was the model's; the upstream cannot go on in the middle of one."""
    FILLED_EMPTY_TEXT = "filled_empty_text"
    DROPPED_THINKING = "dropped_thinking"
    """Reasoning of earlier turns is not replayed: its signature holds for one credential and model only."""
    DROPPED_DUPLICATE_USE = "dropped_duplicate_use"
    """The same id, name and input twice in one turn."""
    DROPPED_DUPLICATE_RESULT = "dropped_duplicate_result"
    """Equal to another result of the same turn."""
    ORPHAN_RESULT_AS_TEXT = "orphan_result_as_text"
    FILLED_EMPTY_RESULT = "filled_empty_result"
    SYNTHESISED_RESULT = "synthesised_result"
    """A tool use without a result in the turn after it."""
    REORDERED_RESULTS = "reordered_results"
    RENAMED_TOOL_USE_ID = "renamed_tool_use_id"
    RENAMED_INPUT_KEY = "renamed_input_key"
    """A tool input had the empty string as a key."""
    FLATTENED_NESTING = "flattened_nesting"
    """JSON nested deeper than the upstream parses, in a tool's input or schema."""
    LIFTED_IMAGES = "lifted_images"
    """Pictures of a tool result stand beside it."""
    DROPPED_IMAGES = "dropped_images"
    """More pictures in one message than the upstream takes."""
    RENAMED_TOOL = "renamed_tool"
    DROPPED_DUPLICATE_TOOL = "dropped_duplicate_tool"
    """Two declarations of one name: the first counts."""
    DECLARED_MISSING_TOOL = "declared_missing_tool"
    """Used in the history, but not declared."""
    FILLED_TOOL_DESCRIPTION = "filled_tool_description"
    MOVED_TOOL_DESCRIPTION = "moved_tool_description"
    """Too long for its place: it stands in the system text."""
    REPAIRED_SCHEMA = "repaired_schema"
    DROPPED_TOOL_CHOICE = "dropped_tool_choice"
    """The client demands a tool and declares none, or not that one."""


def list_repairs(found: Collection[Repair]) -> tuple[str, ...]:
    """The names of ``found``, each once, in the order of :class:`Repair`."""
    return tuple(repair.value for repair in Repair if repair in found)
