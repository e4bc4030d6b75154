"""What is wrong with the settings; no fault repeats a value, which may be a secret in the wrong variable."""

from typing import NamedTuple

from kiro2api.errors import Kiro2ApiError

EXIT_CONFIG = 78
"""Exit code for unusable settings: EX_CONFIG of sysexits.h, so that a supervisor can tell it from a crash."""


class Fault(NamedTuple):
    """One variable that cannot be used as it is."""

    name: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}. {self.remedy}."


class ConfigurationError(Kiro2ApiError):
    """The settings cannot be used; ``faults`` has every reason, in the order of the fields."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        lines = [f"  {fault}" for fault in faults]
        super().__init__("\n".join(["The configuration cannot be used:", *lines]))
        self.faults = faults
