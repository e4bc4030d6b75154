"""The model list in OpenAI's words."""

import json
from datetime import date

import pytest

from kiro2api.protocol.catalog import CatalogModel
from kiro2api.protocol.openai.models import render_model, render_model_list


def build_model(model_id: str, created: date | None) -> CatalogModel:
    """A listed model."""
    return CatalogModel(
        model_id=model_id, display_name="M", created=created, context_window=200_000, max_output_tokens=None
    )


@pytest.mark.parametrize(
    ("model", "created", "owned_by"),
    [
        (build_model("claude-sonnet-4-5-20250929", date(2025, 9, 29)), 1_759_104_000, "anthropic"),
        (build_model("auto", None), 0, "kiro"),
    ],
)
def test_model(model: CatalogModel, created: int, owned_by: str) -> None:
    """A model has the second of its day's beginning in UTC, or 0, and its maker; a list holds the same objects."""
    expected = {"id": model.model_id, "object": "model", "created": created, "owned_by": owned_by}
    assert json.loads(render_model(model)) == expected
    assert json.loads(render_model_list([model])) == {"object": "list", "data": [expected]}
