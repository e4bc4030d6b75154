// Anthropic's own JavaScript client gets from the proxy what it gets from Anthropic.

import assert from "node:assert/strict";

import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";

import {
  ADDRESS,
  BEGINNING,
  BOTH_RESULTS,
  CITY,
  CLOCK_SCHEMA,
  EXAMPLE_CITY,
  FAIL_FOR_LENGTH,
  FAIL_HALFWAY,
  FALL_SILENT,
  HELLO_ANSWER,
  IMAGE_ANSWER,
  KEY,
  MODEL,
  PNG,
  rejects,
  test,
  THOUGHT,
  TOOLS,
  USE_BOTH,
  WEATHER_SCHEMA,
  WRONG_KEY,
} from "./proxy.js";

const claude = new Anthropic({ apiKey: KEY, baseURL: ADDRESS, maxRetries: 0 });
const DECLARED = [
  { name: "get_weather", description: TOOLS.get_weather.description, input_schema: WEATHER_SCHEMA },
  { name: "get_time", description: TOOLS.get_time.description, input_schema: CLOCK_SCHEMA },
];

const said = (content) => ({ model: MODEL, max_tokens: 1000, messages: [{ role: "user", content }] });
const readText = (message) => message.content.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("");
const listCalls = (message) => message.content.filter((block) => block.type === "tool_use");
const answerCalls = (message) => ({
  role: "user",
  content: listCalls(message).map(({ id, name, input }) => ({
    type: "tool_result",
    tool_use_id: id,
    content: TOOLS[name].run(input),
  })),
});

// The model's next turn, gathered by the client's own means when it is streamed.
const WAYS = {
  whole: (body) => claude.messages.create(body),
  streamed: (body) => claude.messages.stream(body).finalMessage(),
};

test("text is the same, whole and streamed", async () => {
  const stream = claude.messages.stream(said("Hello"));
  const pieces = [];
  stream.on("text", (piece) => pieces.push(piece));
  for (const message of [await WAYS.whole(said("Hello")), await stream.finalMessage()]) {
    assert.equal(readText(message), HELLO_ANSWER);
    assert.deepEqual([message.stop_reason, message.model, message.role], ["end_turn", MODEL, "assistant"]);
    assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [2, 14]);
  }
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), HELLO_ANSWER);
});

test("two tools in one turn, and their results", async () => {
  for (const ask of Object.values(WAYS)) {
    const body = { ...said(USE_BOTH), tools: DECLARED };
    const call = await ask(body);
    assert.equal(call.stop_reason, "tool_use");
    const calls = listCalls(call).map(({ name, input }) => [name, input]);
    assert.deepEqual(calls, [["get_weather", { city: "Bergen ☂" }], ["get_time", {}]]);
    const messages = [...body.messages, { role: "assistant", content: call.content }, answerCalls(call)];
    const final = await ask({ ...body, messages });
    assert.equal(final.stop_reason, "end_turn");
    assert.ok(readText(final).startsWith(BOTH_RESULTS), readText(final));
  }
});

test("the input of a tool comes in pieces", async () => {
  const stream = claude.messages.stream({ ...said('use get_weather {"city": "Oslo"}'), tools: DECLARED });
  const pieces = [];
  stream.on("inputJson", (piece) => pieces.push(piece));
  await stream.done();
  assert.ok(pieces.length > 1);
  assert.deepEqual(JSON.parse(pieces.join("")), { city: "Oslo" });
});

test("the tool runner goes on without threads", async () => {
  const tools = [
    betaTool({ name: "get_weather", ...TOOLS.get_weather, inputSchema: WEATHER_SCHEMA }),
    betaTool({ name: "get_time", ...TOOLS.get_time, inputSchema: CLOCK_SCHEMA }),
  ];
  for (const stream of [false, true]) {
    const message = await claude.beta.messages.toolRunner({ ...said(USE_BOTH), tools, stream }).runUntilDone();
    assert.equal(message.stop_reason, "end_turn");
    assert.ok(readText(message).startsWith(BOTH_RESULTS), readText(message));
  }
});

test("an answer has the form that is asked for", async () => {
  const body = { ...said("Hello"), output_config: { format: zodOutputFormat(CITY) } };
  for (const message of [await claude.messages.parse(body), await WAYS.streamed(body)]) {
    assert.deepEqual(message.parsed_output, EXAMPLE_CITY);
  }
});

test("an image is seen", async () => {
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
  const message = await claude.messages.create(said([image, { type: "text", text: "What is this?" }]));
  assert.equal(readText(message), IMAGE_ANSWER);
});

test("thinking comes first, and is taken back", async () => {
  for (const ask of Object.values(WAYS)) {
    const body = { ...said("Hello"), thinking: { type: "adaptive" } };
    const message = await ask(body);
    assert.deepEqual(message.content.map(({ type }) => type), ["thinking", "text"]);
    const [{ thinking, signature }] = message.content;
    assert.equal(thinking, THOUGHT);
    assert.ok(signature);
    const messages = [
      ...body.messages,
      { role: "assistant", content: message.content },
      { role: "user", content: "Go on" },
    ];
    assert.equal(readText(await ask({ ...body, messages })), "You said: Go on | turns: 3 | tools: none | images: none");
  }
});

test("a conversation of several turns has its system prompt", async () => {
  const body = { model: MODEL, max_tokens: 1000, system: "Answer in verse.", messages: [] };
  const answers = [];
  for (const content of ["One", "Two", "Three"]) {
    body.messages.push({ role: "user", content });
    const message = await claude.messages.create(body);
    answers.push(readText(message));
    body.messages.push({ role: "assistant", content: message.content });
  }
  assert.deepEqual(answers, [
    "You said: Answer in verse.\n\nOne | turns: 1 | tools: none | images: none",
    "You said: Two | turns: 3 | tools: none | images: none",
    "You said: Three | turns: 5 | tools: none | images: none",
  ]);
});

test("a wrong key", async () => {
  const stranger = new Anthropic({ apiKey: WRONG_KEY, baseURL: ADDRESS, maxRetries: 0 });
  const fields = { status: 401, message: /invalid x-api-key/, requestID: /./ };
  await rejects(stranger.messages.create(said("Hello")), Anthropic.AuthenticationError, fields);
  await rejects(stranger.messages.stream(said("Hello")).finalMessage(), Anthropic.AuthenticationError, fields);
});

test("an unknown model", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 404, message: /no-such-model/ };
    await rejects(ask({ ...said("Hello"), model: "no-such-model" }), Anthropic.NotFoundError, fields);
  }
});

test("a prompt that is too long", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 400, message: /prompt is too long/ };
    await rejects(ask(said(FAIL_FOR_LENGTH)), Anthropic.BadRequestError, fields);
  }
});

test("a stream that fails halfway", async () => {
  const stream = claude.messages.stream(said(FAIL_HALFWAY));
  const pieces = [];
  stream.on("text", (piece) => pieces.push(piece));
  await rejects(stream.finalMessage(), Anthropic.APIError, { message: /api_error/ });
  assert.equal(pieces.join(""), BEGINNING);
});

test("a stream that is left early", async () => {
  const stream = claude.messages.stream(said(FALL_SILENT));
  stream.on("text", () => stream.abort());
  await rejects(stream.finalMessage(), Anthropic.APIUserAbortError, {});
});

test("tokens are counted", async () => {
  const count = async (content) => {
    const { model, messages } = said(content);
    return (await claude.messages.countTokens({ model, messages })).input_tokens;
  };
  assert.ok(0 < await count("Hello") && await count("Hello") < await count("Hello ".repeat(100)));
});

test("models are listed, and found by name", async () => {
  const listed = [];
  for await (const model of claude.models.list({ limit: 2 })) listed.push(model.id);
  assert.equal(new Set(listed).size, listed.length);
  assert.ok(listed.length > 2 && listed.includes(MODEL));
  assert.equal((await claude.models.retrieve(MODEL)).display_name, "Claude Opus 4.6");
});
