"""Makers' clients in front of one exchange, without a socket: they read what the exchange makes of an answer."""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from kiro2api.protocol.anthropic.errors import render_error as render_anthropic_error
from kiro2api.protocol.anthropic.response import StreamRenderer as MessagesRenderer
from kiro2api.protocol.anthropic.response import render_answer as render_message
from kiro2api.protocol.attempt import FoldRenderer, Renderer
from kiro2api.protocol.catalog import Catalog
from kiro2api.protocol.conversation import Conversation, ThinkingChoice, ThinkingMode
from kiro2api.protocol.exchange import Exchange
from kiro2api.protocol.jsontext import JSONObject
from kiro2api.protocol.openai.errors import render_error as render_openai_error
from kiro2api.protocol.openai.response import StreamRenderer as ChunkRenderer
from kiro2api.protocol.openai.response import render_answer as render_completion
from kiro2api.protocol.responses.output import ResponseHead
from kiro2api.protocol.responses.response import StreamRenderer as ResponsesRenderer
from kiro2api.protocol.responses.response import render_answer as render_response
from kiro2api.protocol.responses.tools import ToolForm
from kiro2api.protocol.turn import Answer
from tests.support.conversations import user

MODEL = "m"
_TALKATIVE = Catalog({}).resolve("claude-sonnet-4-5")
"""Thinks between tags when it is asked to."""
_SETTINGS: JSONObject = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
HI: Any = [{"role": "user", "content": "Hi"}]


@dataclass(slots=True, kw_only=True)
class OneExchange(httpx2.BaseTransport):
    """What a client's request reaches: one exchange, whose upstream sends ``chunks``."""

    new_renderer: dict[bool, Callable[[], Renderer]]
    """By whether the client wants a stream."""
    render_error: Callable[..., Any]
    chunks: Sequence[bytes] = ()
    tags: bool = False
    """Whether the model is asked to think between tags."""

    def receive(self, chunks: Sequence[bytes], *, tags: bool) -> None:
        """What the next exchanges get."""
        self.chunks, self.tags = chunks, tags

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        stream = bool(json.loads(request.read()).get("stream"))
        exchange = self._build_exchange(self.new_renderer[stream])
        parts = [*map(exchange.receive_data, self.chunks), exchange.receive_eof()]
        if exchange.failure is not None and not exchange.has_output:
            error = self.render_error(exchange.failure, request_id="req_1")
            return httpx2.Response(error.status, headers=error.headers, content=error.body)
        if exchange.failure is not None:
            parts.append(exchange.render_failure(exchange.failure))
        kind = "text/event-stream" if stream else "application/json"
        return httpx2.Response(200, headers={"content-type": kind}, content=iter(filter(None, parts)))

    def _build_exchange(self, new_renderer: Callable[[], Renderer]) -> Exchange:
        mode = ThinkingMode.ENABLED if self.tags else ThinkingMode.UNSET
        return Exchange(
            conversation=Conversation(
                model=MODEL,
                turns=(user("Hi"),),
                stop_sequences=("ab", "b漢"),
                thinking=ThinkingChoice(mode=mode),
            ),
            model=_TALKATIVE,
            conversation_id="c-1",
            new_renderer=new_renderer,
            max_tool_description_length=100,
        )


def _build_whole(render: Callable[[Answer], bytes]) -> Callable[[], Renderer]:
    """Renderers of answers in one piece."""
    return lambda: FoldRenderer(render)


def build_messages_exchange() -> OneExchange:
    """Anthropic's dialect."""
    return OneExchange(
        new_renderer={
            True: lambda: MessagesRenderer(message_id="msg_1", model=MODEL),
            False: _build_whole(lambda answer: render_message(answer, message_id="msg_1", model=MODEL)),
        },
        render_error=render_anthropic_error,
    )


def build_chat_exchange() -> OneExchange:
    """OpenAI's dialect."""
    return OneExchange(
        new_renderer={
            True: lambda: ChunkRenderer(completion_id="c", created=0, model=MODEL, include_usage=True),
            False: _build_whole(lambda answer: render_completion(answer, completion_id="c", created=0, model=MODEL)),
        },
        render_error=render_openai_error,
    )


def build_responses_exchange(forms: dict[str, ToolForm]) -> OneExchange:
    """OpenAI's other dialect, for a client with these tools."""
    head = ResponseHead(response_id="resp_1", created_at=0, model=MODEL, settings=_SETTINGS, forms=forms)
    return OneExchange(
        new_renderer={
            True: lambda: ResponsesRenderer(head=head, sequence=itertools.count()),
            False: _build_whole(lambda answer: render_response(answer, head=head)),
        },
        render_error=render_openai_error,
    )
