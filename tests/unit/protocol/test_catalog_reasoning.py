"""How a model is asked to reason, by its list or by what is known without it."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.catalog.table import FIELDS_SCHEMAS, Reasoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What the upstream says about a model."""

    model_id: str
    name: str = "Name"
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    request_fields_schema: Mapping[str, object] | None = None


@pytest.mark.parametrize(
    ("name", "reasoning"),
    [
        ("claude-opus-5", Reasoning.CLAUDE),
        ("claude-sonnet-5", Reasoning.CLAUDE),
        ("claude-opus-4-8", Reasoning.CLAUDE),
        ("claude-opus-4-7", Reasoning.CLAUDE),
        ("claude-opus-4-6", Reasoning.CLAUDE_WITHOUT_XHIGH),
        ("claude-sonnet-4-6", Reasoning.CLAUDE_WITHOUT_XHIGH),
        ("gpt-5.6-sol", Reasoning.GPT),
        ("gpt-5.6-terra", Reasoning.GPT),
        ("gpt-5.6-luna", Reasoning.GPT),
    ],
)
def test_what_is_known_counts_until_the_model_is_listed(name: str, reasoning: Reasoning) -> None:
    """Then its own schema does, or that it has none."""
    unlisted = Catalog({}).resolve(name)
    assert unlisted.request_fields_schema == FIELDS_SCHEMAS[reasoning]
    for schema in (None, {"type": "object"}):
        listed = [Listed(model_id=unlisted.upstream_id, request_fields_schema=schema)]
        assert Catalog({}).resolve(name, listed=listed).request_fields_schema == schema


@pytest.mark.parametrize(
    ("name", "knows_tags"),
    [
        ("claude-sonnet-4-5", True),
        ("claude-opus-4-5", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-3-7-sonnet-20250219", True),
        ("claude-opus-4-6", False),
        ("claude-opus-9", False),
        ("glm-5", False),
        ("auto", False),
    ],
)
def test_older_claude_models_know_tags(name: str, *, knows_tags: bool) -> None:
    """No other model does, and none that has a schema."""
    model = Catalog({}).resolve(name)
    assert model.knows_thinking_tags is knows_tags
    listed = [Listed(model_id=model.upstream_id, request_fields_schema={})]
    assert not Catalog({}).resolve(name, listed=listed).knows_thinking_tags
