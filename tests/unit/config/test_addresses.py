"""Tests of kiro2api.config.addresses: what the settings that are addresses take."""

import pytest
from pydantic import SecretStr, ValidationError

from kiro2api.config import Settings
from tests.support.settings import list_faults, load

KEY = {"STATE_KEY": "sixteen-letters-"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("KIRO_UPSTREAM_URL", "https://a.example/, ,https://b.example", ("https://a.example", "https://b.example")),
        ("KIRO_UPSTREAM_URL", "https://a.example,https://a.example/", ("https://a.example",)),
        ("KIRO_UPSTREAM_URL", " , ", ()),
        ("KIRO_CONTROL_URL", "https://a.example/", "https://a.example"),
        ("KIRO_CONTROL_URL", "", None),
        ("KIRO_OIDC_URL", "https://oidc.{region}.example/token/", "https://oidc.{region}.example/token"),
        ("KIRO_OIDC_URL", "http://127.0.0.1:9000/{region}", "http://127.0.0.1:9000/{region}"),
        ("KIRO_OIDC_URL", "https://oidc.example/token", "https://oidc.example/token"),
        ("KIRO_API_REGION", "EU-central-1", "eu-central-1"),
        ("KIRO_API_REGION", "us-gov-west-1", "us-gov-west-1"),
        ("KIRO_API_REGION", "", None),
    ],
)
def test_address(name: str, text: str, value: object) -> None:
    """A variable's text becomes the address, or the addresses, that it names."""
    assert getattr(load({name: text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KIRO_UPSTREAM_URL", "https://a.example,http://b.example"),
        ("KIRO_UPSTREAM_URL", "https://a.example;https://b.example"),
        ("KIRO_UPSTREAM_URL", "https://[::1"),
        ("KIRO_CONTROL_URL", "http://a.example"),
        ("KIRO_OIDC_URL", "http://oidc.{region}.example/token"),
        ("KIRO_OIDC_URL", "https://oidc.{regio}.example/token"),
        ("KIRO_OIDC_URL", "https://oidc.{{region}}.example/token"),
        ("KIRO_OIDC_URL", "https://oidc.example/{REGION}"),
        ("KIRO_API_REGION", "Frankfurt"),
        ("KIRO_API_REGION", "us-east-1/"),
        ("KIRO_API_REGION", "us-east-1.evil.example"),
        ("STATE_URL", "/var/lib/kiro2api"),
        ("STATE_URL", "sqlite:/var/lib/kiro2api"),
        ("STATE_URL", "memory"),
        ("STATE_URL", "memory:/var"),
        ("STATE_URL", "file:"),
        ("STATE_URL", "file:state"),
        ("STATE_URL", "file://var/lib"),
        ("STATE_URL", "file:/var/lib?mode=0777"),
        ("STATE_URL", "file:/var/a#b"),
        ("STATE_URL", "file:/var/%00"),
        ("STATE_URL", "file://[var/lib"),
        ("STATE_URL", "redis:"),
        ("STATE_URL", "redis://"),
        ("STATE_URL", "redis://:secret-horse@"),
        ("STATE_URL", "redis://store:port"),
        ("STATE_URL", "redis://store/zero"),
        ("STATE_URL", "rediss://store?ssl_cert_reqs=none"),
        ("STATE_URL", "rediss://store?ssl_ca_certs=/ca.pem&ssl_cert_reqs=none"),
        ("STATE_URL", "redis://store?ssl_ca_certs=/ca.pem"),
        ("STATE_URL", "redis://:secret#horse@store"),
        ("STATE_URL", "redis://st ore"),
    ],
)
def test_fault(name: str, text: str) -> None:
    """An address that a variable does not take is one fault, which says what it takes and repeats nothing."""
    (fault,) = list_faults(KEY | {name: text})

    assert fault.name == name
    assert fault.remedy.startswith("Set it to ")
    assert "horse" not in f"{fault}"


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "file:/var/lib/kiro2api",
        "file:///var/lib/a%20b",
        "FILE:/var/lib",
        "redis://store",
        "redis://:p%40ss@store:6379/0",
        "rediss://me:pass@[::1]:6380/15",
        "rediss://store/0?ssl_ca_certs=/ca.pem",
    ],
)
def test_state_url(url: str) -> None:
    """It is kept as it is, as a secret."""
    settings = load(KEY | {"STATE_URL": url})

    assert settings.state_url == SecretStr(url)
    assert url not in f"{settings!r} {settings.model_dump_json()}"


def test_one_upstream_by_name() -> None:
    """Where settings are made by hand, one URL is as good as several."""
    one, several = (
        Settings.model_validate({"kiro_upstream_url": value}, by_name=True)
        for value in ("http://127.0.0.1:9", ("http://127.0.0.1:9", "https://a.example/"))
    )

    assert one.kiro_upstream_url == ("http://127.0.0.1:9",)
    assert several.kiro_upstream_url == ("http://127.0.0.1:9", "https://a.example")
    with pytest.raises(ValidationError):
        Settings(kiro_upstream_url=("http://a.example",))


@pytest.mark.parametrize(
    ("url", "replicas", "warned"),
    [
        ("redis://:pass@store", "1", ["STATE_URL"]),
        ("redis://:pass@127.0.0.1", "1", []),
        ("redis://store", "3", []),
        ("rediss://:pass@store", "3", []),
        ("file:/var/lib/kiro2api", "3", ["REPLICAS"]),
        ("", "2", ["REPLICAS"]),
        ("memory:", "1", []),
    ],
)
def test_a_state_that_does_not_fit_is_a_warning(url: str, replicas: str, warned: list[str]) -> None:
    """A password in clear text, and replicas that do not know of each other, are allowed, and said."""
    settings = load(KEY | {"STATE_URL": url, "REPLICAS": replicas, "KIRO_CLIENT_TOKEN": "any"})

    assert [warning.split()[0] for warning in settings.warnings] == warned
    assert "pass@" not in "".join(settings.warnings)
