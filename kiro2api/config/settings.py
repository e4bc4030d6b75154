"""The settings of a running proxy, as one frozen object.

Each variable stands here once, as a field: the field's name in capitals is the variable, its default and its
description are what ``.env.example`` and the README repeat. Fields without a description are no variables. No warning
repeats a value: a secret may have been put into the wrong variable.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kiro2api.config.addresses import (
    REDIS_SCHEMES,
    Host,
    OptionalRegion,
    OptionalUrl,
    Origins,
    RegionalUrl,
    StateUrl,
    Url,
    Urls,
    is_loopback,
)
from kiro2api.config.keys import (
    MIN_KEY_LENGTH,
    PUBLISHED_CLIENT_KEYS,
    AdminKey,
    ClientKey,
    StateKey,
    default_client_key,
)
from kiro2api.config.values import (
    ByteCount,
    CertificateFile,
    Count,
    CountOrZero,
    CredentialChoice,
    DescriptionLength,
    GinMode,
    HomePath,
    KeyFile,
    LogFormat,
    LogLevel,
    Minutes,
    ModelMap,
    OptionalCount,
    OptionalSeconds,
    Port,
    Seconds,
    SecondsOrZero,
    Switch,
    default_level,
)

OLD_NAMES: Mapping[str, str] = {
    "REFRESH_TOKEN": "AWS_REFRESHTOKEN",
    "BULK_REFRESH_TOKENS": "AWS_REFRESHTOKEN",
    "AUTH_METHOD": "KIRO_AUTH_TOKEN",
    "IDC_CLIENT_ID": "KIRO_AUTH_TOKEN",
    "IDC_CLIENT_SECRET": "KIRO_AUTH_TOKEN",
    "IDC_REFRESH_TOKEN": "KIRO_AUTH_TOKEN",
}
"""Variables of the original's versions, and what has taken their place."""


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
        default=None, description="Refresh tokens of your own Kiro logins by Google or GitHub, separated by commas."
    )
    kiro_auth_token: SecretStr | None = Field(
        default=None,
        description="Credentials as JSON, as in later versions of the original; or the path of such a file; or auto: "
        "what Kiro's own programs keep on this machine.",
    )
    kiro_token_file: HomePath = Field(
        default=None, description="Token file of the Kiro IDE, which goes on using it; ~ is your home."
    )
    kiro_cli_store: HomePath = Field(
        default=None, description="SQLite store of kiro-cli or the Amazon Q CLI, which goes on using it."
    )
    kiro_api_key: SecretStr | None = Field(default=None, description="API keys of Kiro, separated by commas.")
    host: Host = Field(
        default="127.0.0.1",
        description="Address to listen on; 0.0.0.0 lets other machines in and needs KIRO_CLIENT_TOKEN.",
    )
    # Next to HOST: a default that hangs on other fields is only looked at while all fields before it are sound.
    kiro_client_token: ClientKey = Field(
        default_factory=default_client_key,
        description="Key that clients must send; the default holds only while HOST is a loopback address.",
    )
    kiro_admin_token: AdminKey = Field(
        default=None, description="Key for /admin, and not the clients' one; unset, nobody is let in there."
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
    model_fallback: Switch = Field(
        default=True,
        description="Whether a model that no credential has is replaced by the nearest of its family.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Web origins that browsers may call from, separated by commas; empty sends no CORS headers.",
    )
    kiro_upstream_url: Urls = Field(
        default=(),
        description="Base URLs of the upstream, separated by commas, in the order in which they are tried; unset, the "
        "hosts of the credential's region.",
    )
    kiro_control_url: OptionalUrl = Field(
        default=None,
        description="Base URL for profiles, limits and models; unset, the hosts of the credential's region.",
    )
    kiro_api_region: OptionalRegion = Field(
        default=None, description="AWS region of the upstream's hosts; unset, each credential's own."
    )
    kiro_builder_id_profile: Switch = Field(
        default=True, description="Whether a placeholder profile is sent for a Builder ID whose account lists none."
    )
    kiro_refresh_url: Url = Field(
        default="https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken",
        description="URL that trades the refresh token of a social login for an access token.",
    )
    kiro_oidc_url: RegionalUrl = Field(
        default="https://oidc.{region}.amazonaws.com/token",
        description="The same for Builder IDs and IAM Identity Center; {region} becomes the login's region.",
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
    credential_choice: CredentialChoice = Field(
        default="round-robin",
        description="Which credential a new conversation gets: round-robin, least-used, or sequential, which stays on "
        "one until it is used up.",
    )
    limits_interval: SecondsOrZero = Field(
        default=900, description="Time, in seconds, between looks at the credentials' limits and models; 0 for none."
    )
    state_url: StateUrl = Field(
        default=None,
        description="Where refreshed credentials are kept: memory:, file:/folder, redis:// or rediss://; unset, "
        "kiro2api in $XDG_STATE_HOME or in ~/.local/state.",
    )
    state_key: StateKey = Field(
        default=None, description="Secret that seals what is kept there, 16 characters or more; needed with Redis."
    )
    replicas: Count = Field(
        default=1, description="Instances of the proxy that use the same credentials; several need a Redis."
    )
    workers: Count = Field(
        default=1, description="Processes that share the port and, unless it is in memory, what STATE_URL is about."
    )
    secret_files: Mapping[str, Path] = Field(default_factory=dict)
    """Where the value of a secret variable was read, by the variable's name, so that it can be read again."""
    old_names: tuple[str, ...] = ()
    """Variables of the original that are set, and not read."""

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
        return (*self._warn_of_keys(), *self._warn_of_state(), *map(_describe_old_name, self.old_names))

    def _warn_of_keys(self) -> Iterator[str]:
        key = self.kiro_client_token.get_secret_value()
        published = key in PUBLISHED_CLIENT_KEYS
        if not is_loopback(self.host) and (published or len(key) < MIN_KEY_LENGTH):
            yield (
                "KIRO_CLIENT_TOKEN is short or published, and HOST lets other machines in: anyone who finds the port "
                f"can spend your quota. Set it to a secret of at least {MIN_KEY_LENGTH} characters."
            )
        elif published:
            yield "KIRO_CLIENT_TOKEN is a published default: every program on this machine can use the proxy."
        admin_key = self.kiro_admin_token
        if admin_key is not None and len(admin_key.get_secret_value()) < MIN_KEY_LENGTH:
            yield f"KIRO_ADMIN_TOKEN is short: it can be guessed. Set it to at least {MIN_KEY_LENGTH} characters."
        if "*" in self.cors_origins:
            yield "CORS_ORIGINS is *: any web page that knows the client key can use the proxy."

    def _warn_of_state(self) -> Iterator[str]:
        url = urlsplit("" if self.state_url is None else self.state_url.get_secret_value())
        if url.scheme == "redis" and url.password and not is_loopback(url.hostname or ""):
            yield "STATE_URL sends its password over the network in clear text: rediss:// does not."
        if self.replicas > 1 and url.scheme not in REDIS_SCHEMES:
            yield "REPLICAS is above 1, and STATE_URL is no Redis: a refresh by one replica may log the others out."


def _describe_old_name(name: str) -> str:
    return f"{name} is not read, unlike in the original: put its value into {OLD_NAMES[name]}."
