"""Tools that a client runs but names by type only: what the service would tell the model about them.

The parameters are those of Anthropic's documentation of the bash, text editor and memory tools, and
of the types in its SDKs.
"""

import re

from kiro2api.protocol.conversation import Tool
from kiro2api.protocol.jsontext import JSONObject

_TYPE = re.compile(r"(bash|text_editor|memory)_\d{8}")

_FILE_PARAMETERS: JSONObject = {
    "path": {"type": "string", "description": "Absolute path of the file or directory."},
    "view_range": {
        "type": "array",
        "items": {"type": "integer"},
        "description": "For view: first and last line, counted from 1; -1 is the end.",
    },
    "file_text": {"type": "string", "description": "For create: content of the file."},
    "old_str": {"type": "string", "description": "For str_replace: text that occurs once."},
    "new_str": {"type": "string", "description": "For str_replace: text to put in its place."},
    "insert_line": {
        "type": "integer",
        "description": "For insert: line after which to insert; 0 is the beginning.",
    },
    "insert_text": {"type": "string", "description": "For insert: text to insert."},
}

_BASH = Tool(
    name="bash",
    description="Runs a command in a bash shell that lives on between calls.",
    input_schema={
        "type": "object",
        "properties": {
            "command": {"type": "string", "description": "Command to run."},
            "restart": {"type": "boolean", "description": "True to start the shell afresh."},
        },
    },
)
_TEXT_EDITOR = Tool(
    name="str_replace_based_edit_tool",
    description="Views, creates and edits text files.",
    input_schema={
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
            **_FILE_PARAMETERS,
        },
        "required": ["command", "path"],
    },
)
_MEMORY = Tool(
    name="memory",
    description="Keeps notes for later conversations as files below /memories; look there first.",
    input_schema={
        "type": "object",
        "properties": {
            "command": {
                "type": "string",
                "enum": ["view", "create", "str_replace", "insert", "delete", "rename"],
            },
            **_FILE_PARAMETERS,
            "old_path": {"type": "string", "description": "For rename: path as it is."},
            "new_path": {"type": "string", "description": "For rename: path as it is to be."},
        },
        "required": ["command"],
    },
)
_TOOLS = {"bash": _BASH, "text_editor": _TEXT_EDITOR, "memory": _MEMORY}


def find_client_tool(tool_type: str) -> Tool | None:
    """The tool of type ``bash_*``, ``text_editor_*`` or ``memory_*``, whatever its date, under its usual name."""
    match = _TYPE.fullmatch(tool_type)
    return None if match is None else _TOOLS[match[1]]
