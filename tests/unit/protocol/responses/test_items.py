"""Items as system prompts and turns."""

import base64

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.attachments import AttachmentReader
from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.responses import schema
from kiro2api.protocol.responses.items import FOREIGN_ITEMS, History, Transcript, list_references, parse_items
from kiro2api.protocol.responses.reasoning import REDACTED_MARK, SIGNATURE_MARK, build_encrypted_content
from kiro2api.protocol.responses.schema import parse_responses_body
from tests.support.conversations import assistant, result, use, user

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(10)).decode()
HI = user("hi")
YES = assistant("yes")
REFERENCES: dict[str, AssistantBlock] = {
    "msg_1": Text(text="yes"),
    "fc_1": ToolUse(tool_use_id="c", name="f", input={}),
}


def read(items: JSON) -> list[schema.Item]:
    """The items as a request has them."""
    return parse_responses_body({"model": "m", "input": items}).input or []


def transcribe(*items: JSON, before: History | None = None) -> Transcript:
    """What the items say."""
    return parse_items(read([*items]), AttachmentReader(), before=before or History(), references=REFERENCES)


def said(*turns: UserTurn | AssistantTurn, system: tuple[str, ...] = (), repairs: tuple[str, ...] = ()) -> Transcript:
    """What comes out."""
    return Transcript(history=History(system=system, turns=turns), repairs=repairs)


def message(role: str, content: JSON) -> JSONObject:
    """A message."""
    return {"type": "message", "role": role, "content": content}


def call(call_id: str = "c", arguments: str | None = "{}", **fields: JSON) -> JSONObject:
    """A call of the function ``f``."""
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments, **fields}


def output(call_id: str = "c", content: JSON = "o") -> JSONObject:
    """What a function gave."""
    return {"type": "function_call_output", "call_id": call_id, "output": content}


def system(text: str) -> JSONObject:
    """What the developer says."""
    return message("developer", text)


USER = message("user", "hi")
ANSWER = message("assistant", [{"type": "output_text", "text": "yes"}])


def test_leading_system_messages() -> None:
    """System and developer messages before all others become the system prompts, without empty ones."""
    parts: JSON = [{"type": "input_text", "text": text} for text in ("b", "", "c")]
    assert transcribe(message("system", "a"), message("developer", parts), USER) == said(HI, system=("a", "b", "c"))


@pytest.mark.parametrize(
    ("items", "turns"),
    [
        ([USER, system("s")], [user("hi", "s")]),
        ([USER, system("s"), ANSWER], [user("hi", "s"), YES]),
        ([USER, ANSWER, system("s"), USER], [HI, YES, user("s", "hi")]),
        ([USER, ANSWER, system("s")], [HI, YES, user("s")]),
        ([USER, ANSWER, system("s"), ANSWER], [HI, YES, user("s"), YES]),
        ([call(), system("s"), output()], [assistant(use("c", "f")), user("s", result("c", "o"))]),
    ],
)
def test_later_system_messages(items: list[JSON], turns: list[UserTurn | AssistantTurn]) -> None:
    """Later system messages become text of the user turn before them, else of the one after them, else their own."""
    assert transcribe(*items) == said(*turns)


def test_system_messages_only() -> None:
    """Without any other item the last system text is what the user says."""
    assert transcribe(system("a"), system("b")) == said(user("b"), system=("a",))


@pytest.mark.parametrize("items", [[], [system("")], [message("assistant", "")]])
def test_nothing_said(items: list[JSON]) -> None:
    """What says nothing is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        transcribe(*items)
    assert caught.value.message == "input: says nothing that could be answered."


def test_user_content() -> None:
    """A user's parts keep their order, and consecutive user messages stay apart, even empty ones."""
    parts: JSON = [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": f"data:image/jpeg;base64,{PNG}"},
    ]
    picture = Image(format=ImageFormat.PNG, data=PNG)
    transcript = transcribe(message("user", parts), message("user", []), USER)
    assert transcript == said(user("see", picture), user(""), HI, repairs=("corrected_image_type",))


def test_items_of_one_answer_are_one_turn() -> None:
    """So are the results that follow, up to the user's next words."""
    items = [USER, ANSWER, call("c"), call("d"), output("c"), output("d", []), USER]
    uses = assistant("yes", use("c", "f"), use("d", "f"))
    assert transcribe(*items) == said(HI, uses, user(result("c", "o"), result("d")), HI)


@pytest.mark.parametrize(
    ("item", "block"),
    [
        (call(arguments='{"a": 1}'), use("c", "f", {"a": 1})),
        (call(arguments=None), use("c", "f")),
        (call(arguments=" "), use("c", "f")),
        (call(namespace="n"), use("c", "n__f")),
        ({"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "i"}, use("c", "p", {"input": "i"})),
        (
            {"type": "local_shell_call", "id": "c", "action": {"type": "exec", "command": ["ls"]}},
            use("c", "local_shell", {"command": ["ls"]}),
        ),
        (
            {"type": "shell_call", "call_id": "c", "id": "x", "action": {"commands": ["ls"], "timeout_ms": None}},
            use("c", "shell", {"commands": ["ls"]}),
        ),
        (
            {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file", "path": "a"}},
            use("c", "apply_patch", {"type": "delete_file", "path": "a"}),
        ),
        ({"type": "item_reference", "id": "fc_1"}, use("c", "f")),
        ({"id": "msg_1"}, Text(text="yes")),
    ],
)
def test_what_the_model_said(item: JSONObject, block: AssistantBlock) -> None:
    """Each kind of call is a tool use; a reference is what it refers to."""
    assert transcribe(item) == said(assistant(block))


@pytest.mark.parametrize("arguments", ["{", "[1]"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """They become part of one, which is noted."""
    expected = assistant(use("c", "f", {"arguments": arguments}))
    assert transcribe(call(arguments=arguments)) == said(expected, repairs=("wrapped_tool_arguments",))


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"type": "custom_tool_call_output", "call_id": "c", "output": "o"}, "o"),
        ({"type": "local_shell_call_output", "id": "c", "output": "o"}, "o"),
        ({"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "o"}]}, '[{"stdout":"o"}]'),
    ],
)
def test_what_tools_gave(item: JSONObject, text: str) -> None:
    """Each kind of output is a tool result."""
    assert transcribe(item) == said(user(result("c", text)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "completed"}, result("c")),
        ({"status": "completed", "output": "o"}, result("c", "o")),
        ({"status": "failed"}, result("c", is_error=True)),
        ({"status": "failed", "output": "o"}, result("c", "o", is_error=True)),
    ],
)
def test_what_became_of_a_file(fields: JSONObject, expected: ToolResult) -> None:
    """A change that could not be made is an error, also where nothing more is said of it."""
    item: JSONObject = {"type": "apply_patch_call_output", "call_id": "c", **fields}
    assert transcribe(item) == said(user(expected))


def test_image_that_a_tool_gave() -> None:
    """It is part of the result."""
    content: JSON = [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]
    assert transcribe(output(content=content)) == said(user(result("c", Image(format=ImageFormat.PNG, data=PNG))))


@pytest.mark.parametrize(
    "block", [Thinking(text="a", signature="s"), Thinking(text="", signature="s"), RedactedThinking(data="d")]
)
def test_reasoning_comes_back(block: Thinking | RedactedThinking) -> None:
    """What the upstream signed or enciphered is what it was."""
    summary: JSON = [{"type": "summary_text", "text": block.text}] if isinstance(block, Thinking) else []
    item: JSON = {
        "type": "reasoning",
        "id": "r",
        "summary": summary,
        "encrypted_content": build_encrypted_content(block),
    }
    assert transcribe(USER, item, ANSWER) == said(HI, assistant(block, "yes"))


@pytest.mark.parametrize("encrypted", [None, "gAAAA", f"x{SIGNATURE_MARK}", f"x{REDACTED_MARK}"])
def test_foreign_reasoning(encrypted: str | None) -> None:
    """What the upstream did not sign is left out, which is noted."""
    summary: JSON = [{"type": "summary_text", "text": "a"}]
    item: JSON = {"type": "reasoning", "summary": summary, "encrypted_content": encrypted}
    assert transcribe(USER, item, ANSWER) == said(HI, YES, repairs=("dropped_reasoning",))


@pytest.mark.parametrize("name", sorted(FOREIGN_ITEMS))
def test_foreign_items(name: str) -> None:
    """What another service did is left out, which is noted."""
    assert transcribe(USER, {"type": name, "id": "x"}) == said(HI, repairs=(f"dropped_item:{name}",))


@pytest.mark.parametrize(
    ("item", "path", "message_text"),
    [
        (message("robot", "a"), "input[1].role", "the role 'robot' is not supported."),
        ({"type": "song"}, "input[1].type", "an item of type 'song' is not supported."),
        (message("user", [{"type": "song"}]), "input[1].content[0]", "content of type 'song' is not supported here."),
        (output(content=[{"type": "song"}]), "input[1].output[0]", "content of type 'song' is not supported here."),
        ({"type": "shell_call", "action": {}}, "input[1].call_id", "Field required"),
        ({"type": "shell_call_output"}, "input[1].call_id", "Field required"),
    ],
)
def test_what_has_no_place(item: JSON, path: str, message_text: str) -> None:
    """It is refused where it stands."""
    with pytest.raises(InvalidRequestError) as caught:
        transcribe(USER, item)
    assert (caught.value.path, caught.value.message) == (path, f"{path}: {message_text}")


def test_unknown_reference() -> None:
    """What is not kept is refused by its id."""
    with pytest.raises(InvalidRequestError, match="Item with id 'msg_9' not found") as caught:
        transcribe(USER, {"type": "item_reference", "id": "msg_9"})
    assert (caught.value.path, caught.value.kind) == ("input[1].id", ErrorKind.NOT_FOUND)


def test_references_are_listed() -> None:
    """In their order."""
    assert list_references(read([{"id": "a"}, USER, {"id": "b"}])) == ["a", "b"]


def test_continuation() -> None:
    """What came before stands first; system messages are folded into turns from then on."""
    before = History(system=("s",), turns=(HI, YES), items={"msg_1": Text(text="yes")})
    transcript = transcribe(system("t"), USER, before=before)
    assert transcript == said(HI, YES, user("t", "hi"), system=("s",))


def test_additional_tools() -> None:
    """They are added to those of before."""
    old, new = schema.FunctionTool(name="a"), schema.FunctionTool(name="b")
    item: JSON = {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "b"}]}
    assert transcribe(item, USER, before=History(tools=(old,))).history.tools == (old, new)
