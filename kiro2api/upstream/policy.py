"""What follows on a failed attempt: the rules as a table, and the tally of a request that they are applied to.

Pure: no clock, no chance, no waiting. The rules above the table:

- Nothing is asked again once the client has got a byte of an answer; whoever calls this has made sure of that.
- At most ``MAX_METERED_CALLS`` calls that may be charged and ``MAX_CALLS`` of any kind for one client request.
- A ``Retry-After`` beyond the pause that would be made anyway, and beyond ``Pauses.patience``, ends the asking.
- Another host is asked after a failure that may be the host's own, and no other; what the upstream says about request,
  credential or model it would say on all of them.
"""

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kiro2api.auth.credentials import Outcome
from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.errors import UpstreamProtocolError
from kiro2api.protocol.kiro.faults import FaultClass, UpstreamFaultError
from kiro2api.protocol.turn import EmptyAnswerError, TruncatedToolUseError
from kiro2api.upstream.errors import NoFirstByteError, UpstreamBrokenError, UpstreamTlsError, UpstreamUnreachableError

MAX_METERED_CALLS = 3
"""Calls for one client request that the upstream may charge for."""
MAX_CALLS = 8
"""Calls for one client request, whatever they cost."""

_WAIT_SLACK = 0.01
"""Seconds on top of a wait for a credential: the clock that it rests by is another than the one we sleep by."""
_UNMETERED_STATUSES = frozenset({401, 402, 403, 429})
_REQUEST_TIMEOUT = 408
_EDGE_TIMEOUT = 524
"""A front server's status: the upstream got the request and was too slow, as when no first byte comes in time."""


class Failure(enum.Enum):
    """Kinds of failure that differ in what follows on them."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    BROKEN = "broken"
    """Closed or reset while the answer was awaited, or no HTTP."""
    SERVER = "server"
    ADDRESS = "address"
    """The host does not have the operation."""
    REQUEST_TIMEOUT = "request_timeout"
    """The host did not get the request in time, it says."""
    CAPACITY = "capacity"
    """The model's, not the credential's."""
    NO_ANSWER = "no_answer"
    """Status 200 and no event stream, a damaged one, or one that says nothing."""
    RATE = "rate"
    QUOTA = "quota"
    ACCESS_TOKEN = "access_token"  # noqa: S105  the name of a kind of failure, no secret
    SUSPENDED = "suspended"
    PERMISSION = "permission"
    MODEL = "model"
    SILENT = "silent"
    """No first byte in time: it was probably charged."""
    ANSWER = "answer"
    """It is whole, and has not the form that the client asks for: the model is told, once."""
    FORM = "form"
    """The request had something that the upstream refuses by name and that can be left out; it has it no more."""
    FINAL = "final"
    """All that another call does not mend."""


class Step(enum.Enum):
    """Whom to ask next."""

    GIVE_UP = enum.auto()
    AGAIN = enum.auto()
    """Any credential, the same one included."""
    ELSEWHERE_FIRST = enum.auto()
    """Another credential; the same one if it is the only one."""
    ELSEWHERE = enum.auto()
    """Another credential, or none."""
    RENEW = enum.auto()
    """The same credential with a fresh access token."""


class Pause(enum.Enum):
    """What is waited for before the next call."""

    NONE = enum.auto()
    BACKOFF = enum.auto()
    SPACED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What follows on one kind of failure."""

    calls: int = 0
    """Further calls because of it, for one client request."""
    step: Step = Step.GIVE_UP
    pause: Pause = Pause.NONE
    is_budgeted: bool = False
    """Whether they count as retries of the process."""
    is_metered: bool = True
    """Whether the failed call may have been charged."""
    outcome: Outcome = Outcome.NEUTRAL
    """What it says about the credential."""
    is_of_host: bool = False
    """Whether the host may be to blame: then the next call goes to the next one, if there is one."""
    needs_other_host: bool = False
    """Whether the same host would only do the same again."""


_FAILED = Outcome.UPSTREAM_FAILED

RULES: Mapping[Failure, Rule] = {
    Failure.UNREACHABLE: Rule(
        calls=2, step=Step.AGAIN, pause=Pause.BACKOFF, is_budgeted=True, is_metered=False, is_of_host=True
    ),
    Failure.TLS: Rule(
        calls=1, step=Step.AGAIN, pause=Pause.BACKOFF, is_budgeted=True, is_metered=False, is_of_host=True
    ),
    Failure.BROKEN: Rule(
        calls=1, step=Step.ELSEWHERE_FIRST, pause=Pause.BACKOFF, is_budgeted=True, outcome=_FAILED, is_of_host=True
    ),
    Failure.SERVER: Rule(
        calls=1, step=Step.ELSEWHERE_FIRST, pause=Pause.BACKOFF, is_budgeted=True, outcome=_FAILED, is_of_host=True
    ),
    Failure.ADDRESS: Rule(calls=MAX_CALLS, step=Step.AGAIN, is_metered=False, is_of_host=True, needs_other_host=True),
    Failure.REQUEST_TIMEOUT: Rule(calls=1, step=Step.AGAIN, is_of_host=True, needs_other_host=True),
    Failure.CAPACITY: Rule(calls=2, step=Step.AGAIN, pause=Pause.SPACED, is_budgeted=True),
    Failure.NO_ANSWER: Rule(calls=1, step=Step.ELSEWHERE_FIRST, pause=Pause.BACKOFF, is_budgeted=True),
    Failure.RATE: Rule(calls=MAX_CALLS, step=Step.ELSEWHERE, is_metered=False, outcome=Outcome.RATE_LIMITED),
    Failure.QUOTA: Rule(calls=MAX_CALLS, step=Step.ELSEWHERE, is_metered=False, outcome=Outcome.QUOTA_EXHAUSTED),
    Failure.ACCESS_TOKEN: Rule(calls=MAX_CALLS, step=Step.RENEW, is_metered=False, outcome=Outcome.TOKEN_REFUSED),
    Failure.SUSPENDED: Rule(calls=MAX_CALLS, step=Step.ELSEWHERE, is_metered=False, outcome=Outcome.SUSPENDED),
    Failure.PERMISSION: Rule(calls=MAX_CALLS, step=Step.ELSEWHERE, is_metered=False, outcome=Outcome.FORBIDDEN),
    Failure.MODEL: Rule(calls=1, step=Step.ELSEWHERE, outcome=Outcome.MODEL_REFUSED),
    Failure.SILENT: Rule(outcome=_FAILED),
    Failure.ANSWER: Rule(calls=1, step=Step.AGAIN, outcome=Outcome.SUCCESS),
    Failure.FORM: Rule(calls=MAX_CALLS, step=Step.AGAIN, is_metered=False),
    Failure.FINAL: Rule(),
}

_FAULTS = {
    FaultClass.CAPACITY: Failure.CAPACITY,
    FaultClass.QUOTA: Failure.QUOTA,
    FaultClass.DAILY_QUOTA: Failure.RATE,
    FaultClass.SUSPENDED: Failure.SUSPENDED,
    FaultClass.ACCESS_TOKEN: Failure.ACCESS_TOKEN,
    FaultClass.PERMISSION: Failure.PERMISSION,
    FaultClass.RATE: Failure.RATE,
    FaultClass.MODEL: Failure.MODEL,
    FaultClass.ADDRESS: Failure.ADDRESS,
}

_ERRORS: tuple[tuple[type[Kiro2ApiError], Failure], ...] = (
    (UpstreamTlsError, Failure.TLS),
    (UpstreamUnreachableError, Failure.UNREACHABLE),
    (UpstreamBrokenError, Failure.BROKEN),
    (NoFirstByteError, Failure.SILENT),
    (UpstreamProtocolError, Failure.NO_ANSWER),
    (EmptyAnswerError, Failure.NO_ANSWER),
    (TruncatedToolUseError, Failure.NO_ANSWER),
    (AnswerFormatError, Failure.ANSWER),
)

CREDENTIAL_FAILURES = frozenset(
    {Failure.RATE, Failure.QUOTA, Failure.ACCESS_TOKEN, Failure.SUSPENDED, Failure.PERMISSION}
)
"""Those that are the credential's own: when none is left, the state of all of them is what the client is told."""


def classify_failure(error: Kiro2ApiError) -> Failure:
    """The kind of failure that ``error`` is."""
    if isinstance(error, UpstreamFaultError):
        return _FAULTS.get(error.fault_class) or _classify_status(error)
    return next((failure for kind, failure in _ERRORS if isinstance(error, kind)), Failure.FINAL)


def _classify_status(error: UpstreamFaultError) -> Failure:
    if error.fault_class is FaultClass.TIMEOUT and error.status == _REQUEST_TIMEOUT:
        return Failure.REQUEST_TIMEOUT
    if error.fault_class not in {FaultClass.SERVER, FaultClass.TIMEOUT} or error.status == _EDGE_TIMEOUT:
        return Failure.FINAL
    # 3xx and 4xx without a meaning of their own are a matter of address or form; 200 is an error in disguise.
    is_final = error.status is not None and 300 <= error.status < 500  # noqa: PLR2004  HTTP's own classes
    return Failure.FINAL if is_final else Failure.SERVER


def is_metered(error: Kiro2ApiError) -> bool:
    """Whether the upstream may charge for the call that ended in ``error``."""
    if isinstance(error, UpstreamFaultError) and error.status in _UNMETERED_STATUSES:
        return False
    return RULES[classify_failure(error)].is_metered


def is_host_out(error: Kiro2ApiError) -> bool:
    """Whether ``error`` would meet every request to the same host: nobody there, or nobody who knows the operation."""
    if isinstance(error, UpstreamFaultError):
        return error.fault_class is FaultClass.ADDRESS and not error.name.startswith("ResourceNotFound")
    return isinstance(error, UpstreamUnreachableError)


def judge(error: Kiro2ApiError, *, renewed: bool, has_output: bool) -> Outcome:
    """What ``error`` says about the credential that carried the request.

    Args:
        error: How the attempt ended.
        renewed: Whether its access token was a fresh one, fetched for this request.
        has_output: Whether the client had got something of the answer: then it says nothing any more.
    """
    failure = classify_failure(error)
    if has_output or (failure is Failure.ACCESS_TOKEN and not renewed):
        return Outcome.NEUTRAL  # the access token may simply have expired: a refresh comes first
    return RULES[failure].outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long is waited between the calls for one request, in seconds."""

    base: float = 0.3
    """Upper bound of the first backoff; it doubles with each failure of the same kind."""
    cap: float = 3.0
    """Upper bound of all of them."""
    capacity: float = 5.0
    """Before a model without capacity is asked again."""
    patience: float = 2.0
    """The longest ``Retry-After`` that is waited for; what is longer is the client's to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next call."""

    step: Step
    pause: float = 0.0
    """Seconds before it."""
    is_budgeted: bool = False


GIVE_UP = Plan(step=Step.GIVE_UP)


@dataclass(slots=True, kw_only=True)
class Attempts:
    """The tally of one client request's calls: for the rules here, and for the log line at its end."""

    calls: int = 0
    metered: int = 0
    credential: str = ""
    """Label of the last credential used."""
    choice: str = ""
    """Why it was this one."""
    url: str = ""
    """Scheme and host of the last call."""
    status: int | None = None
    """HTTP status of the last answer."""
    request_id: str = ""
    """The upstream's own id of the last answer."""
    received: int = 0
    """Bytes of answers."""
    first_byte_at: float | None = None
    """When the first bytes of an answer came, in Trio's time."""
    failures: list[str] = field(default_factory=list)
    """How the attempts failed, in their order."""
    tried: set[str] = field(default_factory=set)
    """Ids of credentials that are out for this request."""
    renewed: Counter[str] = field(default_factory=Counter)
    """How often a credential's access token was refused and renewed, by its id."""
    failed_urls: Counter[str] = field(default_factory=Counter)
    """How often each host has failed in a way that may be its own."""
    is_second_hand: bool = False
    """Whether the last call was made with an access token that another process had had refreshed."""
    has_waited: bool = False
    """Whether a throttled credential was waited for."""
    seen: Counter[Failure] = field(default_factory=Counter)

    @property
    def host(self) -> str:
        """Name of the host of the last call."""
        return urlsplit(self.url).hostname or ""

    def has_renewed(self, credential_id: str) -> bool:
        """Whether the last call was made with an access token that was fetched for this request, by nobody else."""
        return self.renewed[credential_id] > 0 and not self.is_second_hand

    def begin_call(self, label: str, *, url: str = "", choice: str = "", is_second_hand: bool = False) -> None:
        """Counts a call with the credential of that label; it counts as charged until something speaks against it."""
        self.calls += 1
        self.metered += 1
        self.credential, self.choice, self.url, self.is_second_hand = label, choice, url, is_second_hand
        self.status = None

    def receive_failure(  # noqa: PLR0913 - what a plan depends on, all but two by name
        self,
        error: Kiro2ApiError,
        credential_id: str,
        *,
        pauses: Pauses,
        draw: float,
        has_other_host: bool = False,
        is_repaired: bool = False,
    ) -> Plan:
        """What is to follow on ``error``, given all that went before.

        Args:
            error: How the latest call ended.
            credential_id: Whose it was.
            pauses: How long to wait.
            draw: From 0 to 1, for the backoff.
            has_other_host: Whether there is a host that has not failed for this request, nor lately for another.
            is_repaired: Whether the request no longer has what ``error`` complains of, or says what to do about it.
        """
        failure = classify_failure(error)
        if is_repaired and failure is not Failure.ANSWER:
            failure = Failure.FORM
        rule = RULES[failure]
        self.failed_urls[self.url] += rule.is_of_host
        self.failures.append(failure.value)
        self.metered -= failure is Failure.FORM or not is_metered(error)
        repeated, self.seen[failure] = self.seen[failure], self.seen[failure] + 1
        if self.calls >= MAX_CALLS or self.metered >= MAX_METERED_CALLS or repeated >= rule.calls:
            return GIVE_UP
        if rule.needs_other_host and not has_other_host:
            return GIVE_UP
        if rule.pause is Pause.NONE:
            return Plan(step=self._select_step(rule.step, credential_id))
        if rule.is_of_host and has_other_host and not rule.is_metered:
            return Plan(step=rule.step)  # nothing was sent, and what is sick is left alone
        pause = _select_pause(rule.pause, repeated, pauses=pauses, draw=draw)
        asked = error.retry_after or 0.0
        if asked > max(pause, pauses.patience):
            return GIVE_UP
        return Plan(step=rule.step, pause=max(pause, asked), is_budgeted=rule.is_budgeted)

    def select_wait(
        self, error: Kiro2ApiError, credential_id: str, *, free_in: float | None, pauses: Pauses
    ) -> float | None:
        """Seconds to wait once for a throttled credential, now that no other is left; ``None`` if it is not worth it.

        Args:
            error: How the latest call ended.
            credential_id: Whose it was; it is no longer out for this request if it is waited for.
            free_in: Seconds until the first throttled credential may be used again, if that is what is missing.
            pauses: How long to wait at the most.
        """
        asked = error.retry_after
        if self.has_waited or classify_failure(error) is not Failure.RATE or asked is None or free_in is None:
            return None
        if max(asked, free_in) > pauses.patience:
            return None
        self.has_waited = True
        self.tried.discard(credential_id)
        return free_in + _WAIT_SLACK

    def _select_step(self, step: Step, credential_id: str) -> Step:
        if step is Step.RENEW and self.renewed[credential_id] < 1 + self.is_second_hand:
            self.renewed[credential_id] += 1
            return Step.RENEW
        if step is Step.AGAIN:
            return Step.AGAIN
        self.tried.add(credential_id)
        return Step.ELSEWHERE


def _select_pause(pause: Pause, repeated: int, *, pauses: Pauses, draw: float) -> float:
    if pause is Pause.SPACED:
        return pauses.capacity
    return min(pauses.cap, pauses.base * 2.0**repeated) * draw
