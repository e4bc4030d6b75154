// OpenAI's own JavaScript client gets chat completions from the proxy as it gets them from OpenAI.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";

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

const gpt = new OpenAI({ apiKey: KEY, baseURL: `${ADDRESS}/v1`, maxRetries: 0 });
const DECLARED = [
  {
    type: "function",
    function: { name: "get_weather", description: TOOLS.get_weather.description, parameters: WEATHER_SCHEMA },
  },
  {
    type: "function",
    function: { name: "get_time", description: TOOLS.get_time.description, parameters: CLOCK_SCHEMA, strict: true },
  },
];

const said = (content) => ({ model: MODEL, messages: [{ role: "user", content }] });
const answerCalls = (message) =>
  message.tool_calls.map(({ id, function: { name, arguments: text } }) => ({
    role: "tool",
    tool_call_id: id,
    content: TOOLS[name].run(JSON.parse(text)),
  }));

// The model's next turn, gathered by the client's own means when it is streamed.
const WAYS = {
  whole: (body) => gpt.chat.completions.create(body),
  streamed: (body) =>
    gpt.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion(),
};

test("text is the same, whole and streamed", async () => {
  for (const ask of Object.values(WAYS)) {
    const { choices: [choice], model, usage } = await ask(said("Hello"));
    assert.deepEqual([choice.message.content, choice.finish_reason, model], [HELLO_ANSWER, "stop", MODEL]);
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [2, 14, 16]);
  }
});

test("text comes in pieces", async () => {
  const pieces = [];
  for await (const { choices } of await gpt.chat.completions.create({ ...said("Hello"), stream: true })) {
    pieces.push(...choices.flatMap(({ delta }) => (delta.content ? [delta.content] : [])));
  }
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), HELLO_ANSWER);
});

test("two tools in one turn, and their results", async () => {
  for (const ask of Object.values(WAYS)) {
    const body = { ...said(USE_BOTH), tools: DECLARED };
    const { choices: [{ message: call, finish_reason: reason }] } = await ask(body);
    assert.equal(reason, "tool_calls");
    const calls = call.tool_calls.map(({ function: { name, arguments: text } }) => [name, JSON.parse(text)]);
    assert.deepEqual(calls, [["get_weather", { city: "Bergen ☂" }], ["get_time", {}]]);
    const { choices: [final] } = await ask({ ...body, messages: [...body.messages, call, ...answerCalls(call)] });
    assert.equal(final.finish_reason, "stop");
    assert.ok(final.message.content.startsWith(BOTH_RESULTS), final.message.content);
  }
});

test("the arguments of a call come in pieces", async () => {
  const stream = gpt.chat.completions.stream({ ...said('use get_time {"zone": "CET"}'), tools: DECLARED });
  const pieces = [];
  const whole = [];
  stream.on("tool_calls.function.arguments.delta", ({ arguments_delta: piece }) => pieces.push(piece));
  stream.on("tool_calls.function.arguments.done", ({ arguments: text }) => whole.push(JSON.parse(text)));
  await stream.done();
  assert.ok(pieces.length > 1);
  assert.deepEqual([JSON.parse(pieces.join("")), whole], [{ zone: "CET" }, [{ zone: "CET" }]]);
});

test("the client runs the tools by itself", async () => {
  const tools = DECLARED.map(({ function: declared }) => ({
    type: "function",
    function: { ...declared, parse: JSON.parse, function: TOOLS[declared.name].run },
  }));
  for (const stream of [false, true]) {
    const text = await gpt.chat.completions.runTools({ ...said(USE_BOTH), tools, stream }).finalContent();
    assert.ok(text.startsWith(BOTH_RESULTS), text);
  }
});

test("an answer has the form that is asked for", async () => {
  const body = { ...said("Hello"), response_format: zodResponseFormat(CITY, "city") };
  for (const { choices: [{ message }] } of [await gpt.chat.completions.parse(body), await WAYS.streamed(body)]) {
    assert.deepEqual(message.parsed, EXAMPLE_CITY);
  }
});

test("an image is seen", async () => {
  const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
  const { choices: [{ message }] } = await WAYS.whole(said([{ type: "text", text: "What is this?" }, image]));
  assert.equal(message.content, IMAGE_ANSWER);
});

test("thinking is kept apart", async () => {
  const body = { ...said("Hello"), reasoning_effort: "high" };
  const { choices: [{ message }] } = await WAYS.whole(body);
  assert.deepEqual([message.reasoning_content, message.content], [THOUGHT, HELLO_ANSWER]);
  // The client's helper keeps the last piece only of what it does not know.
  const deltas = [];
  for await (const { choices } of await gpt.chat.completions.create({ ...body, stream: true })) {
    deltas.push(...choices.map(({ delta }) => delta));
  }
  const gather = (name) => deltas.map((delta) => delta[name] ?? "").join("");
  assert.deepEqual([gather("reasoning_content"), gather("content")], [THOUGHT, HELLO_ANSWER]);
});

test("a conversation of several turns has its system prompt", async () => {
  const body = { model: MODEL, messages: [{ role: "system", content: "Answer in verse." }] };
  const answers = [];
  for (const content of ["One", "Two", "Three"]) {
    body.messages.push({ role: "user", content });
    const { choices: [{ message }] } = await WAYS.whole(body);
    answers.push(message.content);
    body.messages.push(message);
  }
  assert.deepEqual(answers, [
    "You said: Answer in verse.\n\nOne | turns: 1 | tools: none | images: none",
    "You said: Two | turns: 3 | tools: none | images: none",
    "You said: Three | turns: 5 | tools: none | images: none",
  ]);
});

test("a wrong key", async () => {
  const stranger = new OpenAI({ apiKey: WRONG_KEY, baseURL: `${ADDRESS}/v1`, maxRetries: 0 });
  for (const stream of [false, true]) {
    const fields = { status: 401, code: "invalid_api_key", requestID: /./ };
    await rejects(stranger.chat.completions.create({ ...said("Hello"), stream }), OpenAI.AuthenticationError, fields);
  }
});

test("an unknown model", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 404, code: "model_not_found", message: /no-such-model/ };
    await rejects(ask({ ...said("Hello"), model: "no-such-model" }), OpenAI.NotFoundError, fields);
  }
});

test("a prompt that is too long", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 400, code: "context_length_exceeded", message: /prompt is too long/ };
    await rejects(ask(said(FAIL_FOR_LENGTH)), OpenAI.BadRequestError, fields);
  }
});

test("a stream that fails halfway", async () => {
  const stream = gpt.chat.completions.stream(said(FAIL_HALFWAY));
  const pieces = [];
  stream.on("content", (piece) => pieces.push(piece));
  await rejects(stream.finalChatCompletion(), OpenAI.APIError, { type: "server_error" });
  assert.equal(pieces.join(""), BEGINNING);
});

test("a stream that is left early", async () => {
  const stream = gpt.chat.completions.stream(said(FALL_SILENT));
  stream.on("content", () => stream.abort());
  await rejects(stream.finalChatCompletion(), OpenAI.APIUserAbortError, {});
});

test("models are listed, and found by name", async () => {
  const listed = [];
  for await (const model of gpt.models.list()) listed.push(model.id);
  assert.ok(listed.includes(MODEL));
  assert.equal((await gpt.models.retrieve(MODEL)).owned_by, "anthropic");
});
