"""Tool calls that are cut again and again, and what the model is told of them.

The upstream ends some answers in the middle of a tool call, most often of one that writes a long file. Such an answer
is a failure, which clients meet by the same request once more; it is then cut at much the same place. From the fourth
time on, the request says what has happened and what to do instead.
"""

from dataclasses import dataclass

from kiro2api.protocol.conversation import Conversation, ToolChoiceMode
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair

MIN_CUTS = 3
"""One may be chance, and a second try is sensible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutRun:
    """Calls of one tool that were cut, one after another, with no whole answer between them."""

    tool: str
    """In the client's own spelling."""
    count: int
    size: int
    """Characters of input after which the shortest was cut."""

    @property
    def is_stubborn(self) -> bool:
        """Whether the same request once more would most likely be cut again."""
        return self.count >= MIN_CUTS


def extend_run(run: CutRun | None, *, tool: str, size: int) -> CutRun:
    """The run with one more cut; one of another tool begins a new run."""
    if run is None or run.tool != tool:
        return CutRun(tool=tool, count=1, size=size)
    return CutRun(tool=tool, count=run.count + 1, size=min(run.size, size))


def build_cut_text(run: CutRun | None, conversation: Conversation, names: ToolNames, repairs: set[Repair]) -> str:
    """What the current message says of ``run``; empty if there is nothing to say, or the tool cannot be called.

    Args:
        run: Of the requests that came before in this conversation.
        conversation: Whose next answer is to be whole.
        names: Knows all names.
        repairs: Takes that something is said.
    """
    if run is None or not run.is_stubborn or conversation.tool_choice.mode is ToolChoiceMode.NONE:
        return ""
    if all(tool.name != run.tool for tool in conversation.tools):
        return ""
    repairs.add(Repair.EXPLAINED_TRUNCATION)
    place = f" after about {run.size} characters of input" if run.size else ""
    return (
        f'The last {run.count} calls of the tool "{names.to_upstream(run.tool)}" were cut off{place}, before they were '
        "whole, and nothing came of them. Do the work in several smaller calls."
    )
