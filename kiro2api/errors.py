"""What can go wrong, in the words of the one who has to answer for it.

Every error of this package derives from :class:`Kiro2ApiError`. Its ``kind`` decides the status and the body that a
client sees (one exhaustive table per dialect); its text is written for the person at the client and never holds a
secret, a prompt, a credential's name or raw upstream text. What an operator needs beyond that stands in ``detail``.
"""

import enum


class ErrorKind(enum.Enum):
    """Why a request cannot be answered, independent of dialect and transport."""

    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    """The upstream finds the prompt too long: agents compact when they are told in the right words."""
    CLIENT_KEY = "client_key"
    """The *client's* key is missing or wrong. Nothing else may be reported as 401."""
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TIMEOUT = "body_timeout"
    BODY_TOO_LARGE = "body_too_large"
    QUOTA_EXHAUSTED = "quota_exhausted"
    """Every credential's quota is used up for days: a client must not repeat the request."""
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    """The model is out of capacity, or this process sheds load or shuts down."""
    NO_CREDENTIAL = "no_credential"
    """No upstream credential can be used: revoked, suspended, or refused when refreshed."""
    UPSTREAM = "upstream"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    ANSWER_FORMAT = "answer_format"
    """The model does not answer in the form that the client asks for: a client must not repeat the request."""
    INTERNAL = "internal"
    """Our own defect."""


class Kiro2ApiError(Exception):
    """Base of all errors of this package.

    Args:
        message: One sentence or two for the person at the client: what is wrong and what to do.
        retry_after: Seconds after which the same request may succeed, if that is known.
        detail: Words for the log: names, numbers and reason codes, no secret and no prompt.
    """

    kind: ErrorKind = ErrorKind.INTERNAL
    retry_safe: bool = False
    """Whether asking the upstream once more can help and costs the user nothing that was not already lost."""

    def __init__(self, message: str, *, retry_after: float | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        self.detail = detail
