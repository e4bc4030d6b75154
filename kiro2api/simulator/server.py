"""A simulated Kiro on a loopback port: for a first look at the program, and for its tests.

It takes what the service takes, refuses what the service refuses, and streams as the service streams. Tests can put
scripts in the place of its answers and ask what it saw.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence

import trio

from kiro2api.simulator.accounts import Accounts, Grant
from kiro2api.simulator.addresses import API_TEMPLATE, CONTROLS, IDP_PATH, OIDC_TEMPLATE, REFRESHES
from kiro2api.simulator.connection import Connection
from kiro2api.simulator.control import answer_control
from kiro2api.simulator.record import Record
from kiro2api.simulator.refreshes import answer_refresh, find_refreshed, read_refresh_token
from kiro2api.simulator.script import Proceed, Script, Step
from kiro2api.simulator.service import (
    GENERATE_PATH,
    REFRESH_PATH,
    answer_generate,
    build_unknown_operation,
    charge_generate,
    read_access_token,
    refuse_generate,
)

HOST = "127.0.0.1"
BACKLOG = 1024
"""Connections that wait to be accepted: tests open hundreds at once."""

type Responder = Callable[[Record], Script | None]


class Simulator:
    """The simulated service: ``await nursery.start(simulator.serve)``, and cancel the nursery to stop it.

    A generate call is first refused as the service would refuse it; then the first script that is enqueued answers it,
    else what ``responder`` returns, else the small model. A refresh is answered in the same order, without the refusal,
    and takes effect only with a :class:`~kiro2api.simulator.script.Proceed`.

    Args:
        port: To listen on, on the loopback interface; 0 takes a free one.
        accounts: Who may call; by default everyone with a refresh token.
        demo_delay: Seconds between two events of the small model.
        keep: How many requests are remembered, the newest; ``None`` keeps all, with their bodies.

    Attributes:
        requests: Those remembered, in the order in which they were whole; what is asked about requests below is
            answered from these.
        counts: How many there were for each path, forgotten ones included.
        strict: Whether to refuse also what only some observers saw refused; not so at first.
        responder: Chooses scripts for generate calls, for example by ``record.credential``.
        refresh_responder: The same for refreshes.
        control_responder: The same for the control plane, before anything is refused.
        base_url: Set once it listens, as all addresses below; no slash at the end.
        refresh_url: Of refreshes of social accounts.
        oidc_url: Of those by OIDC, with ``{region}`` to be filled in; ``/token`` does without a region.
        idp_url: Of those at an external identity provider.
        control_url: Under which the operations of the control plane are, as ``base_url``.
        api_url: Under which all operations of the API are once more, with ``{region}`` to be filled in.
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
        self.strict = False
        self.responder: Responder | None = None
        self.refresh_responder: Responder | None = None
        self.control_responder: Responder | None = None
        self.base_url = ""
        self.refresh_url = ""
        self.oidc_url = ""
        self.idp_url = ""
        self.control_url = ""
        self.api_url = ""
        self._port = port
        self._demo_delay = demo_delay
        self._scripts: deque[Script] = deque()
        self._refresh_scripts: deque[Script] = deque()
        self._news = trio.Event()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listens until it is cancelled.

        Raises:
            OSError: The port is taken.
        """
        listeners = await trio.open_tcp_listeners(self._port, host=HOST, backlog=BACKLOG)
        [listener] = listeners
        self.base_url = f"http://{HOST}:{listener.socket.getsockname()[1]}"
        self.refresh_url = self.base_url + REFRESH_PATH
        self.oidc_url = self.base_url + OIDC_TEMPLATE
        self.idp_url = self.base_url + IDP_PATH
        self.control_url = self.base_url
        self.api_url = self.base_url + API_TEMPLATE
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
            await self._news.wait()
        return found

    async def wait_grants(self, count: int) -> list[Grant]:
        """What refreshes have brought, as soon as ``count`` of them have taken effect here."""
        while len(self.accounts.grants) < count:
            await self._news.wait()
        return list(self.accounts.grants)

    def find_requests(self, path: str | None = None) -> list[Record]:
        """The requests for ``path`` so far, or all of them."""
        return [record for record in self.requests if path is None or record.path == path]

    @property
    def generations(self) -> list[Record]:
        """The generate calls so far."""
        return self.find_requests(GENERATE_PATH)

    @property
    def refreshes(self) -> list[Record]:
        """The refreshes so far, of all kinds of accounts."""
        paths = {path for _, path in REFRESHES}
        return [record for record in self.requests if record.path in paths]

    @property
    def streams_open(self) -> int:
        """Generate calls whose answer has not ended."""
        return sum(not record.finished.is_set() for record in self.generations)

    async def _serve_connection(self, stream: trio.SocketStream) -> None:
        connection = Connection(stream, admit=self._admit, proceed=self._proceed)
        await connection.serve()

    def _admit(self, record: Record) -> Script:
        """Takes note of a request, and says how it is answered."""
        script = self._choose_script(record)
        self.requests.append(record)
        self.counts[record.path] += 1
        self._tell()
        return [Proceed()] if script is None else script

    def _choose_script(self, record: Record) -> Script | None:
        """The script of a test's, or the answer of a generate call; ``None`` leaves it to :meth:`_proceed`."""
        now = trio.current_time()
        if _is_refresh(record):
            self.accounts.refreshes[read_refresh_token(record)] += 1
            record.credential = find_refreshed(self.accounts, record)
            return _choose(record, self._refresh_scripts, self.refresh_responder)
        if _is_control(record):
            record.credential = self.accounts.authorize(read_access_token(record.headers), now=now)
            return _choose(record, deque(), self.control_responder)
        if not _is_generate(record):
            return None
        refusal = refuse_generate(self.accounts, record, now=now, strict=self.strict)
        if refusal is not None:
            return [refusal]
        charge_generate(self.accounts, record)
        script = _choose(record, self._scripts, self.responder)
        return answer_generate(record, delay=self._demo_delay) if script is None else script

    def _proceed(self, record: Record) -> Script:
        """The answer without any script; credentials and body are looked at again, as time may have passed."""
        now = trio.current_time()
        if _is_refresh(record):
            answer = answer_refresh(self.accounts, record, now=now)
            self._tell()
            return [answer]
        if _is_control(record):
            return [answer_control(self.accounts, record, now=now)]
        if _is_generate(record):
            refusal = refuse_generate(self.accounts, record, now=now, strict=self.strict)
            return [refusal] if refusal else answer_generate(record, delay=self._demo_delay)
        return [build_unknown_operation(record)]

    def _tell(self) -> None:
        """Wakes everyone who waits for news."""
        self._news.set()
        self._news = trio.Event()


def _is_generate(record: Record) -> bool:
    return (record.method, record.path) == ("POST", GENERATE_PATH)


def _is_refresh(record: Record) -> bool:
    return (record.method, record.path) in REFRESHES


def _is_control(record: Record) -> bool:
    return (record.method, record.path) in CONTROLS


def _choose(record: Record, scripts: deque[Script], responder: Responder | None) -> Script | None:
    """The next script for a request; ``None`` leaves the answer to the simulator."""
    if scripts:
        return scripts.popleft()
    return responder(record) if responder is not None else None
