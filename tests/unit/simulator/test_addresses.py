"""Addresses with and without a region."""

import pytest

from kiro2api.simulator.addresses import API_TEMPLATE, OIDC_TEMPLATE, split_region
from kiro2api.simulator.service import GENERATE_PATH


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/token", ("/token", None)),
        (OIDC_TEMPLATE.format(region="eu-west-1"), ("/token", "eu-west-1")),
        (API_TEMPLATE.format(region="eu-central-1") + GENERATE_PATH, (GENERATE_PATH, "eu-central-1")),
        ("/api/us-east-1/ListAvailableProfiles", ("/ListAvailableProfiles", "us-east-1")),
        ("/api/us-east-1/token", ("/api/us-east-1/token", None)),
        ("/oidc/us-east-1/refreshToken", ("/oidc/us-east-1/refreshToken", None)),
        ("/oidc//token", ("/oidc//token", None)),
        ("/", ("/", None)),
    ],
)
def test_a_region_is_taken_from_where_it_belongs(address: str, expected: tuple[str, str | None]) -> None:
    """Only before the operations that have regions; every other address stays as it is."""
    assert split_region(address) == expected
