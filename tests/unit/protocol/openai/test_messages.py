"""Messages as system prompts and turns."""

import base64

import pytest

from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Image,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.openai.messages import Transcript, parse_messages
from kiro2api.protocol.openai.schema import parse_chat_body

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(10)).decode()
PICTURE = Image(format=ImageFormat.PNG, data=PNG)
USER: JSONObject = {"role": "user", "content": "hi"}
HI = UserTurn(blocks=(Text(text="hi"),))


def transcribe(*messages: JSON) -> Transcript:
    """What the messages say, read as a request has them."""
    body: JSONObject = {"model": "m", "messages": [*messages]}
    return parse_messages(parse_chat_body(body).messages, AttachmentReader())


def system(text: str) -> JSONObject:
    """A system message."""
    return {"role": "system", "content": text}


def call(call_id: str, name: str, arguments: str | None) -> JSONObject:
    """A function call in an assistant's message."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(call_id: str, content: JSON) -> JSONObject:
    """A tool message."""
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def picture(url: str) -> JSONObject:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": url, "detail": "auto"}}


def file(**fields: JSON) -> JSONObject:
    """A file part."""
    return {"type": "file", "file": {**fields}}


def data_url(media_type: str, data: bytes) -> str:
    """``data`` by value."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def user_turn(*texts: str) -> UserTurn:
    """The user's words."""
    return UserTurn(blocks=tuple(Text(text=text) for text in texts))


def assistant_turn(*texts: str) -> AssistantTurn:
    """The model's words."""
    return AssistantTurn(blocks=tuple(Text(text=text) for text in texts))


def test_leading_system_messages() -> None:
    """System and developer messages before all others become the system prompts, part by part, without empty ones."""
    parts: JSON = [{"type": "text", "text": "b"}, {"type": "text", "text": ""}, {"type": "text", "text": "c"}]
    transcript = transcribe(system("a"), {"role": "developer", "content": parts}, USER)
    assert transcript == Transcript(system=("a", "b", "c"), turns=(HI,), repairs=())


ANSWER: JSONObject = {"role": "assistant", "content": "yes"}


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([USER, system("s")], [user_turn("hi", "s")]),
        ([USER, system("s"), ANSWER], [user_turn("hi", "s"), assistant_turn("yes")]),
        ([USER, ANSWER, system("s"), USER], [HI, assistant_turn("yes"), user_turn("s", "hi")]),
        ([USER, ANSWER, system("s")], [HI, assistant_turn("yes"), user_turn("s")]),
        ([USER, ANSWER, system("s"), ANSWER], [HI, assistant_turn("yes"), user_turn("s"), assistant_turn("yes")]),
        ([USER, system(""), USER], [HI, HI]),
    ],
)
def test_later_system_messages(messages: list[JSON], turns: list[UserTurn | AssistantTurn]) -> None:
    """Later system messages become text of the user turn before them, else of the one after them, else their own."""
    assert transcribe(*messages) == Transcript(system=(), turns=tuple(turns), repairs=())


@pytest.mark.parametrize(
    ("messages", "transcript"),
    [
        ([system("a"), system("b")], Transcript(system=("a",), turns=(user_turn("b"),), repairs=())),
        ([system("")], Transcript(system=(), turns=(user_turn(""),), repairs=())),
    ],
)
def test_system_messages_only(messages: list[JSON], transcript: Transcript) -> None:
    """Without any other message the last system text is what the user says."""
    assert transcribe(*messages) == transcript


def test_user_content() -> None:
    """A user's parts keep their order, and consecutive user messages stay apart."""
    parts: JSON = [{"type": "text", "text": "see"}, picture(f"data:image/png;base64,{PNG}")]
    transcript = transcribe({"role": "user", "content": parts, "name": "me"}, {"role": "user", "content": []}, USER)
    turns = (UserTurn(blocks=(Text(text="see"), PICTURE)), user_turn(""), HI)
    assert transcript == Transcript(system=(), turns=turns, repairs=())


def test_wrongly_declared_image_is_noted() -> None:
    """An image of another type than declared gets the type of its bytes, and the change is noted."""
    transcript = transcribe({"role": "user", "content": [picture(f"DATA:image/gif;BASE64,{PNG}")]})
    turn = UserTurn(blocks=(PICTURE,))
    assert transcript == Transcript(system=(), turns=(turn,), repairs=("corrected_image_type",))


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (file(file_data=data_url("text/plain", "grüß".encode())), "grüß"),
        (file(file_data=data_url("application/json", b"{}"), filename="a.json"), "a.json:\n{}"),
    ],
)
def test_text_file(part: JSON, text: str) -> None:
    """A file of text by value is text, under its name if it has one."""
    assert transcribe({"role": "user", "content": [part]}).turns == (user_turn(text),)


@pytest.mark.parametrize(
    ("content", "turn"),
    [
        ({"content": "yes"}, assistant_turn("yes")),
        ({"content": None}, assistant_turn("")),
        ({}, assistant_turn("")),
        ({"content": ""}, assistant_turn("")),
        ({"content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]}, assistant_turn("a", "b")),
        ({"content": None, "refusal": "no"}, assistant_turn("no")),
        (
            {"content": "yes", "reasoning_content": "hm"},
            AssistantTurn(blocks=(Thinking(text="hm"), Text(text="yes"))),
        ),
    ],
)
def test_assistant_content(content: JSONObject, turn: AssistantTurn) -> None:
    """What the model said is kept in each of its forms; a message that says nothing keeps its place."""
    transcript = transcribe(USER, {"role": "assistant", **content})
    assert transcript == Transcript(system=(), turns=(HI, turn), repairs=())


@pytest.mark.parametrize(
    ("arguments", "tool_input", "repairs"),
    [
        ('{"a": 1}', {"a": 1}, ()),
        ("", {}, ()),
        (" \n", {}, ()),
        (None, {}, ()),
        ('{"a": "\\ud83d"}', {"a": "\N{REPLACEMENT CHARACTER}"}, ()),
        ('{"a":', {"arguments": '{"a":'}, ("wrapped_tool_arguments",)),
        ("[1]", {"arguments": "[1]"}, ("wrapped_tool_arguments",)),
    ],
)
def test_arguments(arguments: str | None, tool_input: JSONObject, repairs: tuple[str, ...]) -> None:
    """Arguments are JSON text of an object; other text is handed on as it is, and noted."""
    transcript = transcribe(USER, {"role": "assistant", "tool_calls": [call("c", "f", arguments)]})
    turn = AssistantTurn(blocks=(ToolUse(tool_use_id="c", name="f", input=tool_input),))
    assert transcript == Transcript(system=(), turns=(HI, turn), repairs=repairs)


def test_custom_tool_call() -> None:
    """The free text of a custom tool's call is the property ``input``."""
    custom: JSON = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x = 1"}}
    transcript = transcribe(USER, {"role": "assistant", "content": "so", "tool_calls": [custom]})
    use = ToolUse(tool_use_id="c", name="f", input={"input": "x = 1"})
    assert transcript.turns == (HI, AssistantTurn(blocks=(Text(text="so"), use)))


def test_tool_results_share_a_turn() -> None:
    """Consecutive tool messages become one user turn, whatever stands in them; a user message begins another."""
    parts: JSON = [{"type": "text", "text": "see"}, picture(f"data:;base64,{PNG}")]
    messages = [result("a", "1"), result("b", parts), result("c", ""), result("d", None)]
    transcript = transcribe(USER, ANSWER, *messages, USER)
    results = (
        ToolResult(tool_use_id="a", content=(Text(text="1"),)),
        ToolResult(tool_use_id="b", content=(Text(text="see"), PICTURE)),
        ToolResult(tool_use_id="c", content=()),
        ToolResult(tool_use_id="d", content=()),
    )
    assert transcript.turns == (HI, assistant_turn("yes"), UserTurn(blocks=results), HI)


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        (
            [result("a", ""), system("s"), result("b", "")],
            [
                UserTurn(
                    blocks=(
                        ToolResult(tool_use_id="a", content=()),
                        Text(text="s"),
                        ToolResult(tool_use_id="b", content=()),
                    )
                )
            ],
        ),
        ([USER, result("a", "")], [HI, UserTurn(blocks=(ToolResult(tool_use_id="a", content=()),))]),
    ],
)
def test_tool_results_and_neighbours(messages: list[JSON], turns: list[UserTurn]) -> None:
    """A system message between results stays in place; results never join a turn of the user's words."""
    assert transcribe(*messages).turns == tuple(turns)


def test_function_messages() -> None:
    """The old form, which has no ids, is paired by name with the last call; an orphan gets an id of its own."""
    asked: JSON = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"a":1}'}}
    answers: list[JSON] = [{"role": "function", "name": name, "content": "1"} for name in ("f", "g")]
    transcript = transcribe(USER, asked, *answers)
    use = ToolUse(tool_use_id="call_1_f", name="f", input={"a": 1})
    one = (Text(text="1"),)
    results = (ToolResult(tool_use_id="call_1_f", content=one), ToolResult(tool_use_id="call_g", content=one))
    assert transcript.turns == (HI, AssistantTurn(blocks=(use,)), UserTurn(blocks=results))


AUDIO: JSONObject = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
REFUSAL: JSONObject = {"type": "refusal", "refusal": ""}


def assistant_with(*calls: JSON) -> JSONObject:
    """An assistant's message with tool calls."""
    return {"role": "assistant", "tool_calls": [*calls]}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "critic"}, "role: the role 'critic' is not supported."),
        ({"role": "x" * 50}, f"role: the role '{'x' * 40}' is not supported."),
        ({"role": "user", "content": [AUDIO]}, "content[0]: content of type 'input_audio' is not supported here."),
        ({"role": "user", "content": [REFUSAL]}, "content[0]: content of type 'refusal' is not supported here."),
        (
            {"role": "system", "content": [picture("")]},
            "content[0]: content of type 'image_url' is not supported here.",
        ),
        ({"role": "assistant", "content": [file()]}, "content[0]: content of type 'file' is not supported here."),
        (result("a", [AUDIO]), "content[0]: content of type 'input_audio' is not supported here."),
        (assistant_with({"type": "mcp"}), "tool_calls[0].type: a tool call of type 'mcp' is not supported."),
    ],
)
def test_what_has_no_place_is_named(message: JSON, error: str) -> None:
    """A role, part or call that cannot be handed on is refused by type and path, never dropped."""
    with pytest.raises(InvalidRequestError) as caught:
        transcribe(USER, message)
    assert caught.value.message == f"messages[1].{error}"


FILE_BY_VALUE = "only files by value are accepted; send a data: URL with base64 in file_data."
NO_TEXT = "the document is neither a PDF nor text in UTF-8."


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (file(file_id="f"), FILE_BY_VALUE),
        (file(file_data="https://a.invalid/a.txt"), FILE_BY_VALUE),
        (file(file_data=data_url("application/pdf", b"x")), "the document is declared as a PDF, but is none."),
        (
            file(file_data="data:text/plain;base64,A"),
            "the document is not valid base64: it is cut off or wrongly padded.",
        ),
        (file(file_data=data_url("text/plain", b"\xff")), NO_TEXT),
    ],
)
def test_file_that_is_no_text(part: JSON, error: str) -> None:
    """A file that is not text by value is refused by its path, with the reason."""
    with pytest.raises(InvalidRequestError) as caught:
        transcribe({"role": "user", "content": [part]})
    assert caught.value.message == f"messages[0].content[0].file.file_data: {error}"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "https://a.invalid/a.png",
        "file:///etc/passwd",
        "data:image/png,x",
        "data:image/png;base64,AAAA",
        "",
    ],
)
def test_image_url_that_is_no_image(url: str) -> None:
    """Only images by value are taken: every other URL is refused by its path."""
    with pytest.raises(InvalidRequestError) as caught:
        transcribe({"role": "user", "content": [picture(url)]})
    assert caught.value.path == "messages[0].content[0].image_url.url"


def test_fetching_is_refused_with_advice() -> None:
    """A URL that would have to be fetched is answered with what to send instead."""
    with pytest.raises(InvalidRequestError, match="base64"):
        transcribe({"role": "user", "content": [picture("http://a.invalid/a.png")]})


def test_any_number_of_images_is_understood() -> None:
    """What the upstream has no place for is left out where its message is written."""
    image = picture(f"data:image/png;base64,{PNG}")
    assert transcribe({"role": "user", "content": [image] * 11}).turns[0].blocks == (PICTURE,) * 11
