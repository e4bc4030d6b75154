"""Credentials from JSON entries, and back."""

import json
from dataclasses import replace

import pytest

from kiro2api.auth.credentials import ApiKey, Credential, ExternalIdpLogin, IdcLogin, Login, SocialLogin
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import Loaded, export_credentials, parse_auth_entries
from kiro2api.auth.sources.loaded import build_credential
from tests.unit.auth.sources.samples import ARN

IDC = {"refreshToken": "r", "clientId": "i", "clientSecret": "s"}
EXTERNAL = {"refreshToken": "r", "clientId": "i", "tokenEndpoint": "https://login.example.com/token"}


def _idc(*, region: str = "us-east-1", is_builder_id: bool = False) -> IdcLogin:
    return IdcLogin(refresh_token="r", client_id="i", client_secret="s", region=region, is_builder_id=is_builder_id)


def _external() -> ExternalIdpLogin:
    return ExternalIdpLogin(refresh_token="r", client_id="i", token_endpoint="https://login.example.com/token")


def _parse(*entries: object) -> tuple[Credential, ...]:
    return parse_auth_entries(json.dumps(entries)).credentials


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"refreshToken": "r"}, SocialLogin(refresh_token="r")),
        ({"auth": "Social", "refreshToken": "r", "unknown": [1]}, SocialLogin(refresh_token="r")),
        ({"auth": "GitHub", "refreshToken": " r "}, SocialLogin(refresh_token="r")),
        ({"authMethod": "google", "refreshToken": "r"}, SocialLogin(refresh_token="r")),
        ({"auth": "IdC", **IDC}, _idc()),
        ({"auth": "iDc", **IDC, "region": "eu-central-1"}, _idc(region="eu-central-1")),
        ({"auth": "builder-id", **IDC}, _idc(is_builder_id=True)),
        ({"auth": "idc", "provider": "BuilderId", **IDC}, _idc(is_builder_id=True)),
        ({"auth": "idc", "startUrl": "https://view.awsapps.com/start/#/", **IDC}, _idc(is_builder_id=True)),
        ({"auth": "idc", "startUrl": "https://firm.awsapps.com/start", **IDC}, _idc()),
        ({"auth": "external_idp", **EXTERNAL}, _external()),
        ({"auth": "External-IdP", **EXTERNAL}, _external()),
        ({"auth": "api_key", "kiroApiKey": "ksk_a"}, ApiKey(key="ksk_a")),
        ({"kiroApiKey": "ksk_a"}, ApiKey(key="ksk_a")),
    ],
)
def test_each_kind_of_login(entry: dict[str, object], login: Login) -> None:
    """The words of this and other programs are understood in any case; social is what an entry is by default."""
    (credential,) = _parse(entry)

    assert credential == build_credential(login, source="KIRO_AUTH_TOKEN", label=f"{credential.kind}-1")


def test_everything_beside_the_login() -> None:
    """Profile, region and label are the operator's words."""
    (credential,) = _parse({"refreshToken": "r", "profileArn": ARN, "apiRegion": "eu-west-1", "label": "work"})

    assert credential == replace(
        build_credential(SocialLogin(refresh_token="r"), source="KIRO_AUTH_TOKEN", label="work"),
        profile_arn=ARN,
        api_region="eu-west-1",
    )


@pytest.mark.parametrize("text", ['{"refreshToken": "r"}', ' [{"refreshToken": "r"}]\n', '\ufeff{"refreshToken": "r"}'])
def test_one_entry_needs_no_list(text: str) -> None:
    """A single object is a list of one; a byte order mark does no harm."""
    assert parse_auth_entries(text) == Loaded(
        credentials=(build_credential(SocialLogin(refresh_token="r"), source="KIRO_AUTH_TOKEN", label="social-1"),)
    )


def test_disabled_and_repeated_entries_are_left_out_with_a_note() -> None:
    """A disabled one need not even be complete."""
    entries = [{"refreshToken": "a"}, {"disabled": True}, {"refreshToken": "a"}, {"refreshToken": "b"}]
    loaded = parse_auth_entries(json.dumps(entries), source="HERE")

    assert [credential.label for credential in loaded.credentials] == ["social-1", "social-2"]
    assert loaded.notes == (
        "HERE entry 2 is disabled and left out.",
        "HERE holds one credential twice; it is used once.",
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("HIDDEN", "is no JSON object"),
        ({}, '"refreshToken" is missing'),
        ({"refreshToken": "HIDDEN…"}, '"refreshToken" was shortened'),
        ({"refreshToken": "HIDDEN", "disabled": "HIDDEN"}, '"disabled" has to be true or false'),
        ({"auth": "HIDDEN", "refreshToken": "HIDDEN"}, '"auth" has to be Social, IdC'),
        ({"auth": 5, "refreshToken": "HIDDEN"}, '"auth" has to be text'),
        ({"auth": "idc", "refreshToken": "HIDDEN"}, '"clientId" is missing'),
        ({"auth": "idc", "refreshToken": "HIDDEN", "clientId": "HIDDEN"}, '"clientSecret" is missing'),
        ({"auth": "external_idp", "refreshToken": "r", "clientId": "HIDDEN"}, '"tokenEndpoint" is missing'),
        ({"auth": "api_key"}, '"kiroApiKey" is missing'),
        ({"auth": "api_key", "kiroApiKey": "HIDDEN"}, '"kiroApiKey" does not begin with ksk_'),
        ({"refreshToken": "HIDDEN", "label": 5}, '"label" has to be text'),
        ({"refreshToken": "HIDDEN", "profileArn": "HIDDEN"}, '"profileArn" is no ARN'),
        ({"refreshToken": "HIDDEN", "apiRegion": "HIDDEN"}, '"apiRegion" is no AWS region'),
    ],
)
def test_a_fault_names_entry_and_member(entry: object, words: str) -> None:
    """Counted from 1, disabled ones too; the value is nowhere."""
    with pytest.raises(CredentialSourceError, match=f"^entry 3: {words}") as caught:
        _parse({"refreshToken": "HIDDEN"}, {"disabled": True}, entry)

    assert (caught.value.position, caught.value.source) == (3, "KIRO_AUTH_TOKEN")
    assert "HIDDEN" not in str(caught.value)


@pytest.mark.parametrize(("text", "words"), [("[]", "holds no entry"), ("[{]", "not valid JSON"), ("5", "entry 1")])
def test_what_holds_no_entry_is_refused(text: str, words: str) -> None:
    """Before the proxy starts."""
    with pytest.raises(CredentialSourceError, match=words):
        parse_auth_entries(text)


LOGINS: tuple[Login, ...] = (
    SocialLogin(refresh_token="a"),
    IdcLogin(refresh_token="b", client_id="i", client_secret="s", region="eu-west-1", is_builder_id=True),
    IdcLogin(refresh_token="c", client_id="i", client_secret="s", region="us-east-1"),
    ExternalIdpLogin(refresh_token="d", client_id="i", token_endpoint="https://login.example.com/token"),
    ApiKey(key="ksk_e"),
)


def test_an_export_is_read_back_equal() -> None:
    """Everything that can be configured survives."""
    credentials = tuple(
        replace(build_credential(login, source="HERE", label=f"n{number}"), profile_arn=ARN, api_region="eu-west-1")
        for number, login in enumerate(LOGINS)
    )

    assert parse_auth_entries(export_credentials(credentials), source="HERE") == Loaded(credentials=credentials)


def test_an_export_keeps_what_is_there() -> None:
    """Entries of the existing text stay first and as they are, disabled ones too; doubles are not added."""
    existing = [{"refreshToken": "a", "mine": {"x": 1}, "disabled": True}]
    text = export_credentials(
        parse_auth_entries('[{"refreshToken":"a"},{"refreshToken":"b"}]').credentials, json.dumps(existing)
    )

    assert json.loads(text) == [*existing, {"auth": "Social", "refreshToken": "b", "label": "social-2"}]
    assert text.startswith("[\n  {\n    ")


@pytest.mark.parametrize(("existing", "count"), [(None, 1), (" ", 1), ("[]", 1), ('{"refreshToken":"b"}', 2)])
def test_an_export_makes_a_list_of_what_is_there(existing: str | None, count: int) -> None:
    """Of nothing, of a blank file, of a single entry."""
    credential = build_credential(SocialLogin(refresh_token="a"), source="HERE")

    assert len(json.loads(export_credentials([credential], existing))) == count


def test_an_export_does_not_extend_what_is_broken() -> None:
    """Nobody would find the fault afterwards."""
    with pytest.raises(CredentialSourceError, match='entry 1: "refreshToken" is missing'):
        export_credentials([], '[{"auth": "social"}]')
