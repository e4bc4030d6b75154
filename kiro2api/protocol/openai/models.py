"""The model list in the words of OpenAI's API, which has no pages and no limits in it."""

from collections.abc import Sequence
from datetime import date

from kiro2api.protocol.catalog import CatalogModel
from kiro2api.protocol.jsontext import JSONObject, encode_json

_EPOCH = date(1970, 1, 1)
_SECONDS_PER_DAY = 86_400


def render_model_list(models: Sequence[CatalogModel]) -> bytes:
    """The body of ``GET /v1/models``."""
    return encode_json({"object": "list", "data": [_build_model(model) for model in models]})


def render_model(model: CatalogModel) -> bytes:
    """The body of ``GET /v1/models/{id}``."""
    return encode_json(_build_model(model))


def _build_model(model: CatalogModel) -> JSONObject:
    created = 0 if model.created is None else (model.created - _EPOCH).days * _SECONDS_PER_DAY
    owner = "anthropic" if model.model_id.startswith("claude") else "kiro"
    return {"id": model.model_id, "object": "model", "created": created, "owned_by": owner}
