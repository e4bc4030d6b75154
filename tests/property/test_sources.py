"""No text makes the readers of credentials fail in any other way than theirs, and none of it is quoted."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kiro2api.auth.credentials import (
    ApiKey,
    Credential,
    ExternalIdpLogin,
    IdcLogin,
    Login,
    SocialLogin,
)
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources import Loaded, export_credentials, parse_auth_entries, parse_refresh_tokens
from kiro2api.auth.sources.loaded import build_credential, merge_loaded
from kiro2api.auth.sources.members import CAMEL_NAMES, Rotation, parse_time, render_time, rotate_members

MARK = "HIDDEN"
KEYS = (
    *("auth", "authMethod", "refreshToken", "clientId", "clientSecret", "disabled", "region", "apiRegion"),
    *("profileArn", "label", "kiroApiKey", "tokenEndpoint", "provider", "startUrl", "other"),
)
SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'"), min_size=1).filter(
    lambda text: "..." not in text
)
REGIONS = st.sampled_from(["us-east-1", "eu-west-1", "us-gov-west-1"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
MARKED = st.sampled_from([MARK, f"{MARK}...", f"{MARK}…", f"{MARK} x", f"ksk_{MARK}", f"https://{MARK}", f"arn:{MARK}"])
WORDS = st.sampled_from(["social", "idc", "builder-id", "external_idp", "api_key"])
ENTRIES = st.dictionaries(st.sampled_from(KEYS), MARKED | WORDS | REGIONS | JSON)
LOGINS: st.SearchStrategy[Login] = st.one_of(
    st.builds(SocialLogin, refresh_token=SECRETS),
    st.builds(
        IdcLogin,
        refresh_token=SECRETS,
        client_id=SECRETS,
        client_secret=SECRETS,
        region=REGIONS,
        is_builder_id=st.booleans(),
    ),
    st.builds(
        ExternalIdpLogin, refresh_token=SECRETS, client_id=SECRETS, token_endpoint=st.just("https://login.example.com")
    ),
    st.builds(ApiKey, key=SECRETS.map("ksk_".__add__)),
)


@st.composite
def _credentials(draw: st.DrawFn) -> Credential:
    return replace(
        build_credential(draw(LOGINS), source="HERE", label=draw(st.sampled_from(["", "work", "home"]))),
        profile_arn=draw(st.none() | st.just("arn:aws:codewhisperer:us-east-1:1:profile/A")),
        api_region=draw(st.none() | REGIONS),
    )


def _parse(text: str) -> CredentialSourceError | None:
    try:
        parse_auth_entries(text)
    except CredentialSourceError as error:
        return error
    return None


@given(st.lists(ENTRIES, max_size=3) | ENTRIES | JSON)
def test_any_json_is_read_or_refused_unquoted(value: object) -> None:
    """Whatever stands where; the marked values are in no error."""
    error = _parse(json.dumps(value))

    assert error is None or (MARK not in str(error) and error.__cause__ is None)


@given(st.text() | st.text(st.sampled_from('{}[]",:aux\\ \udcff0.-')))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Also what is no JSON, and what no encoding has."""
    error = _parse(text)

    assert error is None or error.source == "KIRO_AUTH_TOKEN"


@given(st.text())
def test_any_list_is_read_or_refused(text: str) -> None:
    """What is read has distinct credentials and labels."""
    try:
        credentials = parse_refresh_tokens(text)
    except CredentialSourceError:
        return

    assert len({credential.credential_id for credential in credentials}) == len(credentials)
    assert len({credential.label for credential in credentials}) == len(credentials)


@given(st.lists(_credentials(), min_size=1))
def test_an_export_is_read_back_equal(credentials: list[Credential]) -> None:
    """Labels, regions and profiles as well; exporting it once more adds nothing."""
    normal = merge_loaded([Loaded(credentials=tuple(credentials))]).credentials
    text = export_credentials(normal)

    assert parse_auth_entries(text, source="HERE") == Loaded(credentials=normal)
    assert export_credentials(normal, text) == text


@given(st.dictionaries(st.text(), JSON), st.sampled_from([None, 2, 4]), st.floats(0, 4e9))
def test_new_tokens_leave_other_members_alone(members: dict[str, object], indent: int | None, at: float) -> None:
    """In value and in order, however the text was set."""
    rotation = Rotation(refresh_token="r", access_token="a", expires_at=at, profile_arn=None)
    text = json.dumps(members, indent=indent, ensure_ascii=False)
    rotated = rotate_members(text.encode(), rotation, CAMEL_NAMES, with_profile=False, source="")
    expires_at = render_time(at, like=members.get("expiresAt"))
    expected = {**members, "refreshToken": "r", "accessToken": "a", "expiresAt": expires_at}

    assert list(json.loads(rotated).items()) == list(json.loads(json.dumps(expected)).items())


@given(st.floats(1e9, 4e9), st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678Z", 1e9, 2e12, None]))
def test_times_are_read_as_they_were_written(seconds: float, like: object) -> None:
    """To the second at the worst, and never later than they are."""
    read = parse_time(render_time(seconds, like=like))

    assert read is not None
    assert -1 < read - seconds <= 0.001


@given(SCALARS | st.text(st.sampled_from("0123456789-:TZ+. ")) | st.integers(min_value=0))
def test_any_time_is_read_or_none(value: object) -> None:
    """No text and no number of another program's file does harm."""
    assert isinstance(parse_time(value), float | None)
