"""The kinds of settings that are addresses: hosts, URLs, origins, regions, and where states are kept."""

import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

from kiro2api.config.values import Allowed, lower, split_list

REGION_PLACE = "{region}"
REDIS_SCHEMES = frozenset({"redis", "rediss"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``; names other than ``localhost`` are never trusted to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _parse_host(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", host):
            raise ValueError("it is neither an IP address nor a host name") from None
        return host


def _parse_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: It is not http(s), names no host, carries more than a path, or would send secrets in clear text.
    """
    parts = _split_url(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("it is not a URL that starts with https:// and names a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("it carries a user name, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("it would send secrets over the network in clear text")
    return url.rstrip("/")


def _split_url(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it holds characters that no URL has")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if host and not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        raise ValueError("what it names as a host is none")
    return parts


def _parse_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    """Each URL as :func:`_parse_url` has it, once."""
    return tuple(dict.fromkeys(_parse_url(url) for url in urls))


def _parse_template(template: str) -> str:
    """A URL that may have ``{region}`` in it, and braces nowhere else."""
    sample = _parse_url(template.replace(REGION_PLACE, "us-east-1"))
    if "{" in sample or "}" in sample:
        raise ValueError(f"it has braces, but not around the word {REGION_PLACE}")
    return template.rstrip("/")


def _parse_region(region: str | None) -> str | None:
    if region is not None and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]{1,2}", region):
        raise ValueError("it is no name of an AWS region")
    return region


def _parse_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins as browsers send them: lower case, no slash at the end."""
    found = tuple(origin.lower().rstrip("/") for origin in origins)
    if not all(re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@,]+", origin) for origin in found):
        raise ValueError("one of its items is no origin")
    return found


def _check_state_url(secret: SecretStr | None) -> SecretStr | None:
    """The URL as it is.

    Raises:
        ValueError: No store is known by its scheme, or it does not say where that store is.
    """
    if secret is None:
        return None
    url = secret.get_secret_value()
    match url.partition(":")[0].lower():
        case "memory":
            if url.lower() != "memory:":
                raise ValueError("memory: stands alone, with its colon")
        case "file":
            _check_folder(url)
        case "redis" | "rediss":
            _check_redis(url)
        case _:
            raise ValueError("it starts with none of memory:, file:, redis:// and rediss://")
    return secret


def _check_folder(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.netloc:
        raise ValueError("it names a host; a folder's address has one slash or three after file:")
    if "?" in url or "#" in url:
        raise ValueError("? and # have to be written as %3F and %23 in it")
    folder = unquote(parts.path)
    if not folder.startswith("/"):
        raise ValueError("its folder is not absolute")
    if not url.isprintable() or not folder.isprintable():
        raise ValueError("it holds characters that no folder should have")


def _check_redis(url: str) -> None:
    parts = _split_url(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    is_authority = parts.scheme == "rediss" and re.fullmatch(r"ssl_ca_certs=/[^&=]+", parts.query)
    if "#" in url or ("?" in url and not is_authority):
        raise ValueError("it carries a query or a fragment; in a password, ? and # have to be written as %3F and %23")
    if not re.fullmatch(r"/?|/[0-9]{1,4}", parts.path):
        raise ValueError("what follows its host is not the number of a database")


Host = Annotated[
    str, AfterValidator(_parse_host), Allowed("an IP address or a host name, without a port: 127.0.0.1, ::1, 0.0.0.0")
]
_URL_ALLOWED = "a URL that starts with https:// (http:// only for this machine), host and path only"
Url = Annotated[str, AfterValidator(_parse_url), Allowed(_URL_ALLOWED)]
OptionalUrl = Annotated[Url | None, Allowed(f"{_URL_ALLOWED}, or nothing")]
Urls = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_parse_urls),
    Allowed(f"{_URL_ALLOWED}, or several separated by commas"),
]
RegionalUrl = Annotated[
    str, AfterValidator(_parse_template), Allowed(f"{_URL_ALLOWED}, with {REGION_PLACE} where the region belongs")
]
OptionalRegion = Annotated[
    str | None,
    BeforeValidator(lower),
    AfterValidator(_parse_region),
    Allowed("the name of an AWS region, like us-east-1 or eu-central-1"),
]
Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(split_list),
    AfterValidator(_parse_origins),
    Allowed("a comma-separated list like https://app.example,http://localhost:3000"),
]
StateUrl = Annotated[
    SecretStr | None,
    AfterValidator(_check_state_url),
    Allowed("memory:, file:/absolute/folder, redis://host:6379 or rediss://user:password@host:6379"),
]
