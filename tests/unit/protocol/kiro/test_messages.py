"""Tests of single messages: texts, tool uses, tool results, pictures."""

import json

import pytest

from kiro2api.protocol.conversation import AssistantBlock, RedactedThinking, Thinking, UserBlock
from kiro2api.protocol.images import ImageFormat
from kiro2api.protocol.jsontext import JSONObject, encode_json
from kiro2api.protocol.kiro.messages import (
    DROPPED_IMAGE_TEXT,
    INTERRUPTED_TEXT,
    MessageWriter,
    PendingUse,
)
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.schema import encode_wire
from tests.support.conversations import assistant, picture, result, use, user


def write_assistant(*blocks: AssistantBlock | str) -> tuple[JSONObject, set[Repair]]:
    """The model's message as plain values, and the repairs."""
    writer = MessageWriter(model_id="m", names=ToolNames(["read_file", "a.b"]), repairs=set())
    message, _ = writer.build_assistant(assistant(*blocks).blocks)
    return json.loads(encode_json(message)), writer.repairs


def write_user(*blocks: UserBlock | str, uses: tuple[str, ...] = ()) -> tuple[JSONObject, set[Repair]]:
    """The user's message as plain values, and the repairs."""
    pending = [PendingUse(call=use(tool_use_id), upstream_id=tool_use_id) for tool_use_id in uses]
    writer = MessageWriter(model_id="m", names=ToolNames(), repairs=set())
    message = writer.build_user(user(*blocks).blocks, pending)
    return json.loads(encode_wire(message)), writer.repairs


def said(content: str, **members: object) -> dict[str, object]:
    """A user's message with the members that each has."""
    return {"content": content, "modelId": "m", "origin": "AI_EDITOR", **members}


def answered(*rows: tuple[str, str, list[str]]) -> dict[str, object]:
    """A context with results of id, status and texts."""
    return {
        "toolResults": [
            {"toolUseId": tool_use_id, "status": status, "content": [{"text": text} for text in texts]}
            for tool_use_id, status, texts in rows
        ]
    }


@pytest.mark.parametrize(
    ("blocks", "content", "repairs"),
    [
        (("hi",), "hi", set()),
        ((" a ", "", " \n", "b"), " a \nb", set()),
        ((), "(no text)", {Repair.FILLED_EMPTY_TEXT}),
        ((" ",), "(no text)", {Repair.FILLED_EMPTY_TEXT}),
        ((Thinking(text="hm"), "hi"), "hi", {Repair.DROPPED_THINKING}),
        ((RedactedThinking(data="x"),), "(no text)", {Repair.DROPPED_THINKING, Repair.FILLED_EMPTY_TEXT}),
    ],
)
def test_assistant_text(blocks: tuple[AssistantBlock | str, ...], content: str, repairs: set[Repair]) -> None:
    """Texts are joined, blank ones and reasoning left out, and nothing at all gets a neutral sentence."""
    assert write_assistant(*blocks) == ({"content": content}, repairs)


@pytest.mark.parametrize(
    ("blocks", "repairs"),
    [
        ((use("toolu_1", "read_file", {"path": "a"}),), set()),
        ((Thinking(text="hm"), " ", use("toolu_1", "read_file", {"path": "a"})), {Repair.DROPPED_THINKING}),
        ((use("toolu_1", "read_file", {"path": "a"}),) * 2, {Repair.DROPPED_DUPLICATE_USE}),
    ],
)
def test_assistant_with_tool_use_needs_no_text(blocks: tuple[AssistantBlock | str, ...], repairs: set[Repair]) -> None:
    """The text stays empty beside a tool use, and the same use twice is one."""
    uses = [{"toolUseId": "toolu_1", "name": "read_file", "input": {"path": "a"}}]
    assert write_assistant(*blocks) == ({"content": "", "toolUses": uses}, repairs)


def test_assistant_uses_get_upstream_names_and_ids() -> None:
    """Names and ids are legal, and the same id for two different uses becomes two."""
    writer = MessageWriter(model_id="m", names=ToolNames(["a.b"]), repairs=set())
    blocks = assistant(use("c|1", "a.b", {"": 1}), use("t"), use("t", "read_file", {"x": 1})).blocks
    message, pending = writer.build_assistant(blocks)
    ids = [entry.tool_use_id for entry in message.tool_uses]
    alias = ToolNames(["a.b"]).to_upstream("a.b")
    assert [entry.name for entry in message.tool_uses] == [alias, "read_file", "read_file"]
    assert [entry.input for entry in message.tool_uses] == [{"_": 1}, {}, {"x": 1}]
    assert [item.call for item in pending] == list(blocks)
    assert [item.upstream_id for item in pending] == ids
    assert (ids[1], len(set(ids))) == ("t", 3)
    assert writer.repairs == {Repair.RENAMED_TOOL_USE_ID, Repair.RENAMED_INPUT_KEY}


@pytest.mark.parametrize(
    ("blocks", "content", "repairs"),
    [
        (("hi", "", "you\0"), "hi\nyou\0", set()),
        ((), "(no text)", {Repair.FILLED_EMPTY_TEXT}),
        (("\n",), "(no text)", {Repair.FILLED_EMPTY_TEXT}),
        (
            ("a", result("t", "x", " ", "y"), "b"),
            "a\n[Result of an earlier tool use]\nx\ny\n[End of the result]\nb",
            {Repair.ORPHAN_RESULT_AS_TEXT},
        ),
        (
            (result("t", is_error=True),),
            "[Error result of an earlier tool use]\n(no output)\n[End of the result]",
            {Repair.ORPHAN_RESULT_AS_TEXT},
        ),
    ],
)
def test_user_text(blocks: tuple[UserBlock | str, ...], content: str, repairs: set[Repair]) -> None:
    """Texts are joined, results that answer nothing are told in place, and nothing at all gets a sentence."""
    assert write_user(*blocks) == (said(content), repairs)


@pytest.mark.parametrize(
    ("blocks", "row", "repairs"),
    [
        ((result("t", "x"),), ("t", "success", ["x"]), set()),
        ((" ", result("t", "x", "", "y", is_error=True)), ("t", "error", ["x", "y"]), set()),
        ((result("t"),), ("t", "success", ["(no output)"]), {Repair.FILLED_EMPTY_RESULT}),
        (
            (result("t", " ", is_error=True),),
            ("t", "error", ["(the tool failed without output)"]),
            {Repair.FILLED_EMPTY_RESULT},
        ),
        ((), ("t", "error", [INTERRUPTED_TEXT]), {Repair.SYNTHESISED_RESULT}),
        ((result("t", "x"), result("t", "x")), ("t", "success", ["x"]), {Repair.DROPPED_DUPLICATE_RESULT}),
    ],
)
def test_user_answers_a_tool_use(
    blocks: tuple[UserBlock | str, ...], row: tuple[str, str, list[str]], repairs: set[Repair]
) -> None:
    """A use has one result with at least one text, beside which the message needs no text."""
    expected = said("", userInputMessageContext=answered(row))
    assert write_user(*blocks, uses=("t",)) == (expected, repairs)


def test_second_result_for_a_use_is_told_as_text() -> None:
    """Another result for the same use is not lost."""
    content = "[Result of an earlier tool use]\ny\n[End of the result]"
    expected = said(content, userInputMessageContext=answered(("t", "success", ["x"])))
    assert write_user(result("t", "x"), result("t", "y"), uses=("t",)) == (expected, {Repair.ORPHAN_RESULT_AS_TEXT})


def test_results_stand_in_the_order_of_the_uses() -> None:
    """The client's order of results does not matter; what it says beside them stays."""
    rows = (("a", "success", ["1"]), ("b", "error", [INTERRUPTED_TEXT]), ("c", "success", ["3"]))
    expected = said("hi", userInputMessageContext=answered(*rows))
    blocks = (result("c", "3"), "hi", result("a", "1"))
    assert write_user(*blocks, uses=("a", "b", "c")) == (
        expected,
        {Repair.SYNTHESISED_RESULT, Repair.REORDERED_RESULTS},
    )


def test_results_of_one_id_answer_the_uses_in_turn() -> None:
    """Two uses that shared an id get the results of that id one after the other."""
    pending = [PendingUse(call=use("t"), upstream_id="t"), PendingUse(call=use("t"), upstream_id="t_2")]
    writer = MessageWriter(model_id="m", names=ToolNames(), repairs=set())
    message = writer.build_user(user(result("t", "1"), result("t", "2")).blocks, pending)
    context = answered(("t", "success", ["1"]), ("t_2", "success", ["2"]))
    assert json.loads(encode_json(message)) == said("", userInputMessageContext=context)
    assert writer.repairs == set()


def block(number: int, image_format: ImageFormat = ImageFormat.PNG) -> dict[str, object]:
    """A picture on the wire."""
    return {"format": image_format.value, "source": {"bytes": picture(number).data}}


def test_pictures_stand_beside_the_text() -> None:
    """A user's pictures keep their order and their format."""
    jpeg = picture(2, ImageFormat.JPEG)
    images = [block(1), {"format": "jpeg", "source": {"bytes": jpeg.data}}]
    assert write_user(picture(1), "hi", jpeg) == (said("hi", images=images), set())


def test_picture_alone_gets_a_text() -> None:
    """The upstream wants text, too."""
    assert write_user(picture(1)) == (said("(no text)", images=[block(1)]), {Repair.FILLED_EMPTY_TEXT})


def test_pictures_of_results_are_lifted_in_the_order_of_the_uses() -> None:
    """Pictures of results come before the user's own, and the result says which is which."""
    blocks = (picture(3), result("b", picture(2)), result("a", "x", picture(1)))
    rows = (("a", "success", ["x", "[image 1 attached]"]), ("b", "success", ["[image 2 attached]"]))
    images = [block(1), block(2), block(3)]
    expected = said("", images=images, userInputMessageContext=answered(*rows))
    assert write_user(*blocks, uses=("a", "b")) == (expected, {Repair.LIFTED_IMAGES, Repair.REORDERED_RESULTS})


def test_picture_of_an_orphan_result_is_kept() -> None:
    """A result that is told as text keeps its picture beside the message."""
    content = "[Result of an earlier tool use]\n[End of the result]"
    assert write_user(result("t", picture(1))) == (
        said(content, images=[block(1)]),
        {Repair.ORPHAN_RESULT_AS_TEXT},
    )


def test_ten_pictures_stay() -> None:
    """The upstream's number of pictures is not cut."""
    pictures = [picture(number) for number in range(10)]
    assert write_user("hi", *pictures) == (said("hi", images=[block(number) for number in range(10)]), set())


def test_of_too_many_pictures_the_last_stay() -> None:
    """Pictures beyond the upstream's number leave a note where they stood, in results and in the user's text."""
    pictures = [picture(number) for number in range(2, 12)]
    context = answered(("t", "success", [DROPPED_IMAGE_TEXT]))
    images = [block(number) for number in range(2, 12)]
    expected = said(f"{DROPPED_IMAGE_TEXT}\nhi", images=images, userInputMessageContext=context)
    given = write_user(result("t", picture(0)), picture(1), "hi", *pictures, uses=("t",))
    assert given == (expected, {Repair.DROPPED_IMAGES})
