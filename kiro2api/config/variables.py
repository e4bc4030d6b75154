"""What the documentation says about the variables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from kiro2api.config.secret_texts import FILE_SUFFIX, SECRET_VARIABLES
from kiro2api.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What the documentation says about one variable."""

    name: str
    default: str
    """As it would be written in a ``.env`` file; empty if there is none."""
    meaning: str


def list_variables() -> tuple[Variable, ...]:
    """Every variable with its default and meaning, in the order of the fields.

    Those that name a file with another's value stand in the meaning of that one.
    """
    defaults = Settings()
    return tuple(
        Variable(
            name=name.upper(),
            default=_render_default(getattr(defaults, name)),
            meaning=f"{field.description}{_describe_file(name.upper())}",
        )
        for name, field in Settings.model_fields.items()
        if field.description
    )


def _describe_file(name: str) -> str:
    return f" Or in a file: {name}{FILE_SUFFIX}." if name in SECRET_VARIABLES else ""


def _render_default(value: object) -> str:
    match value:
        case None | ():
            return ""
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case Mapping():
            return json.dumps(dict(value))
        case _:
            return str(value)
