"""Model names to upstream ids."""

from datetime import date

import pytest

from kiro2api.protocol.catalog import (
    MAX_NAME_CHARS,
    Catalog,
    CatalogModel,
    ResolvedModel,
    normalise_model_name,
)
from kiro2api.protocol.errors import UnknownModelError


@pytest.mark.parametrize(
    ("name", "upstream_id"),
    [
        ("claude-sonnet-4-20250514", "CLAUDE_SONNET_4_20250514_V1_0"),
        ("anthropic/Claude-Sonnet-4-20250514[1m]", "CLAUDE_SONNET_4_20250514_V1_0"),
        ("claude-3-7-sonnet-20250219", "CLAUDE_3_7_SONNET_20250219_V1_0"),
        ("claude-3-7-sonnet-latest", "CLAUDE_3_7_SONNET_20250219_V1_0"),
        ("claude-3-5-haiku-20241022", "auto"),
        ("claude-3.5-haiku", "auto"),
    ],
)
def test_first_models(name: str, upstream_id: str) -> None:
    """The first models keep the ids that they have always had."""
    assert Catalog({}).resolve(name).upstream_id == upstream_id


@pytest.mark.parametrize(
    ("name", "upstream_id"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-haiku-4-5", "claude-haiku-4.5"),
        ("claude-opus-4-6[1m]", "claude-opus-4.6"),
        ("claude-sonnet-4", "claude-sonnet-4"),
        ("claude-sonnet-4-latest", "claude-sonnet-4"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-3-5-sonnet-20241022", "claude-3.5-sonnet"),
        ("claude-3-opus-20240229", "claude-3-opus"),
        ("claude-4.5-opus-high", "claude-opus-4.5"),
        ("claude-4-sonnet-thinking", "claude-sonnet-4"),
        (" kiro/anthropic/CLAUDE-OPUS-5-thinking[1m] ", "claude-opus-5"),
        ("claude-opus-6-1", "claude-opus-6.1"),
        ("claude-fable-7", "claude-fable-7"),
        ("claude-mythos-10-12-20300101-thinking", "claude-mythos-10.12"),
    ],
)
def test_naming_rule(name: str, upstream_id: str) -> None:
    """Claude names in any spelling become dotted ids, known or new."""
    assert Catalog({}).resolve(name).upstream_id == upstream_id


@pytest.mark.parametrize(
    ("name", "upstream_id"),
    [
        ("CLAUDE_SONNET_4_5_20250929_V1_0", "CLAUDE_SONNET_4_5_20250929_V1_0"),
        ("CLAUDE_3_5_HAIKU_20241022_V1_0", "CLAUDE_3_5_HAIKU_20241022_V1_0"),
        ("claude_sonnet_4_20250514_v1_0", "CLAUDE_SONNET_4_20250514_V1_0"),
        ("claude-sonnet-4.6-1m", "claude-sonnet-4.6-1m"),
        ("claude-opus-4.8", "claude-opus-4.8"),
        ("gpt-5.6-sol", "gpt-5.6-sol"),
        ("Auto", "auto"),
    ],
)
def test_upstream_ids(name: str, upstream_id: str) -> None:
    """Ids that the upstream is known to take go as they are."""
    assert Catalog({}).resolve(name).upstream_id == upstream_id


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt-4o",
        "sonnet",
        "claude-sonnet-latest",
        "claude-2.1",
        "claude-sonnet-4-5-fast",
        "claude-sonnet-٤",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
    ],
)
def test_unknown_name(name: str) -> None:
    """Names of other makers and names without a version are refused, and the error has the name."""
    with pytest.raises(UnknownModelError) as caught:
        Catalog({}).resolve(name)
    assert caught.value.model == name


def test_long_name() -> None:
    """A name beyond the limit is unknown, whatever it begins with, and the error quotes its head."""
    name = "claude-sonnet-4-5" + "-latest" * 100_000
    with pytest.raises(UnknownModelError) as caught:
        Catalog({}).resolve(name)
    assert caught.value.model == name[:MAX_NAME_CHARS]
    assert normalise_model_name(name) is None


@pytest.mark.parametrize(
    ("name", "is_to_think"),
    [
        ("claude-sonnet-4-5", False),
        ("claude-sonnet-4-5-thinking", True),
        (" anthropic/Claude-Sonnet-4-5-THINKING[1m] ", True),
        ("claude-sonnet-4-5-thinking-20250929", True),
        ("auto-thinking", True),
        ("thinker", False),
    ],
)
def test_variant_that_thinks(name: str, *, is_to_think: bool) -> None:
    """It is chosen by the end of the name, unless the upstream's own name ends so."""
    assert Catalog({"thinker": "x-thinking"}).resolve(name).is_to_think is is_to_think
    assert Catalog({name: "x-thinking"}).resolve(name).is_to_think is False


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
        ("claude-sonnet-4-20250514", "anthropic/claude-sonnet-4-20250514[1m]"),
        ("claude-sonnet-4", "claude-sonnet-4-20250514"),
        ("Claude-Opus-4-5", "claude-opus-4-5-20251101"),
        ("claude-opus-4-5", "claude-opus-4.5"),
        ("claude-opus-4.5", "claude-opus-4-5-thinking"),
        ("claude-opus-4-5-thinking", "claude-opus-4-5-thinking"),
        ("claude-sonnet-latest", "claude-sonnet-latest"),
        ("gpt-4o", "GPT-4o"),
        ("auto", "auto"),
    ],
)
def test_override(override: str, name: str) -> None:
    """The user's map wins over every rule, for all longer forms of its names."""
    assert Catalog({override: "My-Model"}).resolve(name) == ResolvedModel(
        public_name=name, upstream_id="My-Model", context_window=None, max_output_tokens=None
    )


def test_most_exact_override() -> None:
    """Of two entries that fit, the one nearer to the client's spelling counts."""
    catalog = Catalog({"claude-opus-4.5": "b", "claude-opus-4-5-20251101": "a"})
    names = ("claude-opus-4-5-20251101", "claude-opus-4-5")
    assert [catalog.resolve(name).upstream_id for name in names] == ["a", "b"]


def test_override_that_does_not_fit() -> None:
    """An entry for a dated name says nothing about the name without a date."""
    catalog = Catalog({"claude-opus-4-5-20251101": "a"})
    assert catalog.resolve("claude-opus-4-5").upstream_id == "claude-opus-4.5"


@pytest.mark.parametrize(
    ("name", "upstream_id", "context_window", "max_output_tokens"),
    [
        ("claude-sonnet-4-20250514", "CLAUDE_SONNET_4_20250514_V1_0", 200_000, 64_000),
        ("claude-3-7-sonnet-20250219", "CLAUDE_3_7_SONNET_20250219_V1_0", 200_000, None),
        ("claude-3-5-haiku-20241022", "auto", 1_000_000, None),
        ("claude-opus-4-6", "claude-opus-4.6", 1_000_000, 64_000),
        ("gpt-5.6-luna", "gpt-5.6-luna", 272_000, 128_000),
        ("claude-opus-9", "claude-opus-9", None, None),
    ],
)
def test_limits(name: str, upstream_id: str, context_window: int | None, max_output_tokens: int | None) -> None:
    """Limits are those of the upstream's model; a new model has none."""
    resolved = Catalog({}).resolve(name)
    assert (resolved.public_name, resolved.upstream_id) == (name, upstream_id)
    assert (resolved.context_window, resolved.max_output_tokens) == (context_window, max_output_tokens)


def test_limits_of_override() -> None:
    """The limits of an id from the user's map are known when the id is."""
    resolved = Catalog({"gpt-4o": "claude-opus-4.5"}).resolve("gpt-4o")
    assert (resolved.context_window, resolved.max_output_tokens) == (200_000, 64_000)


def test_every_listed_model_resolves() -> None:
    """Each listed name is unique, is found again, and has an upstream id."""
    catalog = Catalog({})
    names = [model.model_id for model in catalog.models]
    assert len(set(names)) == len(names)
    assert [catalog.describe(name) for name in names] == list(catalog.models)
    assert all(catalog.resolve(name).upstream_id for name in names)


def test_listed_names() -> None:
    """The list has the first models, the current ones, and those of other makers."""
    assert {model.model_id for model in Catalog({}).models} >= {
        "claude-sonnet-4-20250514",
        "claude-3-7-sonnet-20250219",
        "claude-3-5-haiku-20241022",
        "claude-sonnet-4-5-20250929",
        "claude-haiku-4-5",
        "claude-opus-5-5",
        "claude-fable-5",
        "auto",
        "gpt-5.6-terra",
        "minimax-m2.1",
    }


@pytest.mark.parametrize("name", ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929"])
def test_describe(name: str) -> None:
    """A listed model has the date that one of its names carries."""
    assert Catalog({}).describe(name) == CatalogModel(
        model_id=name,
        display_name="Claude Sonnet 4.5",
        created=date(2025, 9, 29),
        context_window=200_000,
        max_output_tokens=64_000,
    )


def test_describe_without_date() -> None:
    """No date is made up for a model whose names have none."""
    assert Catalog({}).describe("glm-5") == CatalogModel(
        model_id="glm-5",
        display_name="GLM 5",
        created=None,
        context_window=200_000,
        max_output_tokens=None,
    )


def test_describe_unlisted() -> None:
    """A name that requests may use is described by itself, with what is known; another one is unknown."""
    assert Catalog({}).describe("claude-sonnet-4.5") == CatalogModel(
        model_id="claude-sonnet-4.5",
        display_name="claude-sonnet-4.5",
        created=None,
        context_window=200_000,
        max_output_tokens=64_000,
    )
    with pytest.raises(UnknownModelError):
        Catalog({}).describe("gpt-17")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-7-sonnet-20250219", "claude-3.7-sonnet"),
        ("claude-3-7-sonnet", "claude-3.7-sonnet"),
        ("claude-sonnet", None),
        ("glm-5", None),
    ],
)
def test_normalised_name(name: str, expected: str | None) -> None:
    """The dotted id follows from the name alone, also where an older id is used instead."""
    assert normalise_model_name(name) == expected
