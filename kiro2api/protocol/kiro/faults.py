"""The upstream's errors, told apart.

The service says the same thing in several ways: an exception name in the body's ``__type``, in a header or in a frame;
a ``reason`` code; a status that differs from deployment to deployment; sometimes only a sentence. The first row of the
table below that fits decides the class; names and reasons come before the status.
"""

import email.utils
import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.errors import TRY_AGAIN
from kiro2api.protocol.jsontext import JSON, InvalidJSONError, JSONObject, parse_json

MAX_RETRY_AFTER = 3600.0
"""Seconds. A longer wait is no advice for a request; what lasts longer is a quota, and has its own class."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")


class FaultClass(enum.Enum):
    """What an error of the upstream means for the request and for the credential that carried it."""

    CONTEXT_OVERFLOW = "context_overflow"
    CAPACITY = "capacity"
    """The model has no capacity; no fault of the credential."""
    QUOTA = "quota"
    """Used up for the month, or for good until overage is raised."""
    DAILY_QUOTA = "daily_quota"
    SUSPENDED = "suspended"
    ACCESS_TOKEN = "access_token"  # noqa: S105  the name of a class of faults, no secret
    """The access token is expired or unknown: one refresh may help."""
    PERMISSION = "permission"
    """The credential is not entitled, or its profile or region is wrong: a refresh does not help."""
    RATE = "rate"
    MODEL = "model"
    """Unknown, not in this credential's plan, or closed for a while."""
    BAD_REQUEST = "bad_request"
    ADDRESS = "address"
    """Host or path are wrong."""
    TIMEOUT = "timeout"
    SERVER = "server"


_KINDS: dict[FaultClass, tuple[ErrorKind, str]] = {
    FaultClass.CONTEXT_OVERFLOW: (
        ErrorKind.CONTEXT_OVERFLOW,
        "prompt is too long: it exceeds the context window of the model; shorten or compact the conversation.",
    ),
    FaultClass.CAPACITY: (
        ErrorKind.OVERLOADED,
        "The model is out of capacity upstream; please try again in a little while or use another model.",
    ),
    FaultClass.QUOTA: (
        ErrorKind.QUOTA_EXHAUSTED,
        "The upstream quota of this proxy's credentials is used up; it returns with the next billing period.",
    ),
    FaultClass.DAILY_QUOTA: (
        ErrorKind.RATE_LIMITED,
        "The upstream's daily request limit is reached; it is lifted at 00:00 UTC.",
    ),
    FaultClass.SUSPENDED: (
        ErrorKind.NO_CREDENTIAL,
        "The upstream has suspended this proxy's account; its owner has to contact the provider.",
    ),
    FaultClass.ACCESS_TOKEN: (
        ErrorKind.NO_CREDENTIAL,
        "The upstream does not accept this proxy's credential; its owner has to log in again. Your own key is fine.",
    ),
    FaultClass.PERMISSION: (
        ErrorKind.NO_CREDENTIAL,
        "The upstream account of this proxy may not do this; its owner has to check plan, profile and region.",
    ),
    FaultClass.RATE: (
        ErrorKind.RATE_LIMITED,
        "The upstream limits the rate of this proxy's credentials; please slow down.",
    ),
    FaultClass.MODEL: (
        ErrorKind.MODEL_NOT_FOUND,
        "The upstream does not offer this model to this proxy's credentials; choose another one.",
    ),
    FaultClass.BAD_REQUEST: (
        ErrorKind.BAD_REQUEST,
        "The upstream refused the form of the translated request",
    ),
    FaultClass.ADDRESS: (
        ErrorKind.UPSTREAM,
        "The upstream does not know this operation; the proxy's owner has to check KIRO_UPSTREAM_URL.",
    ),
    FaultClass.TIMEOUT: (ErrorKind.UPSTREAM_TIMEOUT, "The upstream took too long to answer."),
    FaultClass.SERVER: (ErrorKind.UPSTREAM, f"The upstream failed; {TRY_AGAIN}."),
}


class UpstreamFaultError(Kiro2ApiError):
    """An error that the upstream itself reported, by status or inside the stream.

    Attributes:
        fault_class: What it means.
        status: The HTTP status, or the one that belongs to the exception's name; ``None`` when neither is known.
        name: The exception's name without namespace, or empty.
        reason: The reason code, or empty.
        names_model_fields: Whether it complains of what goes into ``additionalModelRequestFields``.
        is_unexplained: Whether it finds the request's form wrong and does not say where.
    """

    def __init__(self, report: "FaultReport") -> None:
        fault_class = classify_fault(report)
        self.fault_class = fault_class
        self.status = report.status
        self.name = report.name
        self.reason = report.reason
        self.names_model_fields = fault_class is FaultClass.BAD_REQUEST and _names_model_fields(report)
        self.is_unexplained = fault_class is FaultClass.BAD_REQUEST and _is_unexplained(report)
        self.kind, message = _KINDS[fault_class]
        if fault_class is FaultClass.BAD_REQUEST:
            message += f" (reason {self.reason})." if self.reason else "."
        super().__init__(
            message,
            retry_after=report.retry_after,
            detail=f"class={fault_class.value} status={self.status} name={self.name} reason={self.reason}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport:
    """What the upstream said about an error; ``message`` may hold account ids and must not be passed on."""

    status: int | None
    name: str = ""
    reason: str = ""
    message: str = ""
    retry_after: float | None = None
    """Seconds, 0 to ``MAX_RETRY_AFTER``."""


def read_http_fault(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> UpstreamFaultError:
    """The error in an HTTP answer; ``headers`` in lower case, ``now`` in epoch seconds for a dated ``retry-after``."""
    document = _read_document(body)
    name = _exception_name(document) or _bare_name(headers.get("x-amzn-errortype", ""))
    retry_after = _retry_after(document, headers.get("retry-after", ""), now)
    return UpstreamFaultError(_report(document, status=status, name=name, retry_after=retry_after))


def read_stream_fault(name: str, payload: bytes) -> UpstreamFaultError:
    """The error in an exception frame; ``name`` is its ``:exception-type``."""
    document = _read_document(payload)
    if name in {"", "error"}:  # the modelled member of that name is an InternalServerException
        name = _exception_name(document) or "InternalServerException"
    name = _bare_name(name)
    status = _STATUS_BY_STEM.get(_stem(name))
    retry_after = _retry_after(document, "", 0.0)
    return UpstreamFaultError(_report(document, status=status, name=name, retry_after=retry_after))


def read_error_frame(code: str, message: str) -> UpstreamFaultError:
    """The error in an error frame, whose details stand in its headers only."""
    name = _bare_name(code)
    return UpstreamFaultError(FaultReport(status=_STATUS_BY_STEM.get(_stem(name)), name=name, message=message))


def _report(document: JSONObject, *, status: int | None, name: str, retry_after: float | None) -> FaultReport:
    return FaultReport(
        status=status,
        name=name,
        reason=_code(_text(document.get("reason"))),
        message=_text(document.get("message")) or _text(document.get("Message")),
        retry_after=retry_after,
    )


def classify_fault(report: FaultReport) -> FaultClass:
    """The class of a reported error: the first row of the table that fits."""
    for fits, fault_class in _ROWS:
        if fits(report):
            return fault_class
    return FaultClass.SERVER


def is_exception_document(document: JSONObject) -> bool:
    """Whether a payload that should be an event is an error in disguise (seen with status 200)."""
    return _exception_name(document).endswith(("Exception", "Error"))


def _reason(*reasons: str) -> Callable[[FaultReport], bool]:
    return lambda report: report.reason in reasons


def _says(*words: str) -> Callable[[FaultReport], bool]:
    return lambda report: any(word in report.message.lower() for word in words)


def _named(*stems: str) -> Callable[[FaultReport], bool]:
    return lambda report: _stem(report.name) in stems


def _status(*statuses: int) -> Callable[[FaultReport], bool]:
    return lambda report: report.status in statuses


def _both(one: Callable[[FaultReport], bool], other: Callable[[FaultReport], bool]) -> Callable[[FaultReport], bool]:
    return lambda report: one(report) and other(report)


# The second is what the service says of a property that is not in the model's schema; it says where in words only.
_names_model_fields = _says("additionalmodelrequestfields", "is not defined in the schema")


def _is_unexplained(report: FaultReport) -> bool:
    return report.reason in _REASONS_FOR_ANYTHING and (not report.message or _says("improperly formed")(report))


_REASONS_FOR_ANYTHING = {"", "REQUEST_BODY_INVALID"}
_TOKEN_WORDS = ("bearer token", "token expired", "invalid token")

# The order is the meaning: a quota may come with status 429 or 400, a full model with 400 or 500.
_ROWS: tuple[tuple[Callable[[FaultReport], bool], FaultClass], ...] = (
    (
        _reason("CONTENT_LENGTH_EXCEEDS_THRESHOLD", "PROMPT_TOO_LONG", "CONVERSATION_LIMIT_EXCEEDED"),
        FaultClass.CONTEXT_OVERFLOW,
    ),
    (_says("input is too long", "prompt is too long"), FaultClass.CONTEXT_OVERFLOW),
    (
        _reason("INSUFFICIENT_MODEL_CAPACITY", "MODEL_TEMPORARILY_UNAVAILABLE"),
        FaultClass.CAPACITY,
    ),
    (_says("unexpectedly high load", "experiencing high traffic"), FaultClass.CAPACITY),
    (_reason("DAILY_REQUEST_COUNT"), FaultClass.DAILY_QUOTA),
    (_reason("MONTHLY_REQUEST_COUNT", "OVERAGE_REQUEST_LIMIT_EXCEEDED"), FaultClass.QUOTA),
    (_status(402), FaultClass.QUOTA),
    (_named("servicequotaexceeded"), FaultClass.QUOTA),
    (_reason("TEMPORARILY_SUSPENDED"), FaultClass.SUSPENDED),
    (_both(_says("suspended"), _says("locked")), FaultClass.SUSPENDED),
    (_status(401), FaultClass.ACCESS_TOKEN),
    (_named("expiredtoken", "unrecognizedclient"), FaultClass.ACCESS_TOKEN),
    (_both(_status(403), _says(*_TOKEN_WORDS)), FaultClass.ACCESS_TOKEN),
    (_both(_named("accessdenied"), _says(*_TOKEN_WORDS)), FaultClass.ACCESS_TOKEN),
    (_named("accessdenied"), FaultClass.PERMISSION),
    (_status(403), FaultClass.PERMISSION),
    (_named("throttling"), FaultClass.RATE),
    (_status(429), FaultClass.RATE),
    (_reason("INVALID_MODEL_ID"), FaultClass.MODEL),
    (_status(413), FaultClass.CONTEXT_OVERFLOW),  # agents can compact; they cannot do anything else
    (_named("unknownoperation", "resourcenotfound"), FaultClass.ADDRESS),
    (_named("validation"), FaultClass.BAD_REQUEST),
    (_status(400), FaultClass.BAD_REQUEST),
    (_status(404), FaultClass.ADDRESS),
    (_status(408, 504, 524), FaultClass.TIMEOUT),
)

_STATUS_BY_STEM = {
    "accessdenied": 403,
    "internalserver": 500,
    "internalfailure": 500,
    "servicequotaexceeded": 402,
    "serviceunavailable": 503,
    "throttling": 429,
    "validation": 400,
}


def _stem(name: str) -> str:
    """An exception's name without the endings that the deployments spell differently, in lower case."""
    return name.removesuffix("Exception").removesuffix("Error").lower()


def _read_document(body: bytes) -> JSONObject:
    try:
        value = parse_json(body)
    except InvalidJSONError:  # an edge proxy's HTML page, or nothing at all
        return {}
    if not isinstance(value, dict):
        return {}
    inner = value.get("error")
    return value | inner if isinstance(inner, dict) else value


def _exception_name(document: JSONObject) -> str:
    return _bare_name(_text(document.get("__type")) or _text(document.get("_type")))


def _bare_name(text: str) -> str:
    """The exception's name in ``namespace#Name:url``."""
    return _code(text.partition(":")[0].rpartition("#")[2])


def _code(text: str) -> str:
    """``text`` if it has the shape of a name, else nothing: what goes into logs and answers is no free text."""
    return text if _CODE.fullmatch(text) else ""


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""


def _retry_after(document: JSONObject, header: str, now: float) -> float | None:
    milliseconds = document.get("retryAfterMilliseconds")
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
        return _bounded(min(milliseconds, MAX_RETRY_AFTER * 1000) / 1000)
    if header.isascii() and header.isdigit():
        return _bounded(float(header[:9]))
    try:
        date = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return _bounded(date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)


def _bounded(seconds: float) -> float | None:
    return min(seconds, MAX_RETRY_AFTER) if seconds >= 0 else None
