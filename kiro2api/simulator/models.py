"""The models that the simulated service knows, with what their requests may carry."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.members import check_enum, read_optional_object
from kiro2api.simulator.refusals import RefusedError, Rule

_CLAUDE_FIELDS = frozenset({"thinking", "output_config", "max_tokens"})
_DISPLAYS = frozenset({"summarized", "omitted"})
_MAX_TOKENS = range(1024, 128_001)
_GPT_FIELDS = frozenset({"reasoning"})
_BASIC_EFFORTS = frozenset({"low", "medium", "high", "max"})
_CLAUDE_EFFORTS = _BASIC_EFFORTS | {"xhigh"}
_GPT_EFFORTS = _CLAUDE_EFFORTS | {"none"}
_DOTTED = re.compile(r"claude-(?:[a-z]+-\d{1,2}(?:\.\d{1,2})?(?:-1m)?|\d(?:\.\d)?-[a-z]+)")
"""The dotted lower-case form of every current Claude id, and the order of words of the 3.x generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the service says about one model."""

    window: int = 200_000
    """Tokens of input and output together."""
    fields: frozenset[str] = frozenset()
    """Properties of ``additionalModelRequestFields``; empty for models without a schema, which refuse any."""
    efforts: frozenset[str] = frozenset()
    thinking: frozenset[str] = frozenset({"adaptive", "disabled"})
    """Types of thinking; the newest models cannot do without."""


_CLASSIC = Model()
_LARGE = Model(window=1_000_000, fields=_CLAUDE_FIELDS, efforts=_CLAUDE_EFFORTS)
_NEWEST = Model(window=1_000_000, fields=_CLAUDE_FIELDS, efforts=_CLAUDE_EFFORTS, thinking=frozenset({"adaptive"}))
_LARGE_BASIC = Model(window=1_000_000, fields=_CLAUDE_FIELDS, efforts=_BASIC_EFFORTS)
_GPT = Model(window=272_000, fields=_GPT_FIELDS, efforts=_GPT_EFFORTS)

MODELS: dict[str, Model] = {
    "auto": Model(window=1_000_000),
    "CLAUDE_SONNET_4_5_20250929_V1_0": _CLASSIC,
    "CLAUDE_SONNET_4_20250514_V1_0": _CLASSIC,
    "CLAUDE_3_7_SONNET_20250219_V1_0": _CLASSIC,
    "CLAUDE_3_5_HAIKU_20241022_V1_0": _CLASSIC,
    "claude-opus-4.6": _LARGE_BASIC,
    "claude-sonnet-4.6": _LARGE_BASIC,
    "claude-sonnet-4.6-1m": _LARGE_BASIC,
    "claude-opus-4.7": _LARGE,
    "claude-opus-4.8": _LARGE,
    "claude-opus-5": _LARGE,
    "claude-sonnet-5": _LARGE,
    "claude-opus-5.5": _NEWEST,
    "claude-sonnet-5.5": _NEWEST,
    "claude-fable-5": _NEWEST,
    "gpt-5.6-sol": _GPT,
    "gpt-5.6-terra": _GPT,
    "gpt-5.6-luna": _GPT,
    "deepseek-3.2": Model(window=164_000),
    "minimax-m2.1": Model(window=196_000),
    "minimax-m2.5": Model(window=196_000),
    "glm-5": _CLASSIC,
    "qwen3-coder-next": Model(window=256_000),
}

LISTED = (
    *(name for name in MODELS if name.islower()),
    "claude-sonnet-4.5",
    "claude-sonnet-4",
    "claude-haiku-4.5",
    "claude-opus-4.5",
)
"""The ids that the service lists for an account that may use everything; it takes more than it lists."""


def find_model(model_id: str) -> Model | None:
    """The model called ``model_id``; Claude ids in today's form are known even when they are not listed."""
    if model_id in MODELS:
        return MODELS[model_id]
    return _CLASSIC if _DOTTED.fullmatch(model_id) else None


def check_model_fields(body: JSONObject, model: Model) -> None:
    """``additionalModelRequestFields`` holds only what the schema of ``model`` lists, or is absent."""
    if body.get("additionalModelRequestFields") is None:
        return
    fields = read_optional_object(body, "additionalModelRequestFields", Rule.MODEL_FIELDS)
    if not model.fields:
        raise RefusedError(Rule.MODEL_FIELDS_SUPPORTED)
    _check_names(fields, model.fields)
    for name in ("output_config", "reasoning"):
        config = read_optional_object(fields, name, Rule.MODEL_FIELDS)
        _check_names(config, {"effort"})
        check_enum(config, "effort", model.efforts, Rule.MODEL_FIELDS_EFFORT)
    thinking = read_optional_object(fields, "thinking", Rule.MODEL_FIELDS)
    _check_names(thinking, {"type", "display"})
    check_enum(thinking, "type", model.thinking, Rule.MODEL_FIELDS_THINKING)
    check_enum(thinking, "display", _DISPLAYS, Rule.MODEL_FIELDS_THINKING)
    max_tokens = fields.get("max_tokens", _MAX_TOKENS.start)
    if not isinstance(max_tokens, int) or max_tokens not in _MAX_TOKENS:
        raise RefusedError(Rule.MODEL_FIELDS_MAX_TOKENS)


def _check_names(fields: JSONObject, known: Collection[str]) -> None:
    for name in fields:
        if name not in known:
            sentence = f"property '{name}' is not defined in the schema"
            raise RefusedError(Rule.MODEL_FIELDS_KNOWN, sentence)


def describe_model_fields(model: Model) -> JSONObject | None:
    """The schema of ``additionalModelRequestFields`` for ``model``, as the list of models has it."""
    effort = _describe_object(effort={"enum": [*sorted(model.efforts)]})
    properties: JSONObject = {
        "max_tokens": {"type": "integer", "minimum": _MAX_TOKENS.start, "maximum": _MAX_TOKENS.stop - 1},
        "output_config": effort,
        "reasoning": effort,
        "thinking": _describe_object(type={"enum": [*sorted(model.thinking)]}, display={"enum": [*sorted(_DISPLAYS)]}),
    }
    listed = {name: schema for name, schema in properties.items() if name in model.fields}
    return _describe_object(**listed) if listed else None


def _describe_object(**properties: JSON) -> JSONObject:
    return {"type": "object", "properties": properties, "additionalProperties": False}
