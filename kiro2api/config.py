"""The settings of a running proxy: environment and ``.env`` file to one frozen object, or every fault in one error.

Each variable stands here once, as a field: the field's name in capitals is the variable, its default and its
description are what ``.env.example`` and the README repeat. A value that is empty or blank counts as unset. No fault
or warning repeats a value: a secret may have been put into the wrong variable.
"""

import ipaddress
import json
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from kiro2api.errors import Kiro2ApiError

EXIT_CONFIG = 78
"""Exit code for unusable settings: EX_CONFIG of sysexits.h, so that a supervisor can tell it from a crash."""

DEFAULT_CLIENT_KEY = "123456"
PUBLISHED_CLIENT_KEYS = frozenset({DEFAULT_CLIENT_KEY, "my-super-secret-password-123"})
"""Keys that stand in published examples: anyone may try them."""
MIN_CLIENT_KEY_LENGTH = 16
"""Characters; shorter keys can be guessed over a network."""

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Fault(NamedTuple):
    """One variable that cannot be used as it is."""

    name: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}. {self.remedy}."


class ConfigurationError(Kiro2ApiError):
    """The settings cannot be used; ``faults`` has every reason, in the order of the fields."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        lines = [f"  {fault}" for fault in faults]
        super().__init__("\n".join(["The configuration cannot be used:", *lines]))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What the documentation says about one variable."""

    name: str
    default: str
    """As it would be written in a ``.env`` file; empty if there is none."""
    meaning: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """Annotation of a field: the values it takes, as the remedy tells them."""

    values: str


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


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _parse_level(level: object) -> object:
    lowered = _lower(level)
    return "warning" if lowered == "warn" else lowered


def _parse_client_key(key: SecretStr) -> SecretStr:
    if not key.get_secret_value().strip():
        raise ValueError("it is not set, and HOST is an address that other machines can reach")
    return key


def _parse_url(url: str) -> str:
    """The URL without a slash at its end.

    Raises:
        ValueError: It is not http(s), names no host, carries more than a path, or would send secrets in clear text.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it holds characters that no URL has")
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("it is not a URL that starts with https:// and names a host")
    if "@" in parts.netloc or "?" in url or "#" in url:
        raise ValueError("it carries a user name, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("it would send secrets over the network in clear text")
    return url.rstrip("/")


def _parse_model_map(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _check_model_map(models: Mapping[str, str]) -> Mapping[str, str]:
    if not all(name.strip() and model_id.strip() for name, model_id in models.items()):
        raise ValueError("one of its names is blank")
    return models


def _split_origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(origin.strip() for origin in value.split(",") if origin.strip())


def _parse_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    """The origins as browsers send them: lower case, no slash at the end."""
    found = tuple(origin.lower().rstrip("/") for origin in origins)
    if not all(re.fullmatch(r"\*|[a-z][a-z0-9+.-]*://[^/\s?#@,]+", origin) for origin in found):
        raise ValueError("one of its items is no origin")
    return found


def _parse_readable(path: Path | None) -> Path | None:
    """The path.

    Raises:
        ValueError: There is no file at it that this process may read.
    """
    try:
        if path is not None:
            with path.open("rb"):
                pass
    except OSError as exc:
        raise ValueError(f"the file cannot be read ({exc.strerror})") from None
    return path


def _parse_key(key: Path | None, validation: ValidationInfo) -> Path | None:
    """The path, if the key is the certificate's.

    Raises:
        ValueError: One of the two is missing, or TLS cannot be spoken with them.
    """
    if "tls_cert_file" not in validation.data:
        return key
    certificate: Path | None = validation.data["tls_cert_file"]
    if (key is None) != (certificate is None):
        raise ValueError("TLS_CERT_FILE and TLS_KEY_FILE belong together, and one of them is not set")
    if key is not None and certificate is not None:
        try:
            # An encrypted key would ask for its password at the terminal: here it gets an empty one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        except OSError as exc:
            reason = exc.reason if isinstance(exc, ssl.SSLError) and exc.reason else "unreadable"
            raise ValueError(f"it cannot be used with the certificate of TLS_CERT_FILE ({reason})") from None
    return key


def _default_client_key(validated: dict[str, Any]) -> SecretStr:
    return SecretStr(DEFAULT_CLIENT_KEY if is_loopback(validated["host"]) else "")


def _default_level(validated: dict[str, Any]) -> Literal["debug", "info"]:
    return "debug" if validated["gin_mode"] == "debug" else "info"


Host = Annotated[
    str, AfterValidator(_parse_host), Allowed("an IP address or a host name, without a port: 127.0.0.1, ::1, 0.0.0.0")
]
Port = Annotated[int, Field(ge=0, le=65535), Allowed("a whole number from 0 to 65535")]
ClientKey = Annotated[
    SecretStr,
    AfterValidator(_parse_client_key),
    Allowed(f"a secret of at least {MIN_CLIENT_KEY_LENGTH} characters, or HOST to 127.0.0.1"),
]
GinMode = Annotated[Literal["debug", "release", "test"], BeforeValidator(_lower), Allowed("debug, release or test")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(_parse_level),
    Allowed("debug, info, warning or error"),
]
LogFormat = Annotated[Literal["json", "text"], BeforeValidator(_lower), Allowed("json or text")]
CertificateFile = Annotated[
    Path | None, AfterValidator(_parse_readable), Allowed("the path of a PEM file with the certificate and its chain")
]
KeyFile = Annotated[
    Path | None,
    AfterValidator(_parse_readable),
    AfterValidator(_parse_key),
    Allowed("the path of a PEM file with the certificate's key, without a password, and TLS_CERT_FILE as well"),
]
Switch = Annotated[bool, Allowed("true or false")]
Minutes = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed("a number of minutes above 0")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), Allowed("a number of seconds above 0")]
OptionalSeconds = Annotated[Seconds | None, Allowed("a number of seconds above 0, or nothing")]
Count = Annotated[int, Field(gt=0), Allowed("a whole number above 0")]
OptionalCount = Annotated[Count | None, Allowed("a whole number above 0, or nothing")]
CountOrZero = Annotated[int, Field(ge=0), Allowed("a whole number, 0 or more")]
ByteCount = Annotated[int, Field(gt=0), Allowed("a whole number of bytes above 0")]
DescriptionLength = Annotated[int, Field(ge=1, le=10240), Allowed("a whole number from 1 to 10240")]
Url = Annotated[
    str,
    AfterValidator(_parse_url),
    Allowed("a URL that starts with https:// (http:// only for this machine), host and path only"),
]
ModelMap = Annotated[
    Mapping[str, str],
    BeforeValidator(_parse_model_map),
    AfterValidator(_check_model_map),
    Allowed('a JSON object of names: {"client\'s name": "upstream\'s id"}'),
]
Origins = Annotated[
    tuple[str, ...],
    BeforeValidator(_split_origins),
    AfterValidator(_parse_origins),
    Allowed("a comma-separated list like https://app.example,http://localhost:3000"),
]


class Settings(BaseSettings):
    """Everything an operator can choose. Built directly, it reads no environment: :func:`load_settings` does that."""

    model_config = SettingsConfigDict(
        alias_generator=str.upper,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
        validate_default=True,
    )

    aws_refreshtoken: SecretStr | None = Field(
        default=None, description="Refresh tokens of your own Kiro accounts, separated by commas; needed to serve."
    )
    host: Host = Field(
        default="127.0.0.1",
        description="Address to listen on; 0.0.0.0 lets other machines in and needs KIRO_CLIENT_TOKEN.",
    )
    # Next to HOST: a default that hangs on other fields is only looked at while all fields before it are sound.
    kiro_client_token: ClientKey = Field(
        default_factory=_default_client_key,
        description="Key that clients must send; the default holds only while HOST is a loopback address.",
    )
    port: Port = Field(default=8080, description="Port to listen on; 0 takes a free one.")
    tls_cert_file: CertificateFile = Field(
        default=None, description="PEM file with certificate and chain; with it and TLS_KEY_FILE, only TLS is spoken."
    )
    tls_key_file: KeyFile = Field(
        default=None, description="PEM file with the key of the certificate in TLS_CERT_FILE."
    )
    http2: Switch = Field(
        default=True, description="Whether HTTP/2 is spoken: by ALPN with TLS, by prior knowledge without."
    )
    gin_mode: GinMode = Field(
        default="release",
        description="Kept from the original: debug sets LOG_LEVEL to debug unless that is set; the rest does nothing.",
    )
    log_level: LogLevel = Field(
        default_factory=_default_level, description="Least severe lines to log: debug, info, warning or error."
    )
    log_format: LogFormat = Field(
        default="text", description="Form of the log lines: text for people, json for machines."
    )
    log_file: Path | None = Field(
        default=None, description="File to append log lines to; it may be renamed while the proxy runs."
    )
    log_console: Switch = Field(default=True, description="Whether log lines go to standard error.")
    disable_stream: Switch = Field(
        default=False, description="Whether streams are sent in one piece, once the answer is whole."
    )
    request_timeout_minutes: Minutes = Field(
        default=15, description="Longest silence of the upstream, in minutes, for a complex request."
    )
    simple_request_timeout_minutes: Minutes = Field(
        default=2, description="Longest silence of the upstream, in minutes, for a simple request."
    )
    server_read_timeout_minutes: Minutes = Field(
        default=16, description="Longest time, in minutes, for a client to send its whole request."
    )
    server_write_timeout_minutes: Minutes = Field(
        default=16, description="Longest time, in minutes, that one write to a client may block."
    )
    header_timeout: Seconds = Field(
        default=10, description="Longest time, in seconds, for a client to send a request's head, or to stay idle."
    )
    send_timeout: Seconds = Field(
        default=60,
        description="Longest time, in seconds, without a client taking any of its answer; then it is dropped.",
    )
    max_tool_description_length: DescriptionLength = Field(
        default=10000, description="Characters that a tool's description keeps on its way to the upstream, 1 to 10240."
    )
    max_body_bytes: ByteCount = Field(default=33_554_432, description="Largest request body in bytes.")
    max_streams: Count = Field(default=256, description="Requests that are answered at once; more have to wait.")
    max_waiting: CountOrZero = Field(
        default=32, description="Requests that may wait for their turn; more are refused at once."
    )
    max_wait: Seconds = Field(
        default=5, description="Longest time, in seconds, that a request waits for its turn until it is refused."
    )
    max_connections: OptionalCount = Field(
        default=None,
        description="Client connections at once; unset, 1024 or a third of the open files allowed, the lesser.",
    )
    model_map: ModelMap = Field(
        default_factory=dict,
        description="JSON object of client model names and the upstream model ids they stand for, looked up first.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Web origins that browsers may call from, separated by commas; empty sends no CORS headers.",
    )
    # As reported in 2026, this host still answers the path-style request, though no longer for every credential, while
    # its successor runtime.*.kiro.dev has been seen to refuse that request with 400.
    kiro_upstream_url: Url = Field(default="https://q.us-east-1.amazonaws.com", description="Base URL of the upstream.")
    kiro_refresh_url: Url = Field(
        default="https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken",
        description="URL that trades a refresh token for an access token.",
    )
    kiro_connect_timeout: Seconds = Field(
        default=10, description="Longest time, in seconds, to connect to the upstream."
    )
    kiro_first_byte_timeout: OptionalSeconds = Field(
        default=None,
        description="Longest wait, in seconds, for the upstream's first byte; unset, the request's complexity decides.",
    )
    kiro_idle_timeout: OptionalSeconds = Field(
        default=None,
        description="Longest silence, in seconds, between upstream bytes; unset, the request's complexity decides.",
    )
    kiro_total_timeout: Seconds = Field(
        default=3600, description="Longest time, in seconds, for one whole upstream answer."
    )
    kiro_refresh_timeout: Seconds = Field(
        default=10, description="Longest time, in seconds, for one refresh of an access token."
    )
    ping_interval: Seconds = Field(
        default=10, description="Silence, in seconds, after which a streaming client gets a sign of life."
    )
    shutdown_grace: Seconds = Field(
        default=25, description="Time, in seconds, that running answers have to end when the proxy is told to stop."
    )
    workers: Count = Field(default=1, description="Processes that share the port; they share nothing else.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the base class names the arguments
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: a test, or a second instance, must not pick up the process's environment."""
        return (init_settings,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the operator should be told at the start, loudly; without values."""
        key = self.kiro_client_token.get_secret_value()
        published = key in PUBLISHED_CLIENT_KEYS
        found = []
        if not is_loopback(self.host) and (published or len(key) < MIN_CLIENT_KEY_LENGTH):
            found.append(
                "KIRO_CLIENT_TOKEN is short or published, and HOST lets other machines in: anyone who finds the port "
                f"can spend your quota. Set it to a secret of at least {MIN_CLIENT_KEY_LENGTH} characters."
            )
        elif published:
            found.append("KIRO_CLIENT_TOKEN is a published default: every program on this machine can use the proxy.")
        if "*" in self.cors_origins:
            found.append("CORS_ORIGINS is *: any web page that knows the client key can use the proxy.")
        return tuple(found)


def list_variables() -> tuple[Variable, ...]:
    """Every variable with its default and meaning, in the order of the fields."""
    defaults = Settings()
    return tuple(
        Variable(name=name.upper(), default=_render_default(getattr(defaults, name)), meaning=field.description or "")
        for name, field in Settings.model_fields.items()
    )


def _render_default(value: object) -> str:
    match value:
        case None | ():
            return ""
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case Mapping():
            return json.dumps(dict(value))
        case _:
            return str(value)


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    dotenv: Path | None = Path(".env"),
    require_credentials: bool,
) -> Settings:
    """The settings of this process.

    Args:
        environ: Variables, by default the process's; they win over the file's.
        dotenv: File of further variables, which may be missing; ``None`` reads none.
        require_credentials: Whether an upstream credential has to be there.

    Raises:
        ConfigurationError: With all faults of all variables.
    """
    try:
        written = _read_dotenv(dotenv)
    except (OSError, UnicodeDecodeError):
        fault = Fault(str(dotenv), "the file cannot be read", "Make it a readable UTF-8 text file")
        raise ConfigurationError((fault,)) from None
    values = _collect(written) | _collect(os.environ if environ is None else environ)
    faults: list[Fault] = []
    if require_credentials and not values.get("AWS_REFRESHTOKEN", "").strip(" ,"):
        faults.append(
            Fault("AWS_REFRESHTOKEN", "it holds no refresh token", "Set it to one, or several separated by commas")
        )
    try:
        settings = Settings(**values)  # type: ignore[arg-type]  # the values are text, which validation turns into types
    except ValidationError as exc:
        faults.extend(_parse_faults(exc))
        raise ConfigurationError(tuple(faults)) from None
    if faults:
        raise ConfigurationError(tuple(faults))
    return settings


def _read_dotenv(path: Path | None) -> Mapping[str, str | None]:
    if path is None:
        return {}
    return DotEnvSettingsSource(Settings, env_file=path, case_sensitive=True).env_vars


def _collect(variables: Mapping[str, str | None]) -> dict[str, str]:
    names = [name.upper() for name in Settings.model_fields]
    found = {name: (variables.get(name) or "").strip() for name in names}
    return {name: value for name, value in found.items() if value}


def _parse_faults(error: ValidationError) -> list[Fault]:
    """A fault for each variable; one whose default hangs on another faulty variable has none of its own."""
    faults: dict[str, Fault] = {}
    for detail in error.errors(include_url=False, include_input=False):
        if detail["type"] != "default_factory_not_called":
            name = str(detail["loc"][0]).upper()
            faults.setdefault(name, Fault(name, _describe(detail), f"Set it to {_allowed(name)}"))
    return list(faults.values())


def _describe(detail: ErrorDetails) -> str:
    own = detail.get("ctx", {}).get("error")
    return str(own) if own is not None else detail["msg"].replace("Input should", "it should")


def _allowed(name: str) -> str:
    annotations = Settings.model_fields[name.lower()].metadata
    return next(item.values for item in annotations if isinstance(item, Allowed))


def list_proxies(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variable and ``host:port`` of each outgoing proxy that the environment names, without its user and password.

    httpx obeys these variables; the start of the log says so, lest access tokens take a detour unnoticed.
    """
    variables = os.environ if environ is None else environ
    found = {}
    for name in PROXY_VARIABLES:
        # httpx reads both spellings, and the lower one wins.
        url = variables.get(name.lower()) or variables.get(name)
        if url:
            found[name] = url.rpartition("://")[2].rpartition("@")[2].partition("/")[0]
    return found
