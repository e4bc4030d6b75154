"""Key check and choice of dialect on bare requests."""

from contextlib import nullcontext

import pytest
from quart import Request
from werkzeug.datastructures import Headers

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.routes.guard import (
    AdminKeyError,
    ClientKeyError,
    PathNotFoundError,
    check_access,
    check_client_key,
    is_anthropic,
    name_request_id_header,
)


def _request(path: str = "/v1/models", **headers: str) -> Request:
    async def push(_path: str, _headers: Headers) -> None:
        raise NotImplementedError

    fields = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
    scope = {"type": "http"}
    return Request("GET", "http", path, b"", fields, "", "1.1", scope, send_push_promise=push)  # type: ignore[arg-type]  # of the scope nothing is read here


def test_a_key_outside_ascii_is_compared_by_its_bytes() -> None:
    """The server reads headers as Latin-1; a key in UTF-8 is still recognised."""
    check_client_key(_request(x_api_key="schlüssel".encode().decode("latin-1")), "schlüssel")
    with pytest.raises(ClientKeyError):
        check_client_key(_request(x_api_key="schlüssel"), "schlüssel")


def test_the_error_for_a_wrong_key_does_not_repeat_it() -> None:
    """Neither the right key nor the one that was tried."""
    with pytest.raises(Kiro2ApiError) as caught:
        check_client_key(_request(x_api_key="tried"), "right")
    assert caught.value.kind is ErrorKind.CLIENT_KEY
    assert not {"tried", "right"} & set(caught.value.message.split())


@pytest.mark.parametrize(
    ("path", "key", "admin_key", "refusal"),
    [
        ("/healthz", "", "operator", None),
        ("/readyz", "", None, None),
        ("/v1/models", "client", "operator", None),
        ("/v1/models", "operator", "operator", ClientKeyError),
        ("/admin", "operator", "operator", ClientKeyError),
        ("/administer", "client", "operator", None),
        ("/admin/", "operator", "operator", None),
        ("/admin/credentials", "operator", "operator", None),
        ("/admin/credentials", "client", "operator", AdminKeyError),
        ("/admin/credentials", "", "operator", AdminKeyError),
        ("/admin/credentials", "client", None, PathNotFoundError),
        ("/admin/credentials", "", None, PathNotFoundError),
    ],
)
def test_each_path_has_its_key(path: str, key: str, admin_key: str | None, refusal: type[Kiro2ApiError] | None) -> None:
    """Probes have none, and what is below ``/admin/`` the operator's; without one, nothing is there."""
    expected = nullcontext() if refusal is None else pytest.raises(refusal)
    with expected:
        check_access(_request(path, x_api_key=key), client_key="client", admin_key=admin_key)


@pytest.mark.parametrize(
    ("path", "headers", "anthropic"),
    [
        ("/v1/messages", {}, True),
        ("/v1/messages/count_tokens", {}, True),
        ("/v1/chat/completions", {"x_api_key": "k", "anthropic_version": "2023-06-01"}, False),
        ("/v1/responses", {"x_api_key": "k"}, False),
        ("/admin/credentials", {"x_api_key": "k"}, False),
        ("/v1/models", {}, False),
        ("/v1/models", {"x_api_key": "k"}, True),
        ("/v1/models", {"anthropic_version": "2023-06-01"}, True),
        ("/nothing", {"authorization": "Bearer k"}, False),
    ],
)
def test_the_path_decides_about_the_dialect_and_else_the_headers(
    path: str,
    headers: dict[str, str],
    anthropic: bool,  # noqa: FBT001  a parameter
) -> None:
    """A client that sends a bearer and Anthropic's version header is Anthropic's."""
    request = _request(path, **headers)
    assert is_anthropic(request) is anthropic
    assert name_request_id_header(request) == ("request-id" if anthropic else "x-request-id")
