"""Which credential to use next, for how long one is passed over, and why.

Pure policy: whatever depends on the time takes ``now``, nothing waits, and only what is told changes anything.
"""

from kiro2api.auth.pool.choice import CredentialPool
from kiro2api.auth.pool.selection import (
    ChoiceRule,
    Chosen,
    Cooling,
    CredentialState,
    Ranking,
    RefreshVerdict,
    Selection,
    Standing,
    Unusable,
)

__all__ = [
    "ChoiceRule",
    "Chosen",
    "Cooling",
    "CredentialPool",
    "CredentialState",
    "Ranking",
    "RefreshVerdict",
    "Selection",
    "Standing",
    "Unusable",
]
