"""Error families of the protocol core; leaf classes stand beside the code that raises them."""

from dataclasses import dataclass

from kiro2api.errors import ErrorKind, Kiro2ApiError

TRY_AGAIN = "this is a server error, please try again"
"""What an error says that may break a stream off, and that a repetition may cure.

Within a stream no status tells a client whether to repeat the request: opencode and pi look for "server error".
"""


class InvalidRequestError(Kiro2ApiError):
    """The client's request cannot be understood or served as it is.

    Attributes:
        path: Where in the request body, in the client's own spelling (``messages[2].content[0].source``); empty for the
            body as a whole.
        code: A machine-readable code that some SDK acts on (``thread_unsupported_request``), else ``None``.
    """

    kind = ErrorKind.BAD_REQUEST

    def __init__(self, message: str, *, path: str = "", code: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.code = code


class UnknownModelError(Kiro2ApiError):
    """No upstream model goes by the name that the client asked for."""

    kind = ErrorKind.MODEL_NOT_FOUND

    def __init__(self, model: str) -> None:
        super().__init__(f"model: {model}")
        self.model = model


class UpstreamProtocolError(Kiro2ApiError):
    """What the upstream sent is not what its protocol allows."""

    kind = ErrorKind.UPSTREAM

    def __init__(self, detail: str) -> None:
        super().__init__(f"The upstream's answer was damaged on the way; {TRY_AGAIN}.", detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedError:
    """An error as an HTTP answer in the words of one dialect."""

    status: int
    headers: dict[str, str]
    """Names in lower case; ``content-length`` is the sender's to add."""
    body: bytes
