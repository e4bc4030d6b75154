"""Whether an answer has the form that was asked for, found out in a bounded time.

The keywords are those of jsonschema, which is imported with the first schema that something is checked against. What
it does in more than one pass over a value, or with regular expressions, or in the network, is not in use.
"""

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.answerformat.schema import PLAIN, SCHEMA, SCHEMAS, SchemaReader
from kiro2api.protocol.conversation import AnswerFormat
from kiro2api.protocol.jsontext import JSON, InvalidJSONError, JSONObject, parse_json

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

MAX_COST: Final = 100_000
"""Of checking one answer, in members looked at: these are some 0.2 s, or 100 KB of usual JSON."""
KEYWORD_COST: Final = 4
"""Of applying a keyword to a value, in the same unit."""
MAX_REASON_CHARS: Final = 500
"""Of what the model is told about its answer; the words may quote much of it."""
MAX_SHOWN_ITEMS: Final = 20
CHARS_PER_MEMBER: Final = 64
"""Of a string that cost as much as a member."""

_FENCED: Final = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
_OPENING: Final = re.compile(r"[{\[]")
_CLOSING: Final = {"{": "}", "[": "]"}
_READ_BY_OTHERS: Final = frozenset({"then", "else", "minContains", "maxContains"})
"""Keywords that are looked at with the one that they stand beside."""


class AnswerFormatError(Kiro2ApiError):
    """The model's answer does not have the form that the client asks for.

    Attributes:
        text: The answer.
        reason: What is wrong with it, for the model: it may quote the answer.
    """

    kind = ErrorKind.ANSWER_FORMAT

    def __init__(self, text: str, reason: str, *, keyword: str) -> None:
        super().__init__(
            "The model's answer is not JSON of the form that the request asks for, and asking once more did not help; "
            "a simpler schema or another model may.",
            detail=f"answer format: {keyword}",
        )
        self.text = text
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class FormattedAnswer:
    """An answer that has the form."""

    text: str
    """The JSON text as the model wrote it, and nothing else."""
    is_unwrapped: bool
    """Whether a code fence or words stood around it."""
    is_partly_checked: bool
    """Whether there was more to look at than :data:`MAX_COST` allows, or it went too deep."""


def check_answer(text: str, answer_format: AnswerFormat) -> FormattedAnswer:
    """The answer in ``text``: the first JSON of the whole, of its code fences, and of what its brackets enclose.

    What stands inside other JSON is never taken for the answer, nor is what is left of JSON that was cut.

    Raises:
        AnswerFormatError: There is no JSON in it, or none that has the form.
    """
    text = text.strip()
    reason, keyword = "it is not JSON", "not JSON"
    for candidate in _list_candidates(text):
        try:
            value = parse_json(candidate.encode())
        except InvalidJSONError as error:
            reason = f"it is not JSON: {error}" if candidate == text else reason
            continue
        checker = _Checker(answer_format)
        flaw = checker.find_flaw(value)
        if flaw is None:
            is_unwrapped, is_partly_checked = candidate != text, checker.is_exhausted
            return FormattedAnswer(text=candidate, is_unwrapped=is_unwrapped, is_partly_checked=is_partly_checked)
        reason, keyword = flaw.reason, flaw.keyword
        break
    raise AnswerFormatError(text, reason, keyword=keyword)


def _list_candidates(text: str) -> Iterator[str]:
    """What in ``text`` may be the JSON, the likeliest first."""
    yield text
    for fenced in _FENCED.finditer(text):
        yield fenced[1].strip()
    opening = _OPENING.search(text)
    if opening is not None:
        yield text[opening.start() : text.rfind(_CLOSING[opening[0]]) + 1]


@dataclass(frozen=True, slots=True)
class _Flaw:
    """What is wrong with a value: in words for the model, and in one for the log."""

    reason: str
    keyword: str


class _ExhaustedError(Exception):
    """There is more to look at than an answer may take."""


type _Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]
"""A keyword: takes the validator, the keyword's value, the value to look at and the schema."""


class _Checker:
    """Checks one value against one format."""

    def __init__(self, answer_format: AnswerFormat) -> None:
        self._left = MAX_COST
        self._targets: dict[str, JSON] = {}
        self._validator = None if answer_format.schema is None else self._build_validator(answer_format.schema)
        self.is_exhausted = False
        """Whether something was left unchecked."""

    def find_flaw(self, value: JSON) -> _Flaw | None:
        """The first thing that is found wrong with ``value``."""
        if self._validator is None:
            return None if isinstance(value, dict) else _Flaw("it is not a JSON object", "no object")
        try:
            error = next(self._validator.iter_errors(_hush(value)), None)
        except (_ExhaustedError, RecursionError):
            self.is_exhausted = True
            return None
        if error is None:
            return None
        return _Flaw(f"at {error.json_path}: {error.message}"[:MAX_REASON_CHARS], str(error.validator or "false"))

    def _build_validator(self, root: JSONObject) -> "Validator":
        from jsonschema import Draft202012Validator  # noqa: PLC0415  0.1 s, which most processes never need
        from jsonschema.validators import create  # noqa: PLC0415  the same
        from referencing import Registry  # noqa: PLC0415  the same

        reader = SchemaReader(root)
        schema = _hush_object(reader.read())
        self._targets = {reference: _hush(target) for reference, target in reader.targets.items()}
        names = ({"properties"} | PLAIN.keys() | SCHEMA | SCHEMAS) - _READ_BY_OTHERS
        checks: dict[str, _Check] = {name: Draft202012Validator.VALIDATORS[name] for name in names}
        checks |= {"uniqueItems": _check_uniqueness, "$ref": self._follow}
        counted = {name: self._count(check) for name, check in checks.items()}
        return create({}, counted, id_of=lambda _: "")(schema, registry=Registry())

    def _follow(self, validator: "Validator", reference: str, value: JSON, _: JSON) -> "Iterator[ValidationError]":
        """``$ref``: jsonschema's own would look further than the schema."""
        return validator.evolve(schema=self._targets[reference]).iter_errors(value)

    def _count(self, check: _Check) -> _Check:
        """``check``, as long as the allowance lasts."""

        def check_counted(
            validator: "Validator", keyword: JSON, value: JSON, schema: JSON
        ) -> "Iterator[ValidationError]":
            self._left -= KEYWORD_COST + _measure(keyword) + _measure(value)
            if self._left < 0:
                raise _ExhaustedError
            return check(validator, keyword, value, schema)

        return check_counted


def _check_uniqueness(_validator: "Validator", keyword: bool, value: JSON, _: JSON) -> "Iterator[ValidationError]":  # noqa: FBT001  the keyword's value
    """``uniqueItems`` in one pass: jsonschema's own compares objects each with each."""
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415  see above

    if keyword and isinstance(value, list) and len(set(map(_freeze, value))) < len(value):
        yield ValidationError("it has the same item twice")


def _freeze(value: JSON) -> Hashable:
    """What is equal for equal values: 1 and 1.0 are, 1 and ``true`` are not."""
    match value:
        case dict():
            return frozenset((key, _freeze(item)) for key, item in value.items())
        case list():
            return tuple(map(_freeze, value))
        case bool():
            return (bool, value)
        case _:
            return value


def _measure(value: JSON) -> int:
    """Roughly what it costs to look at ``value``, without what is deeper in it."""
    match value:
        case dict() | list():
            return len(value)
        case str():
            return len(value) // CHARS_PER_MEMBER
        case _:
            return 0


class _Object(dict[str, JSON]):
    """An object that does not spell itself out."""

    def __repr__(self) -> str:
        return "{…}"


class _Array(list[JSON]):
    """An array that spells itself out only if it is a short one of short values, such as the choices of an ``enum``."""

    def __repr__(self) -> str:
        is_short = len(self) <= MAX_SHOWN_ITEMS and not any(isinstance(item, dict | list) for item in self)
        shown = ", ".join(map(repr, self)) if is_short and sum(map(_measure, self)) == 0 else "…"
        return f"[{shown}]"


def _hush(value: JSON) -> JSON:
    """``value`` in quiet containers: jsonschema's messages have whole values in them, one for each thing wrong."""
    match value:
        case dict():
            return _hush_object(value)
        case list():
            return _Array(map(_hush, value))
        case _:
            return value


def _hush_object(value: JSONObject) -> JSONObject:
    return _Object((key, _hush(item)) for key, item in value.items())
