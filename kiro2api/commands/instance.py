"""Asks a proxy that runs on this machine how its credentials are.

The operator's key goes to the address that the settings name, through no proxy of the environment, and behind TLS only
to whoever has a certificate for that address.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import msgspec
import trio

from kiro2api.auth.reports import CredentialsView
from kiro2api.config import Settings
from kiro2api.errors import Kiro2ApiError

PATH = "/admin/credentials"
ANSWER_SECONDS = 1.0
"""For the whole of it: a proxy on this machine answers within milliseconds."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Thousands of credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running proxy, and what it said."""

    url: str
    view: CredentialsView


class InstanceError(Kiro2ApiError):
    """No running proxy has told anything; the message says why, as the end of a sentence."""


async def ask_instance(settings: Settings) -> Instance:
    """What the proxy with these settings says of its credentials, if one runs.

    Raises:
        InstanceError: None does, or it cannot be asked.
    """
    if settings.kiro_admin_token is None:
        raise InstanceError("no running proxy was asked, since KIRO_ADMIN_TOKEN is not set")
    if settings.port == 0:
        raise InstanceError("no running proxy was asked, since PORT is 0")
    url = build_url(settings)
    headers = {b"authorization": b"Bearer " + settings.kiro_admin_token.get_secret_value().encode()}
    with trio.move_on_after(ANSWER_SECONDS):
        try:
            status, body = await _fetch(url + PATH, headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise InstanceError(f"no proxy was found at {url}: {type(error).__name__}") from None
        return Instance(url=url, view=parse_answer(url, status, body))
    raise InstanceError(f"what runs at {url} did not answer within {ANSWER_SECONDS:g} s")


def build_url(settings: Settings) -> str:
    """Where a proxy with these settings is found from its own machine; no slash at the end."""
    scheme = "http" if settings.tls_cert_file is None else "https"
    host = settings.host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{scheme}://{host}:{settings.port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - that is what the version is called
    return f"{scheme}://{host}:{settings.port}" if address.version == 4 else f"{scheme}://[{host}]:{settings.port}"  # noqa: PLR2004 - the same


async def _fetch(url: str, headers: dict[bytes, bytes]) -> tuple[int, bytes]:
    verify = ssl.create_default_context()
    async with (
        httpx.AsyncClient(timeout=ANSWER_SECONDS, follow_redirects=False, trust_env=False, verify=verify) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                break
        return response.status_code, bytes(body)


def parse_answer(url: str, status: int, body: bytes) -> CredentialsView:
    """What an answer says.

    Raises:
        InstanceError: It is none of a proxy's that takes our key.
    """
    match status:
        case HTTPStatus.OK:
            try:
                return msgspec.json.decode(body, type=CredentialsView)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise InstanceError(f"what runs at {url} gave an answer that cannot be read") from None
        case HTTPStatus.UNAUTHORIZED:
            raise InstanceError(f"what runs at {url} does not take KIRO_ADMIN_TOKEN")
        case HTTPStatus.NOT_FOUND:
            raise InstanceError(f"what runs at {url} was started without KIRO_ADMIN_TOKEN")
        case _:
            raise InstanceError(f"what runs at {url} answered with status {status}")
