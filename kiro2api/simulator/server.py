"""A simulated Kiro on a loopback port: for a first look at the program, and for its tests.

It takes what the service takes, refuses what the service refuses, and streams as the service streams. Tests can put
scripts in the place of its answers and ask what it saw.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

import trio

from kiro2api.simulator.accounts import Accounts
from kiro2api.simulator.connection import Connection
from kiro2api.simulator.record import Record
from kiro2api.simulator.script import Proceed, Script, Step
from kiro2api.simulator.service import (
    GENERATE_PATH,
    REFRESH_PATH,
    answer_generate,
    answer_refresh,
    build_unknown_operation,
    read_refresh_token,
    refuse_generate,
)

HOST = "127.0.0.1"
BACKLOG = 1024
"""Connections that wait to be accepted: tests open hundreds at once."""

type Responder = Callable[[Record], Script | None]


class Simulator:
    """The simulated service: ``await nursery.start(simulator.serve)``, and cancel the nursery to stop it.

    A generate call is first refused as the service would refuse it; then the first script that is enqueued answers it,
    else what ``responder`` returns, else the small model. A refresh is answered in the same order, without the refusal.

    Args:
        port: To listen on, on the loopback interface; 0 takes a free one.
        accounts: Who may call; by default everyone with a refresh token.
        demo_delay: Seconds between two events of the small model.
        keep: How many requests are remembered, the newest; ``None`` keeps all, with their bodies.

    Attributes:
        requests: Those remembered, in the order in which they were whole; what is asked about requests below is
            answered from these.
        counts: How many there were for each path, forgotten ones included.
        responder: Chooses scripts for generate calls, for example by ``record.credential``.
        refresh_responder: The same for refreshes.
        base_url: Set once it listens; no slash at the end.
        refresh_url: The same, with the path of the refresh.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        accounts: Accounts | None = None,
        demo_delay: float = 0.0,
        keep: int | None = None,
    ) -> None:
        self.accounts = Accounts() if accounts is None else accounts
        self.requests: deque[Record] = deque(maxlen=keep)
        self.counts: Counter[str] = Counter()
        self.responder: Responder | None = None
        self.refresh_responder: Responder | None = None
        self.base_url = ""
        self.refresh_url = ""
        self._port = port
        self._demo_delay = demo_delay
        self._scripts: deque[Script] = deque()
        self._refresh_scripts: deque[Script] = deque()
        self._arrival = trio.Event()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listens until it is cancelled.

        Raises:
            OSError: The port is taken.
        """
        listeners = await trio.open_tcp_listeners(self._port, host=HOST, backlog=BACKLOG)
        [listener] = listeners
        self.base_url = f"http://{HOST}:{listener.socket.getsockname()[1]}"
        self.refresh_url = self.base_url + REFRESH_PATH
        task_status.started()
        await trio.serve_listeners(self._serve_connection, listeners)

    def enqueue(self, *scripts: Script) -> None:
        """The next generate calls that are not refused are answered by ``scripts``, one each."""
        self._scripts.extend(scripts)

    def enqueue_refresh(self, *scripts: Script | Step) -> None:
        """The next refreshes are answered by ``scripts``, one each; a single step is a script of its own."""
        for script in scripts:
            self._refresh_scripts.append(script if isinstance(script, Sequence) else [script])

    async def wait_requests(self, count: int, *, path: str | None = None) -> list[Record]:
        """The requests for ``path`` (all of them by default), as soon as there are ``count``."""
        while len(found := self.find_requests(path)) < count:
            await self._arrival.wait()
        return found

    def find_requests(self, path: str | None = None) -> list[Record]:
        """The requests for ``path`` so far, or all of them."""
        return [record for record in self.requests if path is None or record.path == path]

    @property
    def generations(self) -> list[Record]:
        """The generate calls so far."""
        return self.find_requests(GENERATE_PATH)

    @property
    def refreshes(self) -> list[Record]:
        """The refreshes so far."""
        return self.find_requests(REFRESH_PATH)

    @property
    def streams_open(self) -> int:
        """Generate calls whose answer has not ended."""
        return sum(not record.finished.is_set() for record in self.generations)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        connection = Connection(stream, admit=self._admit, proceed=self._proceed)
        await connection.serve()

    def _admit(self, record: Record) -> Script:
        """Takes note of a request, and says how it is answered."""
        if _is_refresh(record):
            shown = read_refresh_token(record.body)
            self.accounts.refreshes[shown] += 1
            record.credential = self.accounts.find_credential(shown)
            script = _choose(record, self._refresh_scripts, self.refresh_responder)
        elif _is_generate(record):
            refusal = refuse_generate(self.accounts, record, now=trio.current_time())
            script = [refusal] if refusal else _choose(record, self._scripts, self.responder)
            if script is None:
                script = answer_generate(record, delay=self._demo_delay)
        else:
            script = None
        self.requests.append(record)
        self.counts[record.path] += 1
        self._arrival.set()
        self._arrival = trio.Event()
        return [Proceed()] if script is None else script

    def _proceed(self, record: Record) -> Script:
        """The answer without any script; credentials and body are looked at again, as time may have passed."""
        now = trio.current_time()
        if _is_refresh(record):
            return [answer_refresh(self.accounts, record, now=now)]
        if _is_generate(record):
            refusal = refuse_generate(self.accounts, record, now=now)
            return [refusal] if refusal else answer_generate(record, delay=self._demo_delay)
        return [build_unknown_operation(record)]


def _is_generate(record: Record) -> bool:
    return (record.method, record.path) == ("POST", GENERATE_PATH)


def _is_refresh(record: Record) -> bool:
    return (record.method, record.path) == ("POST", REFRESH_PATH)


def _choose(record: Record, scripts: deque[Script], responder: Responder | None) -> Script | None:
    """The next script for a request; ``None`` leaves the answer to the simulator."""
    if scripts:
        return scripts.popleft()
    return responder(record) if responder is not None else None
