"""Whether the installed hypercorn still calls what is overridden here.

The classes of this package replace private methods of hypercorn's. A release that renames one, or calls it in another
way, would leave the proxy running without its guards: it is refused at the start instead.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from types import FunctionType

from h2.connection import H2Connection
from h2.frame_buffer import FrameBuffer
from hypercorn.protocol.h2 import H2Protocol, StreamBuffer
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer

from kiro2api.edge.buffers import Backlog
from kiro2api.edge.connection import Connection, Tasks
from kiro2api.edge.http1 import Http1Protocol, Parser
from kiro2api.edge.http2 import Http2Protocol
from kiro2api.errors import Kiro2ApiError

type Attributes = tuple[tuple[type, frozenset[str]], ...]


class HookError(Kiro2ApiError):
    """The installed hypercorn does not fit."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            f"hypercorn {version('hypercorn')} does not fit this version of kiro2api, which knows 0.18: "
            + "; ".join(problems)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One method that is replaced."""

    ours: type
    theirs: type
    name: str
    caller: Callable[..., object]
    """hypercorn's code that has to call it."""

    def find_problems(self) -> list[str]:
        """What keeps it from being called as it is."""
        where = f"{self.theirs.__name__}.{self.name}"
        known = getattr(self.theirs, self.name, None)
        if known is None:
            return [f"there is no {where}"]
        problems = []
        if _list_parameters(known) != _list_parameters(getattr(self.ours, self.name)):
            problems.append(f"{where} takes other arguments")
        if not _names(self.caller, self.name):
            problems.append(f"{self.caller.__qualname__} does not use {where}")
        return problems


def _hook(ours: type, theirs: type, **callers: Callable[..., object]) -> list[Hook]:
    return [Hook(ours=ours, theirs=theirs, name=name, caller=caller) for name, caller in callers.items()]


HOOKS: tuple[Hook, ...] = (
    *_hook(
        Connection,
        TCPServer,
        _close=TCPServer.protocol_send,
        _initiate_server_close=TCPServer._idle_timeout,  # noqa: SLF001  what this module is about
        _idle_timeout=TCPServer.protocol_send,
        _read_data=TCPServer.run,
        protocol_send=TCPServer.run,
    ),
    *_hook(
        Http1Protocol,
        H11Protocol,
        _check_protocol=H11Protocol._handle_events,  # noqa: SLF001  the same
        _create_stream=H11Protocol._handle_events,  # noqa: SLF001  the same
        _handle_events=H11Protocol.handle,
        _maybe_recycle=H11Protocol.stream_send,
        _send_error_response=H11Protocol._handle_events,  # noqa: SLF001  the same
        stream_send=H11Protocol._create_stream,  # noqa: SLF001  the same
    ),
    *_hook(
        Http2Protocol,
        H2Protocol,
        _create_stream=H2Protocol._handle_events,  # noqa: SLF001  the same
        _handle_events=H2Protocol.handle,
        _priority_updated=H2Protocol._handle_events,  # noqa: SLF001  the same
        _send_data=H2Protocol.send_task,
        stream_send=H2Protocol._create_stream,  # noqa: SLF001  the same
    ),
    *_hook(
        Backlog,
        StreamBuffer,
        drain=H2Protocol.stream_send,
        pop=H2Protocol._send_data,  # noqa: SLF001  the same
        push=H2Protocol.stream_send,
    ),
    *_hook(
        Parser,
        Parser.__base__ or object,
        next_event=H11Protocol._handle_events,  # noqa: SLF001  the same
        they_are_waiting_for_100_continue=H11Protocol._handle_events,  # noqa: SLF001  the same
    ),
    *_hook(Tasks, TaskGroup, spawn_app=HTTPStream.handle),
)

ATTRIBUTES: Attributes = (
    (TCPServer, frozenset({"app", "config", "context", "idle_task", "send_lock", "stream"})),
    (H11Protocol, frozenset({"can_read", "connection", "keep_alive_requests", "stream", "task_group"})),
    (H2Protocol, frozenset({"connection", "has_data", "keep_alive_requests", "priority", "stream_buffers", "streams"})),
    (H2Connection, frozenset({"highest_inbound_stream_id", "incoming_buffer"})),
    (FrameBuffer, frozenset({"_data", "max_frame_size"})),
    (StreamBuffer, frozenset({"_complete", "_is_empty", "_paused", "buffer"})),
    (TaskGroup, frozenset({"_nursery"})),
)
"""What the constructors of hypercorn, and of h2 below it, set and the code of this package uses."""


def check_hooks(hooks: tuple[Hook, ...] = HOOKS, attributes: Attributes = ATTRIBUTES) -> None:
    """Passes if hypercorn calls every method that is overridden here, and keeps what they use.

    Raises:
        HookError: It does not.
    """
    problems = [problem for hook in hooks for problem in hook.find_problems()]
    for kind, names in attributes:
        missing = sorted(name for name in names if not _names(vars(kind).get("__init__"), name))
        problems += [f"{kind.__name__} has no {name}" for name in missing]
    if problems:
        raise HookError(problems)


def _list_parameters(method: object) -> list[str]:
    return list(inspect.signature(method).parameters) if isinstance(method, FunctionType) else []


def _names(function: object, name: str) -> bool:
    return isinstance(function, FunctionType) and name in function.__code__.co_names
