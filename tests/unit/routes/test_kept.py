"""Which responses are kept, and which are let go."""

import pytest

from kiro2api.errors import ErrorKind
from kiro2api.protocol.conversation import RedactedThinking, Text, Thinking
from kiro2api.protocol.responses.items import History
from kiro2api.routes.kept import (
    BLOCK_BYTES,
    KeptResponses,
    PreviousResponseNotFoundError,
    ResponseNotFoundError,
    measure_history,
)
from tests.support.conversations import assistant, picture, result, use, user


def said(text: str = "hi", item_id: str = "msg_1") -> History:
    """A short conversation with one item."""
    return History(turns=(user("q"), assistant(text)), items={item_id: Text(text=text)})


def list_kept(kept: KeptResponses, *response_ids: str) -> list[str]:
    """Those of the responses that are kept, without using them."""
    return [response_id for response_id in response_ids if response_id in kept._kept]


def test_what_is_kept_is_found() -> None:
    """By its id, and its items by theirs."""
    kept = KeptResponses()
    kept.add("resp_1", b"{}", said())
    found = kept.find("resp_1")
    assert (found.body, found.history, found.size) == (b"{}", said(), measure_history(said()) + 2)
    assert kept.find_previous("resp_1") == found
    assert kept.find_items(["msg_1", "msg_2"]) == {"msg_1": Text(text="hi")}


def test_what_is_not_kept() -> None:
    """It is refused by its id; with OpenAI's code, if another response was to continue it."""
    with pytest.raises(PreviousResponseNotFoundError, match="'resp_9' not found") as caught:
        KeptResponses().find_previous("resp_9")
    assert (caught.value.path, caught.value.code) == ("previous_response_id", "previous_response_not_found")
    for ask in (KeptResponses().find, KeptResponses().remove):
        with pytest.raises(ResponseNotFoundError, match="'resp_9' not found") as unfound:
            ask("resp_9")
        assert unfound.value.kind is ErrorKind.NOT_FOUND


def test_what_is_removed_is_gone() -> None:
    """With its items and the room that it took; others stay."""
    kept = KeptResponses()
    for number in range(2):
        kept.add(f"resp_{number}", b"{}", said(item_id=f"msg_{number}"))
    kept.remove("resp_0")
    assert list_kept(kept, "resp_0", "resp_1") == ["resp_1"]
    assert list(kept.find_items(["msg_0", "msg_1"])) == ["msg_1"]
    assert (len(kept), kept.size) == (1, kept.find("resp_1").size)


def test_count_is_bounded() -> None:
    """What was used longest ago goes first, with its items; to be referred to is to be used."""
    kept = KeptResponses(max_count=3)
    for number in range(3):
        kept.add(f"resp_{number}", b"", said(item_id=f"msg_{number}"))
    kept.find("resp_0")
    kept.find_items(["msg_1"])
    kept.add("resp_3", b"", said(item_id="msg_3"))
    assert list_kept(kept, "resp_0", "resp_1", "resp_2", "resp_3") == ["resp_0", "resp_1", "resp_3"]
    assert list(kept.find_items(f"msg_{number}" for number in range(4))) == ["msg_0", "msg_1", "msg_3"]
    assert (len(kept), kept.size) == (3, 3 * measure_history(said()))


def test_size_is_bounded() -> None:
    """As many as fit are kept; one that is too large by itself is not, and costs the others nothing."""
    size = measure_history(said("x" * 1000)) + 500
    kept = KeptResponses(max_bytes=2 * size + 1)
    for number in range(3):
        kept.add(f"resp_{number}", b"y" * 500, said("x" * 1000, item_id=f"msg_{number}"))
    kept.add("resp_3", b"", said("x" * 5000))
    assert list_kept(kept, "resp_0", "resp_1", "resp_2", "resp_3") == ["resp_1", "resp_2"]
    assert kept.size == 2 * size


def test_measure() -> None:
    """Every kind of block counts, images and results with what is in them."""
    image = picture()
    history = History(
        turns=(
            user("t" * 1000, image, result("c", "r" * 1000, image)),
            assistant(Thinking(text="t" * 1000, signature="s" * 1000), RedactedThinking(data="d" * 1000)),
            assistant(use("c", tool_input={"a": "b" * 1000})),
        ),
        system=("s" * 1000,),
    )
    blocks = 8
    assert 7000 < measure_history(history) - blocks * BLOCK_BYTES - 2 * len(image.data) < 7500
