"""What answers of the control plane say.

Numbers and texts of an unexpected kind count as absent, one by one; only an answer without what was asked for is an
error.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from kiro2api.errors import ErrorKind, Kiro2ApiError

MAX_ANSWER_BYTES = 1024 * 1024
"""A page of fifty models with the schemas of their fields has less than a tenth of that."""
MAX_PAGES = 10
"""Of one list; real ones have one page, and a service that always names a next one has to end somewhere."""
MAX_TEXT_LENGTH = 256
"""Characters of an id or a name. Real ones have 30."""
MAX_ARN_LENGTH = 950
"""As the service's own model has it."""

_MILLISECONDS_FROM = 100_000_000_000.0
"""As seconds, a date in the year 5138; as milliseconds, one in 1973."""
_CREDIT = "CREDIT"
_OLDER_RESOURCES = frozenset({"AGENTIC_REQUEST", "SPEC", "VIBE"})
"""What was counted before there were credits."""

type _Object = Mapping[str, object]


class ControlAnswerError(Kiro2ApiError):
    """An answer of the control plane cannot be read."""

    kind = ErrorKind.UPSTREAM

    def __init__(self, detail: str) -> None:
        super().__init__("The upstream's control plane gave an answer that cannot be read.", detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """What an account may still use."""

    left: float | None
    """Credits, at least 0, bonuses and permitted overage included; ``None`` when the answer does not tell."""
    resets_at: float | None
    """Epoch seconds."""
    plan: str | None
    """For people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model that the account may use."""

    model_id: str
    """The upstream's."""
    name: str
    """For people."""
    max_input_tokens: int | None
    max_output_tokens: int | None
    input_types: tuple[str, ...]
    """``TEXT``, ``IMAGE``, …; empty when nothing is said."""
    request_fields_schema: _Object | None = field(hash=False)
    """JSON schema of the ``additionalModelRequestFields`` that the model takes; ``None`` when it takes none."""
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsPage:
    """A part of the list of models."""

    models: tuple[ListedModel, ...]
    next_page: str | None
    """Names the next part; ``None`` on the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilesPage:
    """A part of the list of profiles in a region."""

    arns: tuple[str, ...]
    """The active ones first."""
    next_page: str | None


def parse_usage(body: bytes) -> UsageLimits:
    """The limits in an answer.

    Raises:
        ControlAnswerError: It is no JSON object.
    """
    answer = _parse_object(body)
    has_overage = _get_object(answer, "overageConfiguration").get("overageStatus") == "ENABLED"
    entries = _list_objects(answer, "usageBreakdownList")
    chosen = [entry for entry in entries if entry.get("resourceType") == _CREDIT] or [
        entry for entry in entries if entry.get("resourceType") in _OLDER_RESOURCES
    ]
    amounts = [_count_left(entry, has_overage=has_overage) for entry in chosen]
    known = [amount for amount in amounts if amount is not None]
    dates = [_parse_date(holder.get("nextDateReset")) for holder in (*chosen, answer)]
    subscription = _get_object(answer, "subscriptionInfo")
    return UsageLimits(
        left=sum(known) if known else None,
        resets_at=next((date for date in dates if date is not None), None),
        plan=_parse_text(subscription.get("subscriptionTitle")) or _parse_text(subscription.get("type")),
    )


def parse_models(body: bytes) -> ModelsPage:
    """A page of the list of models; no model at all is an answer too: the account may use none.

    Raises:
        ControlAnswerError: There is no list in it.
    """
    answer = _parse_object(body)
    default_id = _get_object(answer, "defaultModel").get("modelId") or answer.get("defaultModelId")
    models = [_parse_model(entry, default_id) for entry in _require_list(answer, "models")]
    return ModelsPage(models=tuple(model for model in models if model is not None), next_page=_parse_next_page(answer))


def join_models(pages: Iterable[ModelsPage]) -> tuple[ListedModel, ...]:
    """The models of all pages, each once."""
    models: dict[str, ListedModel] = {}
    for page in pages:
        for model in page.models:
            first = models.setdefault(model.model_id, model)
            if model.is_default and not first.is_default:
                models[model.model_id] = replace(first, is_default=True)
    return tuple(models.values())


def parse_profiles(body: bytes) -> ProfilesPage:
    """A page of the list of profiles.

    Raises:
        ControlAnswerError: There is no list in it.
    """
    answer = _parse_object(body)
    entries = _require_list(answer, "profiles")
    entries.sort(key=lambda entry: entry.get("status") != "ACTIVE")
    arns = [_parse_text(entry.get("arn"), MAX_ARN_LENGTH) for entry in entries]
    return ProfilesPage(arns=tuple(arn for arn in arns if arn is not None), next_page=_parse_next_page(answer))


def _count_left(entry: _Object, *, has_overage: bool) -> float | None:
    """What is left of one kind of credit; a part that is overdrawn takes nothing from the others."""
    base = _subtract(entry, "usageLimit", "currentUsage")
    if base is None:
        return None
    parts = [base]
    trial = _get_object(entry, "freeTrialInfo")
    if trial.get("freeTrialStatus") == "ACTIVE":
        parts.append(_subtract(trial, "usageLimit", "currentUsage") or 0.0)
    parts += [
        _subtract(bonus, "usageLimit", "currentUsage") or 0.0
        for bonus in _list_objects(entry, "bonuses")
        if bonus.get("status") == "ACTIVE"
    ]
    if has_overage:
        parts.append(_subtract(entry, "overageCap", "currentOverages") or 0.0)
    return sum(max(0.0, part) for part in parts)


def _subtract(holder: _Object, whole_name: str, used_name: str) -> float | None:
    """The difference of two amounts, the one in decimals before the rounded one; nothing used if nothing is said."""
    whole = _get_amount(holder, whole_name)
    return None if whole is None else whole - (_get_amount(holder, used_name) or 0.0)


def _get_amount(holder: _Object, name: str) -> float | None:
    precise = _parse_number(holder.get(f"{name}WithPrecision"))
    return _parse_number(holder.get(name)) if precise is None else precise


def _parse_model(entry: _Object, default_id: object) -> ListedModel | None:
    model_id = _parse_text(entry.get("modelId"))
    if model_id is None or not model_id.isascii():  # it goes into headers
        return None
    limits = _get_object(entry, "tokenLimits")
    input_types = entry.get("supportedInputTypes")
    schema = entry.get("additionalModelRequestFieldsSchema")
    return ListedModel(
        model_id=model_id,
        name=_parse_text(entry.get("modelName")) or model_id,
        max_input_tokens=_parse_count(limits.get("maxInputTokens")),
        max_output_tokens=_parse_count(limits.get("maxOutputTokens")),
        input_types=tuple(kind for kind in input_types if isinstance(kind, str))
        if isinstance(input_types, list)
        else (),
        request_fields_schema=schema if isinstance(schema, dict) else None,
        is_default=model_id == default_id,
    )


def _parse_object(body: bytes) -> _Object:
    if len(body) > MAX_ANSWER_BYTES:
        raise ControlAnswerError(f"answer longer than {MAX_ANSWER_BYTES} bytes")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not chained: the parser's error quotes what it read.
        raise ControlAnswerError("answer that is no JSON") from None
    if not isinstance(answer, dict):
        raise ControlAnswerError("answer that is no object")
    return answer


def _get_object(holder: _Object, name: str) -> _Object:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _list_objects(holder: _Object, name: str) -> list[_Object]:
    value = holder.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _require_list(answer: _Object, name: str) -> list[_Object]:
    if not isinstance(answer.get(name), list):
        raise ControlAnswerError(f"answer without {name}")
    return _list_objects(answer, name)


def _parse_next_page(answer: _Object) -> str | None:
    value = answer.get("nextToken")
    return value if isinstance(value, str) and value else None


def _parse_text(value: object, max_length: int = MAX_TEXT_LENGTH) -> str | None:
    is_text = isinstance(value, str) and value.isprintable() and len(value) <= max_length
    return str(value).strip() or None if is_text else None


def _parse_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return number if math.isfinite(number) else None


def _parse_count(value: object) -> int | None:
    number = _parse_number(value)
    return int(number) if number is not None and number >= 1 else None


def _parse_date(value: object) -> float | None:
    """Epoch seconds; the service writes some dates as decimals, and has been seen to write milliseconds."""
    number = _parse_number(value)
    if number is None or number <= 0:
        return None
    return number / 1000 if number >= _MILLISECONDS_FROM else number
