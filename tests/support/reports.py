"""Reports of credentials, as a broker or the store would make them."""

from dataclasses import replace

from kiro2api.auth.pool import Standing
from kiro2api.auth.reports import CredentialReport, CredentialView, build_view

NOW = 1_767_322_800.0
"""2026-01-02T03:00:00Z."""

_WELL = CredentialReport(
    label="social-1",
    kind="social",
    source="AWS_REFRESHTOKEN",
    remedy="Log in again, and put the new refresh token into AWS_REFRESHTOKEN",
    standing=Standing.USABLE,
    until=None,
    trouble="",
    expires_at=NOW + 3240,
    refreshed_at=NOW - 360,
    uses=12,
    in_flight=1,
    quota_left=49.5,
    quota_resets_at=NOW + 9 * 86400,
    plan="KIRO FREE",
    region="us-east-1",
)


def build_report(**changes: object) -> CredentialReport:
    """A credential that is well, but for ``changes``."""
    return replace(_WELL, **changes)  # type: ignore[arg-type]  # of the field's type, which a test's reader sees


def build_shown(**changes: object) -> CredentialView:
    """The same as it is shown at ``NOW``."""
    return build_view(build_report(**changes), NOW)
