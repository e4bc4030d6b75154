"""Steps of an answer as bytes."""

import pytest

from kiro2api.simulator.script import (
    Cut,
    CutBeforeHead,
    ErrorFrame,
    Event,
    ExceptionFrame,
    Frame,
    HangBeforeHead,
    Head,
    Pause,
    Proceed,
    Respond,
    Script,
    Send,
    add_head,
    encode_frame,
)

# The bytes are those that botocore's decoder reads as the frames named beside them.
V1 = (
    "0000007c0000005c3bddcf780b3a6576656e742d74797065070016617373697374616e74526573706f6e7365"
    "4576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d657373"
    "6167652d747970650700056576656e747b22636f6e74656e74223a224869227db02babdc"
)
V3 = (
    "000000840000005d349ee4720f3a657863657074696f6e2d7479706507000f7468726f74746c696e67457272"
    "6f720d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d657373616765"
    "2d74797065070009657863657074696f6e7b226d657373616765223a22736c6f7720646f776e227df287a837"
)
V4 = (
    "0000006900000059e3b723050b3a6572726f722d636f646507000f496e7465726e616c4661696c7572650e3a"
    "6572726f722d6d6573736167650700136261636b656e6420756e617661696c61626c650d3a6d657373616765"
    "2d747970650700056572726f7206351d78"
)


@pytest.mark.parametrize(
    ("frame", "encoded"),
    [
        (Event("assistantResponseEvent", {"content": "Hi"}), V1),
        (ExceptionFrame("throttlingError", {"message": "slow down"}), V3),
        (ErrorFrame("InternalFailure", "backend unavailable"), V4),
    ],
)
def test_frames_have_the_known_bytes(frame: Frame, encoded: str) -> None:
    """Each kind of frame is byte for byte what the format's own vectors say."""
    assert encode_frame(frame).hex() == encoded


@pytest.mark.parametrize("script", [[], [Send(b"x")], [Pause(1.0), Cut()]])
def test_a_script_that_does_not_care_gets_a_head(script: Script) -> None:
    """The head comes before everything else."""
    assert add_head(script) == [Head(), *script]


@pytest.mark.parametrize(
    "script",
    [
        [Pause(1.0), Head(), Send(b"x")],
        [Pause(1.0), Respond(503)],
        [Pause(1.0), Proceed()],
        [HangBeforeHead()],
        [CutBeforeHead()],
    ],
)
def test_a_script_that_decides_about_the_head_stays(script: Script) -> None:
    """Nothing is added to a script that says when the head is sent."""
    assert add_head(script) == script
