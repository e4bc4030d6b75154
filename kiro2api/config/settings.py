"""The settings of a running proxy: environment and ``.env`` file to one frozen object, or every fault in one error.

Each variable stands here once, as a field: the field's name in capitals is the variable, its default and its
description are what ``.env.example`` and the README repeat. A value that is empty or blank counts as unset. No fault
or warning repeats a value: a secret may have been put into the wrong variable.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from kiro2api.config.values import (
    MIN_CLIENT_KEY_LENGTH,
    PUBLISHED_CLIENT_KEYS,
    Allowed,
    ByteCount,
    CertificateFile,
    ClientKey,
    Count,
    CountOrZero,
    DescriptionLength,
    GinMode,
    Host,
    KeyFile,
    LogFormat,
    LogLevel,
    Minutes,
    ModelMap,
    OptionalCount,
    OptionalSeconds,
    Origins,
    Port,
    Seconds,
    Switch,
    Url,
    default_client_key,
    default_level,
    is_loopback,
)
from kiro2api.errors import Kiro2ApiError

EXIT_CONFIG = 78
"""Exit code for unusable settings: EX_CONFIG of sysexits.h, so that a supervisor can tell it from a crash."""

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
        default_factory=default_client_key,
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
        default_factory=default_level, description="Least severe lines to log: debug, info, warning or error."
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
