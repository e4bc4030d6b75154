"""Tests of kiro2api.config.variables; the documents are held to them elsewhere."""

from kiro2api.config import list_variables
from kiro2api.config.secret_texts import SECRET_VARIABLES


def test_files_are_told_where_their_variables_are() -> None:
    """Each secret's meaning names the variable for a file with it, and no other meaning does."""
    told = [variable.name for variable in list_variables() if variable.meaning.endswith(f"{variable.name}_FILE.")]

    assert sorted(told) == sorted(SECRET_VARIABLES)


def test_what_is_no_variable() -> None:
    """What the settings know of their origin cannot be set by name."""
    names = {variable.name for variable in list_variables()}

    assert names.isdisjoint({"SECRET_FILES", "OLD_NAMES"})
    assert {"KIRO_OIDC_URL", "STATE_URL", "REPLICAS"} < names
