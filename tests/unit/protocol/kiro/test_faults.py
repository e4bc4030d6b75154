"""The upstream's errors: bodies and frames that were seen, and what each of them means."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.jsontext import JSON
from kiro2api.protocol.kiro.faults import (
    MAX_RETRY_AFTER,
    FaultClass,
    FaultReport,
    UpstreamFaultError,
    classify_fault,
    is_exception_document,
    read_error_frame,
    read_http_fault,
    read_stream_fault,
)

NOW = 1_800_000_000.0


def read(status: int, body: JSON | bytes = b"", headers: Mapping[str, str] | None = None) -> UpstreamFaultError:
    """The error of an HTTP answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_http_fault(status, headers or {}, data, now=NOW)


def says(message: str, reason: str | None = None) -> JSON:
    """A body as the service writes it."""
    return {"message": message, "reason": reason}


@pytest.fixture
def far_from_utc() -> Iterator[None]:
    """The machine's own time zone is not the one that dates without a zone mean."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


SUSPENDED_OLD = "Your User ID (d-90670000.1234) temporarily is suspended. We've locked your account as a precaution."
SUSPENDED_NEW = "Your account is temporarily suspended. We detected unusual user activity and locked it."
HTML = b"<html><head><title>error</title></head><body>bearer token</body></html>"

HTTP: dict[str, tuple[int, JSON | bytes, FaultClass]] = {
    "malformed": (400, says("Improperly formed request."), FaultClass.BAD_REQUEST),
    "malformed, reason": (400, says("Improperly formed request.", "REQUEST_BODY_INVALID"), FaultClass.BAD_REQUEST),
    "no profile": (400, says("profileArn is required for this request."), FaultClass.BAD_REQUEST),
    "mismatch": (400, says("…", "TOOL_USE_RESULT_MISMATCH"), FaultClass.BAD_REQUEST),
    "too long": (400, says("Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD"), FaultClass.CONTEXT_OVERFLOW),
    "too long by words": (400, says("Input is too long."), FaultClass.CONTEXT_OVERFLOW),
    "prompt too long": (400, says("x", "PROMPT_TOO_LONG"), FaultClass.CONTEXT_OVERFLOW),
    "prompt too long by words": (400, says("The prompt is too long for it"), FaultClass.CONTEXT_OVERFLOW),
    "conversation limit": (402, says("x", "CONVERSATION_LIMIT_EXCEEDED"), FaultClass.CONTEXT_OVERFLOW),
    "body too large": (413, HTML, FaultClass.CONTEXT_OVERFLOW),
    "model": (400, says("Invalid model ID. Please select a different model.", "INVALID_MODEL_ID"), FaultClass.MODEL),
    "capacity 429": (429, says("x", "INSUFFICIENT_MODEL_CAPACITY"), FaultClass.CAPACITY),
    "capacity 400": (
        400,
        {"__type": "x#ThrottlingException", "reason": "INSUFFICIENT_MODEL_CAPACITY"},
        FaultClass.CAPACITY,
    ),
    "capacity 400 by words": (
        400,
        says("I am experiencing high traffic, please try again shortly."),
        FaultClass.CAPACITY,
    ),
    "capacity 500 by words": (
        500,
        says("Encountered unexpectedly high load when processing the request, please try again."),
        FaultClass.CAPACITY,
    ),
    "unavailable 500": (500, says("x", "MODEL_TEMPORARILY_UNAVAILABLE"), FaultClass.CAPACITY),
    "unavailable 503": (503, says("x", "MODEL_TEMPORARILY_UNAVAILABLE"), FaultClass.CAPACITY),
    "monthly 402": (402, says("You have reached the limit.", "MONTHLY_REQUEST_COUNT"), FaultClass.QUOTA),
    "monthly 429": (429, says("x", "MONTHLY_REQUEST_COUNT"), FaultClass.QUOTA),
    "monthly 400": (400, {"__type": "x#ThrottlingException", "reason": "MONTHLY_REQUEST_COUNT"}, FaultClass.QUOTA),
    "monthly 403": (403, says("x", "MONTHLY_REQUEST_COUNT"), FaultClass.QUOTA),
    "overage 402": (402, says("limit for overages.", "OVERAGE_REQUEST_LIMIT_EXCEEDED"), FaultClass.QUOTA),
    "overage 403": (403, says("x", "OVERAGE_REQUEST_LIMIT_EXCEEDED"), FaultClass.QUOTA),
    "402": (402, b"", FaultClass.QUOTA),
    "quota by name": (400, {"__type": "x#ServiceQuotaExceededException"}, FaultClass.QUOTA),
    "daily 429": (429, says("x", "DAILY_REQUEST_COUNT"), FaultClass.DAILY_QUOTA),
    "daily 402": (402, says("x", "DAILY_REQUEST_COUNT"), FaultClass.DAILY_QUOTA),
    "suspended": (403, says(SUSPENDED_OLD), FaultClass.SUSPENDED),
    "suspended, new words": (403, says(SUSPENDED_NEW), FaultClass.SUSPENDED),
    "suspended by reason": (403, says("x", "TEMPORARILY_SUSPENDED"), FaultClass.SUSPENDED),
    "bearer": (403, says("The bearer token included in the request is invalid."), FaultClass.ACCESS_TOKEN),
    "expired": (403, {"message": "Token expired"}, FaultClass.ACCESS_TOKEN),
    "invalid": (403, {"Message": "Invalid token"}, FaultClass.ACCESS_TOKEN),
    "401": (401, b"", FaultClass.ACCESS_TOKEN),
    "401 denied": (401, {"__type": "x#AccessDeniedException", "message": "no"}, FaultClass.ACCESS_TOKEN),
    "expired by name": (400, {"__type": "x#ExpiredTokenException"}, FaultClass.ACCESS_TOKEN),
    "unrecognized by name": (400, {"__type": "x#UnrecognizedClientException"}, FaultClass.ACCESS_TOKEN),
    "bearer 400": (
        400,
        {"__type": "x#AccessDeniedException", "message": "The bearer token is invalid"},
        FaultClass.ACCESS_TOKEN,
    ),
    "entitlement": (403, says("User is not authorized to make this call."), FaultClass.PERMISSION),
    "builder id": (403, says("AWS Builder ID is not supported for this operation."), FaultClass.PERMISSION),
    "feature": (403, says("x", "FEATURE_NOT_SUPPORTED"), FaultClass.PERMISSION),
    "denied 400": (400, {"__type": "x#AccessDeniedException", "message": "no"}, FaultClass.PERMISSION),
    "edge 403": (403, HTML, FaultClass.PERMISSION),
    "rate": (429, says("Too many requests, please wait.", "USER_REQUEST_RATE_EXCEEDED"), FaultClass.RATE),
    "rate by name": (400, {"__type": "x#ThrottlingException"}, FaultClass.RATE),
    "credits rate": (
        429,
        {"__type": "com.amazon.kiro.runtimeservice#ThrottlingException", "reason": "CREDIT_CONSUMPTION_RATE_EXCEEDED"},
        FaultClass.RATE,
    ),
    "suspicious": (429, says("suspicious activity … temporary limits"), FaultClass.RATE),
    "429": (429, b"", FaultClass.RATE),
    "unknown operation": (400, {"__type": "x#UnknownOperationException"}, FaultClass.ADDRESS),
    "resource": (404, {"__type": "x#ResourceNotFoundException"}, FaultClass.ADDRESS),
    "404": (404, HTML, FaultClass.ADDRESS),
    "validation by name": (500, {"__type": "x#ValidationException"}, FaultClass.BAD_REQUEST),
    "disguised as success": (200, {"__type": "x#ValidationException", "message": "m"}, FaultClass.BAD_REQUEST),
    "408": (408, b"", FaultClass.TIMEOUT),
    "504": (504, HTML, FaultClass.TIMEOUT),
    "524": (524, HTML, FaultClass.TIMEOUT),
    "500": (500, says("Internal error"), FaultClass.SERVER),
    "502": (502, HTML, FaultClass.SERVER),
    "503": (503, {"__type": "x#ServiceUnavailableException"}, FaultClass.SERVER),
    "other 4xx": (409, {"__type": "x#ConflictException"}, FaultClass.SERVER),
    "redirect": (302, b"", FaultClass.SERVER),
    "array": (500, [{"reason": "MONTHLY_REQUEST_COUNT"}], FaultClass.SERVER),
    "no UTF-8": (500, b'{"reason":"MONTHLY_REQUEST_COUNT\xff"}', FaultClass.SERVER),
}


@pytest.mark.parametrize(("status", "body", "fault_class"), HTTP.values(), ids=HTTP)
def test_http(status: int, body: JSON | bytes, fault_class: FaultClass) -> None:
    """Name, reason and words decide before the status does."""
    error = read(status, body)
    assert (error.fault_class, error.status) == (fault_class, status)


STREAM: dict[str, tuple[str, JSON, FaultClass, int | None, str]] = {
    "error": ("error", {"message": "m"}, FaultClass.SERVER, 500, "InternalServerException"),
    "error that names itself": (
        "error",
        {"__type": "x#ThrottlingException"},
        FaultClass.RATE,
        429,
        "ThrottlingException",
    ),
    "throttling": ("throttlingError", {"message": "slow down"}, FaultClass.RATE, 429, "throttlingError"),
    "throttling, shape": ("ThrottlingException", {}, FaultClass.RATE, 429, "ThrottlingException"),
    "validation": ("validationError", {}, FaultClass.BAD_REQUEST, 400, "validationError"),
    "validation, shape": ("ValidationException", {}, FaultClass.BAD_REQUEST, 400, "ValidationException"),
    "too long": ("validationError", {"reason": "PROMPT_TOO_LONG"}, FaultClass.CONTEXT_OVERFLOW, 400, "validationError"),
    "unavailable": ("serviceUnavailableError", {}, FaultClass.SERVER, 503, "serviceUnavailableError"),
    "capacity": (
        "serviceUnavailableError",
        {"reason": "MODEL_TEMPORARILY_UNAVAILABLE"},
        FaultClass.CAPACITY,
        503,
        "serviceUnavailableError",
    ),
    "internal": ("InternalServerException", {}, FaultClass.SERVER, 500, "InternalServerException"),
    "denied": ("AccessDeniedException", {"message": "no"}, FaultClass.PERMISSION, 403, "AccessDeniedException"),
    "token": (
        "AccessDeniedException",
        {"message": "Token expired"},
        FaultClass.ACCESS_TOKEN,
        403,
        "AccessDeniedException",
    ),
    "quota": ("ServiceQuotaExceededException", {}, FaultClass.QUOTA, 402, "ServiceQuotaExceededException"),
    "namespace": ("com.amazon.x#ThrottlingException", {}, FaultClass.RATE, 429, "ThrottlingException"),
    "unknown": ("NewException", {}, FaultClass.SERVER, None, "NewException"),
    "unnamed": ("", {"__type": "x#ValidationException"}, FaultClass.BAD_REQUEST, 400, "ValidationException"),
    "no name": ("what a day", {}, FaultClass.SERVER, None, ""),
}


@pytest.mark.parametrize(("name", "payload", "fault_class", "status", "known_as"), STREAM.values(), ids=STREAM)
def test_stream(name: str, payload: JSON, fault_class: FaultClass, status: int | None, known_as: str) -> None:
    """An exception in the stream has the class and the status that it would have as an HTTP answer."""
    error = read_stream_fault(name, json.dumps(payload).encode())
    assert (error.fault_class, error.status, error.name) == (fault_class, status, known_as)


@pytest.mark.parametrize(
    ("code", "message", "fault_class", "status"),
    [
        ("InternalFailure", "backend unavailable", FaultClass.SERVER, 500),
        ("x#ThrottlingException:http://x/", "slow down", FaultClass.RATE, 429),
        ("ValidationException", "Input is too long.", FaultClass.CONTEXT_OVERFLOW, 400),
        ("", "", FaultClass.SERVER, None),
    ],
)
def test_error_frame(code: str, message: str, fault_class: FaultClass, status: int | None) -> None:
    """An error frame is classified by its headers."""
    error = read_error_frame(code, message)
    assert (error.fault_class, error.status) == (fault_class, status)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        ({"__type": "ThrottlingException"}, ""),
        ({"__type": "com.amazon.aws.codewhisperer#ThrottlingException"}, "ValidationException"),
        ({"__type": "x#ThrottlingException:http://internal.amazon.com/coral/x#y/"}, ""),
        ({"_type": "x#ThrottlingException"}, ""),
        ({"message": "m"}, "ThrottlingException"),
        ({"message": "m"}, "ThrottlingException:http://internal.amazon.com/coral/com.amazon#x/"),
        ({"__type": "  "}, "x#ThrottlingException"),
        ({"__type": 5}, "ThrottlingException"),
        (HTML, "ThrottlingException"),
        ({"error": {"__type": "x#ThrottlingException", "message": "m"}}, "ValidationException"),
        ({"error": {"message": "m"}, "__type": "x#ThrottlingException"}, ""),
    ],
)
def test_name(body: JSON | bytes, header: str) -> None:
    """The name stands in the body or in a header, with or without namespace and address."""
    error = read(500, body, {"x-amzn-errortype": header})
    assert (error.name, error.fault_class) == ("ThrottlingException", FaultClass.RATE)


@pytest.mark.parametrize("ending", ["Exception", "Error", ""])
def test_endings(ending: str) -> None:
    """Deployments end the names differently."""
    assert read(500, {"__type": f"x#Throttling{ending}"}).fault_class is FaultClass.RATE


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "MONTHLY_REQUEST_COUNT"},
        {"error": {"reason": "MONTHLY_REQUEST_COUNT", "message": "m"}},
        {"message": "m", "error": {"reason": "MONTHLY_REQUEST_COUNT"}},
        {"message": "m", "reason": None, "error": {"reason": "MONTHLY_REQUEST_COUNT"}},
        {"message": "m", "reason": "MONTHLY_REQUEST_COUNT", "error": "quota"},
    ],
)
def test_reason(body: JSON) -> None:
    """The reason stands in the body or in its ``error``; in the words of the message it does not count."""
    assert read(429, body).reason == "MONTHLY_REQUEST_COUNT"
    assert read(429, says("no MONTHLY_REQUEST_COUNT")).fault_class is FaultClass.RATE


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {}, None),
        ({"retry-after": "7"}, {}, 7.0),
        ({"retry-after": "0"}, {}, 0.0),
        ({"retry-after": "86400"}, {}, MAX_RETRY_AFTER),
        ({"retry-after": "9" * 5000}, {}, MAX_RETRY_AFTER),
        ({"retry-after": "-5"}, {}, None),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "1.5"}, {}, None),
        ({"retry-after": "²"}, {}, None),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC), usegmt=True)}, {}, 30.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW + 30, UTC).replace(tzinfo=None))}, {}, 30.0),
        ({"retry-after": format_datetime(datetime.fromtimestamp(NOW - 30, UTC), usegmt=True)}, {}, None),
        ({"retry-after": "Wed, 21 Oct 9999 07:28:00 GMT"}, {}, MAX_RETRY_AFTER),
        ({"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}, {}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 +99999999999999999999"}, {}, None),
        ({}, {"retryAfterMilliseconds": 300_000}, 300.0),
        ({"retry-after": "7"}, {"retryAfterMilliseconds": 1500}, 1.5),
        ({"retry-after": "7"}, {"retryAfterMilliseconds": True}, 7.0),
        ({"retry-after": "7"}, {"retryAfterMilliseconds": "1500"}, 7.0),
        ({}, {"retryAfterMilliseconds": -1}, None),
        ({}, {"retryAfterMilliseconds": 10**9}, MAX_RETRY_AFTER),
        ({}, {"retryAfterMilliseconds": 10**400}, MAX_RETRY_AFTER),
    ],
)
@pytest.mark.usefixtures("far_from_utc")
def test_retry_after(headers: dict[str, str], body: dict[str, JSON], seconds: float | None) -> None:
    """The wait is read from the body, else from the header in either form; nonsense is none; an hour is the most."""
    assert read(429, body, headers).retry_after == seconds


def test_retry_after_in_the_stream() -> None:
    """An exception in the stream has its wait in the payload."""
    assert read_stream_fault("throttlingError", b'{"retryAfterMilliseconds":8000}').retry_after == 8.0
    assert read_stream_fault("throttlingError", b"{}").retry_after is None


KINDS = {
    FaultClass.CONTEXT_OVERFLOW: ErrorKind.CONTEXT_OVERFLOW,
    FaultClass.CAPACITY: ErrorKind.OVERLOADED,
    FaultClass.QUOTA: ErrorKind.QUOTA_EXHAUSTED,
    FaultClass.DAILY_QUOTA: ErrorKind.RATE_LIMITED,
    FaultClass.SUSPENDED: ErrorKind.NO_CREDENTIAL,
    FaultClass.ACCESS_TOKEN: ErrorKind.NO_CREDENTIAL,
    FaultClass.PERMISSION: ErrorKind.NO_CREDENTIAL,
    FaultClass.RATE: ErrorKind.RATE_LIMITED,
    FaultClass.MODEL: ErrorKind.MODEL_NOT_FOUND,
    FaultClass.BAD_REQUEST: ErrorKind.BAD_REQUEST,
    FaultClass.ADDRESS: ErrorKind.UPSTREAM,
    FaultClass.TIMEOUT: ErrorKind.UPSTREAM_TIMEOUT,
    FaultClass.SERVER: ErrorKind.UPSTREAM,
}


def test_kinds() -> None:
    """Each class is one kind of error to the client, and no fault of a credential is the client's key."""
    seen = {}
    for status, body, _ in HTTP.values():
        error = read(status, body)
        seen[error.fault_class] = error.kind
    assert seen == KINDS
    assert ErrorKind.CLIENT_KEY not in KINDS.values()


def test_words_for_agents() -> None:
    """Agents compact a conversation when the message begins with these words."""
    assert read(400, says("x", "PROMPT_TOO_LONG")).message.startswith("prompt is too long: ")


def test_reason_is_passed_on() -> None:
    """A refused form names the reason code, if there is one."""
    assert read(400, says("x", "TOOL_SCHEMA_INVALID")).message.endswith("(reason TOOL_SCHEMA_INVALID).")
    assert read(400, says("x")).message.endswith("request.")


@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 524])
def test_no_free_text(status: int) -> None:
    """Nothing of the upstream's own words gets into the message for the client or into the detail for the log."""
    canary = "arn:aws:canary/123456789012 <canary>"
    body: JSON = {"__type": canary, "message": canary, "Message": canary, "reason": canary, canary: canary}
    data = json.dumps(body).encode()
    errors = [
        read(status, body, {"x-amzn-errortype": canary, "retry-after": canary}),
        read(status, canary.encode()),
        read_stream_fault(canary, data),
        read_stream_fault("error", data),
        read_error_frame(canary, canary),
    ]
    for error in errors:
        assert "canary" not in f"{error} {error.message} {error.detail} {error.name} {error.reason}"


def test_detail() -> None:
    """The log gets class, status, name and reason."""
    error = read(429, {"__type": "x#ThrottlingException", "reason": "USER_REQUEST_RATE_EXCEEDED"})
    expected = "class=rate status=429 name=ThrottlingException reason=USER_REQUEST_RATE_EXCEEDED"
    assert error.detail == expected
    assert not error.retry_safe


def test_classify() -> None:
    """A report that fits no row is the server's fault."""
    assert classify_fault(FaultReport(status=None)) is FaultClass.SERVER
    assert classify_fault(FaultReport(status=402, reason="CONVERSATION_LIMIT_EXCEEDED")) is FaultClass.CONTEXT_OVERFLOW


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"__type": "x#ThrottlingException"}, True),
        ({"_type": "ThrottlingError"}, True),
        ({"__type": "x#MeteringEvent"}, False),
        ({"__type": None}, False),
        ({"content": "ThrottlingException"}, False),
    ],
)
def test_is_exception_document(document: dict[str, JSON], *, expected: bool) -> None:
    """A payload is an exception's by its type."""
    assert is_exception_document(document) is expected
