"""Rules for how the messages of a conversation follow one another.

The service's first-party client enforces the same rules before it sends anything.
"""

from collections.abc import Collection
from itertools import pairwise

from kiro2api.simulator.messages import AssistantMessage, UserMessage
from kiro2api.simulator.refusals import RefusedError, Rule
from kiro2api.simulator.tools import ToolUse, fold_name

type Message = UserMessage | AssistantMessage


def check_structure(history: list[Message], current: UserMessage) -> None:
    """History and current message make a conversation: roles alternate, tool uses and tool results pair up."""
    if history:
        _check_start(history[0])
        _check_roles(history)
    _check_results([*history, current])
    _check_declared(history, current.tools)


def _check_start(first: Message) -> None:
    if not isinstance(first, UserMessage):
        raise RefusedError(Rule.HISTORY_STARTS_WITH_USER)
    if not first.has_text:
        raise RefusedError(Rule.HISTORY_STARTS_WITH_TEXT)


def _check_roles(history: list[Message]) -> None:
    for before, after in pairwise(history):
        if type(before) is type(after):
            raise RefusedError(Rule.HISTORY_ALTERNATES)
    if not isinstance(history[-1], AssistantMessage):
        raise RefusedError(Rule.HISTORY_ENDS_WITH_ASSISTANT)


def _check_results(messages: list[Message]) -> None:
    """Each user message answers exactly the tool uses of the message before it; the first has none to answer."""
    open_uses: tuple[ToolUse, ...] = ()
    for message in messages:
        if isinstance(message, AssistantMessage):
            open_uses = message.tool_uses
        else:
            _check_answers(open_uses, message.result_ids)
            open_uses = ()


def _check_answers(uses: tuple[ToolUse, ...], result_ids: tuple[str, ...]) -> None:
    use_ids = [use.tool_use_id for use in uses]
    if len(set(use_ids)) != len(use_ids):
        raise RefusedError(Rule.TOOL_USES_UNIQUE)
    if result_ids and not use_ids:
        raise RefusedError(Rule.RESULTS_FOLLOW_USES)
    if len(set(result_ids)) != len(result_ids):
        raise RefusedError(Rule.RESULTS_UNIQUE)
    if not set(result_ids) <= set(use_ids):
        raise RefusedError(Rule.RESULTS_KNOWN)
    if len(result_ids) != len(use_ids):
        raise RefusedError(Rule.RESULTS_COMPLETE)


def _check_declared(history: list[Message], declared: Collection[str]) -> None:
    for message in history:
        if isinstance(message, AssistantMessage):
            for use in message.tool_uses:
                if fold_name(use.name) not in declared:
                    raise RefusedError(Rule.TOOL_DECLARED)
