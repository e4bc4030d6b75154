"""Public model names and the upstream's ids for them.

A name is looked up in the user's own map, then among the models that the credentials may use if these are known, then
among the names of the first models that the upstream had and the ids that it is known to take; what is left must follow
the naming rule of Claude models, so that a new model needs no release. A Claude model that no credential may use is
replaced by the nearest one of its family, if the user lets it, and never without a word.
"""

from kiro2api.protocol.catalog.lookup import AvailableModel, Catalog, CatalogModel, ResolvedModel
from kiro2api.protocol.catalog.names import MAX_NAME_CHARS, normalise_model_name

__all__ = [
    "MAX_NAME_CHARS",
    "AvailableModel",
    "Catalog",
    "CatalogModel",
    "ResolvedModel",
    "normalise_model_name",
]
