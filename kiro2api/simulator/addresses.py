"""Where the operations of the simulated service are.

The real service has a host for each region. The simulated one has a region in the path: before ``/token`` the one of
the OIDC service, before operations of the API the one of that. Without a region the address belongs to all.
"""

import re

from kiro2api.simulator.service import GENERATE_PATH, REFRESH_PATH

OIDC_PATH = "/token"
IDP_PATH = "/idp/token"
USAGE_LIMITS_PATH = "/getUsageLimits"
MODELS_PATH = "/ListAvailableModels"
PROFILES_PATH = "/ListAvailableProfiles"

OIDC_TEMPLATE = "/oidc/{region}" + OIDC_PATH
API_TEMPLATE = "/api/{region}"

REFRESHES = frozenset({("POST", REFRESH_PATH), ("POST", OIDC_PATH), ("POST", IDP_PATH)})
"""Methods and paths."""
CONTROLS = frozenset({("GET", USAGE_LIMITS_PATH), ("GET", MODELS_PATH), ("POST", PROFILES_PATH)})

_API_PATHS = f"{GENERATE_PATH}|{USAGE_LIMITS_PATH}|{MODELS_PATH}|{PROFILES_PATH}"
_REGIONAL = re.compile(
    rf"/oidc/(?P<oidc>[a-z0-9-]+)(?P<refresh>{OIDC_PATH})|/api/(?P<api>[a-z0-9-]+)(?P<operation>{_API_PATHS})"
)


def split_region(address: str) -> tuple[str, str | None]:
    """The path of the operation at ``address``, and the region; other addresses as they are."""
    found = _REGIONAL.fullmatch(address)
    if found is None:
        return address, None
    return found["refresh"] or found["operation"], found["oidc"] or found["api"]
