"""Members of JSON objects, read and replaced."""

from collections.abc import Callable

import pytest

from kiro2api.auth.credentials import FoundAccess
from kiro2api.auth.errors import CredentialSourceError
from kiro2api.auth.sources.members import (
    CAMEL_NAMES,
    Fields,
    Rotation,
    decode_json,
    decode_object,
    find_access,
    parse_time,
    render_time,
    rotate_members,
)
from tests.unit.auth.sources.samples import ARN, EXPIRES_AT

ROTATION = Rotation(refresh_token="r", access_token="a", expires_at=EXPIRES_AT, profile_arn=None)


def _fields(value: object) -> Fields:
    return Fields(members={"key": value}, source="HERE", position=2)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (Fields.find_text, 5),
        (Fields.get_secret, None),
        (Fields.get_secret, " "),
        (Fields.get_secret, "HIDDEN..."),
        (Fields.find_flag, "HIDDEN"),
        (Fields.find_flag, 1),
        (Fields.find_region, "HIDDEN.example.com/#"),
        (Fields.find_region, "HIDDEN"),
        (Fields.find_arn, "HIDDEN"),
        (Fields.find_label, "HIDDEN\x1b[31m"),
        (Fields.find_label, "HIDDEN" * 11),
        (Fields.get_endpoint, None),
        (Fields.get_endpoint, "http://HIDDEN.example.com/token"),
        (Fields.get_endpoint, "https://user:HIDDEN@example.com/token"),
        (Fields.get_endpoint, "https://example.com/HIDDEN token"),
    ],
)
def test_a_fault_names_entry_and_member(read: Callable[[Fields, str], object], value: object) -> None:
    """Where it is, and never what it holds."""
    with pytest.raises(CredentialSourceError, match=r'^entry 2: "key" ') as caught:
        read(_fields(value), "key")

    assert caught.value.source == "HERE"
    assert "HIDDEN" not in str(caught.value)


@pytest.mark.parametrize(
    ("read", "value", "expected"),
    [
        (Fields.find_text, None, None),
        (Fields.find_text, " ", None),
        (Fields.find_text, " a ", "a"),
        (Fields.get_secret, " a\n", "a"),
        (Fields.find_flag, None, False),
        (Fields.find_flag, True, True),
        (Fields.find_region, None, None),
        (Fields.find_region, "EU-West-1", "eu-west-1"),
        (Fields.find_region, "us-gov-west-1", "us-gov-west-1"),
        (Fields.find_arn, None, None),
        (Fields.find_arn, ARN, ARN),
        (Fields.find_usable_arn, ARN, ARN),
        (Fields.find_usable_arn, "none", None),
        (Fields.find_usable_arn, 5, None),
        (Fields.find_label, "my work (2)", "my work (2)"),
        (Fields.get_endpoint, "https://login.example.com/t/v2?x=1", "https://login.example.com/t/v2?x=1"),
        (Fields.get_endpoint, "http://127.0.0.1:8000/token", "http://127.0.0.1:8000/token"),
    ],
)
def test_members(read: Callable[[Fields, str], object], value: object, expected: object) -> None:
    """What is as it should be is read; null and blank text count as absent."""
    assert read(_fields(value), "key") == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-01-02T03:04:05.678Z", EXPIRES_AT),
        ("2026-01-02T03:04:05.678000000Z", EXPIRES_AT),
        ("2026-01-02T04:04:05.678+01:00", EXPIRES_AT),
        ("2026-01-02T03:04:05.678", EXPIRES_AT),
        ("2026-01-02T03:04:05Z", 1_767_323_045.0),
        (1_767_323_045, 1_767_323_045.0),
        (1_767_323_045_678, EXPIRES_AT),
        ("0001-01-01T00:00:00+23:00", -62135679600.0),
        ("soon", None),
        ("", None),
        (None, None),
        (True, None),
        (10**400, None),
        (float("inf"), None),
    ],
)
def test_times_are_read_leniently(value: object, seconds: float | None) -> None:
    """With and without fractions, offsets and units; what is no time is none."""
    assert parse_time(value) == seconds


@pytest.mark.parametrize(
    ("like", "text"),
    [
        ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.678000000Z"),
        (1_700_000_000, 1_767_323_045),
        (1_700_000_000_000, 1_767_323_045_678),
        ("soon", "2026-01-02T03:04:05.678Z"),
        (None, "2026-01-02T03:04:05.678Z"),
        (True, "2026-01-02T03:04:05.678Z"),
    ],
)
def test_times_are_written_as_they_were_found(like: object, text: str | int) -> None:
    """The other program has to read them."""
    assert render_time(EXPIRES_AT, like=like) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '{\n    "z" : 1.10,\n "refreshToken": "x", "a": {"b":  [ ]},\n "expiresAt": "2026-01-01T00:00:00Z"\n}\n',
            (
                '{\n  "z": 1.10,\n  "refreshToken": "r",\n  "a": {"b":  [ ]},\n'
                '  "expiresAt": "2026-01-02T03:04:05Z",\n  "accessToken": "a"\n}\n'
            ),
        ),
        (
            '{"refreshToken":"x","accessToken":"y","expiresAt":5,"n":12345678901234567890123}',
            '{"refreshToken": "r", "accessToken": "a", "expiresAt": 1767323045, "n": 12345678901234567890123}',
        ),
        ("{\n}", '{\n  "refreshToken": "r",\n  "accessToken": "a",\n  "expiresAt": "2026-01-02T03:04:05.678Z"\n}'),
    ],
)
def test_other_members_stay(before: str, after: str) -> None:
    """Their order and their very text, also of numbers that Python would write otherwise."""
    assert rotate_members(before.encode(), ROTATION, CAMEL_NAMES, with_profile=True, source="").decode() == after


@pytest.mark.parametrize(
    ("before", "with_profile", "has_profile"),
    [("{}", False, False), ("{}", True, True), ('{"profileArn":""}', False, True)],
)
def test_a_profile_is_added_only_where_it_belongs(before: str, *, with_profile: bool, has_profile: bool) -> None:
    """A program that knows no such member is spared it."""
    rotation = Rotation(refresh_token="r", access_token="a", expires_at=0, profile_arn=ARN)
    after = rotate_members(before.encode(), rotation, CAMEL_NAMES, with_profile=with_profile, source="")

    assert decode_object(after, source="").get("profileArn") == (ARN if has_profile else None)


@pytest.mark.parametrize(
    ("members", "access"),
    [
        ({"accessToken": "a", "expiresAt": 5}, FoundAccess(value="a", expires_at=5)),
        ({"accessToken": "a"}, None),
        ({"accessToken": "", "expiresAt": 5}, None),
        ({"accessToken": "a b", "expiresAt": 5}, None),
        ({"accessToken": 7, "expiresAt": 5}, None),
        ({"expiresAt": 5}, None),
    ],
)
def test_an_access_token_is_taken_if_it_can_be_used(members: dict[str, object], access: FoundAccess | None) -> None:
    """Without one, or without its expiry, there is only the login."""
    assert find_access(Fields(members=members, source=""), CAMEL_NAMES) == access


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "HIDDEN"', "the text is not a JSON object; look for"),
        ('{"a": HIDDEN}', r"the text is not a JSON object \(byte 6\); look for"),
        ('["HIDDEN"]', "the text is not a JSON object$"),
        (b'{"a": "HIDDEN\xff"}', "the text is not a JSON object$"),
        ('{"a":' * 100_000, "the text is not a JSON object$"),
        ("1" * 5000, "the text is not a JSON object$"),
    ],
)
def test_what_is_no_object_is_refused_unquoted(text: str | bytes, words: str) -> None:
    """The place is told, the text is not."""
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(CredentialSourceError, match=words) as caught:
        decode_object(data, source="HERE")

    assert "HIDDEN" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.source == "HERE"


def test_text_of_the_environment_may_be_no_unicode() -> None:
    """Python keeps foreign bytes of a variable as single surrogates."""
    with pytest.raises(CredentialSourceError, match="not valid JSON"):
        decode_json('"\udcff"', source="HERE")
