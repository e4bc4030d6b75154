"""How Claude models are called: by clients, in several ways, and by the upstream, in two.

The upstream's spellings are ids in capitals until October 2025 (``CLAUDE_SONNET_4_20250514_V1_0``) and dotted ones in
small letters since (``claude-sonnet-4.5``).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_NAME_CHARS: Final = 256
"""Characters of a model name that are looked at; longer names are unknown. Known ones have 30."""

_PREFIXES: Final = re.compile(r"^(?:anthropic/|kiro/)+")
_THINKING: Final = "-thinking"
_VARIANT_SUFFIXES: Final = re.compile(r"(?:\[1m\]|-thinking)+$")
"""What clients add to choose a variant of the same model."""
_SUFFIXES: Final = re.compile(r"(?:\[1m\]|-thinking|-latest|-[0-9]{8})+$")
_UPSTREAM_SUFFIXES: Final = re.compile(r"-1m$|-v[0-9]-[0-9]$")
"""What the upstream's ids have behind the model: a larger window, or the edition of an id in capitals."""

_VERSION: Final = r"(?P<major>[0-9]{1,2})(?:[-.](?P<minor>[0-9]{1,2}))?"
_FAMILY_FIRST: Final = re.compile(rf"claude-(?P<family>[a-z]+)-{_VERSION}")
_VERSION_FIRST: Final = re.compile(rf"claude-{_VERSION}-(?P<family>[a-z]+)(?:-(?:low|medium|high|xhigh|max))?")
"""The order of Claude 3; some editors use it for newer models and append the effort."""
_FIRST_MAJOR_WITH_FAMILY_FIRST: Final = 4
_MINORS_PER_MAJOR: Final = 100
"""Minor versions have two digits at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeName:
    """Which Claude model a name means."""

    family: str
    major: int
    minor: int
    """0 when there is none; only Anthropic's aliases spell it out."""

    @property
    def dotted(self) -> str:
        """The id that the upstream has, or would have, for the model today."""
        version = f"{self.major}.{self.minor}" if self.minor else str(self.major)
        if self.major < _FIRST_MAJOR_WITH_FAMILY_FIRST:
            return f"claude-{version}-{self.family}"
        return f"claude-{self.family}-{version}"

    def measure_distance(self, other: "ClaudeName") -> int:
        """How far apart two models of one family are: any minor step is less than any major one."""
        own, its = (name.major * _MINORS_PER_MAJOR + name.minor for name in (self, other))
        return abs(own - its) + (self.major != other.major) * _MINORS_PER_MAJOR


def parse_claude_name(name: str) -> ClaudeName | None:
    """The Claude model that a client means by ``name``, whether or not there is one.

    Makers' prefixes and suffixes for variant, date and ``-latest`` are dropped. ``None`` for names without a version,
    for those of other makers' models, and for names over ``MAX_NAME_CHARS``.
    """
    if len(name) > MAX_NAME_CHARS:
        return None
    bare = _SUFFIXES.sub("", strip_prefixes(name))
    match = _FAMILY_FIRST.fullmatch(bare) or _VERSION_FIRST.fullmatch(bare)
    if match is None:
        return None
    return ClaudeName(family=match["family"], major=int(match["major"]), minor=int(match["minor"] or 0))


def parse_upstream_id(upstream_id: str) -> ClaudeName | None:
    """The Claude model that the upstream means by an id of either spelling."""
    dashed = upstream_id.lower().replace("_", "-")
    return parse_claude_name(_UPSTREAM_SUFFIXES.sub("", dashed))


def asks_for_thinking(name: str) -> bool:
    """Whether ``name`` chooses the variant of a model that thinks before it answers."""
    suffixes = _SUFFIXES.search(name.strip().lower()[:MAX_NAME_CHARS])
    return suffixes is not None and _THINKING in suffixes[0]


def normalise_model_name(name: str) -> str | None:
    """The dotted id that the Claude model of this name would have; ``None`` as for :func:`parse_claude_name`."""
    parsed = parse_claude_name(name)
    return None if parsed is None else parsed.dotted


def vary_spelling(name: str, normalised: str | None) -> Iterator[str]:
    """The spellings by which ``name`` may be known, the most exact first."""
    yield name.strip().lower()
    plain = strip_prefixes(name)
    yield plain
    yield _VARIANT_SUFFIXES.sub("", plain)
    yield _SUFFIXES.sub("", plain)
    if normalised is not None:
        yield normalised.replace(".", "-")
        yield normalised


def strip_prefixes(name: str) -> str:
    """``name`` in small letters without the makers' prefixes that some clients put before it."""
    return _PREFIXES.sub("", name.strip().lower())
