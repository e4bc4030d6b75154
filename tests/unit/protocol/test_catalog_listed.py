"""Model names while it is known which models the credentials may use."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.protocol.catalog import AvailableModel, Catalog, CatalogModel, ResolvedModel
from kiro2api.protocol.errors import UnknownModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the upstream says about a model."""

    model_id: str
    name: str = "Name"
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    request_fields_schema: Mapping[str, object] | None = None


def _list(*model_ids: str) -> list[AvailableModel]:
    return [Listed(model_id=model_id) for model_id in model_ids]


CURRENT = _list("auto", "claude-sonnet-4", "claude-sonnet-4.5", "claude-haiku-4.5", "kimi-k3", "claude-sonnet-4.5-fast")
SONNET_4 = "CLAUDE_SONNET_4_20250514_V1_0"


@pytest.mark.parametrize(
    ("name", "upstream_id"),
    [
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic/Claude-Sonnet-4-5-20250929[1m]", "claude-sonnet-4.5"),
        ("CLAUDE_SONNET_4_5_20250929_V1_0", "claude-sonnet-4.5"),
        ("claude-sonnet-4.5-fast", "claude-sonnet-4.5-fast"),
        ("Kimi-K3", "kimi-k3"),
        ("kiro/kimi-k3-latest", "kimi-k3"),
        ("claude-3-5-haiku-20241022", "auto"),
    ],
)
def test_what_is_listed_is_asked_for_by_its_listed_id(name: str, upstream_id: str) -> None:
    """In today's spelling rather than the first one, and that is no replacement."""
    resolved = Catalog({}, fallback=False).resolve(name, listed=CURRENT)
    assert (resolved.upstream_id, resolved.fallback_for) == (upstream_id, None)


@pytest.mark.parametrize(
    ("listed", "upstream_id"),
    [
        ([SONNET_4], SONNET_4),
        ([SONNET_4, "claude-sonnet-4"], "claude-sonnet-4"),
        (["claude-sonnet-4", SONNET_4], "claude-sonnet-4"),
        ([SONNET_4.lower()], SONNET_4.lower()),
        ([], SONNET_4),
    ],
)
def test_an_id_in_capitals_is_used_where_there_is_no_other(listed: list[str], upstream_id: str) -> None:
    """In whatever order the service lists them, and when it lists nothing at all."""
    resolved = Catalog({}).resolve("claude-sonnet-4-20250514", listed=_list(*listed))
    assert (resolved.upstream_id, resolved.fallback_for) == (upstream_id, None)


@pytest.mark.parametrize(
    ("name", "listed", "upstream_id"),
    [
        ("claude-sonnet-4-5", ["CLAUDE_SONNET_4_5_20250929_V1_0"], "CLAUDE_SONNET_4_5_20250929_V1_0"),
        ("claude-opus-4-5", ["CLAUDE_OPUS_4_5_20251101_V2_0"], "CLAUDE_OPUS_4_5_20251101_V2_0"),
        ("claude-sonnet-4-6", ["claude-sonnet-4.6-1m", "claude-sonnet-4.5"], "claude-sonnet-4.6-1m"),
        ("claude-sonnet-4.6-1m", ["claude-sonnet-4.6"], "claude-sonnet-4.6"),
        ("claude-3-7-sonnet", ["claude-3.7-sonnet", "claude-sonnet-4"], "claude-3.7-sonnet"),
        ("claude-3-5-haiku-20241022", ["CLAUDE_3_5_HAIKU_20241022_V1_0", "auto"], "CLAUDE_3_5_HAIKU_20241022_V1_0"),
    ],
)
def test_another_spelling_of_the_same_model_is_no_replacement(name: str, listed: list[str], upstream_id: str) -> None:
    """It is used even where replacements are not wanted."""
    resolved = Catalog({}, fallback=False).resolve(name, listed=_list(*listed))
    assert (resolved.upstream_id, resolved.fallback_for) == (upstream_id, None)


@pytest.mark.parametrize(
    ("name", "listed", "upstream_id"),
    [
        ("claude-sonnet-4-6", ["claude-sonnet-4.5", "claude-opus-4.6", "claude-sonnet-5"], "claude-sonnet-4.5"),
        ("claude-sonnet-4-6", ["claude-sonnet-4", "claude-sonnet-4.9"], "claude-sonnet-4.9"),
        ("claude-sonnet-4-6", ["claude-sonnet-4.5", "claude-sonnet-4.7"], "claude-sonnet-4.7"),
        ("claude-sonnet-4-6", ["CLAUDE_SONNET_4_5_20250929_V1_0", "claude-sonnet-4.5"], "claude-sonnet-4.5"),
        ("claude-opus-5-5", ["claude-opus-4.5", "claude-opus-4.8"], "claude-opus-4.8"),
        ("claude-opus-5", ["claude-opus-6.2", "claude-opus-6"], "claude-opus-6"),
        ("claude-opus-4-99", ["claude-opus-5", "claude-opus-4"], "claude-opus-4"),
        ("claude-3-7-sonnet-20250219", ["claude-sonnet-4.5", "claude-sonnet-4"], "claude-sonnet-4"),
        ("CLAUDE_3_7_SONNET_20250219_V1_0", ["claude-sonnet-4"], "claude-sonnet-4"),
    ],
)
def test_a_claude_model_is_replaced_by_the_nearest_of_its_family(
    name: str, listed: list[str], upstream_id: str
) -> None:
    """Of the same major version if possible, the newer of two; said in the result, and only if it is wanted."""
    as_is = Catalog({}, fallback=False).resolve(name, listed=_list(*listed))
    resolved = Catalog({}).resolve(name, listed=_list(*listed))
    assert (resolved.upstream_id, resolved.fallback_for) == (upstream_id, as_is.upstream_id)
    assert as_is == Catalog({}).resolve(name)


@pytest.mark.parametrize("name", ["claude-fable-5", "claude-opus-9", "auto"])
def test_a_model_without_a_listed_relative_goes_as_it_is(name: str) -> None:
    """The service says what it thinks of it."""
    listed = _list("claude-sonnet-4.5", "kimi-k3")
    assert Catalog({}).resolve(name, listed=listed) == Catalog({}).resolve(name)


@pytest.mark.parametrize("name", ["gpt-5.6-sol", "glm-5", "gpt-17", "claude-sonnet-latest"])
def test_another_maker_s_model_has_to_be_listed(name: str) -> None:
    """Also one that the tables know."""
    with pytest.raises(UnknownModelError):
        Catalog({}).resolve(name, listed=CURRENT)
    with pytest.raises(UnknownModelError):
        Catalog({}).resolve(name, listed=[])
    assert Catalog({}).resolve(name, listed=_list(name)).upstream_id == name


def test_the_user_s_map_comes_before_the_list() -> None:
    """And its ids are not looked for there, except for their limits."""
    catalog = Catalog({"claude-sonnet-4-5": "claude-opus-4.6", "gpt-4o": "My-Model"})
    listed = [*CURRENT, Listed(model_id="my-model", max_input_tokens=7)]
    assert catalog.resolve("claude-sonnet-4-5", listed=listed).upstream_id == "claude-opus-4.6"
    assert catalog.resolve("gpt-4o", listed=listed) == ResolvedModel(
        public_name="gpt-4o", upstream_id="My-Model", context_window=7, max_output_tokens=None
    )


@pytest.mark.parametrize(
    ("window", "max_output", "limits"),
    [(1_000_000, 32_000, (1_000_000, 32_000)), (None, 32_000, (200_000, 32_000)), (None, None, (200_000, 64_000))],
)
def test_listed_limits_come_before_the_table_s(
    window: int | None, max_output: int | None, limits: tuple[int, int]
) -> None:
    """Each by itself; of a replacement they are its own."""
    listed = [Listed(model_id="claude-opus-4.5", max_input_tokens=window, max_output_tokens=max_output)]
    for name in ("claude-opus-4-5", "claude-opus-4-4"):
        resolved = Catalog({}).resolve(name, listed=listed)
        assert (resolved.context_window, resolved.max_output_tokens) == limits
    assert Catalog({}).describe("claude-opus-4-5", listed=listed).context_window == limits[0]
    assert Catalog({}).describe("claude-opus-4-4", listed=listed).max_output_tokens == limits[1]


def test_listed_models_have_public_names() -> None:
    """Claude's with dashes, those of the first models as ever, all others as they are; each once."""
    listed = _list("auto", SONNET_4, "claude-sonnet-4", "claude-opus-9.1", "claude-3.7-sonnet", "kimi-k3", "GLM_7_V1_0")
    assert [model.model_id for model in Catalog({}).list_models(listed)] == [
        "claude-sonnet-4-20250514",
        "claude-opus-9-1",
        "claude-3-7-sonnet",
        "auto",
        "kimi-k3",
        "GLM_7_V1_0",
    ]


def test_a_listed_model_is_described_by_the_service() -> None:
    """Under each of its names, with the day that one of them carries."""
    listed = Listed(model_id="claude-sonnet-4.5", name="Sonnet", max_input_tokens=300_000)
    assert Catalog({}).list_models([listed]) == tuple(
        CatalogModel(
            model_id=model_id,
            display_name="Sonnet",
            created=date(2025, 9, 29),
            context_window=300_000,
            max_output_tokens=64_000,
        )
        for model_id in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
    )


def test_a_variant_of_a_model_is_listed_by_its_id() -> None:
    """It does not stand for the model itself, in whatever order they come."""
    plain = Listed(model_id="claude-sonnet-4.6", max_input_tokens=200_000)
    variant = Listed(model_id="claude-sonnet-4.6-1m", max_input_tokens=1_000_000)
    models = {model.model_id: model.context_window for model in Catalog({}).list_models([variant, plain])}
    assert models == {"claude-sonnet-4-6": 200_000, "claude-sonnet-4.6-1m": 1_000_000}


def test_nothing_known_is_the_table_and_nothing_listed_is_nothing() -> None:
    """An empty list is the service's word."""
    catalog = Catalog({})
    assert catalog.list_models() == catalog.list_models(None) == catalog.models
    assert catalog.list_models([]) == ()


IDS = st.sampled_from([model.model_id for model in Catalog({}).models]) | st.from_regex(
    r"(?:claude-(?:opus|sonnet|haiku)-[1-9](?:\.[1-9])?(?:-1m)?|CLAUDE_SONNET_[3-5]_[1-9]_20250514_V1_0|[a-z]+-[a-z0-9.]+)",
    fullmatch=True,
)


@given(model_ids=st.lists(IDS, max_size=8))
def test_every_name_in_the_list_can_be_asked_for(model_ids: list[str]) -> None:
    """And what is asked for then is listed, without a replacement."""
    catalog, listed = Catalog({}, fallback=False), _list(*model_ids)
    for model in catalog.list_models(listed):
        resolved = catalog.resolve(model.model_id, listed=listed)
        assert resolved.upstream_id in model_ids
        assert resolved.fallback_for is None
        assert catalog.describe(model.model_id, listed=listed) == model
