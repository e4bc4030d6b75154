"""The model list as Anthropic's clients read it."""

import datetime as dt
import json

import pytest

from kiro2api.protocol.anthropic.models import render_model, render_model_list
from kiro2api.protocol.catalog import CatalogModel


def model(model_id: str) -> CatalogModel:
    """A model of which nothing else is known."""
    return CatalogModel(
        model_id=model_id,
        display_name=model_id.upper(),
        created=None,
        context_window=None,
        max_output_tokens=None,
    )


MODELS = [model(name) for name in "abcde"]


@pytest.mark.parametrize(
    ("limit", "after_id", "before_id", "page", "has_more"),
    [
        (20, None, None, "abcde", False),
        (5, None, None, "abcde", False),
        (2, None, None, "ab", True),
        (0, None, None, "a", True),
        (2, "b", None, "cd", True),
        (2, "d", None, "e", False),
        (2, "e", None, "", False),
        (2, "gone", None, "", False),
        (2, None, "e", "cd", True),
        (2, None, "c", "ab", False),
        (2, None, "a", "", False),
        (2, None, "gone", "", False),
        (1, "a", "d", "c", True),
        (2, "d", "b", "", False),
    ],
)
def test_pages_turn_both_ways_and_end(
    limit: int, after_id: str | None, before_id: str | None, page: str, *, has_more: bool
) -> None:
    """A client that follows the cursors sees each model once and stops."""
    body = json.loads(render_model_list(MODELS, limit=limit, after_id=after_id, before_id=before_id))
    assert [entry["id"] for entry in body.pop("data")] == list(page)
    ends = (page[0], page[-1]) if page else (None, None)
    assert body == {"has_more": has_more, "first_id": ends[0], "last_id": ends[1]}


def test_page_holds_at_most_a_thousand_models() -> None:
    """A greater limit is cut."""
    models = [model(str(number)) for number in range(1001)]
    body = json.loads(render_model_list(models, limit=5000, after_id=None, before_id=None))
    assert (len(body["data"]), body["has_more"]) == (1000, True)


def test_known_model_tells_its_limits() -> None:
    """Day, context window and longest answer are there."""
    known = CatalogModel(
        model_id="claude-sonnet-4-5",
        display_name="Claude Sonnet 4.5",
        created=dt.date(2025, 9, 29),
        context_window=200_000,
        max_output_tokens=64_000,
    )
    assert json.loads(render_model(known)) == {
        "type": "model",
        "id": "claude-sonnet-4-5",
        "display_name": "Claude Sonnet 4.5",
        "created_at": "2025-09-29T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def test_unknown_facts_are_left_out() -> None:
    """But the day, which is not optional, is the first of all."""
    assert json.loads(render_model(model("a"))) == {
        "type": "model",
        "id": "a",
        "display_name": "A",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
    }
