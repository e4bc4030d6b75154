"""The upstream's hosts and regions, as data.

Three services each have hosts of their own: inference, the control plane, and the OIDC service that refreshes SSO
logins. The first two exist in a few regions only, which a credential's SSO region need not be one of; the third exists
wherever an SSO login was registered. Which hosts there are is what AWS's own clients and reports about them say; in
2026 inference moved from ``amazonaws.com`` to ``kiro.dev``, and neither works for every account.
"""

import re

DEFAULT_REGION = "us-east-1"
EUROPEAN_REGION = "eu-central-1"
GOV_REGIONS = ("us-gov-east-1", "us-gov-west-1")
API_REGIONS = (DEFAULT_REGION, EUROPEAN_REGION, *GOV_REGIONS)
"""Where inference and control plane are; an access token is good in one of them only."""
PROFILE_REGIONS = (DEFAULT_REGION, EUROPEAN_REGION)
"""Where the profiles of a credential are looked for, in this order; a profile may be in another region than the SSO."""
OIDC_URL = "https://oidc.{region}.amazonaws.com/token"
"""Where logins of AWS SSO are refreshed: in the region that issued the registration, whatever the API's is."""

_ARN_REGION_FIELD = 3
_REGION = re.compile(r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")


def is_region(text: str) -> bool:
    """Whether ``text`` has the form of an AWS region's name: it is to become part of a host's name."""
    return _REGION.fullmatch(text) is not None


def select_api_region(*, configured: str | None, profile_arn: str | None, sso_region: str | None) -> str:
    """The region of the API for a credential, one of ``API_REGIONS``.

    What the operator has configured counts first, then the region in the profile's ARN, then the login's SSO region. A
    region without an API stands for the one that serves its part of the world.
    """
    for region in (configured, read_arn_region(profile_arn or ""), sso_region):
        if region and is_region(region):
            return _find_nearest(region)
    return DEFAULT_REGION


def read_arn_region(arn: str) -> str | None:
    """The region that an ARN names."""
    fields = arn.split(":")
    region = fields[_ARN_REGION_FIELD] if len(fields) > _ARN_REGION_FIELD else ""
    return region if is_region(region) else None


def list_inference_urls(region: str) -> tuple[str, ...]:
    """The addresses of the inference service in ``region``, one of ``API_REGIONS``; to be tried in this order."""
    oldest = "https://codewhisperer.us-east-1.amazonaws.com"  # the name exists in this region alone
    match region:
        case "us-east-1":
            return (f"https://runtime.{region}.kiro.dev", f"https://q.{region}.amazonaws.com", oldest)
        case "eu-central-1":
            return (f"https://runtime.{region}.kiro.dev", f"https://q.{region}.amazonaws.com")
        case _:
            return (f"https://q.{region}.amazonaws.com",)


def get_control_url(region: str) -> str:
    """The address of the control plane in ``region``, one of ``API_REGIONS``."""
    return f"https://q.{region}.amazonaws.com"


def _find_nearest(region: str) -> str:
    """The API's region for people in ``region``: Europe has its own, the Americas and Asia use the first one."""
    if region in API_REGIONS:
        return region
    return EUROPEAN_REGION if region.startswith("eu-") else DEFAULT_REGION
