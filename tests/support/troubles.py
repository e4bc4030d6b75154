"""Answers of the upstream that are none, as scripts for the simulator."""

from kiro2api.simulator.script import Event, ExceptionFrame, Script
from kiro2api.simulator.service import build_error

THROTTLED: Script = [build_error(429, "Slow down.", error_type="ThrottlingException")]
USED_UP: Script = [build_error(402, "Limit reached.", reason="MONTHLY_REQUEST_COUNT")]
TOO_LONG: Script = [build_error(400, "Input is too long.", reason="CONTENT_LENGTH_EXCEEDS_THRESHOLD")]
TOO_LARGE: Script = [build_error(400, "Improperly formed request.")]
"""The older hosts' words for a body that is too large, and for much else."""
NO_CAPACITY: Script = [build_error(500, "Busy.", reason="INSUFFICIENT_MODEL_CAPACITY")]
BROKEN: Script = [
    Event("assistantResponseEvent", {"content": "The answer"}),
    ExceptionFrame("InternalServerException", {"message": "Oh no."}),
]
"""Begins well."""
HALF_A_CALL: Script = [
    Event("toolUseEvent", {"name": "get_weather", "toolUseId": "tooluse_1"}),
    Event("toolUseEvent", {"name": "get_weather", "toolUseId": "tooluse_1", "input": '{"city": "Os'}),
]
"""Ends as if it were whole, in the middle of a tool use."""
