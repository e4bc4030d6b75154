"""Answers that have not the form that the client asks for."""

import httpx
import pytest
from trio.testing import MockClock

from kiro2api.errors import Kiro2ApiError
from kiro2api.protocol.answerformat import AnswerFormatError
from kiro2api.protocol.anthropic.response import StreamRenderer
from kiro2api.protocol.catalog import ResolvedModel
from kiro2api.protocol.conversation import AnswerFormat, Conversation
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.kiro.faults import UpstreamFaultError
from kiro2api.upstream import Attempts
from tests.support.conversations import user
from tests.support.upstream_events import encode_stream, text_message
from tests.support.upstream_service import ANY, SILENCE, Client, Reply, Service, open_client, refuse, stream


def say(text: str) -> Reply:
    """A whole answer."""
    return stream(encode_stream([text_message(text)]))


WRONG, RIGHT = say("no"), say("{}")


async def ask(client: Client) -> tuple[Attempts, Kiro2ApiError | None]:
    """The tally of a request for JSON, and how it failed."""
    exchange = Exchange(
        conversation=Conversation(model="m", turns=(user("Hi"),), answer_format=AnswerFormat()),
        model=ResolvedModel(public_name="m", upstream_id="m", context_window=None, max_output_tokens=None),
        conversation_id="c",
        new_renderer=lambda: StreamRenderer(message_id="msg_1", model="m"),
        max_tool_description_length=100,
    )
    attempts = Attempts()
    try:
        await client.upstream.relay(exchange, client, want=ANY, silence=SILENCE, attempts=attempts)
    except Kiro2ApiError as error:
        return attempts, error
    return attempts, None


async def test_the_same_credential_is_asked_again_at_once(autojump_clock: MockClock) -> None:
    """It answered well enough; both calls may be charged, and none counts as a retry of what is sick."""
    service = Service(replies=[WRONG, RIGHT])
    async with open_client(autojump_clock, service, "a") as client:
        attempts, error = await ask(client)
        assert (error, service.asked, len(set(service.times))) == (None, "aa", 1)
        assert (attempts.failures, attempts.metered) == (["answer"], 2)
        assert (service.budget.retrying, b'"text":"{}"' in client.got) == (0, True)
        [state] = client.broker.statistics().credentials
        assert state.standing.value == "usable"


@pytest.mark.parametrize(
    ("replies", "error", "failures"),
    [
        ([WRONG, WRONG, RIGHT], AnswerFormatError, ["answer", "answer"]),
        ([refuse(500), WRONG, refuse(500), RIGHT], UpstreamFaultError, ["server", "answer", "server"]),
        ([refuse(500), WRONG, WRONG, RIGHT], AnswerFormatError, ["server", "answer", "answer"]),
    ],
)
async def test_there_is_an_end_to_asking(
    autojump_clock: MockClock, replies: list[Reply], error: type[Kiro2ApiError], failures: list[str]
) -> None:
    """Once for the form, and three calls that may be charged for all reasons together; nothing was delivered."""
    async with open_client(autojump_clock, Service(replies=replies)) as client:
        attempts, told = await ask(client)
        assert (type(told), attempts.failures, client.got) == (error, failures, b"")


async def test_an_answer_that_broke_off_is_asked_for_again(autojump_clock: MockClock) -> None:
    """Though much of it had come: the client has nothing of it."""
    broken = stream(encode_stream([text_message('{"a"')]), httpx.ReadError("reset"))
    async with open_client(autojump_clock, Service(replies=[broken, RIGHT])) as client:
        attempts, error = await ask(client)
        assert (error, attempts.failures, client.got.count(b'"type":"text_delta"')) == (None, ["broken"], 1)
