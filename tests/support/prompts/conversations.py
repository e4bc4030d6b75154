"""Whole conversations like an agent's, and how one is written out to be counted."""

from collections.abc import Iterator, Mapping

from kiro2api.protocol.conversation import (
    AssistantBlock,
    AssistantTurn,
    Conversation,
    Image,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    UserBlock,
    UserTurn,
)
from kiro2api.protocol.jsontext import JSONObject, encode_json
from tests.support.prompts.texts import PARTS, draw

TOOL_INSTRUCTIONS_TOKENS = 346
"""What Anthropic has published for the instructions that its service puts before the first tool."""


def build_tool(name: str, description: str, **properties: str) -> Tool:
    """A tool whose properties are all strings, described so."""
    schema: JSONObject = {
        "type": "object",
        "properties": {key: {"type": "string", "description": text} for key, text in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
        "$schema": "http://json-schema.org/draft-07/schema#",
    }
    return Tool(name=name, description=description, input_schema=schema)


def build_tools(guide: str) -> tuple[Tool, ...]:
    """The tools of an agent in a terminal; one has a long description, as theirs have."""
    return (
        build_tool(
            "Read",
            "Reads a file from the local filesystem. The result has line numbers, starting at 1.",
            file_path="The absolute path to the file to read",
            offset="The line number to start reading from, for files that are too large to read at once",
            limit="The number of lines to read",
        ),
        build_tool(
            "Bash", f"Runs a command in a shell and returns its output.\n\n{guide}", command="The command to run"
        ),
        build_tool(
            "Edit",
            "Replaces one string in a file by another. It fails if the old string is not there exactly once.",
            file_path="The absolute path to the file to modify",
            old_string="The text to replace",
            new_string="The text to replace it with",
        ),
        build_tool(
            "Grep", "Searches files for a regular expression.", pattern="The expression", path="Where to search"
        ),
        build_tool("TodoWrite", "Keeps the list of what is left to do.", todos="The whole list, as JSON"),
    )


def build_services(count: int) -> tuple[Tool, ...]:
    """Tools as servers of other makers offer them, many at once."""
    return tuple(
        build_tool(
            f"mcp__harbour__{verb}_{PARTS[number % 6]}_{number}",
            f"{verb.capitalize()}s {PARTS[number % 6]} of the harbour; returns JSON with at most 50 records.",
            harbour_id="The harbour's id, for example 'NOBGO'",
            since="Only records after this moment (ISO 8601)",
            fieldNames="Comma-separated names of the fields to return",
        )
        for number in range(count)
        for verb in ("list",)
    )


def use_tool(
    number: int, name: str, tool_input: JSONObject, result: str, words: str = ""
) -> Iterator[AssistantTurn | UserTurn]:
    """A call of a tool, with some words before it, and its result."""
    tool_use_id = f"toolu_{draw(f'use {number}', 10**12):012}"
    said: tuple[AssistantBlock, ...] = (Text(text=words),) if words else ()
    yield AssistantTurn(blocks=(*said, ToolUse(tool_use_id=tool_use_id, name=name, input=tool_input)))
    yield UserTurn(blocks=(ToolResult(tool_use_id=tool_use_id, content=(Text(text=result),)),))


def read_files(texts: Mapping[str, str], *names: str) -> Iterator[AssistantTurn | UserTurn]:
    """An agent that looks at one file after the other."""
    for number, name in enumerate(names):
        path = f"/home/margaret/harbour/{PARTS[number % 6]}/{name.replace(' ', '_')}.txt"
        yield from use_tool(number, "Read", {"file_path": path}, texts[name], "Let me look at that file next.")


def run_commands(count: int, texts: Mapping[str, str], *names: str) -> Iterator[AssistantTurn | UserTurn]:
    """An agent that runs many commands, with short and long results."""
    for number in range(count):
        command = f"cd /srv/harbour && pytest -q tests/{PARTS[number % 6]} -k 'stay or berth' 2>&1 | tail -{number + 5}"
        result = texts[names[number % len(names)]] if number % 3 == 0 else f"{number + 2} passed in 0.{number:02}s\n"
        yield from use_tool(number, "Bash", {"command": command}, result)


def ask(text: str) -> UserTurn:
    """A question of the user."""
    return UserTurn(blocks=(Text(text=text),))


def build_conversations(texts: Mapping[str, str]) -> dict[str, Conversation]:
    """All conversations by their names."""
    guide, tools = texts["markdown"], build_tools(texts["markdown"])

    def build(
        *turns: AssistantTurn | UserTurn, system: tuple[str, ...] = (guide,), tools: tuple[Tool, ...] = tools
    ) -> Conversation:
        return Conversation(model="claude-sonnet-4-5", turns=turns, system=system, tools=tools)

    thought = AssistantTurn(blocks=(Thinking(text=texts["english"], signature="c2ln"), Text(text="The slips decide.")))
    edit: JSONObject = {
        "file_path": "/home/margaret/harbour/book.py",
        "old_string": texts["python"][600:1200],
        "new_string": texts["python"][700:1500],
    }
    return {
        "one question": build(ask("Why is the sky blue at noon, and red in the evening?"), system=(), tools=()),
        "a chat": build(ask(texts["english"]), thought, ask("And in German?"), system=("Be brief.",), tools=()),
        "first request of an agent": build(ask("Fix the failing test in tests/test_book.py.")),
        "one tool": build(ask("Which boats leave tomorrow?"), system=(), tools=tools[:1]),
        "reading sources": build(
            ask("Explain how bookings work."), *read_files(texts, "python", "go", "typescript", "rust", "sql", "html")
        ),
        "many commands": build(ask("Make the tests pass."), *run_commands(30, texts, "log", "stack trace", "diff")),
        "an edit": build(ask("Refuse long stays."), *use_tool(1, "Edit", edit, "The file has been updated.")),
        "data": build(ask("What is wrong here?"), *read_files(texts, "json", "table", "lockfile", "base64", "listing")),
        "forty tools": build(ask("List the stays of July."), tools=(*tools, *build_services(40))),
        "Chinese": build(ask(texts["chinese"]), *read_files(texts, "python", "log"), ask("谢谢,请继续。")),
        "Russian": build(ask(texts["russian"]), *read_files(texts, "shell", "diff"), ask("Спасибо, продолжай.")),
        "Japanese": build(ask(texts["japanese"]), *read_files(texts, "rust"), ask("続けてください。")),
        "a long session": build(
            ask(texts["german"]),
            *run_commands(60, texts, "listing", "minified", "json", "english", "shell"),
            *read_files(texts, "python", "typescript", "markdown", "diff", "log"),
            thought,
        ),
    }


def write_out(conversation: Conversation) -> str:
    """The conversation as one text: declarations as lines of JSON, turns with who speaks, calls and results in tags."""
    tools = (
        encode_json({"description": tool.description, "name": tool.name, "parameters": tool.input_schema}).decode()
        for tool in conversation.tools
    )
    functions = [f"<function>{line}</function>" for line in tools]
    frame = ["<functions>", *functions, "</functions>"] if functions else []
    turns = (
        f"\n\n{'Human' if isinstance(turn, UserTurn) else 'Assistant'}: "
        + "\n".join(_write_block(block) for block in turn.blocks)
        for turn in conversation.turns
    )
    return "\n".join((*frame, *conversation.system)) + "".join(turns) + "\n\nAssistant:"


def _write_block(block: UserBlock | AssistantBlock) -> str:
    match block:
        case Text(text=text):
            return text
        case Thinking(text=text):
            return f"<thinking>{text}</thinking>"
        case ToolUse():
            call = encode_json(block.input).decode()
            return f'<function_call id="{block.tool_use_id}" name="{block.name}">{call}</function_call>'
        case ToolResult():
            result = "\n".join(_write_block(part) for part in block.content)
            return f'<function_result id="{block.tool_use_id}">{result}</function_result>'
        case Image() | RedactedThinking():
            raise ValueError("no vocabulary counts this")
