"""Refreshes and questions to the control plane, performed over httpx, each within its time.

No secret, no address and no word of an answer goes into an error.
"""

import httpx
import trio

from kiro2api.auth.control import MAX_ANSWER_BYTES as MAX_CONTROL_BYTES
from kiro2api.auth.control import ControlRequest
from kiro2api.auth.credentials import RefreshableLogin
from kiro2api.auth.errors import RefreshFailedError
from kiro2api.auth.refresh import MAX_ANSWER_BYTES, Refreshed, RefreshEndpoints, build_refresh, parse_refresh_answer

CONTROL_SECONDS = 10.0
"""For one question to the control plane: nobody waits for most of them."""

_FAULTS = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)


class Wire:
    """The way to the services that know about credentials.

    Args:
        client: Stays the caller's to close.
        endpoints: Where refresh tokens are traded.
        refresh_seconds: For one refresh, from connecting to the last byte.
    """

    def __init__(self, client: httpx.AsyncClient, *, endpoints: RefreshEndpoints, refresh_seconds: float) -> None:
        self._client = client
        self._endpoints = endpoints
        self._refresh_seconds = refresh_seconds

    async def trade(self, login: RefreshableLogin) -> Refreshed:
        """One refresh.

        Raises:
            RefreshError: It brought no access token.
        """
        request = build_refresh(login, endpoints=self._endpoints)
        try:
            with trio.fail_after(self._refresh_seconds):
                status, headers, body = await self._send(
                    "POST", request.url, headers=dict(request.headers), body=request.body, limit=MAX_ANSWER_BYTES
                )
        except trio.TooSlowError as error:
            raise RefreshFailedError(f"no answer in {self._refresh_seconds:g} s") from error
        except _FAULTS as error:
            raise RefreshFailedError(type(error).__name__) from error
        return parse_refresh_answer(status, body, retry_after=headers.get("retry-after"))

    async def ask(self, request: ControlRequest) -> tuple[int, bytes]:
        """Status and body of the control plane's answer; 0 as the status if there was none in time."""
        try:
            with trio.fail_after(CONTROL_SECONDS):
                status, _, body = await self._send(
                    request.method,
                    request.url,
                    headers=dict(request.headers),
                    body=request.body,
                    limit=MAX_CONTROL_BYTES,
                )
        except (trio.TooSlowError, *_FAULTS):
            return 0, b""
        return status, body

    async def _send(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes, limit: int
    ) -> tuple[int, httpx.Headers, bytes]:
        async with self._client.stream(
            method, url, headers=headers, content=body, timeout=None, follow_redirects=False
        ) as response:
            return response.status_code, response.headers, await _read_body(response, limit)


async def _read_body(response: httpx.Response, limit: int) -> bytes:
    """The body, or a beginning of it that is too long for an answer."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            break
    return bytes(body)
