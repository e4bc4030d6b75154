"""From the name that a client gives to the id that the upstream takes, and the list of names there are."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

from kiro2api.protocol.catalog.names import (
    MAX_NAME_CHARS,
    ClaudeName,
    asks_for_thinking,
    normalise_model_name,
    parse_claude_name,
    parse_upstream_id,
    vary_spelling,
)
from kiro2api.protocol.catalog.table import (
    AUTO,
    FIELDS_SCHEMAS,
    FIRST_MODELS,
    ROWS,
    ROWS_BY_UPSTREAM_ID,
    UPSTREAM_IDS,
    Row,
)
from kiro2api.protocol.errors import UnknownModelError

_LAST_WITH_TAGS: Final = (4, 5)
"""Major and minor version of the last Claude models without native reasoning."""
_DATE_SUFFIX: Final = re.compile(r"-([0-9]{8})$")


class AvailableModel(Protocol):
    """A model that a credential may use, as the upstream lists it."""

    @property
    def model_id(self) -> str:
        """The upstream's id."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def max_input_tokens(self) -> int | None: ...

    @property
    def max_output_tokens(self) -> int | None: ...

    @property
    def request_fields_schema(self) -> Mapping[str, object] | None:
        """What its requests may carry beside the conversation, as a JSON schema; ``None`` for nothing."""


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
    """Of the upstream's model; ``None`` when nobody has said, as for ids that are listed nowhere."""
    max_output_tokens: int | None
    fallback_for: str | None = None
    """The id of the model that the client means, if no credential may use that and this one is its nearest."""
    request_fields_schema: Mapping[str, object] | None = field(default=None, hash=False)
    """What requests may carry beside the conversation, as the upstream lists it, or as is known where it lists nothing;
    ``None`` for nothing. Models that have one reason natively."""

    @property
    def is_to_think(self) -> bool:
        """Whether the client chose to have it think by the name alone, which is not the model's own."""
        return asks_for_thinking(self.public_name) and not asks_for_thinking(self.upstream_id)

    @property
    def knows_thinking_tags(self) -> bool:
        """Whether it is one of the older Claude models, which reason between tags when they are asked to in words."""
        meant = parse_upstream_id(self.upstream_id)
        is_old = meant is not None and (meant.major, meant.minor) <= _LAST_WITH_TAGS
        return is_old and self.request_fields_schema is None


class Catalog:
    """The known models, and what the user wants names to mean.

    Methods take the models that the credentials may use, all of them together, as ``listed``; ``None`` while that is
    not known. No model at all is knowledge too.

    Args:
        overrides: Names, in small or capital letters, to upstream ids, which are used as they are.
            A name is also found by its longer forms: an entry for ``claude-opus-4-5`` answers for
            ``claude-opus-4-5-20251101`` and ``claude-opus-4.5[1m]``, unless these have their own.
        fallback: Whether a Claude model that is not available is replaced by the nearest one of its family.
    """

    def __init__(self, overrides: Mapping[str, str], *, fallback: bool = True) -> None:
        self._overrides = {name.strip().lower(): target for name, target in overrides.items()}
        self._fallback = fallback
        self.models: tuple[CatalogModel, ...] = tuple(model for row in ROWS for model in _build_models(row))
        """What there is as far as the tables here know."""

    def list_models(self, listed: Collection[AvailableModel] | None = None) -> tuple[CatalogModel, ...]:
        """What clients are shown: public names of the listed models, or of all that the tables know."""
        if listed is None:
            return self.models
        models: dict[str, CatalogModel] = {}
        # Of two ids for one model the current one speaks for its names.
        for available in sorted(listed, key=lambda model: not _is_current(model.model_id)):
            for model in _describe_available(available):
                models.setdefault(model.model_id, model)
        return tuple(models.values())

    def describe(self, model_id: str, *, listed: Collection[AvailableModel] | None = None) -> CatalogModel:
        """The listed model of this name, or what is known of an unlisted one that requests may name all the same.

        Raises:
            UnknownModelError: Requests may not name it either.
        """
        for model in self.list_models(listed):
            if model.model_id == model_id:
                return model
        resolved = self.resolve(model_id, listed=listed)
        return CatalogModel(
            model_id=model_id,
            display_name=model_id,
            created=None,
            context_window=resolved.context_window,
            max_output_tokens=resolved.max_output_tokens,
        )

    def resolve(self, name: str, *, listed: Collection[AvailableModel] | None = None) -> ResolvedModel:
        """What to ask the upstream for when a client asks for ``name``.

        Raises:
            UnknownModelError: The user's map does not have the name, no Claude model can be called so, and no
                credential may use a model of this name, or, if that is not known, the tables here do not have it.
        """
        if len(name) > MAX_NAME_CHARS:
            raise UnknownModelError(name[:MAX_NAME_CHARS])
        spellings = tuple(vary_spelling(name, normalise_model_name(name)))
        by_id = {model.model_id.lower(): model for model in listed or ()}
        overridden = _find(self._overrides, spellings)
        if overridden is not None:
            return _build_resolved(name, overridden, by_id)
        if listed is None:
            return _build_resolved(name, _select_known(name, spellings), by_id)
        return self._select_available(name, spellings, by_id)

    def _select_available(
        self, name: str, spellings: tuple[str, ...], by_id: Mapping[str, AvailableModel]
    ) -> ResolvedModel:
        exact = next((spelling for spelling in spellings if spelling in by_id), None)
        if exact is not None:
            return _build_resolved(name, by_id[exact].model_id, by_id)
        wanted = _select_known(name, spellings)
        meant = parse_claude_name(name) or parse_upstream_id(wanted)
        nearest = None if meant is None else _find_nearest(meant, by_id.values())
        if nearest is not None and nearest.meant == meant:
            return _build_resolved(name, nearest.upstream_id, by_id)
        if wanted.lower() in by_id or wanted == AUTO:
            return _build_resolved(name, wanted, by_id)
        if meant is None:
            raise UnknownModelError(name)
        if nearest is None or not self._fallback:
            return _build_resolved(name, wanted, by_id)
        return _build_resolved(name, nearest.upstream_id, by_id, fallback_for=wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Neighbour:
    meant: ClaudeName
    upstream_id: str


def _find_nearest(wanted: ClaudeName, listed: Collection[AvailableModel]) -> _Neighbour | None:
    """The listed model of the same family that is nearest to ``wanted``, which may be that itself.

    Of the same major version if there is one, and of two that are equally near the newer; in the current spelling if
    there is that.
    """
    neighbours = [
        _Neighbour(meant=meant, upstream_id=model.model_id)
        for model in listed
        if (meant := parse_upstream_id(model.model_id)) is not None and meant.family == wanted.family
    ]

    def rank(neighbour: _Neighbour) -> tuple[int, int, int, bool]:
        meant = neighbour.meant
        return (
            wanted.measure_distance(meant),
            -meant.major,
            -meant.minor,
            not _is_current(neighbour.upstream_id),
        )

    return min(neighbours, key=rank, default=None)


def _select_known(name: str, spellings: tuple[str, ...]) -> str:
    """The id by the tables here and the naming rule."""
    known = _find(FIRST_MODELS, spellings) or _find(UPSTREAM_IDS, spellings) or normalise_model_name(name)
    if known is None:
        raise UnknownModelError(name)
    return known


def _find(table: Mapping[str, str], spellings: tuple[str, ...]) -> str | None:
    return next((table[spelling] for spelling in spellings if spelling in table), None)


def _is_current(upstream_id: str) -> bool:
    """Whether the id is spelled as by the naming rule of today."""
    return normalise_model_name(upstream_id) == upstream_id


def _build_resolved(
    name: str, upstream_id: str, by_id: Mapping[str, AvailableModel], *, fallback_for: str | None = None
) -> ResolvedModel:
    row = ROWS_BY_UPSTREAM_ID.get(upstream_id.lower())
    available = by_id.get(upstream_id.lower())
    window, max_output = _select_limits(available, row)
    return ResolvedModel(
        public_name=name,
        upstream_id=upstream_id,
        context_window=window,
        max_output_tokens=max_output,
        fallback_for=fallback_for,
        request_fields_schema=_get_known_schema(row) if available is None else available.request_fields_schema,
    )


def _get_known_schema(row: Row | None) -> Mapping[str, object] | None:
    return None if row is None else FIELDS_SCHEMAS.get(row.reasoning)


def _select_limits(available: AvailableModel | None, row: Row | None) -> tuple[int | None, int | None]:
    """Context window and longest output; the upstream's own word counts before the table's."""
    window, max_output = (row.context_window, row.max_output_tokens) if row else (None, None)
    if available is None:
        return window, max_output
    return available.max_input_tokens or window, available.max_output_tokens or max_output


def _describe_available(available: AvailableModel) -> Iterator[CatalogModel]:
    """A listed model under each of its public names."""
    row = ROWS_BY_UPSTREAM_ID.get(available.model_id.lower())
    window, max_output = _select_limits(available, row)
    names = _list_public_names(available.model_id, row)
    created = _find_date(names)
    for name in names:
        yield CatalogModel(
            model_id=name,
            display_name=available.name,
            created=created,
            context_window=window,
            max_output_tokens=max_output,
        )


def _list_public_names(upstream_id: str, row: Row | None) -> tuple[str, ...]:
    """The names by which clients ask for an id; that of a variant of a model is the id itself."""
    normalised = normalise_model_name(upstream_id)
    if row is not None and (normalised is not None or not upstream_id.startswith("claude-")):
        return row.public_names
    return (upstream_id if normalised is None else normalised.replace(".", "-"),)


def _build_models(row: Row) -> Iterator[CatalogModel]:
    created = _find_date(row.public_names)
    for name in row.public_names:
        yield CatalogModel(
            model_id=name,
            display_name=row.display_name,
            created=created,
            context_window=row.context_window,
            max_output_tokens=row.max_output_tokens,
        )


def _find_date(names: tuple[str, ...]) -> date | None:
    matches = (_DATE_SUFFIX.search(name) for name in names)
    return next((date.fromisoformat(match[1]) for match in matches if match), None)
