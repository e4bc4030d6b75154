"""What an exchange makes of failures: of prompts that are too long, and of tool calls that are cut again and again."""

import json
from functools import partial

import pytest

from kiro2api.protocol.attempt import FoldRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import Conversation, Thinking, Tool
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.kiro.faults import FaultReport, UpstreamFaultError
from kiro2api.protocol.kiro.signatures import build_origin, mark
from kiro2api.protocol.kiro.truncations import CutRun
from tests.support.conversations import assistant, user
from tests.support.upstream_events import encode_stream, event_message, text_message, tool_message
from tests.unit.protocol.test_exchange import PlainRenderer

SCHEMA: JSONObject = {"type": "object", "properties": {"content": {"type": "string", "title": "w"}}}
WRITE = Tool(name="Write", description="Writes.", input_schema=SCHEMA)
TOO_LONG = FaultReport(status=400, reason="PROMPT_TOO_LONG")
NO_REASON = FaultReport(status=400, message="Improperly formed request.")
TWO = CutRun(tool="Write", count=2, size=900)


def new_exchange(
    *texts: str, window: int | None = 200_000, whole: bool = False, cut_run: CutRun | None = None
) -> Exchange:
    """An exchange whose user has said ``texts``, and whose model has a tool and has thought before."""
    signature = mark("c2ln", build_origin(credential_id="a", model_id="m"))
    said = (user(*texts), assistant(Thinking(text="hm", signature=signature), "ok"), user("go on"))
    return Exchange(
        conversation=Conversation(model="m", turns=said, tools=(WRITE,)),
        model=ResolvedModel(
            public_name="m",
            upstream_id="m",
            context_window=window,
            max_output_tokens=None,
            request_fields_schema={"properties": {}},
        ),
        conversation_id="c-1",
        new_renderer=partial(FoldRenderer, lambda _answer: b"whole") if whole else PlainRenderer,
        max_tool_description_length=10_000,
        cut_run=cut_run,
    )


def explain(exchange: Exchange, report: FaultReport) -> str:
    """What the client is told."""
    return exchange.explain(UpstreamFaultError(report)).message


def test_numbers_of_a_prompt_that_is_too_long() -> None:
    """The estimate and the model's window, where the one is beyond the other."""
    exchange = new_exchange("word " * 1000, window=100)
    tokens = exchange.usage.total_input_tokens
    assert tokens > 100
    assert explain(exchange, TOO_LONG) == f"prompt is too long: {tokens} tokens > 100 maximum"
    for window in (None, tokens):
        assert "tokens" not in explain(new_exchange("word " * 1000, window=window), TOO_LONG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" * 600_000, "prompt is too long: the upstream refused a request of this size"),
        ("天" * 170_000, "prompt is too long: the upstream refused a request of this size"),
        ("a" * 500_000, "The upstream refused the form of the translated request."),
    ],
    ids=["bytes", "weight", "neither"],
)
def test_size_explains_a_refusal_without_a_reason(text: str, message: str) -> None:
    """Only a body of which the log warns; what has been compacted is not told to be too long again."""
    assert explain(new_exchange(text, window=None), NO_REASON).startswith(message)


def cut(exchange: Exchange, size: int = 9) -> None:
    """One attempt, whose answer is cut in the middle of a call."""
    exchange.begin_attempt(credential_id="a")
    exchange.receive_data(encode_stream([tool_message("t", '{"content":"' + "x" * size, name="Write")]))
    exchange.receive_eof()


def read_words(exchange: Exchange) -> str:
    """What the upstream is told last by the next attempt."""
    exchange.begin_attempt(credential_id="a")
    state = json.loads(exchange.encode_request(profile_arn=None))["conversationState"]
    words: str = state["currentMessage"]["userInputMessage"]["content"]
    return words


def test_third_cut_within_an_exchange() -> None:
    """The next attempt is told of it, and of a fourth; each is counted."""
    exchange = new_exchange("a", whole=True)
    for _ in range(2):
        cut(exchange)
        assert read_words(exchange) == "go on"
        assert exchange.repairs == ()
    for count in (3, 4):
        cut(exchange, size=count)
        assert exchange.cut_run == CutRun(tool="Write", count=count, size=12 + 3)
        assert f'The last {count} calls of the tool "Write" were cut off after about 15 characters' in read_words(
            exchange
        )
        assert exchange.repairs == ("explained_truncation",)


@pytest.mark.parametrize(
    ("run", "is_told"), [(None, False), (TWO, False), (CutRun(tool="Write", count=3, size=9), True)]
)
def test_cuts_of_exchanges_before(run: CutRun | None, *, is_told: bool) -> None:
    """The third one may have been in an earlier exchange; then the first attempt is told."""
    exchange = new_exchange("a", cut_run=run)
    assert (read_words(exchange) != "go on", exchange.cut_run) == (is_told, run)


def test_cuts_add_up_over_exchanges() -> None:
    """The third one may be this exchange's first."""
    exchange = new_exchange("a", cut_run=TWO)
    cut(exchange)
    assert exchange.cut_run == CutRun(tool="Write", count=3, size=12 + 9)
    assert "The last 3 calls" in read_words(exchange)


@pytest.mark.parametrize(
    "messages",
    [[text_message("a")], [tool_message("t", "{}", name="Write", stop=True)]],
    ids=["no call", "a whole call"],
)
def test_whole_answer_ends_the_count(messages: list[object]) -> None:
    """With a call of that tool or without one."""
    exchange = new_exchange("a", cut_run=TWO)
    exchange.receive_data(encode_stream(messages))  # type: ignore[arg-type]  # a list of either
    exchange.receive_eof()
    assert exchange.cut_run is None


def test_other_failures_are_no_cuts() -> None:
    """An attempt that failed of something else says nothing about the tool."""
    exchange = new_exchange("a", cut_run=TWO)
    exchange.receive_data(encode_stream([event_message("metadataEvent", {})]))
    exchange.receive_eof()
    assert exchange.failure is not None
    assert exchange.cut_run == TWO


def test_cuts_and_other_repairs_go_together() -> None:
    """Neither takes back what the other has changed."""
    exchange = new_exchange("a", cut_run=TWO)
    assert exchange.repair_for(UpstreamFaultError(FaultReport(status=400, reason="TOOL_SCHEMA_INVALID")))
    cut(exchange)
    assert "The last 3 calls" in read_words(exchange)
    body = exchange.encode_request(profile_arn=None)
    assert (b"reasoningText" in body, b'"title"' in body) == (True, False)
    assert exchange.repair_for(UpstreamFaultError(FaultReport(status=400, reason="THINKING_SIGNATURE_INVALID")))
    assert "The last 3 calls" in read_words(exchange)
    body = exchange.encode_request(profile_arn=None)
    assert (b"reasoningText" in body, b'"title"' in body) == (False, False)
