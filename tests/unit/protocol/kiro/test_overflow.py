"""Prompts that are too long, told so that agents compact."""

import pytest

from kiro2api.errors import ErrorKind, Kiro2ApiError
from kiro2api.protocol.anthropic.errors import build_error
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.kiro.overflow import SIZE_MESSAGE, ContextOverflowError, explain_fault
from kiro2api.protocol.openai.errors import render_error
from kiro2api.protocol.responses.errors import describe_failure

TOO_LONG = FaultReport(status=400, reason="CONTENT_LENGTH_EXCEEDS_THRESHOLD", message="Input is too long.")
TOO_LARGE = FaultReport(status=413)
NO_REASON = FaultReport(status=400, message="Improperly formed request.")
ANY_REASON = FaultReport(status=400, reason="REQUEST_BODY_INVALID", message="Improperly formed request.")
NO_WORDS = FaultReport(status=400)
NUMBERS = "prompt is too long: 250000 tokens > 200000 maximum"
WORDS = "prompt is too long: it exceeds the context window of the model; shorten or compact the conversation."
WINDOW = " This model's maximum context length is 200000 tokens."


def explain(
    report: FaultReport, *, tokens: int = 250_000, window: int | None = 200_000, is_large: bool = False
) -> Kiro2ApiError:
    """What is told of the fault in the place of it."""
    error = explain_fault(UpstreamFaultError(report), input_tokens=tokens, context_window=window, is_large=is_large)
    assert isinstance(error, ContextOverflowError)
    assert error.kind is ErrorKind.CONTEXT_OVERFLOW
    return error


@pytest.mark.parametrize("report", [NO_REASON, ANY_REASON, NO_WORDS, TOO_LARGE, TOO_LONG])
def test_numbers(report: FaultReport) -> None:
    """Both are told where the estimate is beyond the window, in the words that Claude Code reads them from."""
    assert explain(report, is_large=True).message == NUMBERS


@pytest.mark.parametrize(
    ("tokens", "window"), [(250_000, None), (199_999, 200_000), (200_000, 200_000)], ids=["unknown", "below", "equal"]
)
def test_no_number_is_made_up(tokens: int, window: int | None) -> None:
    """Numbers that would not show an overflow, or that nobody knows, are left out."""
    assert explain(TOO_LONG, tokens=tokens, window=window).message == WORDS
    assert explain(TOO_LARGE, tokens=tokens, window=window).message == SIZE_MESSAGE
    assert explain(NO_REASON, tokens=tokens, window=window, is_large=True).message == SIZE_MESSAGE


@pytest.mark.parametrize(
    "report",
    [
        FaultReport(status=400, message="profileArn is required for this request."),
        FaultReport(status=400, message="Improperly formed request.", reason="TOOL_SCHEMA_INVALID"),
        FaultReport(status=429),
        FaultReport(status=500, message="Improperly formed request."),
    ],
    ids=["words", "reason", "throttled", "server"],
)
def test_what_has_a_reason_stays(report: FaultReport) -> None:
    """A large body is no explanation for a fault that has one, even where the estimate is beyond the window."""
    fault = UpstreamFaultError(report)
    assert explain_fault(fault, input_tokens=9, context_window=1, is_large=True) is fault


@pytest.mark.parametrize("report", [NO_REASON, ANY_REASON, NO_WORDS])
def test_body_of_common_size_is_not_blamed(report: FaultReport) -> None:
    """An agent that compacts has a short conversation then: the refusal is told as it is, and there is no circle."""
    fault = UpstreamFaultError(report)
    assert explain_fault(fault, input_tokens=9, context_window=1, is_large=False) is fault


def test_log_knows_what_the_upstream_said() -> None:
    """Whatever the client is told."""
    assert explain(NO_REASON, is_large=True).detail == "class=bad_request status=400 name= reason="


@pytest.mark.parametrize(
    ("error", "anthropic", "openai"),
    [
        (explain(TOO_LONG), NUMBERS, NUMBERS + "." + WINDOW),
        (explain(TOO_LONG, tokens=1), WORDS, WORDS + WINDOW),
        (explain(TOO_LONG, window=None), WORDS, WORDS),
        (explain(TOO_LARGE, tokens=1), SIZE_MESSAGE, SIZE_MESSAGE),
        (UpstreamFaultError(TOO_LONG), WORDS, WORDS),
    ],
    ids=["numbers", "window", "neither", "size", "unexplained"],
)
def test_words_of_each_dialect(error: Kiro2ApiError, anthropic: str, openai: str) -> None:
    """Anthropic's are the true service's; OpenAI's have the code, and the window where that is what matters."""
    assert build_error(error) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": anthropic},
    }
    rendered = render_error(error, request_id="r")
    failure = describe_failure(error)
    assert (rendered.status, failure.code) == (400, "context_length_exceeded")
    assert b'"code":"context_length_exceeded"' in rendered.body
    assert openai.encode() in rendered.body
    assert failure.message == openai
