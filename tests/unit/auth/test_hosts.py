"""Hosts and regions."""

import pytest

from kiro2api.auth.hosts import (
    API_REGIONS,
    DEFAULT_REGION,
    OIDC_URL,
    PROFILE_REGIONS,
    get_control_url,
    is_region,
    list_inference_urls,
    read_arn_region,
    select_api_region,
)

EUROPEAN_PROFILE = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABCDEFGHIJKL"


@pytest.mark.parametrize(
    ("region", "hosts"),
    [
        (
            "us-east-1",
            ["runtime.us-east-1.kiro.dev", "q.us-east-1.amazonaws.com", "codewhisperer.us-east-1.amazonaws.com"],
        ),
        ("eu-central-1", ["runtime.eu-central-1.kiro.dev", "q.eu-central-1.amazonaws.com"]),
        ("us-gov-east-1", ["q.us-gov-east-1.amazonaws.com"]),
        ("us-gov-west-1", ["q.us-gov-west-1.amazonaws.com"]),
    ],
)
def test_each_region_has_only_the_hosts_that_exist(region: str, hosts: list[str]) -> None:
    """The newest generation comes first; the oldest is in one region alone."""
    assert list_inference_urls(region) == tuple(f"https://{host}" for host in hosts)
    assert get_control_url(region) == f"https://q.{region}.amazonaws.com"


@pytest.mark.parametrize(
    ("configured", "profile_arn", "sso_region", "region"),
    [
        (None, None, None, "us-east-1"),
        ("eu-central-1", "arn:aws:codewhisperer:us-east-1:1:profile/A", "us-east-1", "eu-central-1"),
        ("us-gov-west-1", EUROPEAN_PROFILE, None, "us-gov-west-1"),
        (None, EUROPEAN_PROFILE, "us-east-1", "eu-central-1"),
        (None, "no ARN at all", "eu-west-1", "eu-central-1"),
        (None, "arn:aws:codewhisperer:evil.test/:1:profile/A", "eu-north-1", "eu-central-1"),
        ("evil.test/", None, "eu-west-3", "eu-central-1"),
        ("", "", "", "us-east-1"),
    ],
)
def test_the_most_particular_word_counts(
    configured: str | None, profile_arn: str | None, sso_region: str | None, region: str
) -> None:
    """The operator's first, then the profile's, then the login's; what is no region says nothing."""
    assert select_api_region(configured=configured, profile_arn=profile_arn, sso_region=sso_region) == region


@pytest.mark.parametrize(
    ("sso_region", "region"),
    [
        ("us-west-2", "us-east-1"),
        ("ca-central-1", "us-east-1"),
        ("sa-east-1", "us-east-1"),
        ("ap-southeast-2", "us-east-1"),
        ("eu-west-1", "eu-central-1"),
        ("eu-central-2", "eu-central-1"),
        ("us-gov-east-1", "us-gov-east-1"),
        ("us-gov-west-1", "us-gov-west-1"),
    ],
)
def test_a_region_without_an_api_stands_for_one_that_has_it(sso_region: str, region: str) -> None:
    """Whichever of the three words names it."""
    arn = f"arn:aws:codewhisperer:{sso_region}:123456789012:profile/ABCDEFGHIJKL"
    assert select_api_region(configured=None, profile_arn=None, sso_region=sso_region) == region
    assert select_api_region(configured=None, profile_arn=arn, sso_region=None) == region
    assert select_api_region(configured=sso_region, profile_arn=None, sso_region=None) == region
    assert region in API_REGIONS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("us-east-1", True),
        ("us-gov-west-1", True),
        ("eusc-de-east-1", True),
        ("", False),
        ("us-east", False),
        ("US-EAST-1", False),
        ("us-east-1.evil.test", False),
        ("us-east-1/", False),
        ("us-east-1\n", False),
        ("us-east-\N{ARABIC-INDIC DIGIT ONE}", False),
    ],
)
def test_a_region_is_fit_for_a_host_s_name(text: str, *, expected: bool) -> None:
    """And nothing else is taken for one."""
    assert is_region(text) is expected


@pytest.mark.parametrize(
    ("arn", "region"),
    [(EUROPEAN_PROFILE, "eu-central-1"), ("arn:aws:codewhisperer", None), ("", None), ("a:b:c::d", None)],
)
def test_the_region_in_an_arn(arn: str, region: str | None) -> None:
    """The fourth field, if it is one."""
    assert read_arn_region(arn) == region


def test_profiles_are_looked_for_at_home_first() -> None:
    """In regions that have an API; the OIDC service is addressed by the login's own region."""
    assert PROFILE_REGIONS == ("us-east-1", "eu-central-1")
    assert PROFILE_REGIONS[0] == DEFAULT_REGION
    assert OIDC_URL.format(region="eu-west-1") == "https://oidc.eu-west-1.amazonaws.com/token"
