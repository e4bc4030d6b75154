"""Each rule, with a body that keeps it by a hair and one that breaks it."""

import base64
import json
from collections.abc import Sequence

import pytest

from kiro2api.protocol.jsontext import JSON, JSONObject
from kiro2api.simulator.images import MAX_IMAGE_BYTES
from kiro2api.simulator.members import read_object
from kiro2api.simulator.reasoning import sign_thought
from kiro2api.simulator.refusals import IMPROPER, Refusal, Rule
from kiro2api.simulator.validation import validate_request
from tests.unit.simulator.bodies import (
    GIF,
    JPEG,
    PNG,
    WEBP,
    assistant,
    encode,
    image,
    request,
    result,
    tool,
    tool_loop,
    use,
    user,
    with_member,
)

STATE = "conversationState"
CURRENT = f"{STATE}/currentMessage/userInputMessage"
CONTEXT = f"{CURRENT}/userInputMessageContext"
USES = f"{STATE}/history/1/assistantResponseMessage/toolUses"
RESULTS = f"{CONTEXT}/toolResults"
UUID = "0d9f6a52-7a8b-4c1f-8f53-1d2f4f1f9a77"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/ABCDEFGHIJKL"
FIELDS = "additionalModelRequestFields"

USER = read_object(user(), Rule.CHAT_MESSAGE)

type Case = tuple[Rule, JSONObject, JSONObject]
"""The rule, a body that keeps it, a body that breaks it."""


def at(path: str, good: JSON, bad: JSON, rule: Rule, body: JSONObject | None = None) -> Case:
    """A case in which one member decides."""
    whole = request() if body is None else body
    return rule, with_member(whole, path, good), with_member(whole, path, bad)


def nested(depth: int) -> JSON:
    """So many objects inside one another."""
    value: JSON = "x"
    for _ in range(depth):
        value = {"x": value}
    return value


def with_tools(tools: Sequence[JSON]) -> JSONObject:
    """A body that declares ``tools``."""
    return request(user(context={"tools": list(tools)}))


def with_property(schema: JSON, name: str = "a") -> JSONObject:
    """A body with a tool that takes one property."""
    return with_tools([tool(schema={"type": "object", "properties": {name: schema}})])


def with_images(images: Sequence[JSON]) -> JSONObject:
    """A body with ``images``."""
    return request(user(images=list(images)))


def with_model(model_id: str, **fields: JSON) -> JSONObject:
    """A body for a model, with additional fields."""
    return {**request(user(modelId=model_id)), FIELDS: fields}


def encoded(size: int) -> str:
    """A PNG of so many bytes."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n".ljust(size, b"x")).decode()


TOP_LEVEL: list[Case] = [
    at("x", nested(126), nested(127), Rule.NESTING_DEPTH),
    at("x", "\U0001f600", "\ud83d", Rule.NO_UNPAIRED_SURROGATE),
    (Rule.NO_UNPAIRED_SURROGATE, {**request(), "\u20ac": 1}, {**request(), "\udc00": 1}),
    at("systemPrompt", None, "Be terse.", Rule.NO_SYSTEM_PROMPT),
    at("agentMode", None, "vibe", Rule.NO_AGENT_MODE),
    at("profileArn", ARN, ARN + "M", Rule.PROFILE_ARN),
    at("profileArn", ARN.replace("codewhisperer", "transform"), "arn", Rule.PROFILE_ARN),
    (Rule.CONVERSATION_STATE, request(), {}),
    (Rule.CONVERSATION_STATE, request(), {STATE: []}),
    at(f"{STATE}/conversationId", "x" * 128, "x" * 129, Rule.CONVERSATION_ID),
    at(f"{STATE}/conversationId", None, "", Rule.CONVERSATION_ID),
    at(f"{STATE}/agentContinuationId", UUID, UUID[:-1], Rule.AGENT_CONTINUATION_ID),
    at(f"{STATE}/agentContinuationId", None, "x" * 36, Rule.AGENT_CONTINUATION_ID),
    at(f"{STATE}/agentTaskType", "spectask", "chat", Rule.AGENT_TASK_TYPE),
    at(f"{STATE}/chatTriggerType", "MANUAL", "AUTO", Rule.CHAT_TRIGGER_TYPE),
    at(f"{STATE}/chatTriggerType", "MANUAL", None, Rule.CHAT_TRIGGER_TYPE),
    at(f"{STATE}/history", [], {}, Rule.HISTORY_IS_LIST),
    at(f"{STATE}/currentMessage", user(), {}, Rule.CHAT_MESSAGE),
    at(f"{STATE}/currentMessage", user(), {"userInputMessage": None}, Rule.CHAT_MESSAGE),
    at(f"{STATE}/currentMessage", user(), {"userInputMessage": "x"}, Rule.CHAT_MESSAGE),
    at(f"{STATE}/currentMessage", user(), {**USER, "type": None}, Rule.CHAT_MESSAGE),
    (Rule.CHAT_MESSAGE, request(), request({"systemMessage": {"content": "x"}})),
    (Rule.CURRENT_IS_USER, request(), request(assistant())),
]

MESSAGES: list[Case] = [
    at(f"{CURRENT}/content", "x", None, Rule.CONTENT),
    at(f"{CURRENT}/content", "x", ["x"], Rule.CONTENT),
    at(f"{CURRENT}/content", "x" * 10_000_000, "x" * 10_000_001, Rule.CONTENT_LENGTH),
    at(f"{CURRENT}/modelId", "claude-3.7-sonnet", "claude sonnet", Rule.MODEL_ID_FORM),
    at(f"{CURRENT}/modelId", None, "", Rule.MODEL_ID_FORM),
    at(f"{CURRENT}/modelId", "claude-opus-6", "claude-opus-4-6", Rule.MODEL_ID_KNOWN),
    at(f"{CURRENT}/modelId", "auto", "claude-sonnet-4-20250514", Rule.MODEL_ID_KNOWN),
    at(f"{CURRENT}/modelId", "CLAUDE_SONNET_4_20250514_V1_0", "gpt-4o", Rule.MODEL_ID_KNOWN),
    at(f"{CURRENT}/origin", "KIRO_CLI", "KIRO_IDE", Rule.ORIGIN),
    at(CONTEXT, {}, [], Rule.USER_CONTEXT),
    at(f"{CONTEXT}/envState", {"operatingSystem": "linux"}, "linux", Rule.ENV_STATE),
    at(f"{CONTEXT}/envState/operatingSystem", "macos", "darwin", Rule.ENV_STATE),
    at(f"{CONTEXT}/envState/currentWorkingDirectory", "x" * 256, "x" * 257, Rule.ENV_STATE),
    at(f"{CONTEXT}/envState/environmentVariables", [{}] * 100, [{}] * 101, Rule.ENV_STATE),
    at(f"{CONTEXT}/envState/timezoneOffset", -1440, 1441, Rule.ENV_STATE),
    at(f"{CONTEXT}/additionalContext", [{}] * 20, [{}] * 21, Rule.ADDITIONAL_CONTEXT),
    at(
        f"{CONTEXT}/additionalContext",
        [{"innerContext": "x" * 8192}],
        [{"innerContext": "x" * 8193}],
        Rule.ADDITIONAL_CONTEXT,
    ),
    (Rule.USER_SAYS_SOMETHING, request(user(".")), request(user(" \n"))),
    (Rule.USER_SAYS_SOMETHING, tool_loop(), request(user("", images=[image()]))),
]

TOOLS: list[Case] = [
    at(f"{CONTEXT}/tools", [], {}, Rule.TOOL),
    (Rule.TOOL, with_tools([tool()]), with_tools([{"cachePoint": {"type": "default"}}])),
    (Rule.TOOL, with_tools([tool()]), with_tools([{"toolSpecification": "x"}])),
    (Rule.TOOL_NAME, with_tools([tool("x" * 64)]), with_tools([tool("x" * 65)])),
    (Rule.TOOL_NAME, with_tools([tool("a_B-9")]), with_tools([tool("a.b")])),
    (Rule.TOOL_NAME, with_tools([tool("a")]), with_tools([tool("")])),
    (Rule.TOOL_UNIQUE, with_tools([tool("a"), tool("b")]), with_tools([tool("a"), tool("A")])),
    (
        Rule.TOOL_DESCRIPTION,
        with_tools([tool(description="x" * 10_240)]),
        with_tools([tool(description="x" * 10_241)]),
    ),
    (Rule.TOOL_DESCRIPTION, with_tools([tool()]), with_tools([tool(description="")])),
    (Rule.TOOL_DESCRIPTION, with_tools([tool()]), with_tools([tool(description=None)])),
    (Rule.TOOL_SCHEMA, with_tools([tool()]), with_tools([tool(inputSchema={})])),
    (Rule.TOOL_SCHEMA, with_tools([tool()]), with_tools([tool(schema="object")])),
    (
        Rule.TOOL_SCHEMA,
        with_tools([tool(schema={"type": "object"})]),
        with_tools([tool(schema={"type": "string"})]),
    ),
    (
        Rule.TOOL_SCHEMA,
        with_tools([tool(schema={"type": "object", "required": ["a"]})]),
        with_tools([tool(schema={"type": "object", "required": None})]),
    ),
    (
        Rule.TOOL_SCHEMA,
        with_tools([tool(schema={"type": "object", "required": []})]),
        with_tools([tool(schema={"type": "object", "required": [1]})]),
    ),
    (
        Rule.TOOL_SCHEMA,
        with_tools([tool(schema={"type": "object", "properties": {"a": {}}})]),
        with_tools([tool(schema={"type": "object", "properties": None})]),
    ),
    (Rule.TOOL_SCHEMA, with_property({"required": []}), with_property({"required": None})),
    (Rule.TOOL_SCHEMA, with_property({"properties": {}}), with_property({"properties": None})),
    (Rule.TOOL_SCHEMA_REFERENCES, with_property({"default": {"$ref": "#"}}), with_property({"$ref": "#"})),
    (Rule.TOOL_SCHEMA_REFERENCES, with_property({}, "$ref"), with_property({"items": [{"$ref": "#"}]})),
    (Rule.TOOL_SCHEMA_REFERENCES, with_property({}, "$defs"), with_property({"$defs": {}})),
    (
        Rule.TOOL_SCHEMA_REFERENCES,
        with_tools([tool(schema={"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"})]),
        with_tools([tool(schema={"type": "object", "definitions": {}})]),
    ),
]

STRICT: list[Case] = [
    (Rule.TOOL_SCHEMA_PLAIN, with_property({"enum": ["a"]}), with_property({"const": "a"})),
    (Rule.TOOL_SCHEMA_PLAIN, with_property({"type": "string"}), with_property({"type": ["string", "null"]})),
    (Rule.TOOL_SCHEMA_PLAIN, with_property({"required": ["a"]}), with_property({"required": []})),
    (Rule.TOOL_SCHEMA_PLAIN, with_property({}, "format"), with_property({"format": "date"})),
    (Rule.TOOL_SCHEMA_PLAIN, with_property({"items": {}}), with_property({"items": {"anyOf": [{}]}})),
    (
        Rule.TOOL_SCHEMA_PLAIN,
        with_tools([tool(schema={"type": "object"})]),
        with_tools([tool(schema={"type": "object", "additionalProperties": False})]),
    ),
]

TOOL_LOOPS: list[Case] = [
    at(USES, [use()], [1], Rule.TOOL_USE, tool_loop()),
    at(f"{USES}/0/toolUseId", "tooluse_1", "tooluse.1", Rule.TOOL_USE_ID, tool_loop()),
    at(f"{USES}/0/toolUseId", "tooluse_1", "x" * 65, Rule.TOOL_USE_ID, tool_loop()),
    at(f"{USES}/0/name", "get_time", "get time", Rule.TOOL_USE_NAME, tool_loop()),
    at(f"{USES}/0/input", {"a": [1]}, '{"a": [1]}', Rule.TOOL_USE_INPUT, tool_loop()),
    at(f"{USES}/0/input", {"a": {"b": 1}}, {"a": [{"": 1}]}, Rule.TOOL_USE_KEYS, tool_loop()),
    at(RESULTS, [result()], ["x"], Rule.TOOL_RESULT, tool_loop()),
    at(f"{RESULTS}/0/toolUseId", "tooluse_1", "", Rule.TOOL_RESULT_ID, tool_loop()),
    at(f"{RESULTS}/0/status", "error", "SUCCESS", Rule.TOOL_RESULT_STATUS, tool_loop()),
    at(f"{RESULTS}/0/content", [{"text": ""}], [], Rule.TOOL_RESULT_CONTENT, tool_loop()),
    at(
        f"{RESULTS}/0/content",
        [{"json": [1]}],
        [{"json": [1], "isError": False}],
        Rule.TOOL_RESULT_CONTENT,
        tool_loop(),
    ),
    at(
        f"{RESULTS}/0/content",
        [{"text": "x"}],
        [{"text": 1}],
        Rule.TOOL_RESULT_CONTENT,
        tool_loop(),
    ),
    at(
        f"{RESULTS}/0/content",
        [{"text": "x"}, {"json": {}}],
        [{"image": {}}],
        Rule.TOOL_RESULT_CONTENT,
        tool_loop(),
    ),
    (Rule.TOOL_DECLARED, tool_loop(tools=[tool("GET_TIME")]), tool_loop(tools=[])),
    (Rule.TOOL_DECLARED, tool_loop(), tool_loop(tools=[tool("get_date")])),
    (
        Rule.TOOL_USES_UNIQUE,
        tool_loop(uses=[use("a"), use("b")], results=[result("b"), result("a")]),
        tool_loop(uses=[use("a"), use("a")], results=[result("a")]),
    ),
    (Rule.RESULTS_UNIQUE, tool_loop(), tool_loop(results=[result(), result()])),
    (Rule.RESULTS_KNOWN, tool_loop(), tool_loop(results=[result("tooluse_2")])),
    (
        Rule.RESULTS_COMPLETE,
        tool_loop(uses=[use("a"), use("b")], results=[result("a"), result("b")]),
        tool_loop(uses=[use("a"), use("b")], results=[result("a")]),
    ),
    (
        Rule.RESULTS_FOLLOW_USES,
        tool_loop(),
        request(user("", context={"toolResults": [result()], "tools": [tool()]})),
    ),
    (
        Rule.RESULTS_FOLLOW_USES,
        tool_loop(),
        request(user(context={"toolResults": [result()]}), [user(), assistant()]),
    ),
]

IMAGES: list[Case] = [
    at(f"{CURRENT}/images", [], "x", Rule.IMAGE),
    (Rule.IMAGE, with_images([image()]), with_images(["x"])),
    (Rule.IMAGE_COUNT, with_images([image()] * 10), with_images([image()] * 11)),
    (Rule.IMAGE_FORMAT, with_images([image("jpeg", JPEG)]), with_images([image("jpg", JPEG)])),
    (Rule.IMAGE_FORMAT, with_images([image("gif", GIF)]), with_images([{"source": {}}])),
    (
        Rule.IMAGE_SOURCE,
        with_images([image("webp", WEBP)]),
        with_images([{"format": "png", "source": {"url": "http://x/"}}]),
    ),
    (Rule.IMAGE_BASE64, with_images([image()]), with_images([image(data="?" + PNG)])),
    (Rule.IMAGE_BASE64, with_images([image()]), with_images([image(data="\u20ac")])),
    (
        Rule.IMAGE_BASE64,
        with_images([image()]),
        with_images([{"format": "png", "source": {"bytes": [1]}}]),
    ),
    (Rule.IMAGE_EMPTY, with_images([image()]), with_images([image(data="")])),
    (
        Rule.IMAGE_SIZE,
        with_images([image(data=encoded(MAX_IMAGE_BYTES))]),
        with_images([image(data=encoded(MAX_IMAGE_BYTES + 1))]),
    ),
    (
        Rule.IMAGE_SIZE,
        with_images([image()]),
        with_images([image(data=encoded(MAX_IMAGE_BYTES + 3))]),
    ),
    (Rule.IMAGE_MAGIC, with_images([image()]), with_images([image("png", JPEG)])),
]


def replay(reasoning: JSON, content: str = "Hi", **members: JSON) -> JSONObject:
    """A body whose history has a turn with reasoning."""
    return request(
        history=[user(), assistant(content, reasoningContent=reasoning, **members)],
    )


SIGNED: JSON = {"reasoningText": {"text": "Hm", "signature": sign_thought("Hm", "claude-sonnet-4.5")}}
FOREIGN: JSON = {"reasoningText": {"text": "Hm", "signature": sign_thought("Hm", "claude-sonnet-4")}}

HISTORY: list[Case] = [
    (Rule.MESSAGE_ID, replay(None, messageId="x" * 128), replay(None, messageId="x" * 129)),
    (Rule.REASONING, replay(SIGNED), replay("Hm")),
    (Rule.REASONING, replay(SIGNED), replay({"reasoningText": "Hm"})),
    (Rule.REASONING, replay(SIGNED), replay({"reasoningText": {"signature": "c2ln"}})),
    (Rule.REASONING, replay({"redactedContent": "eHg="}), replay({"redactedContent": "?"})),
    (Rule.REASONING, replay({"redactedContent": "eHg="}), replay({"redactedContent": {}})),
    (
        Rule.REASONING_SIGNATURE,
        replay(SIGNED),
        replay({"reasoningText": {"text": "Hm", "signature": ""}}),
    ),
    (Rule.REASONING_SIGNATURE, replay(SIGNED), replay({"reasoningText": {"text": "Hm"}})),
    (Rule.REASONING_SIGNATURE, replay(SIGNED), replay(FOREIGN)),
    (Rule.ASSISTANT_SAYS_SOMETHING, replay(SIGNED, ""), replay(None, "")),
    (
        Rule.HISTORY_STARTS_WITH_USER,
        request(history=[user(), assistant()]),
        request(history=[assistant(), user(), assistant()]),
    ),
    (
        Rule.HISTORY_STARTS_WITH_TEXT,
        request(history=[user(), assistant()]),
        request(history=[user("", context={"toolResults": [result()]}), assistant()]),
    ),
    (
        Rule.HISTORY_ALTERNATES,
        request(history=[user(), assistant(), user(), assistant()]),
        request(history=[user(), assistant(), assistant()]),
    ),
    (
        Rule.HISTORY_ENDS_WITH_ASSISTANT,
        request(history=[user(), assistant()]),
        request(history=[user(), assistant(), user()]),
    ),
]

MODEL_FIELDS: list[Case] = [
    (
        Rule.MODEL_FIELDS,
        with_model("claude-opus-5", max_tokens=32_000),
        {**request(user(modelId="claude-opus-5")), FIELDS: "x"},
    ),
    (
        Rule.MODEL_FIELDS,
        with_model("claude-opus-5", output_config={"effort": "xhigh"}),
        with_model("claude-opus-5", output_config="xhigh"),
    ),
    (
        Rule.MODEL_FIELDS_SUPPORTED,
        with_model("claude-opus-4.8", thinking={"type": "adaptive"}),
        with_model("claude-sonnet-4.5", thinking={"type": "adaptive"}),
    ),
    (
        Rule.MODEL_FIELDS_KNOWN,
        with_model("gpt-5.6-sol", reasoning={"effort": "none"}),
        with_model("gpt-5.6-sol", temperature=1),
    ),
    (
        Rule.MODEL_FIELDS_EFFORT,
        with_model("claude-opus-4.6", output_config={"effort": "max"}),
        with_model("claude-opus-4.6", output_config={"effort": "xhigh"}),
    ),
    (
        Rule.MODEL_FIELDS_KNOWN,
        with_model("claude-opus-5", thinking={"type": "disabled"}),
        with_model("claude-opus-5", thinking={"type": "adaptive", "budget_tokens": 1024}),
    ),
    (
        Rule.MODEL_FIELDS_THINKING,
        with_model("claude-opus-5.5", thinking={"type": "adaptive", "display": "omitted"}),
        with_model("claude-opus-5.5", thinking={"type": "disabled"}),
    ),
    (
        Rule.MODEL_FIELDS_THINKING,
        with_model("claude-opus-5", thinking={"display": "summarized"}),
        with_model("claude-opus-5", thinking={"display": "updates"}),
    ),
    (
        Rule.MODEL_FIELDS_MAX_TOKENS,
        with_model("claude-opus-5", max_tokens=128_000),
        with_model("claude-opus-5", max_tokens=128_001),
    ),
    (
        Rule.MODEL_FIELDS_MAX_TOKENS,
        with_model("claude-opus-5", max_tokens=1024),
        with_model("claude-opus-5", max_tokens="1024"),
    ),
]

CASES = TOP_LEVEL + MESSAGES + TOOLS + TOOL_LOOPS + IMAGES + HISTORY + MODEL_FIELDS
OUTSIDE_THE_TABLE = {Rule.TOOL_SCHEMA_PLAIN, Rule.MEDIA_TYPE, Rule.BODY_IS_JSON, Rule.BODY_IS_OBJECT}
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_keeping_a_rule_is_accepted(case: Case) -> None:
    """The body that keeps the rule by a hair is taken."""
    assert validate_request(encode(case[1])) is None


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_breaking_a_rule_is_refused(case: Case) -> None:
    """The body that breaks the rule is refused for that rule, with status 400."""
    refusal = validate_request(encode(case[2]))
    assert refusal is not None
    assert (refusal.status, refusal.rule) == (400, case[0])


@pytest.mark.parametrize("case", STRICT)
def test_what_only_some_saw_refused_is_refused_on_demand(case: Case) -> None:
    """Only a strict service tells the two bodies apart."""
    good, bad = map(encode, case[1:])
    assert [validate_request(body) for body in (good, bad)] == [None, None]
    assert validate_request(good, strict=True) is None
    refusal = validate_request(bad, strict=True)
    assert refusal == Refusal(status=400, message=IMPROPER, reason="TOOL_SCHEMA_INVALID", rule=case[0])


def test_every_rule_has_a_case() -> None:
    """No rule is without a body that breaks it."""
    assert {case[0] for case in CASES} | OUTSIDE_THE_TABLE == set(Rule)


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b"", Rule.BODY_IS_JSON),
        (b"{", Rule.BODY_IS_JSON),
        (b'{"x": NaN}', Rule.BODY_IS_JSON),
        (b'{"x": "\xff"}', Rule.BODY_IS_JSON),
        (b"\xed\xa0\xbd", Rule.BODY_IS_JSON),
        (b"[" * 200_000 + b"]" * 200_000, Rule.NESTING_DEPTH),
        (b"[]", Rule.BODY_IS_OBJECT),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, rule: Rule) -> None:
    """What does not parse to an object is refused before anything else is looked at."""
    refusal = validate_request(body)
    assert refusal is not None
    assert refusal.rule == rule


@pytest.mark.parametrize(
    ("body", "message", "reason"),
    [
        (request(user("")), IMPROPER, "REQUEST_BODY_INVALID"),
        (
            request(user(modelId="gpt-4o")),
            "Invalid model ID. Please select a different model to continue.",
            "INVALID_MODEL_ID",
        ),
        (
            with_model("auto", max_tokens=5),
            "additionalModelRequestFields is not supported for this model",
            "REQUEST_BODY_INVALID",
        ),
        (
            with_model("claude-opus-5", temperature=1),
            "property 'temperature' is not defined in the schema",
            "REQUEST_BODY_INVALID",
        ),
    ],
)
def test_a_refusal_has_the_words_of_the_service(body: JSONObject, message: str, reason: str) -> None:
    """Message and reason are the service's where they are known."""
    refusal = validate_request(encode(body))
    assert refusal is not None
    assert refusal == Refusal(status=400, message=message, reason=reason, rule=refusal.rule)


def test_size_alone_is_not_refused() -> None:
    """A body of more than 615,000 bytes is taken: the limit of today's service is not known."""
    body = encode(request(user("x" * 700_000)))
    assert validate_request(body) is None


def test_unknown_members_and_nulls_are_skipped() -> None:
    """Members that the service does not know, and ``null`` for those that it knows, change nothing."""
    text = json.dumps(request(user(images=None, name="x", cachePoint={"type": "default"}), foo=1))
    assert validate_request(text.encode()) is None
