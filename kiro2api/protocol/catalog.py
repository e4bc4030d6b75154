"""Public model names and the upstream's ids for them.

A name is looked up in the user's own map, then among the names of the first models that the
upstream had, then among the ids that it is known to take; what is left must follow the naming rule
of Claude models, so that a new model needs no release. Nothing is replaced by a neighbour.

The upstream has two spellings: ids in capitals until October 2025
(``CLAUDE_SONNET_4_20250514_V1_0``), dotted ones in small letters since (``claude-sonnet-4.5``).
Limits are what its model lists and its other clients reported; where reports differ, the first one
counts and a comment names the other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from kiro2api.protocol.errors import UnknownModelError

MAX_NAME_CHARS: Final = 256
"""Characters of a model name that are looked at; longer names are unknown. Known ones have 30."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """A model as clients see it in a list."""

    model_id: str
    """The public name."""
    display_name: str
    created: date | None
    """The day that a public name of the model carries; ``None`` when none does."""
    context_window: int | None
    """Model tokens of input and output together; ``None`` when nobody has said."""
    max_output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """What to ask the upstream for."""

    public_name: str
    """As the client spelled it."""
    upstream_id: str
    context_window: int | None
    """Of the upstream's model; ``None`` when nobody has said, as for ids not listed here."""
    max_output_tokens: int | None


class _Row(NamedTuple):
    display_name: str
    public_names: tuple[str, ...]
    upstream_ids: tuple[str, ...]
    """All that the upstream takes, or took, for this model."""
    context_window: int | None = None
    max_output_tokens: int | None = None


_ROWS: Final = (
    _Row("Claude Opus 5.5", ("claude-opus-5-5",), ("claude-opus-5.5",), 1_000_000, 128_000),
    _Row("Claude Sonnet 5.5", ("claude-sonnet-5-5",), ("claude-sonnet-5.5",), 1_000_000, 128_000),
    _Row("Claude Fable 5", ("claude-fable-5",), ("claude-fable-5",), 1_000_000, 128_000),
    _Row("Claude Opus 5", ("claude-opus-5",), ("claude-opus-5",), 1_000_000, 128_000),
    # 64,000 of output are reported too, for this one and the next two.
    _Row("Claude Sonnet 5", ("claude-sonnet-5",), ("claude-sonnet-5",), 1_000_000, 128_000),
    _Row("Claude Opus 4.8", ("claude-opus-4-8",), ("claude-opus-4.8",), 1_000_000, 128_000),
    _Row("Claude Opus 4.7", ("claude-opus-4-7",), ("claude-opus-4.7",), 1_000_000, 128_000),
    # 128,000 of output are reported too.
    _Row("Claude Opus 4.6", ("claude-opus-4-6",), ("claude-opus-4.6",), 1_000_000, 64_000),
    # A window of 200,000 for the id without -1m is reported too.
    _Row(
        "Claude Sonnet 4.6",
        ("claude-sonnet-4-6",),
        ("claude-sonnet-4.6", "claude-sonnet-4.6-1m"),
        1_000_000,
        64_000,
    ),
    _Row("Claude Opus 4.5", ("claude-opus-4-5",), ("claude-opus-4.5",), 200_000, 64_000),
    _Row(
        "Claude Haiku 4.5",
        ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        ("claude-haiku-4.5",),
        200_000,
        64_000,
    ),
    _Row(
        "Claude Sonnet 4.5",
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4.5", "CLAUDE_SONNET_4_5_20250929_V1_0"),
        200_000,
        64_000,
    ),
    _Row(
        "Claude Sonnet 4",
        ("claude-sonnet-4-20250514",),
        ("claude-sonnet-4", "CLAUDE_SONNET_4_20250514_V1_0"),
        200_000,
        64_000,
    ),
    _Row(
        "Claude Sonnet 3.7",
        ("claude-3-7-sonnet-20250219",),
        ("CLAUDE_3_7_SONNET_20250219_V1_0",),
        200_000,
    ),
    _Row(
        "Claude Haiku 3.5",
        ("claude-3-5-haiku-20241022",),
        ("CLAUDE_3_5_HAIKU_20241022_V1_0",),
    ),
    # The service chooses the model; the window is the one reported for this name.
    _Row("Auto", ("auto",), ("auto",), 1_000_000),
    # Windows raised to 1,000,000 are reported too, since September 2026, account by account.
    _Row("GPT-5.6 Sol", ("gpt-5.6-sol",), ("gpt-5.6-sol",), 272_000, 128_000),
    _Row("GPT-5.6 Terra", ("gpt-5.6-terra",), ("gpt-5.6-terra",), 272_000, 128_000),
    _Row("GPT-5.6 Luna", ("gpt-5.6-luna",), ("gpt-5.6-luna",), 272_000, 128_000),
    _Row("DeepSeek 3.2", ("deepseek-3.2",), ("deepseek-3.2",), 164_000),
    _Row("MiniMax M2.5", ("minimax-m2.5",), ("minimax-m2.5",), 196_000),
    _Row("MiniMax M2.1", ("minimax-m2.1",), ("minimax-m2.1",), 196_000),
    _Row("GLM 5", ("glm-5",), ("glm-5",), 200_000),
    _Row("Qwen3 Coder Next", ("qwen3-coder-next",), ("qwen3-coder-next",), 256_000),
)

_FIRST_MODELS: Final = {
    "claude-sonnet-4-20250514": "CLAUDE_SONNET_4_20250514_V1_0",
    "claude-3.7-sonnet": "CLAUDE_3_7_SONNET_20250219_V1_0",
    "claude-3.5-haiku": "auto",
}
"""Names to the ids that have worked since the upstream's first models.

No dotted id is known for the two last, so their names stand here normalised and every spelling of
them counts. The upstream gave up its id for Haiku 3.5 and chooses a model for it.
"""

_ROWS_BY_UPSTREAM_ID: Final = {upstream_id.lower(): row for row in _ROWS for upstream_id in row.upstream_ids}
_UPSTREAM_IDS: Final = {upstream_id.lower(): upstream_id for row in _ROWS for upstream_id in row.upstream_ids}

_PREFIXES: Final = re.compile(r"^(?:anthropic/|kiro/)+")
_VARIANT_SUFFIXES: Final = re.compile(r"(?:\[1m\]|-thinking)+$")
"""What clients add to choose a variant of the same model."""
_SUFFIXES: Final = re.compile(r"(?:\[1m\]|-thinking|-latest|-[0-9]{8})+$")
_DATE_SUFFIX: Final = re.compile(r"-([0-9]{8})$")

_VERSION: Final = r"(?P<major>[0-9]{1,2})(?:[-.](?P<minor>[0-9]{1,2}))?"
_FAMILY_FIRST: Final = re.compile(rf"claude-(?P<family>[a-z]+)-{_VERSION}")
_VERSION_FIRST: Final = re.compile(rf"claude-{_VERSION}-(?P<family>[a-z]+)(?:-(?:low|medium|high|xhigh|max))?")
"""The order of Claude 3; some editors use it for newer models and append the effort."""
_FIRST_MAJOR_WITH_FAMILY_FIRST: Final = 4


class Catalog:
    """The known models, and what the user wants names to mean.

    Args:
        overrides: Names, in small or capital letters, to upstream ids, which are used as they are.
            A name is also found by its longer forms: an entry for ``claude-opus-4-5`` answers for
            ``claude-opus-4-5-20251101`` and ``claude-opus-4.5[1m]``, unless these have their own.
    """

    def __init__(self, overrides: Mapping[str, str]) -> None:
        self._overrides = {name.strip().lower(): target for name, target in overrides.items()}
        self.models: tuple[CatalogModel, ...] = tuple(model for row in _ROWS for model in _build_models(row))
        self._models_by_id = {model.model_id: model for model in self.models}

    def describe(self, model_id: str) -> CatalogModel:
        """The listed model of this name, or what is known of an unlisted one that requests may name all the same.

        Raises:
            UnknownModelError: Requests may not name it either.
        """
        listed = self._models_by_id.get(model_id)
        if listed is not None:
            return listed
        resolved = self.resolve(model_id)
        return CatalogModel(
            model_id=model_id,
            display_name=model_id,
            created=None,
            context_window=resolved.context_window,
            max_output_tokens=resolved.max_output_tokens,
        )

    def resolve(self, name: str) -> ResolvedModel:
        """What to ask the upstream for when a client asks for ``name``.

        Raises:
            UnknownModelError: Neither the user's map nor the tables here have the name, and no
                Claude model can be called so.
        """
        upstream_id = self._select_upstream_id(name)
        row = _ROWS_BY_UPSTREAM_ID.get(upstream_id.lower())
        return ResolvedModel(
            public_name=name,
            upstream_id=upstream_id,
            context_window=row.context_window if row else None,
            max_output_tokens=row.max_output_tokens if row else None,
        )

    def _select_upstream_id(self, name: str) -> str:
        if len(name) > MAX_NAME_CHARS:
            raise UnknownModelError(name[:MAX_NAME_CHARS])
        normalised = normalise_model_name(name)
        spellings = tuple(_vary_spelling(name, normalised))
        for table in (self._overrides, _FIRST_MODELS, _UPSTREAM_IDS):
            for spelling in spellings:
                if spelling in table:
                    return table[spelling]
        if normalised is None:
            raise UnknownModelError(name)
        return normalised


def normalise_model_name(name: str) -> str | None:
    """The dotted id that a Claude model of this name would have, whether or not there is one.

    Makers' prefixes and suffixes for variant, date and ``-latest`` are dropped. ``None`` for names
    without a version, for those of other makers' models, and for names over ``MAX_NAME_CHARS``.
    """
    if len(name) > MAX_NAME_CHARS:
        return None
    bare = _SUFFIXES.sub("", _strip_prefixes(name))
    if match := _FAMILY_FIRST.fullmatch(bare):
        return f"claude-{match['family']}-{_dot_version(match)}"
    if match := _VERSION_FIRST.fullmatch(bare):
        version = _dot_version(match)
        if int(match["major"]) < _FIRST_MAJOR_WITH_FAMILY_FIRST:
            return f"claude-{version}-{match['family']}"
        return f"claude-{match['family']}-{version}"
    return None


def _dot_version(match: re.Match[str]) -> str:
    """The matched version; a minor 0, which only Anthropic's aliases have, is left out."""
    major, minor = match["major"], match["minor"]
    return f"{major}.{minor}" if minor and int(minor) else major


def _vary_spelling(name: str, normalised: str | None) -> Iterator[str]:
    """The spellings by which ``name`` may be known, the most exact first."""
    yield name.strip().lower()
    plain = _strip_prefixes(name)
    yield plain
    yield _VARIANT_SUFFIXES.sub("", plain)
    yield _SUFFIXES.sub("", plain)
    if normalised is not None:
        yield normalised.replace(".", "-")
        yield normalised


def _strip_prefixes(name: str) -> str:
    return _PREFIXES.sub("", name.strip().lower())


def _build_models(row: _Row) -> Iterator[CatalogModel]:
    dates = (_DATE_SUFFIX.search(name) for name in row.public_names)
    created = next((date.fromisoformat(match[1]) for match in dates if match), None)
    for name in row.public_names:
        yield CatalogModel(
            model_id=name,
            display_name=row.display_name,
            created=created,
            context_window=row.context_window,
            max_output_tokens=row.max_output_tokens,
        )
