"""The model list in the words of Anthropic's Models API."""

from collections.abc import Sequence

from kiro2api.protocol.catalog import CatalogModel
from kiro2api.protocol.jsontext import JSONObject, encode_json

MAX_PAGE = 1000
"""Models on one page, as the API documents it."""
UNKNOWN_DAY = "1970-01-01"
"""What the API documents for a model whose day of release is not known."""


def render_model_list(
    models: Sequence[CatalogModel], *, limit: int, after_id: str | None, before_id: str | None
) -> bytes:
    """One page of ``models`` as a JSON body.

    SDKs turn pages until ``has_more`` is false, so an unknown cursor gives an empty last page.

    Args:
        models: All of them, in the order of the list.
        limit: Models on the page; brought between 1 and ``MAX_PAGE``.
        after_id: The page begins behind this model.
        before_id: The page ends before this model, and holds those nearest to it.
    """
    size = max(1, min(limit, MAX_PAGE))
    places = {model.model_id: place for place, model in enumerate(models)}
    begin = 0 if after_id is None else places.get(after_id, len(models)) + 1
    end = len(models) if before_id is None else places.get(before_id, 0)
    rest = models[begin:end]
    page = rest[:size] if before_id is None else rest[-size:]
    body = {
        "data": [_build_model(model) for model in page],
        "has_more": len(rest) > len(page),
        "first_id": page[0].model_id if page else None,
        "last_id": page[-1].model_id if page else None,
    }
    return encode_json(body)


def render_model(model: CatalogModel) -> bytes:
    """One model as a JSON body."""
    return encode_json(_build_model(model))


def _build_model(model: CatalogModel) -> JSONObject:
    day = UNKNOWN_DAY if model.created is None else model.created.isoformat()
    fields: JSONObject = {
        "type": "model",
        "id": model.model_id,
        "display_name": model.display_name,
        "created_at": f"{day}T00:00:00Z",
        "lifecycle": "active",
    }
    if model.context_window is not None:
        fields["max_input_tokens"] = model.context_window
    if model.max_output_tokens is not None:
        fields["max_tokens"] = model.max_output_tokens
    return fields
