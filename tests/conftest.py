"""Profiles of the property tests; ``HYPOTHESIS_PROFILE`` chooses one, else ``ci`` where CI is set, else ``dev``."""

import os

from hypothesis import HealthCheck, settings

# Shared and measured machines are slow at times: neither an example's duration nor a slow draw is a failure.
_SLOW = [HealthCheck.too_slow]

settings.register_profile("dev", max_examples=25, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "ci", max_examples=60, deadline=None, suppress_health_check=_SLOW, derandomize=True, print_blob=True
)
settings.register_profile("soak", max_examples=10_000, deadline=None, suppress_health_check=_SLOW, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))
