"""Tests of kiro2api.config."""

from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr, ValidationError

from kiro2api.config import (
    EXIT_CONFIG,
    ConfigurationError,
    Settings,
    is_loopback,
    list_proxies,
    list_variables,
    load_settings,
)
from tests.support.settings import Environ, list_faults, load

SECRET = "correct-horse-battery-staple"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - nothing is bound to it


def _with_key(key: str | None) -> Environ:
    return {} if key is None else {"KIRO_CLIENT_TOKEN": key}


def _write_dotenv(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_exit_code() -> None:
    """Unusable settings end the process as sysexits has it."""
    assert EXIT_CONFIG == 78


def test_nothing_set() -> None:
    """An empty environment gives the documented defaults."""
    shown = {variable.name: variable.default for variable in list_variables()}

    assert load({}) == Settings()
    assert shown["HOST"] == "127.0.0.1"
    assert shown["KIRO_CLIENT_TOKEN"] == "123456"
    assert shown["REQUEST_TIMEOUT_MINUTES"] == "15"
    assert shown["LOG_CONSOLE"] == "true"
    assert shown["MODEL_MAP"] == "{}"
    assert shown["KIRO_IDLE_TIMEOUT"] == ""


def test_every_variable_has_a_meaning() -> None:
    """Each variable is described in one sentence, and its documented default is one that it takes."""
    variables = list_variables()

    assert [variable.name for variable in variables if not variable.meaning.endswith(".")] == []
    assert load({variable.name: variable.default for variable in variables}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("AWS_REFRESHTOKEN", "one, two", SecretStr("one, two")),
        ("HOST", "localhost", "localhost"),
        ("HOST", "[::1]", "::1"),
        ("PORT", "0", 0),
        ("PORT", "65535", 65535),
        ("KIRO_CLIENT_TOKEN", f"  {SECRET}\r", SecretStr(SECRET)),
        ("GIN_MODE", "Test", "test"),
        ("LOG_LEVEL", "WARN", "warning"),
        ("LOG_LEVEL", "Debug", "debug"),
        ("LOG_FORMAT", "JSON", "json"),
        ("LOG_FILE", "logs/proxy.log", Path("logs/proxy.log")),
        ("LOG_CONSOLE", "off", False),
        ("DISABLE_STREAM", "1", True),
        ("REQUEST_TIMEOUT_MINUTES", "0.5", 0.5),
        ("MAX_TOOL_DESCRIPTION_LENGTH", "10240", 10240),
        ("MAX_BODY_BYTES", "1", 1),
        ("MAX_STREAMS", "1", 1),
        ("MAX_WAITING", "0", 0),
        ("MAX_WAIT", "0.5", 0.5),
        ("MAX_CONNECTIONS", "9", 9),
        ("KIRO_UPSTREAM_URL", "https://eu.example/base/", ("https://eu.example/base",)),
        ("KIRO_UPSTREAM_URL", "http://127.0.0.1:9000", ("http://127.0.0.1:9000",)),
        ("KIRO_REFRESH_URL", "http://[::1]:9000/refreshToken", "http://[::1]:9000/refreshToken"),
        ("MODEL_MAP", '{"gpt-4o": "claude-sonnet-4"}', {"gpt-4o": "claude-sonnet-4"}),
        ("CORS_ORIGINS", "https://A.example/, ,app://obsidian.md", ("https://a.example", "app://obsidian.md")),
        ("CORS_ORIGINS", "*", ("*",)),
        ("KIRO_FIRST_BYTE_TIMEOUT", "90", 90.0),
        ("HTTP2", "off", False),
        ("CREDENTIAL_CHOICE", "Least-Used", "least-used"),
        ("LIMITS_INTERVAL", "0", 0.0),
        ("MODEL_FALLBACK", "off", False),
        ("KIRO_BUILDER_ID_PROFILE", "no", False),
        ("REPLICAS", "3", 3),
        ("KIRO_API_KEY", "ksk_a,ksk_b", SecretStr("ksk_a,ksk_b")),
        ("KIRO_AUTH_TOKEN", " auto ", SecretStr("auto")),
        ("KIRO_TOKEN_FILE", "~/kiro.json", Path.home() / "kiro.json"),
        ("KIRO_CLI_STORE", "/var/lib/kiro/data.sqlite3", Path("/var/lib/kiro/data.sqlite3")),
        ("SEND_TIMEOUT", "30", 30.0),
        ("HEADER_TIMEOUT", "5", 5.0),
    ],
)
def test_value(name: str, text: str, value: object) -> None:
    """A variable's text becomes the value of its type."""
    assert getattr(load({name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HOST", "0.0.0.0:8080"),
        ("HOST", "http://127.0.0.1"),
        ("HOST", "a b"),
        ("PORT", "abc"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", "80.5"),
        ("GIN_MODE", "production"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_CONSOLE", "maybe"),
        ("REQUEST_TIMEOUT_MINUTES", "0"),
        ("SIMPLE_REQUEST_TIMEOUT_MINUTES", "-2"),
        ("SERVER_READ_TIMEOUT_MINUTES", "inf"),
        ("SERVER_WRITE_TIMEOUT_MINUTES", "nan"),
        ("KIRO_CONNECT_TIMEOUT", "10s"),
        ("KIRO_FIRST_BYTE_TIMEOUT", "0"),
        ("KIRO_IDLE_TIMEOUT", "inf"),
        ("MAX_TOOL_DESCRIPTION_LENGTH", "10241"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_STREAMS", "0"),
        ("MAX_WAITING", "-1"),
        ("MAX_WAIT", "0"),
        ("MAX_CONNECTIONS", "0"),
        ("CREDENTIAL_CHOICE", "random"),
        ("LIMITS_INTERVAL", "-1"),
        ("LIMITS_INTERVAL", "inf"),
        ("MODEL_FALLBACK", "perhaps"),
        ("REPLICAS", "0"),
        ("KIRO_UPSTREAM_URL", "q.us-east-1.amazonaws.com"),
        ("KIRO_UPSTREAM_URL", "ftp://q.example"),
        ("KIRO_UPSTREAM_URL", "https://"),
        ("KIRO_UPSTREAM_URL", "https://q.example:port"),
        ("KIRO_UPSTREAM_URL", "https://q example"),
        ("KIRO_UPSTREAM_URL", "https://me:secret@q.example"),
        ("KIRO_UPSTREAM_URL", "https://q.example?x=1"),
        ("KIRO_UPSTREAM_URL", "http://q.example"),
        ("KIRO_REFRESH_URL", "http://127.0.0.1.evil.example/refreshToken"),
        ("MODEL_MAP", "gpt-4o=claude"),
        ("MODEL_MAP", "[" * 100_000),
        ("MODEL_MAP", '["gpt-4o"]'),
        ("MODEL_MAP", '{"gpt-4o": 4}'),
        ("MODEL_MAP", '{"gpt-4o": " "}'),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://a.example/path"),
    ],
)
def test_fault(name: str, text: str) -> None:
    """A value that a variable does not take is one fault, which names the variable and what it takes."""
    (fault,) = list_faults({name: text})

    assert fault.name == name
    assert fault.remedy.startswith("Set it to ")


def test_all_faults_at_once() -> None:
    """One error has every fault, of values, of what is missing and of what belongs together, a line for each."""
    with pytest.raises(ConfigurationError) as caught:
        load(
            {"HOST": ANY_ADDRESS, "PORT": "abc", "GIN_MODE": "x", "KIRO_REFRESH_URL": "http://a.example"},
            require_credentials=True,
        )

    names = [fault.name for fault in caught.value.faults]
    assert names == ["AWS_REFRESHTOKEN", "KIRO_CLIENT_TOKEN", "PORT", "GIN_MODE", "KIRO_REFRESH_URL"]
    lines = caught.value.message.splitlines()[1:]
    assert lines == [f"  {fault}" for fault in caught.value.faults]
    assert lines[2].startswith("  PORT: it should be a valid integer")
    assert lines[2].endswith(". Set it to a whole number from 0 to 65535.")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
@pytest.mark.parametrize("key", [None, "", " "])
def test_default_client_key_on_loopback(host: str, key: str | None) -> None:
    """Where only this machine can call, an unset or blank key is the original's default, with a warning."""
    settings = load({"HOST": host} | _with_key(key))

    assert settings.kiro_client_token.get_secret_value() == "123456"
    assert [warning.split()[0] for warning in settings.warnings] == ["KIRO_CLIENT_TOKEN"]


@pytest.mark.parametrize("host", [ANY_ADDRESS, "::", "192.168.1.2", "proxy.example", "localhost.example"])
@pytest.mark.parametrize("key", [None, "", " "])
def test_client_key_is_required_elsewhere(host: str, key: str | None) -> None:
    """Where other machines can call, an unset or blank key is refused, with what to set."""
    faults = list_faults({"HOST": host} | _with_key(key))

    assert [fault.name for fault in faults] == ["KIRO_CLIENT_TOKEN"]
    assert faults[0].remedy == "Set it to a secret of at least 16 characters, or HOST to 127.0.0.1"


@pytest.mark.parametrize(
    ("host", "key", "count"),
    [
        (ANY_ADDRESS, "123456", 1),
        (ANY_ADDRESS, "fifteen-letters", 1),
        (ANY_ADDRESS, "my-super-secret-password-123", 1),
        (ANY_ADDRESS, "sixteen-letters-", 0),
        ("127.0.0.1", "123456", 1),
        ("127.0.0.1", "short", 0),
    ],
)
def test_weak_client_key_is_a_warning(host: str, key: str, count: int) -> None:
    """A key that was set by hand is used, however weak; the warning about it does not repeat it."""
    settings = load({"HOST": host, "KIRO_CLIENT_TOKEN": key})

    assert settings.kiro_client_token.get_secret_value() == key
    assert len(settings.warnings) == count
    assert key not in "".join(settings.warnings)


def test_any_origin_is_a_warning() -> None:
    """Letting any web page call is allowed, and said."""
    settings = load({"KIRO_CLIENT_TOKEN": SECRET, "CORS_ORIGINS": "*"})

    assert [warning.split()[0] for warning in settings.warnings] == ["CORS_ORIGINS"]


@pytest.mark.parametrize(
    ("environ", "level"),
    [
        ({"GIN_MODE": "debug"}, "debug"),
        ({"GIN_MODE": "release"}, "info"),
        ({"GIN_MODE": "test"}, "info"),
        ({"GIN_MODE": "debug", "LOG_LEVEL": "error"}, "error"),
        ({"GIN_MODE": "debug", "LOG_LEVEL": ""}, "debug"),
    ],
)
def test_gin_mode_only_fills_in_the_level(environ: dict[str, str], level: str) -> None:
    """The original's debug mode logs more, unless the level is set."""
    assert load(environ).log_level == level


def test_environment_wins_over_file(tmp_path: Path) -> None:
    """The file fills in what the environment leaves out or empty; what neither knows is ignored."""
    dotenv = _write_dotenv(tmp_path, 'PORT=1\nLOG_LEVEL="error"\nexport LOG_FORMAT=json # form\nOTHER=x\nport=5\n')

    settings = load({"PORT": "2", "LOG_LEVEL": "", "log_format": "text", "HOME": "/"}, dotenv)

    assert (settings.port, settings.log_level, settings.log_format) == (2, "error", "json")


def test_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments, the process's environment and the ``.env`` of its working directory count."""
    _write_dotenv(tmp_path, "PORT=1\nMAX_BODY_BYTES=7\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "2")

    settings = load_settings(require_credentials=False)

    assert (settings.port, settings.max_body_bytes) == (2, 7)
    assert Settings().port == 8080


def test_missing_file(tmp_path: Path) -> None:
    """A ``.env`` file need not be there."""
    assert load({}, tmp_path / ".env") == Settings()


def test_file_in_another_encoding(tmp_path: Path) -> None:
    """A file that is no UTF-8 text is a fault, not a traceback."""
    path = tmp_path / ".env"
    path.write_bytes("PORT=1\n".encode("utf-16"))

    assert [fault.name for fault in list_faults({}, path)] == [str(path)]


def test_secrets_are_masked() -> None:
    """No text form of the settings, nor of the errors about them, has a secret."""
    settings = load({"AWS_REFRESHTOKEN": SECRET, "KIRO_CLIENT_TOKEN": SECRET})
    with pytest.raises(ConfigurationError) as caught:
        load({"AWS_REFRESHTOKEN": SECRET, "HOST": SECRET + "!", "PORT": SECRET, "KIRO_UPSTREAM_URL": SECRET})
    with pytest.raises(ValidationError) as invalid:
        Settings.model_validate({"PORT": SECRET})

    shown = [settings, settings.model_dump(), settings.model_dump_json(), caught.value, invalid.value]
    assert SECRET not in f"{shown!r} {shown}"
    assert caught.value.__suppress_context__


def test_built_directly() -> None:
    """Settings made by hand obey the same rules, go by field names, and cannot be changed."""
    settings = Settings(port=0, host="::1")

    assert settings.port == 0
    with pytest.raises(ValidationError):
        Settings(host=ANY_ADDRESS)
    with pytest.raises(ValidationError):
        Settings(kiro_client_token=SecretStr(""))
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]  # the checker refuses what the test wants to see refused
    assert Settings(model_map={"a": "b"}, cors_origins=("app://x",)).cors_origins == ("app://x",)


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", True), ("::1", True), (ANY_ADDRESS, False), ("127.1", False), ("host", False)]
)
def test_is_loopback(host: str, expected: bool) -> None:  # noqa: FBT001 - an expected value is no switch
    """Only addresses of this machine, and its one well-known name, are loopback."""
    assert is_loopback(host) is expected


def test_proxies_without_their_passwords() -> None:
    """Each outgoing proxy is named by host and port alone; the lower-case spelling wins."""
    environ = {
        "HTTPS_PROXY": "http://me:secret@upper.example:3128/",
        "https_proxy": "http://me:secret@lower.example:3128",
        "ALL_PROXY": "socks.example:1080",
        "HTTP_PROXY": "",
    }

    assert list_proxies(environ) == {"HTTPS_PROXY": "lower.example:3128", "ALL_PROXY": "socks.example:1080"}


@pytest.fixture
def certificate(tmp_path: Path) -> Environ:
    """A certificate and its key, as settings."""
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return {"TLS_CERT_FILE": str(tmp_path / "cert.pem"), "TLS_KEY_FILE": str(tmp_path / "key.pem")}


def test_tls_takes_a_certificate_and_its_key(certificate: Environ) -> None:
    """Both are files that TLS can be spoken with."""
    settings = load(certificate)

    assert [str(settings.tls_cert_file), str(settings.tls_key_file)] == list(certificate.values())


@pytest.mark.parametrize(
    ("change", "name", "problem"),
    [
        ({"TLS_KEY_FILE": ""}, "TLS_KEY_FILE", "belong together"),
        ({"TLS_CERT_FILE": ""}, "TLS_KEY_FILE", "belong together"),
        ({"TLS_CERT_FILE": "/nonexistent.pem"}, "TLS_CERT_FILE", "cannot be read"),
        ({"TLS_KEY_FILE": "/nonexistent.pem"}, "TLS_KEY_FILE", "cannot be read"),
        ({"TLS_KEY_FILE": __file__}, "TLS_KEY_FILE", "cannot be used"),
    ],
    ids=["no key", "no certificate", "certificate that is not there", "key that is not there", "key that is none"],
)
def test_tls_fault(change: Environ, name: str, problem: str, certificate: Environ) -> None:
    """One fault, which says what is wrong and does not show what is in the file."""
    (fault,) = list_faults(certificate | change)

    assert fault.name == name
    assert problem in fault.problem


def test_tls_with_the_key_of_another_certificate(certificate: Environ, tmp_path: Path) -> None:
    """A pair that does not fit is found at the start, not by the first client."""
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(other)

    (fault,) = list_faults(certificate | {"TLS_KEY_FILE": str(other)})

    assert "KEY_VALUES_MISMATCH" in fault.problem
