"""Which conversations have had tool calls cut lately: what one request has to know of those before it.

Kept in this process, and only as long as there is room for it: that a conversation is forgotten costs it three more
answers that are cut.
"""

from kiro2api.protocol.kiro.truncations import CutRun

MAX_CONVERSATIONS = 1_000
"""In trouble at the same time; each takes less than a kilobyte."""


class TruncationBook:
    """The runs of cut calls, by conversation; the one that was longest without a change is forgotten first."""

    def __init__(self, room: int = MAX_CONVERSATIONS) -> None:
        self._room = room
        self._runs: dict[str, CutRun] = {}

    def find_run(self, conversation: str) -> CutRun | None:
        """The run that the conversation of that key is in."""
        return self._runs.get(conversation)

    def record_run(self, conversation: str, run: CutRun | None) -> None:
        """What is known of the conversation from now on; ``None`` when an answer was whole."""
        self._runs.pop(conversation, None)
        if run is None:
            return
        self._runs[conversation] = run
        if len(self._runs) > self._room:
            del self._runs[next(iter(self._runs))]
