"""Transcripts: what the upstream said, and the turn that comes of it."""

from dataclasses import replace

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.kiro.events import (
    AssistantText,
    ContextUsage,
    Failed,
    Ignored,
    Metadata,
    Metering,
    OutputLimit,
    Reasoning,
    ToolUseFragment,
    UpstreamEvent,
)
from kiro2api.protocol.turn import (
    EmptyAnswerError,
    Refusal,
    StopReason,
    TruncatedToolUseError,
    TurnEnded,
    TurnEvent,
    TurnFailed,
)
from kiro2api.protocol.usage import Usage, estimate_text
from tests.support.upstream_events import fault
from tests.unit.protocol.turn.transcripts import (
    ACCOUNT,
    ESTIMATED_INPUT,
    STARTED,
    ended,
    new_turn,
    play,
    redacted,
    say,
    split_failure,
    stated,
    text,
    think,
    thinking,
    tool,
    use,
)

END_TURN, TOOL_USE, MAX_TOKENS = StopReason.END_TURN, StopReason.TOOL_USE, StopReason.MAX_TOKENS


def one_event(tool_use_id: str, piece: str) -> UpstreamEvent:
    """A tool use in a single event."""
    return ToolUseFragment(tool_use_id=tool_use_id, name="read", input=piece, stop=True)


A1, A2, A_STOP = use("A", '{"a":', "1}")[1:]
B1, B2, B_STOP = use("B", '{"b":', "2}")[1:]

WHOLE: dict[str, tuple[list[UpstreamEvent], list[TurnEvent], StopReason]] = {
    "text": (say("Hi", " there"), text(0, "Hi", " there"), END_TURN),
    "equal texts": (say("ha", "ha", "ha"), text(0, "ha", "ha", "ha"), END_TURN),
    "empty texts between": (say("", "a", "", "b", ""), text(0, "a", "b"), END_TURN),
    "a call as the upstream usually sends it": (
        [*say("Let me check", " the time."), *use("tooluse_1", "{}", name="get_time")],
        [*text(0, "Let me check", " the time."), *tool(1, "tooluse_1", "{}", name="get_time")],
        TOOL_USE,
    ),
    "fragments": (use("A", '{"tz":', '"UTC"}'), tool(0, "A", '{"tz":', '"UTC"}'), TOOL_USE),
    "input as an object": (use("A", {"tz": "UTC"}), tool(0, "A", '{"tz":"UTC"}'), TOOL_USE),
    "an empty object, then fragments": (use("A", {}, '{"a":', "1}"), tool(0, "A", '{"a":', "1}"), TOOL_USE),
    "an empty object after fragments": (use("A", '{"a":1}', {}), tool(0, "A", '{"a":1}'), TOOL_USE),
    "an empty object after an object": (use("A", {"a": 1}, {}), tool(0, "A", '{"a":1}'), TOOL_USE),
    "an object after another": (use("A", {"a": 1}, {"a": 2}), tool(0, "A", '{"a":2}'), TOOL_USE),
    "text and the equal object": (use("A", '{"a": 1}', {"a": 1}), tool(0, "A", '{"a": 1}'), TOOL_USE),
    "one event": ([one_event("A", '{"a":1}')], tool(0, "A", '{"a":1}'), TOOL_USE),
    "no input": (use("A"), tool(0, "A"), TOOL_USE),
    "an empty object": (use("A", {}), tool(0, "A"), TOOL_USE),
    "blank input": (use("A", " ", "\n"), tool(0, "A"), TOOL_USE),
    "blanks round the input": (use("A", " ", "{}", " "), tool(0, "A", "{}", " "), TOOL_USE),
    "a call repeated": (use("A", "{}") * 2, tool(0, "A", "{}"), TOOL_USE),
    "a call repeated in one event": (
        [*use("A", "{}"), *say("x"), one_event("A", "{}")],
        [*tool(0, "A", "{}"), *text(1, "x")],
        TOOL_USE,
    ),
    "equal calls": ([*use("A", "{}"), *use("B", "{}")], [*tool(0, "A", "{}"), *tool(1, "B", "{}")], TOOL_USE),
    "interleaved calls": (
        [A1, B1, A2, B2, B_STOP, A_STOP],
        [*tool(0, "A", '{"a":', "1}"), *tool(1, "B", '{"b":', "2}")],
        TOOL_USE,
    ),
    "text and reasoning while a tool is open": (
        [A1, *say("x"), B1, *say("y"), A2, *think("z"), A_STOP, B2, B_STOP],
        [*tool(0, "A", '{"a":', "1}"), *text(1, "x"), *tool(2, "B", '{"b":', "2}"), *text(3, "y"), *thinking(4, "z")],
        TOOL_USE,
    ),
    "two texts while a tool is open": (
        [A1, *say("x", "y"), A2, A_STOP],
        [*tool(0, "A", '{"a":', "1}"), *text(1, "x", "y")],
        TOOL_USE,
    ),
    "whole input without a stop": (use("A", '{"a":1}', stop=False), tool(0, "A", '{"a":1}'), TOOL_USE),
    "an object without a stop": (use("A", {"a": 1}, stop=False), tool(0, "A", '{"a":1}'), TOOL_USE),
    "nothing without a stop, stated": ([*use("A", stop=False), stated("TOOL_USE")], tool(0, "A"), TOOL_USE),
    "reasoning": (
        [*think("so", " so", signature="c2ln"), *say("a")],
        [*thinking(0, "so", " so", signature="c2ln"), *text(1, "a")],
        END_TURN,
    ),
    "a signature alone": (
        [*think(signature="c2ln"), *say("a")],
        [*thinking(0, signature="c2ln"), *text(1, "a")],
        END_TURN,
    ),
    "a signature with the text": (
        [Reasoning(text="so", signature="c2ln"), *say("a")],
        [*thinking(0, "so", signature="c2ln"), *text(1, "a")],
        END_TURN,
    ),
    "reasoning after a signature": (
        [*think("a", signature="s1"), *think("b", signature="s2"), *say("c")],
        [*thinking(0, "a", signature="s1"), *thinking(1, "b", signature="s2"), *text(2, "c")],
        END_TURN,
    ),
    "reasoning after a signature while a tool is open": (
        [A1, *think("a", signature="s1"), *think("b", signature="s2"), A2, A_STOP],
        [*tool(0, "A", '{"a":', "1}"), *thinking(1, "a", signature="s1"), *thinking(2, "b", signature="s2")],
        TOOL_USE,
    ),
    "redacted": ([Reasoning(redacted="cg=="), *say("a")], [*redacted(0, "cg=="), *text(1, "a")], END_TURN),
    "redacted after a tool": (
        [*use("A", "{}"), Reasoning(redacted="cg==")],
        [*tool(0, "A", "{}"), *redacted(1, "cg==")],
        TOOL_USE,
    ),
    "all of reasoning in one event": (
        [Reasoning(text="so", signature="c2ln", redacted="cg=="), *say("a")],
        [*redacted(0, "cg=="), *thinking(1, "so", signature="c2ln"), *text(2, "a")],
        END_TURN,
    ),
    "empty reasoning": ([*say("a"), Reasoning(), *say("b")], text(0, "a", "b"), END_TURN),
    "thinking only": (think("so"), thinking(0, "so"), MAX_TOKENS),
    "what means nothing": ([*say("a"), Ignored(name="x"), *say("b")], text(0, "a", "b"), END_TURN),
}


@pytest.mark.parametrize(("upstream", "blocks", "reason"), WHOLE.values(), ids=WHOLE)
def test_whole_answer(upstream: list[UpstreamEvent], blocks: list[TurnEvent], reason: StopReason) -> None:
    """These upstream events make these blocks, between one start and one end."""
    assert play(new_turn(), [*upstream, ACCOUNT]) == [STARTED, *blocks, ended(reason)]


FRAGMENT = ToolUseFragment(tool_use_id="A", name="read", input='{"a', stop=False)

CUT: dict[str, tuple[list[UpstreamEvent], list[TurnEvent], int, bool]] = {
    "no input, no stop": (use("A", stop=False), tool(0, "A", whole=False), 0, False),
    "an empty object, no stop": (use("A", {}, stop=False), tool(0, "A", whole=False), 0, False),
    "blanks, no stop": (use("A", " ", stop=False), tool(0, "A", whole=False), 0, False),
    "partial, no stop": (use("A", '{"a', stop=False), tool(0, "A", '{"a', whole=False), 3, False),
    "partial, no stop, stated": (
        [*use("A", '{"a', stop=False), stated("TOOL_USE")],
        tool(0, "A", '{"a', whole=False),
        3,
        False,
    ),
    "invalid": (use("A", '{"a":}'), tool(0, "A", '{"a":}', whole=False), 6, True),
    "partial": (use("A", '{"a":"', "x"), tool(0, "A", '{"a":"', "x", whole=False), 7, True),
    "an array": (use("A", "[1]"), tool(0, "A", "[1]", whole=False), 3, True),
    "an array, no stop": (use("A", "[1]", stop=False), tool(0, "A", "[1]", whole=False), 3, False),
    "text and another object": (use("A", '{"a":1}', {"a": 2}), tool(0, "A", '{"a":1}', whole=False), 7, True),
    "an object and other text": (use("A", {"a": 2}, '{"a":1}'), tool(0, "A", '{"a":1}', whole=False), 7, True),
    "second of two": (
        [*use("A", "{}"), *use("B", '{"b', stop=False)],
        [*tool(0, "A", "{}"), *tool(1, "B", '{"b', whole=False)],
        3,
        False,
    ),
    "second of two, stopped": (
        [*use("A", "{}"), *use("B", '{"b')],
        [*tool(0, "A", "{}"), *tool(1, "B", '{"b', whole=False)],
        3,
        True,
    ),
    "behind another": (
        [A1, B1, B_STOP, A2, A_STOP],
        tool(0, "A", '{"a":', whole=False),
        5,
        True,
    ),
    "output limit": ([FRAGMENT, OutputLimit()], tool(0, "A", '{"a', whole=False), 3, False),
    "after text": ([*say("x"), FRAGMENT], [*text(0, "x"), *tool(1, "A", '{"a', whole=False)], 3, False),
}


@pytest.mark.parametrize(("upstream", "blocks", "size", "stopped"), CUT.values(), ids=CUT)
def test_cut_tool_use(upstream: list[UpstreamEvent], blocks: list[TurnEvent], size: int, *, stopped: bool) -> None:
    """A tool use whose input is not whole fails the turn: its block is not stopped, nothing is put in its place."""
    events, error = split_failure(play(new_turn(), upstream))
    assert events == [STARTED, *blocks]
    assert isinstance(error, TruncatedToolUseError)
    assert (error.name, error.size, error.stopped) == ("read", size, stopped)
    assert (error.kind, error.retry_safe) == (ErrorKind.UPSTREAM, True)


def test_nothing_is_held_without_need() -> None:
    """Each delta goes out with the event that brings it."""
    turn = new_turn()
    upstream = [*say("a", "b"), *use("A", '{"a":', "1}")]
    expected = [
        [STARTED, *text(0, "a", whole=False)],
        text(0, "b")[1:2],
        [text(0)[-1], *tool(1, "A", whole=False)],
        tool(1, "A", '{"a":')[1:2],
        tool(1, "A", "1}")[1:2],
        tool(1, "A")[-1:],
    ]
    assert [turn.receive_event(event) for event in upstream] == expected


def test_client_tool_names() -> None:
    """A tool use bears the name that the client gave its tool."""
    turn = new_turn(client_tool_name={"read": "files.read"}.__getitem__)
    blocks = tool(0, "A", "{}", name="files.read")
    assert play(turn, [*use("A", "{}"), ACCOUNT]) == [STARTED, *blocks, ended(TOOL_USE)]


STATED: dict[str, tuple[list[UpstreamEvent], StopReason]] = {
    "nothing": ([], END_TURN),
    "END_TURN": ([stated("END_TURN")], END_TURN),
    "TOOL_USE": ([stated("TOOL_USE")], END_TURN),
    "UNKNOWN": ([stated("UNKNOWN")], END_TURN),
    "MAX_TOKENS": ([stated("MAX_TOKENS")], MAX_TOKENS),
    "MODEL_CONTEXT_WINDOW_EXCEEDED": ([stated("MODEL_CONTEXT_WINDOW_EXCEEDED")], StopReason.CONTEXT_WINDOW),
    "CONTENT_FILTERED": ([stated("CONTENT_FILTERED")], StopReason.REFUSAL),
    "PAUSE_TURN": ([stated("PAUSE_TURN")], StopReason.PAUSE_TURN),
    "a later empty reason": ([stated("MAX_TOKENS"), stated("")], MAX_TOKENS),
    "output limit": ([OutputLimit()], MAX_TOKENS),
    "a full context": ([ContextUsage(percentage=100.0)], StopReason.CONTEXT_WINDOW),
    "an overfull context": ([ContextUsage(percentage=130.0)], StopReason.CONTEXT_WINDOW),
    "nearly full": ([ContextUsage(percentage=99.9)], END_TURN),
    "a stated reason beside a full context": ([ContextUsage(percentage=100.0), stated("MAX_TOKENS")], MAX_TOKENS),
}


@pytest.mark.parametrize(("accounts", "reason"), STATED.values(), ids=STATED)
def test_stop_reason(accounts: list[UpstreamEvent], reason: StopReason) -> None:
    """What the upstream says of the end decides, wherever it stands; ``TOOL_USE`` without a tool use is no reason."""
    expected = [STARTED, *text(0, "a"), ended(reason)]
    assert play(new_turn(), [*say("a"), *accounts, ACCOUNT]) == expected
    assert play(new_turn(), [*accounts, ACCOUNT, *say("a")]) == expected


@pytest.mark.parametrize("stop", ["END_TURN", "MAX_TOKENS", "CONTENT_FILTERED", ""])
def test_tool_use_outranks_what_is_stated(stop: str) -> None:
    """Where there is a tool use, that is why the turn ended."""
    events = play(new_turn(stop_sequences=["x"]), [*use("A", "{}"), stated(stop), ACCOUNT])
    assert events == [STARTED, *tool(0, "A", "{}"), ended(TOOL_USE)]


NO = Refusal(category="BIO", explanation="no")


@pytest.mark.parametrize("stop", ["CONTENT_FILTERED", "", "END_TURN", "UNKNOWN"])
@pytest.mark.parametrize("blocks", [[], say("a")], ids=["nothing", "text"])
def test_refusal(stop: str, blocks: list[UpstreamEvent]) -> None:
    """What the upstream says of a refusal is told, and is one whatever else it states; a later word takes none back."""
    refused = Metadata(usage=None, stop_reason=stop, refusal=NO)
    end = replace(ended(StopReason.REFUSAL), refusal=NO)
    assert play(new_turn(), [*blocks, refused, ACCOUNT])[-1] == end
    assert play(new_turn(), [*blocks, ACCOUNT, refused])[-1] == end


@pytest.mark.parametrize("stop", ["MAX_TOKENS", "PAUSE_TURN", "MODEL_CONTEXT_WINDOW_EXCEEDED"])
def test_no_refusal_beside_another_reason(stop: str) -> None:
    """Where the turn ended for something else, nothing is said of a refusal."""
    end = play(new_turn(), [*say("a"), Metadata(usage=None, stop_reason=stop, refusal=NO)])[-1]
    assert isinstance(end, TurnEnded)
    assert (end.stop_reason is StopReason.REFUSAL, end.refusal) == (False, None)
    end = play(new_turn(), [*use("A"), Metadata(usage=None, stop_reason="", refusal=NO), ACCOUNT])[-1]
    assert end == ended(TOOL_USE)


def stopped(sequence: str, heard: str) -> TurnEvent:
    """The end at a stop sequence after the upstream said ``heard``; nothing but the estimate is known by then."""
    usage = Usage(input_tokens=ESTIMATED_INPUT, output_tokens=estimate_text(heard))
    return ended(StopReason.STOP_SEQUENCE, sequence=sequence, usage=usage)


@pytest.mark.parametrize("at", range(1, 10))
def test_stop_sequence_at_every_cut(at: int) -> None:
    """The text ends before the sequence, however the upstream cuts it; nothing is heard after it."""
    whole = "abSTOPcdef"
    turn = new_turn(stop_sequences=["STOP"])
    events = play(turn, say(whole[:at], whole[at:]))
    texts = [whole[:at], whole[at:2]] if at < 2 else ["ab"]
    assert events == [STARTED, *text(0, *texts), stopped("STOP", whole if at < 6 else whole[:at])]
    assert turn.is_over


def test_stop_sequence_first() -> None:
    """An answer that begins with the sequence has no block."""
    assert play(new_turn(stop_sequences=["S"]), say("Sx"), eof=False) == [STARTED, stopped("S", "Sx")]


@pytest.mark.parametrize(
    ("after", "blocks"),
    [
        ([], []),
        (use("A", "{}"), tool(1, "A", "{}")),
        (think("so", signature="s"), thinking(1, "so", signature="s")),
    ],
    ids=["end", "tool", "reasoning"],
)
def test_held_text_is_delivered(after: list[UpstreamEvent], blocks: list[TurnEvent]) -> None:
    """What might have begun a sequence is text once the text cannot go on, and stands before what follows."""
    events = play(new_turn(stop_sequences=["STOP"]), [*say("a", "ST"), *after, ACCOUNT])
    reason = TOOL_USE if blocks[:1] == tool(1, "A")[:1] else END_TURN
    assert events == [STARTED, *text(0, "a", "ST"), *blocks, ended(reason)]


def test_held_text_is_delivered_before_a_failure() -> None:
    """A failure does not swallow what was held back."""
    error = fault()
    turn = new_turn(stop_sequences=["STOP"])
    events = play(turn, [*say("ST"), Failed(fault=error)])
    assert events == [STARTED, *text(0, "ST", whole=False), TurnFailed(error=error)]


def test_stop_sequence_across_fragments_of_an_open_tool_use() -> None:
    """Fragments of a tool use before the text do not hide a sequence within the text."""
    turn = new_turn(stop_sequences=["STOP"])
    events = play(turn, [A1, *say("aST"), A2, *say("OPb"), A_STOP, ACCOUNT])
    assert events == [STARTED, *tool(0, "A", '{"a":', "1}"), *text(1, "a"), ended(TOOL_USE)]


def test_stop_sequence_across_what_says_nothing() -> None:
    """What comes between two texts and says nothing does not part them."""
    between: list[UpstreamEvent] = [Reasoning(), Ignored(name="x"), Metering(usage=0.5, unit="credit"), *say("")]
    events = play(new_turn(stop_sequences=["STOP"]), [*say("aST"), *between, *say("OPb")], eof=False)
    assert events == [STARTED, *text(0, "a"), stopped("STOP", "aSTOPb")]


def test_stop_sequence_while_a_tool_use_is_open() -> None:
    """The tool use is finished, and nothing new begins: neither text, nor reasoning, nor another tool use."""
    turn = new_turn(stop_sequences=["STOP"])
    upstream = [A1, *say("aSTOPb", "c"), *think("d"), *use("B", "{}"), A2, A_STOP, ACCOUNT]
    assert play(turn, upstream) == [STARTED, *tool(0, "A", '{"a":', "1}"), *text(1, "a"), ended(TOOL_USE)]


def test_stop_sequence_after_tool_uses() -> None:
    """It ends the turn at once where all tool uses are whole; the tool uses are still why it ended."""
    turn = new_turn(stop_sequences=["STOP"])
    events = play(turn, [ACCOUNT, *use("A", "{}"), *say("aSTOP")], eof=False)
    assert events == [STARTED, *tool(0, "A", "{}"), *text(1, "a"), ended(TOOL_USE)]


EMPTY: dict[str, tuple[list[UpstreamEvent], StopReason]] = {
    "tokens": ([stated("", 1)], END_TURN),
    "tokens for a tool use that never came": ([stated("TOOL_USE", 9)], END_TURN),
    "refused": ([stated("CONTENT_FILTERED")], StopReason.REFUSAL),
    "no room": ([stated("MODEL_CONTEXT_WINDOW_EXCEEDED", 0)], StopReason.CONTEXT_WINDOW),
    "full": ([ContextUsage(percentage=100.0)], StopReason.CONTEXT_WINDOW),
    "limit": ([OutputLimit()], MAX_TOKENS),
}


@pytest.mark.parametrize(("accounts", "reason"), EMPTY.values(), ids=EMPTY)
def test_empty_answer_with_an_explanation(accounts: list[UpstreamEvent], reason: StopReason) -> None:
    """An answer without content is one when the upstream accounts for it."""
    turn = new_turn()
    events = play(turn, accounts)
    assert events == [STARTED, ended(reason, usage=turn.usage)]


@pytest.mark.parametrize(
    "upstream",
    [
        [],
        say("", ""),
        [Reasoning()],
        [stated("END_TURN"), ContextUsage(percentage=2.0), Metering(usage=0.1, unit="credit")],
        [stated("TOOL_USE", 0)],
    ],
)
def test_empty_answer(upstream: list[UpstreamEvent]) -> None:
    """An answer without content that nobody accounts for is a failure, which another attempt may mend."""
    events, error = split_failure(play(new_turn(), upstream))
    assert events == []
    assert isinstance(error, EmptyAnswerError)
    assert (error.kind, error.retry_safe) == (ErrorKind.UPSTREAM, True)


def test_failure_before_content() -> None:
    """A failure that comes first is all there is: the turn has not even begun."""
    error = fault(429)
    assert play(new_turn(), [Failed(fault=error)]) == [TurnFailed(error=error)]


def test_failure_after_content() -> None:
    """A failure stands behind all that was said before it; the open block stays open."""
    error = fault(429)
    upstream = [*use("A", "{}"), *say("a", "b"), Failed(fault=error)]
    expected = [STARTED, *tool(0, "A", "{}"), *text(1, "a", "b", whole=False), TurnFailed(error=error)]
    assert play(new_turn(), upstream) == expected


@pytest.mark.parametrize(
    "last",
    [AssistantText(text="xSTOP"), Failed(fault=fault()), None],
    ids=["sequence", "failure", "eof"],
)
def test_nothing_after_the_end(last: UpstreamEvent | None) -> None:
    """Whatever comes behind the end or the failure, nothing comes of it."""
    turn = new_turn(stop_sequences=["STOP"])
    turn.receive_event(AssistantText(text="a"))
    before = turn.receive_eof() if last is None else turn.receive_event(last)
    assert before
    assert turn.is_over
    after = play(turn, [*say("b"), *use("A", "{}"), ACCOUNT, Failed(fault=fault())])
    assert after + turn.receive_failure(fault()) + turn.receive_eof() == []


def test_open() -> None:
    """The start may be asked for ahead of the answer, and then comes once all the same."""
    turn = new_turn()
    assert turn.open() == [STARTED]
    assert turn.open() == []
    assert play(turn, [*say("a"), ACCOUNT]) == [*text(0, "a"), ended(END_TURN)]
    assert turn.open() == []


def test_later_attempt() -> None:
    """A client that has its start from an earlier attempt gets no other, also not for an empty answer."""
    turn = new_turn(started=True)
    assert turn.open() == []
    assert play(turn, [*say("a"), ACCOUNT]) == [*text(0, "a"), ended(END_TURN)]
    assert play(new_turn(started=True), [ACCOUNT]) == [ended(END_TURN)]


SOURCES: dict[str, tuple[list[UpstreamEvent], Usage]] = {
    "estimate": ([], Usage(input_tokens=ESTIMATED_INPUT, output_tokens=estimate_text("hello"))),
    "percentage": (
        [ContextUsage(percentage=2.5)],
        Usage(input_tokens=5000 - estimate_text("hello"), output_tokens=estimate_text("hello")),
    ),
    "wire": ([ACCOUNT, ContextUsage(percentage=2.5)], Usage(input_tokens=120, output_tokens=31)),
    "wire, then silence": ([ACCOUNT, stated("END_TURN")], Usage(input_tokens=120, output_tokens=31)),
    "overfull": (
        [ContextUsage(percentage=101.0)],
        Usage(input_tokens=ESTIMATED_INPUT, output_tokens=estimate_text("hello")),
    ),
    "a share, then nonsense": (
        [ContextUsage(percentage=2.5), ContextUsage(percentage=-1.0), ContextUsage(percentage=0.0)],
        Usage(input_tokens=5000 - estimate_text("hello"), output_tokens=estimate_text("hello")),
    ),
}


@pytest.mark.parametrize(("accounts", "usage"), SOURCES.values(), ids=SOURCES)
def test_usage(accounts: list[UpstreamEvent], usage: Usage) -> None:
    """Usage is the wire's, else by the context's share, else the estimate, and is the same at the end and after it."""
    turn = new_turn(context_window=200_000)
    events = play(turn, [*say("hel", "lo"), *accounts])
    reason = StopReason.CONTEXT_WINDOW if accounts == [ContextUsage(percentage=101.0)] else END_TURN
    assert events[-1] == ended(reason, usage=usage)
    assert turn.usage == usage


def test_usage_counts_all_that_was_generated() -> None:
    """Reasoning, tool names and tool inputs of both forms count into the estimate, repeated calls do not."""
    turns = [new_turn(), new_turn(), new_turn()]
    play(turns[0], [*think("so"), *use("A", '{"a":1}'), *use("A", '{"a":1}')])
    play(turns[1], [*think("so"), *use("A", {"a": 1})])
    play(turns[2], [*think("so"), *use("A")])
    first, second, without_input = [turn.usage.output_tokens for turn in turns]
    assert without_input == 20 + estimate_text("soA")
    assert first == second == 20 + estimate_text('soA{"a":1}')


def test_credits_and_trailers() -> None:
    """Credits add up and are unknown until stated; any accounting is a trailer."""
    turn = new_turn()
    turn.receive_event(AssistantText(text="a"))
    assert (turn.credits, turn.has_trailers) == (None, False)
    turn.receive_event(Metering(usage=0.25, unit="credit"))
    turn.receive_event(Metering(usage=0.5, unit="credit"))
    assert (turn.credits, turn.has_trailers) == (0.75, True)
