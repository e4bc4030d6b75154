"""Who may come in, and in which words a refusal is put.

The key is looked at before the body is read: a stranger uploads nothing. Clients have one key, the operator another,
and neither opens what the other does. Which dialect an error speaks is decided by the path, and on the paths that both
dialects share by the headers that only Anthropic's clients send.
"""

import hashlib
import hmac

from quart import Request, Response

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.anthropic.errors import render_error as render_anthropic_error
from kiro2api.protocol.openai.errors import render_error as render_openai_error

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Probes come without a key, and learn nothing that is worth one."""

ADMIN_PATHS = "/admin/"
ANTHROPIC_PATHS = "/v1/messages"
OPENAI_PATHS = ("/v1/chat/", "/v1/responses", ADMIN_PATHS)


class ClientKeyError(Kiro2ApiError):
    """The client's key is missing or wrong."""

    kind = ErrorKind.CLIENT_KEY

    def __init__(self) -> None:
        super().__init__("Send the proxy's key in the x-api-key or the Authorization header.")


class AdminKeyError(Kiro2ApiError):
    """The operator's key is missing or wrong."""

    kind = ErrorKind.CLIENT_KEY

    def __init__(self) -> None:
        super().__init__("Send the key of KIRO_ADMIN_TOKEN in the x-api-key or the Authorization header.")


class PathNotFoundError(Kiro2ApiError):
    """Nothing is served at this path."""

    kind = ErrorKind.NOT_FOUND

    def __init__(self) -> None:
        super().__init__("There is nothing at this path; see the list of endpoints in the documentation.")


class MethodNotAllowedError(Kiro2ApiError):
    """The path is served, but not by this method."""

    kind = ErrorKind.METHOD_NOT_ALLOWED

    def __init__(self) -> None:
        super().__init__("This path does not take this method.")


class MalformedHttpError(Kiro2ApiError):
    """The request is refused by the framework before any of our code has seen it."""

    kind = ErrorKind.BAD_REQUEST

    def __init__(self) -> None:
        super().__init__("The request is malformed.")


class EncodedBodyError(Kiro2ApiError):
    """The request's body is compressed, and might unpack to anything."""

    kind = ErrorKind.BAD_REQUEST

    def __init__(self) -> None:
        super().__init__("Send the request body as it is: a Content-Encoding is not supported.")


def check_content_encoding(request: Request) -> None:
    """Passes if the body is sent as it is.

    Raises:
        EncodedBodyError: It is not.
    """
    codings = ",".join(request.headers.getlist("content-encoding")).split(",")
    if any(coding.strip().lower() not in {"", "identity"} for coding in codings):
        raise EncodedBodyError


def check_access(request: Request, *, client_key: str, admin_key: str | None) -> None:
    """Passes if the caller may have what is at the path, whether or not there is anything.

    Raises:
        ClientKeyError: The path wants the clients' key.
        AdminKeyError: It wants the operator's.
        PathNotFoundError: It would, and there is none.
    """
    if request.path in OPEN_PATHS or request.method == "OPTIONS":
        return
    if not request.path.startswith(ADMIN_PATHS):
        check_client_key(request, client_key)
    elif admin_key is None:
        raise PathNotFoundError
    elif not _has_key(request, admin_key):
        raise AdminKeyError


def check_client_key(request: Request, client_key: str) -> None:
    """Passes if either key header holds ``client_key``; agents send both, and not always the same in both.

    Raises:
        ClientKeyError: Neither does.
    """
    if not _has_key(request, client_key):
        raise ClientKeyError


def _has_key(request: Request, key: str) -> bool:
    expected = _digest(key.encode())
    offered = [value.strip() for value in request.headers.getlist("x-api-key")]
    for value in request.headers.getlist("authorization"):
        scheme, _, shown = value.partition(" ")
        if scheme.lower() == "bearer":
            offered.append(shown.strip())
    # The framework read the header as Latin-1: so written again, it is the bytes that came.
    digests = [_digest(shown.encode("latin-1", "replace")) for shown in offered]
    return any([hmac.compare_digest(digest, expected) for digest in digests])  # noqa: C419  every one is compared


def _digest(key: bytes) -> bytes:
    """Of one length for all keys, so that comparing tells nothing about theirs."""
    return hashlib.sha256(key).digest()


def is_anthropic(request: Request) -> bool:
    """Whether the caller is to be answered in Anthropic's words."""
    if request.path.startswith(ANTHROPIC_PATHS):
        return True
    if request.path.startswith(OPENAI_PATHS):
        return False
    return "anthropic-version" in request.headers or "x-api-key" in request.headers


def name_request_id_header(request: Request) -> str:
    """The header in which the caller's SDK looks for the id of the request."""
    return "request-id" if is_anthropic(request) else "x-request-id"


def build_error_response(request: Request, error: Kiro2ApiError, *, request_id: str) -> Response:
    """The refusal in the caller's dialect."""
    render = render_anthropic_error if is_anthropic(request) else render_openai_error
    rendered = render(error, request_id=request_id)
    return Response(rendered.body, status=rendered.status, headers=rendered.headers)
