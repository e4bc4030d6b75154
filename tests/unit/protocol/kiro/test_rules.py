"""The rules of the upstream's requests, by name: what breaks each, and what is made of it.

A conversation that breaks a rule is repaired, and the repair recorded; a body that cannot be repaired is refused where
the client wrote it. What comes out is taken by the simulated service, which knows the same rules from its own sources.
"""

import json
from dataclasses import dataclass

import pytest

from kiro2api.protocol.anthropic.request import parse_messages_request
from kiro2api.protocol.bodies import REPLACED_SURROGATES
from kiro2api.protocol.conversation import (
    AssistantTurn,
    Conversation,
    Thinking,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    UserTurn,
)
from kiro2api.protocol.errors import InvalidRequestError
from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.protocol.kiro.names import ToolNames
from kiro2api.protocol.kiro.repairs import Repair
from kiro2api.protocol.kiro.request import UpstreamRequest, build_request
from kiro2api.protocol.kiro.simplification import simplify_schemas
from kiro2api.protocol.openai.request import parse_chat_request
from kiro2api.simulator.refusals import Rule
from kiro2api.simulator.validation import validate_request
from tests.support.conversations import assistant, nest, picture, result, use, user

MODEL = "claude-sonnet-4.5"
LIMIT = 200
"""Characters of a description."""
EMPTY: JSONObject = {"type": "object", "properties": {}}
READ = Tool(name="read_file", description="Reads.", input_schema=EMPTY)
LINKED: JSONObject = {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"type": "string"}}}

type Turns = tuple[UserTurn | AssistantTurn, ...]


def talk(
    *turns: UserTurn | AssistantTurn,
    tools: tuple[Tool, ...] = (READ,),
    system: tuple[str, ...] = (),
    choice: ToolChoice | None = None,
) -> Conversation:
    """A conversation with one tool."""
    return Conversation(model="m", turns=turns, tools=tools, system=system, tool_choice=choice or ToolChoice())


def ask(**tool: str | JSONObject) -> Conversation:
    """A question beside one tool, which differs from a good one in the given members."""
    name, description, schema = (tool.get(key) for key in ("name", "description", "input_schema"))
    return talk(
        user("a"),
        tools=(
            Tool(
                name=name if isinstance(name, str) else "read_file",
                description=description if isinstance(description, str) else "Reads.",
                input_schema=schema if isinstance(schema, dict) else EMPTY,
            ),
        ),
    )


def work(*blocks: JSON) -> Conversation:
    """A question, a tool use with this input for each block, and the results."""
    uses = [use(str(number), "read_file", {"x": block}) for number, block in enumerate(blocks)]
    return talk(user("a"), assistant(*uses), user(*(result(item.tool_use_id, "x") for item in uses)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A rule, a conversation that breaks it, the repairs, and words that the upstream gets instead."""

    rule: str
    broken: Conversation
    repairs: tuple[Repair, ...]
    sent: str = ""


ROWS = (
    # The order of turns.
    Repaired(
        rule="the first message is the user's",
        broken=talk(assistant("b"), user("c")),
        repairs=(Repair.PREPENDED_USER_TURN, Repair.FILLED_EMPTY_TEXT),
        sent='"history":[{"userInputMessage":{"content":"(no text)"',
    ),
    Repaired(
        rule="the first message is not tool results alone",
        broken=talk(user(result("t", "x")), assistant("b"), user("c")),
        repairs=(Repair.ORPHAN_RESULT_AS_TEXT,),
        sent=r"[Result of an earlier tool use]\nx\n[End of the result]",
    ),
    Repaired(
        rule="the last message is the user's",
        broken=talk(user("a"), assistant("b")),
        repairs=(Repair.APPENDED_CONTINUE,),
        sent='"currentMessage":{"userInputMessage":{"content":"Continue"',
    ),
    Repaired(
        rule="the sides alternate",
        broken=talk(user("a"), user("b"), assistant("c"), assistant("d"), user("e")),
        repairs=(Repair.MERGED_TURNS,),
        sent=r'{"assistantResponseMessage":{"content":"c\nd"}}',
    ),
    # Tool uses and their results.
    Repaired(
        rule="a tool use is answered",
        broken=talk(user("a"), assistant(use("t")), user("b")),
        repairs=(Repair.SYNTHESISED_RESULT,),
        sent='"toolUseId":"t","status":"error"',
    ),
    Repaired(
        rule="a tool result stands behind tool uses",
        broken=talk(user("a"), assistant("b"), user(result("t", "x"))),
        repairs=(Repair.ORPHAN_RESULT_AS_TEXT,),
        sent="[Result of an earlier tool use]",
    ),
    Repaired(
        rule="a tool result answers a use of the message before",
        broken=talk(user("a"), assistant(use("t")), user(result("t", "x"), result("u", "y"))),
        repairs=(Repair.ORPHAN_RESULT_AS_TEXT,),
        sent=r"[Result of an earlier tool use]\ny",
    ),
    Repaired(
        rule="a tool use has one result",
        broken=talk(user("a"), assistant(use("t")), user(result("t", "x"), result("t", "x"))),
        repairs=(Repair.DROPPED_DUPLICATE_RESULT,),
    ),
    Repaired(
        rule="results stand in the order of the uses",
        broken=talk(user("a"), assistant(use("t"), use("u")), user(result("u", "y"), result("t", "x"))),
        repairs=(Repair.REORDERED_RESULTS,),
    ),
    Repaired(
        rule="a tool use stands once",
        broken=talk(user("a"), assistant(use("t"), use("t")), user(result("t", "x"))),
        repairs=(Repair.DROPPED_DUPLICATE_USE,),
    ),
    Repaired(
        rule="ids of tool uses are unique",
        broken=talk(
            user("a"), assistant(use("t")), user(result("t", "x")), assistant(use("t")), user(result("t", "y"))
        ),
        repairs=(Repair.RENAMED_TOOL_USE_ID,),
    ),
    Repaired(
        rule="ids of tool uses are short and of plain letters",
        broken=talk(user("a"), assistant(use("call|1/2")), user(result("call|1/2", "x"))),
        repairs=(Repair.RENAMED_TOOL_USE_ID,),
        sent='"toolUseId":"call_1_2_',
    ),
    Repaired(
        rule="a tool result has content",
        broken=talk(user("a"), assistant(use("t")), user(result("t", " "))),
        repairs=(Repair.FILLED_EMPTY_RESULT,),
        sent='"content":[{"text":"(no output)"}]',
    ),
    Repaired(
        rule="the same failure is told with its number",
        broken=talk(
            user("a"),
            *(
                turn
                for item in "123"
                for turn in (assistant(use(item, "read_file", {"x": 1})), user(result(item, "no", is_error=True)))
            ),
        ),
        repairs=(Repair.EXPLAINED_REPEATED_FAILURE,),
        sent='"content":[{"text":"no"},{"text":"[This exact call has now failed 3 times,',
    ),
    Repaired(
        rule="pictures stand beside results",
        broken=talk(user("a"), assistant(use("t")), user(result("t", picture()))),
        repairs=(Repair.LIFTED_IMAGES,),
        sent="[image 1 attached]",
    ),
    Repaired(
        rule="a message has ten pictures at most",
        broken=talk(user("a", *(picture(number) for number in range(11)))),
        repairs=(Repair.DROPPED_IMAGES,),
        sent="[image left out: a message carries at most 10]",
    ),
    Repaired(
        rule="a tool's input has no empty key",
        broken=work({"": 1}),
        repairs=(Repair.RENAMED_INPUT_KEY,),
        sent='"input":{"x":{"_":1}}',
    ),
    Repaired(rule="a tool's input is not too deep", broken=work(nest(120)), repairs=(Repair.FLATTENED_NESTING,)),
    # What messages hold.
    Repaired(
        rule="the user says something",
        broken=talk(user(" ", "")),
        repairs=(Repair.FILLED_EMPTY_TEXT,),
        sent='"content":"(no text)"',
    ),
    Repaired(
        rule="the model says something",
        broken=talk(user("a"), assistant("\n"), user("b")),
        repairs=(Repair.FILLED_EMPTY_TEXT,),
        sent='{"assistantResponseMessage":{"content":"(no text)"}}',
    ),
    Repaired(
        rule="reasoning is signed for this credential",
        broken=talk(user("a"), assistant(Thinking(text="hm", signature="forged"), "b"), user("c")),
        repairs=(Repair.DROPPED_THINKING,),
        sent='{"assistantResponseMessage":{"content":"b"}}',
    ),
    Repaired(
        rule="the system text is the same in all requests of a session",
        broken=talk(user("a"), system=("x-anthropic-billing-header: cc_version=2.1.330.6b8;", "You are.")),
        repairs=(Repair.DROPPED_BILLING_LINE,),
        sent=r'"content":"You are.\n\na"',
    ),
    # Declarations of tools.
    Repaired(
        rule="tools of the history are declared",
        broken=talk(user("a"), assistant(use("t", "gone")), user(result("t", "x"))),
        repairs=(Repair.DECLARED_MISSING_TOOL,),
        sent='{"name":"gone","description":"Tool used earlier in the conversation; not available now."',
    ),
    Repaired(
        rule="tools of the history are declared though none may be used",
        broken=talk(
            user("a"),
            assistant(use("t")),
            user(result("t", "x")),
            choice=ToolChoice(mode=ToolChoiceMode.NONE),
        ),
        repairs=(Repair.DECLARED_MISSING_TOOL, Repair.EMULATED_TOOL_CHOICE),
        sent='"content":"Do not use any tool."',
    ),
    Repaired(
        rule="a tool's name is short and of plain letters",
        broken=ask(name="mcp/" + "long.name" * 20),
        repairs=(Repair.RENAMED_TOOL,),
        sent='"name":"mcp_long_namelong_',
    ),
    Repaired(
        rule="tools' names differ in more than case",
        broken=talk(user("a"), tools=(READ, Tool(name="Read_File", description="R.", input_schema=EMPTY))),
        repairs=(Repair.RENAMED_TOOL,),
        sent=f'"name":"{ToolNames(["Read_File", "read_file"]).to_upstream("read_file")}"',
    ),
    Repaired(
        rule="a tool is declared once",
        broken=talk(user("a"), tools=(READ, READ)),
        repairs=(Repair.DROPPED_DUPLICATE_TOOL,),
    ),
    Repaired(rule="a tool has a description", broken=ask(description=" "), repairs=(Repair.FILLED_TOOL_DESCRIPTION,)),
    Repaired(
        rule="a description is not too long",
        broken=ask(description="x" * (LIMIT + 1)),
        repairs=(Repair.MOVED_TOOL_DESCRIPTION,),
        sent=rf'"content":"# Tool read_file\n\n{"x" * (LIMIT + 1)}\n\na"',
    ),
    Repaired(
        rule="a schema is an object's",
        broken=ask(input_schema={"type": "string"}),
        repairs=(Repair.REPAIRED_SCHEMA,),
        sent='"json":{"type":"object","properties":{}}',
    ),
    Repaired(
        rule="a schema has no null for a list or an object",
        broken=ask(input_schema={"type": "object", "properties": None, "required": None}),
        repairs=(Repair.REPAIRED_SCHEMA,),
        sent='"json":{"type":"object","properties":{}}',
    ),
    Repaired(
        rule="a schema refers to nothing",
        broken=ask(input_schema=LINKED),
        repairs=(Repair.INLINED_REFERENCES,),
        sent='"json":{"type":"object","properties":{"x":{"type":"string"}}}',
    ),
    Repaired(
        rule="a schema is finite",
        broken=ask(input_schema={"type": "object", "properties": {"x": {"$ref": "#"}}}),
        repairs=(Repair.CUT_REFERENCE,),
        sent='{"x":{"type":"object","description":"Of the same form as \\"whole schema\\"."}}',
    ),
    Repaired(
        rule="a schema is not too deep", broken=ask(input_schema=nest(120) | EMPTY), repairs=(Repair.FLATTENED_NESTING,)
    ),
    # What has no place.
    Repaired(
        rule="a demand for a tool is words",
        broken=talk(user("a"), choice=ToolChoice(mode=ToolChoiceMode.ANY)),
        repairs=(Repair.EMULATED_TOOL_CHOICE,),
        sent=r'"content":"a\n\nYou must use at least one tool."',
    ),
    Repaired(
        rule="a demand for a certain tool is words",
        broken=talk(user("a"), choice=ToolChoice(mode=ToolChoiceMode.NAMED, name="read_file")),
        repairs=(Repair.EMULATED_TOOL_CHOICE,),
        sent=r'"content":"a\n\nYou must use the tool \"read_file\"."',
    ),
    Repaired(
        rule="a demand for one tool at a time is words",
        broken=talk(user("a"), choice=ToolChoice(parallel=False)),
        repairs=(Repair.EMULATED_SERIAL_TOOLS,),
        sent=r'"content":"Use at most one tool at a time.\n\na"',
    ),
    Repaired(
        rule="a demand that no tool can meet is none",
        broken=talk(user("a"), choice=ToolChoice(mode=ToolChoiceMode.NAMED, name="gone")),
        repairs=(Repair.DROPPED_TOOL_CHOICE,),
        sent='"content":"a"',
    ),
    # Sizes: a warning, nothing else.
    Repaired(rule="a body has a size", broken=talk(user("a" * 600_001)), repairs=(Repair.LARGE_BODY, Repair.LONG_TEXT)),
    Repaired(
        rule="a body has a weight",
        broken=talk(user("天" * 100_000), assistant("天" * 100_000), user("c")),
        repairs=(Repair.LARGE_BODY, Repair.HEAVY_BODY),
    ),
    Repaired(
        rule="a history has a length",
        broken=talk(*(user("a"), assistant("b")) * 5001, user("c")),
        repairs=(Repair.LARGE_BODY, Repair.LONG_HISTORY),
    ),
    Repaired(
        rule="there are not too many tools",
        broken=talk(
            user("a"), tools=tuple(Tool(name=f"t{n}", description="T.", input_schema=EMPTY) for n in range(49))
        ),
        repairs=(Repair.MANY_TOOLS,),
        sent='"name":"t48"',
    ),
)


def build(conversation: Conversation) -> UpstreamRequest:
    """The request for a fixed model and conversation id."""
    return build_request(conversation, model_id=MODEL, conversation_id="c", max_tool_description_length=LIMIT)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.rule)
def test_what_breaks_a_rule_is_repaired(row: Repaired) -> None:
    """The repair has a name, the upstream takes the request, and what was said is still in it."""
    request = build(row.broken)
    body = request.encode(profile_arn=None)
    assert request.repairs == tuple(repair.value for repair in row.repairs)
    assert validate_request(body) is None
    assert row.sent in body.decode()


def test_what_keeps_the_rules_is_not_touched() -> None:
    """Of a good conversation nothing is recorded."""
    good = talk(
        user("a", picture()),
        assistant("b", use("t"), use("u", "read_file", {"x": [{"y": None}]})),
        user(result("t", "x"), result("u", "y", is_error=True), "c"),
        system=("You are.",),
    )
    assert build(good).repairs == ()


def test_refused_schemas_are_simplified() -> None:
    """The one repair that an answer of the upstream brings about."""
    schema: JSONObject = {"type": "object", "properties": {"x": {"type": "string", "format": "uri"}}}
    simple = simplify_schemas(build(ask(input_schema=schema)))
    assert simple is not None
    assert simple.repairs == (Repair.SIMPLIFIED_SCHEMAS.value,)
    assert validate_request(simple.encode(profile_arn=None), strict=True) is None


OF_REASONING = frozenset(
    {
        Repair.REFUSED_SIGNATURE,
        Repair.IGNORED_THINKING,
        Repair.CHANGED_THINKING,
        Repair.IGNORED_EFFORT,
        Repair.CHANGED_EFFORT,
        Repair.CHANGED_MAX_TOKENS,
        Repair.DROPPED_MODEL_FIELDS,
    }
)
"""Depend on the model and on the exchange, not on the conversation alone."""


OF_ANSWERS = frozenset(
    {
        Repair.EXPLAINED_TRUNCATION,
        Repair.EMULATED_ANSWER_FORMAT,
        Repair.ASKED_AGAIN_FOR_JSON,
        Repair.UNWRAPPED_JSON,
        Repair.PARTLY_CHECKED_JSON,
    }
)
"""Have to do with what the model says, and with no rule of the upstream's."""


def test_each_repair_has_its_rule() -> None:
    """No repair is made without a rule that it is for."""
    listed = {repair for row in ROWS for repair in row.repairs}
    assert listed | {Repair.SIMPLIFIED_SCHEMAS} | OF_REASONING | OF_ANSWERS == set(Repair)
    assert len({row.rule for row in ROWS}) == len(ROWS)


REFUSALS = {
    Rule.HISTORY_STARTS_WITH_USER: "the first message is the user's",
    Rule.HISTORY_STARTS_WITH_TEXT: "the first message is not tool results alone",
    Rule.CURRENT_IS_USER: "the last message is the user's",
    Rule.HISTORY_ALTERNATES: "the sides alternate",
    Rule.HISTORY_ENDS_WITH_ASSISTANT: "the sides alternate",
    Rule.RESULTS_COMPLETE: "a tool use is answered",
    Rule.RESULTS_FOLLOW_USES: "a tool result stands behind tool uses",
    Rule.RESULTS_KNOWN: "a tool result answers a use of the message before",
    Rule.RESULTS_UNIQUE: "a tool use has one result",
    Rule.TOOL_USES_UNIQUE: "a tool use stands once",
    Rule.TOOL_USE_ID: "ids of tool uses are short and of plain letters",
    Rule.TOOL_RESULT_ID: "ids of tool uses are short and of plain letters",
    Rule.TOOL_RESULT_CONTENT: "a tool result has content",
    Rule.IMAGE_COUNT: "a message has ten pictures at most",
    Rule.TOOL_USE_KEYS: "a tool's input has no empty key",
    Rule.NESTING_DEPTH: "a tool's input is not too deep",
    Rule.USER_SAYS_SOMETHING: "the user says something",
    Rule.ASSISTANT_SAYS_SOMETHING: "the model says something",
    Rule.REASONING_SIGNATURE: "reasoning is signed for this credential",
    Rule.TOOL_DECLARED: "tools of the history are declared",
    Rule.TOOL_NAME: "a tool's name is short and of plain letters",
    Rule.TOOL_USE_NAME: "a tool's name is short and of plain letters",
    Rule.TOOL_UNIQUE: "tools' names differ in more than case",
    Rule.TOOL_DESCRIPTION: "a description is not too long",
    Rule.TOOL_SCHEMA: "a schema is an object's",
    Rule.TOOL_SCHEMA_REFERENCES: "a schema refers to nothing",
}
"""What the service refuses a request for, and the rule here whose repair keeps it from that."""
KEPT_OTHERWISE = {
    # By the types of the wire, which can say nothing else, and the constants in it.
    *(Rule.BODY_IS_JSON, Rule.BODY_IS_OBJECT, Rule.CONVERSATION_STATE, Rule.HISTORY_IS_LIST, Rule.CHAT_MESSAGE),
    *(Rule.NO_SYSTEM_PROMPT, Rule.NO_AGENT_MODE, Rule.AGENT_TASK_TYPE, Rule.CHAT_TRIGGER_TYPE, Rule.ORIGIN),
    *(Rule.CONTENT, Rule.USER_CONTEXT, Rule.ENV_STATE, Rule.ADDITIONAL_CONTEXT, Rule.MESSAGE_ID, Rule.REASONING),
    *(Rule.TOOL, Rule.TOOL_USE, Rule.TOOL_USE_INPUT, Rule.TOOL_RESULT, Rule.TOOL_RESULT_STATUS),
    *(Rule.IMAGE, Rule.IMAGE_FORMAT, Rule.IMAGE_SOURCE),
    # Where the client's bytes are read.
    *(Rule.NO_UNPAIRED_SURROGATE, Rule.IMAGE_BASE64, Rule.IMAGE_EMPTY, Rule.IMAGE_SIZE, Rule.IMAGE_MAGIC),
    # By the exchange and what it knows of model, credential and session.
    *(Rule.MEDIA_TYPE, Rule.PROFILE_ARN, Rule.CONVERSATION_ID, Rule.AGENT_CONTINUATION_ID, Rule.MODEL_ID_FORM),
    *(Rule.MODEL_FIELDS, Rule.MODEL_FIELDS_SUPPORTED, Rule.MODEL_FIELDS_KNOWN, Rule.MODEL_FIELDS_EFFORT),
    *(Rule.MODEL_FIELDS_THINKING, Rule.MODEL_FIELDS_MAX_TOKENS),
    # Not at all before the service says so: it alone knows.
    *(Rule.CONTENT_LENGTH, Rule.MODEL_ID_KNOWN, Rule.TOOL_SCHEMA_PLAIN),
}


def test_each_refusal_has_its_rule() -> None:
    """Nothing that the service refuses is left to chance."""
    assert set(REFUSALS) | KEPT_OTHERWISE == set(Rule)
    assert set(REFUSALS).isdisjoint(KEPT_OTHERWISE)
    assert set(REFUSALS.values()) <= {row.rule for row in ROWS}


ANTHROPIC: JSONObject = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}
CHAT: JSONObject = {"model": "m", "messages": [{"role": "user", "content": "a"}]}
FUNCTION: JSON = {"type": "function", "function": {"name": "f"}}


def say(*blocks: JSON, role: str = "user") -> JSONObject:
    """A body whose only message has these blocks."""
    return {"messages": [{"role": role, "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("rule", "fields", "path"),
    [
        ("there are messages", {"messages": []}, "messages"),
        ("a message is somebody's", {"messages": [{"role": "x", "content": "a"}]}, "messages[0].role"),
        ("content is of a known kind", say({"type": "video"}), "messages[0].content[0]"),
        (
            "a picture is one",
            say({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "TVqQAA=="}}),
            "messages[0].content[0].source.data",
        ),
        (
            "nothing is fetched",
            say({"type": "image", "source": {"type": "url", "url": "http://127.0.0.1"}}),
            "messages[0].content[0].source",
        ),
        (
            "a tool's input is an object",
            say({"type": "tool_use", "id": "t", "name": "f", "input": []}, role="assistant"),
            "messages[0].content[0].input",
        ),
        ("a tool has a name", {"tools": [{"name": "", "input_schema": EMPTY}]}, "tools[0].name"),
        ("a tool has a schema", {"tools": [{"name": "f", "input_schema": None}]}, "tools[0].input_schema"),
        (
            "a demanded tool is there",
            {"tools": [{"name": "f", "input_schema": EMPTY}], "tool_choice": {"type": "tool", "name": "g"}},
            "tool_choice.name",
        ),
        ("the history comes with each request", {"thread": {"type": "create"}}, "thread"),
    ],
)
def test_messages_request_beyond_repair_is_refused(rule: str, fields: JSONObject, path: str) -> None:
    """The error says where, in the client's own spelling."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_messages_request(json.dumps(ANTHROPIC | fields).encode())
    assert caught.value.path == path, rule
    assert caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("rule", "fields", "path"),
    [
        ("there are messages", {"messages": []}, "messages"),
        ("content is of a known kind", say({"type": "input_audio", "input_audio": {}}), "messages[0].content[0]"),
        (
            "nothing is fetched",
            say({"type": "image_url", "image_url": {"url": "http://127.0.0.1"}}),
            "messages[0].content[0].image_url.url",
        ),
        ("a tool has a name", {"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        (
            "a demanded tool is there",
            {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice.function.name",
        ),
        ("a demand for tools has some", {"tool_choice": "required"}, "tool_choice"),
        ("there is one answer", {"n": 2}, "n"),
    ],
)
def test_chat_request_beyond_repair_is_refused(rule: str, fields: JSONObject, path: str) -> None:
    """The error says where, in the client's own spelling."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat_request(json.dumps(CHAT | fields).encode())
    assert caught.value.path == path, rule
    assert caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize("written", ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 101 + "]" * 101, '"\x00"'])
def test_what_is_no_json_is_refused(written: str) -> None:
    """Numbers that are none or too large, and what is nested too deep, wherever they stand."""
    for parse, good in ((parse_messages_request, ANTHROPIC), (parse_chat_request, CHAT)):
        body = json.dumps(good)[:-1] + f', "tools": [{written}]}}'
        with pytest.raises(InvalidRequestError, match="is not valid JSON"):
            parse(body.encode())


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00", r"\udfff\ud800"])
def test_half_a_character_is_replaced(half: str) -> None:
    """It arrives as the sign for what cannot be read; a whole one stays."""
    for parse, good in ((parse_messages_request, ANTHROPIC), (parse_chat_request, CHAT)):
        body = json.dumps(good).replace('"a"', rf'"\ud83d\ude00{half}b"')
        conversation = parse(body.encode()).conversation
        assert conversation.repairs == (REPLACED_SURROGATES,)
        request = build(conversation)
        assert "\N{GRINNING FACE}\ufffd" in request.conversation_state.decode()
