"""Tools of the client's that OpenAI's models know by their type alone: as functions, and calls of them as items.

The functions' names and properties are those of the items that carry the calls, so that a history with such items says
the same as the calls that it came from. What the model leaves out or gets wrong takes the type that the item wants:
the client says what is wrong with it.
"""

from kiro2api.protocol.conversation import Tool
from kiro2api.protocol.jsontext import JSON, JSONObject, encode_json

_TEXT: JSONObject = {"type": "string"}
_TIMEOUT: JSONObject = {"type": "integer", "description": "Milliseconds after which it is ended."}
_EDITS = ("update_file", "create_file", "delete_file")

LOCAL_SHELL = Tool(
    name="local_shell",
    description="Runs a command on the user's machine.",
    input_schema={
        "type": "object",
        "properties": {
            "command": {
                "type": "array",
                "items": _TEXT,
                "description": 'The program and its arguments, for example ["bash", "-lc", "ls"].',
            },
            "working_directory": _TEXT | {"description": "Where to run it, if not where the session is."},
            "timeout_ms": _TIMEOUT,
            "env": {"type": "object", "additionalProperties": _TEXT, "description": "More variables."},
        },
        "required": ["command"],
    },
)
SHELL = Tool(
    name="shell",
    description="Runs shell commands on the user's machine, each by itself, and returns what they print.",
    input_schema={
        "type": "object",
        "properties": {
            "commands": {"type": "array", "items": _TEXT, "description": "Lines for the shell, in their order."},
            "timeout_ms": _TIMEOUT,
            "max_output_length": {"type": "integer", "description": "Characters to return of each one's output."},
        },
        "required": ["commands"],
    },
)
APPLY_PATCH = Tool(
    name="apply_patch",
    description="Creates, changes or deletes one file of the user's.",
    input_schema={
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": [*_EDITS], "description": "What to do with the file."},
            "path": _TEXT | {"description": "The file, relative to the root of the workspace."},
            "diff": _TEXT
            | {
                "description": "Not for delete_file. Lines of the file, without headers and line numbers: each begins "
                "with a space if it stays, with - if it goes, with + if it comes; those of a new file all begin with "
                "+. Give some lines that stay around each change. @@ and a line of the file above a change says where "
                "it is, if that is not clear."
            },
        },
        "required": ["type", "path"],
    },
)


def build_exec_action(tool_input: JSONObject) -> JSONObject:
    """What a ``local_shell_call`` does."""
    command = tool_input.get("command")
    env = tool_input.get("env")
    folder = tool_input.get("working_directory")
    words = ["bash", "-lc", command] if isinstance(command, str) else command if isinstance(command, list) else []
    return {
        "type": "exec",
        "command": [_as_text(word) for word in words],
        "env": {name: _as_text(value) for name, value in env.items()} if isinstance(env, dict) else {},
        "timeout_ms": _as_count(tool_input.get("timeout_ms")),
        "working_directory": folder if isinstance(folder, str) else None,
        "user": None,
    }


def list_commands(tool_input: JSONObject) -> list[str]:
    """The commands of a ``shell_call``."""
    commands = tool_input.get("commands")
    if isinstance(commands, str):
        return [commands]
    return [_as_text(command) for command in commands] if isinstance(commands, list) else []


def build_shell_action(tool_input: JSONObject) -> JSONObject:
    """What a ``shell_call`` does."""
    return {
        "commands": [*list_commands(tool_input)],
        "timeout_ms": _as_count(tool_input.get("timeout_ms")),
        "max_output_length": _as_count(tool_input.get("max_output_length")),
    }


def build_patch_operation(tool_input: JSONObject) -> JSONObject:
    """What an ``apply_patch_call`` does."""
    kind = tool_input.get("type")
    operation: JSONObject = {
        "type": kind if kind in _EDITS else _EDITS[0],
        "path": _as_text(tool_input.get("path") or ""),
        "diff": _as_text(tool_input.get("diff") or ""),
    }
    if kind == "delete_file":
        del operation["diff"]
    return operation


def _as_text(value: JSON) -> str:
    return value if isinstance(value, str) else encode_json(value).decode()


def _as_count(value: JSON) -> int | None:
    return value if type(value) is int else None
