// OpenAI's own JavaScript client gets responses from the proxy as it gets them from OpenAI.

import assert from "node:assert/strict";

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";

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
  { type: "function", name: "get_weather", description: TOOLS.get_weather.description, parameters: WEATHER_SCHEMA },
  { type: "function", name: "get_time", description: TOOLS.get_time.description, parameters: CLOCK_SCHEMA },
].map((tool) => ({ ...tool, strict: true }));

const said = (content) => ({ model: MODEL, input: [{ role: "user", content }] });
const listCalls = (response) => response.output.filter(({ type }) => type === "function_call");
const answerCalls = (response) =>
  listCalls(response).map(({ call_id, name, arguments: text }) => ({
    type: "function_call_output",
    call_id,
    output: TOOLS[name].run(JSON.parse(text)),
  }));

// The model's next turn, gathered by the client's own means when it is streamed.
const WAYS = {
  whole: (body) => gpt.responses.create(body),
  streamed: (body) => gpt.responses.stream(body).finalResponse(),
};

test("text is the same, whole and streamed", async () => {
  for (const ask of Object.values(WAYS)) {
    const { output_text: text, status, model, usage } = await ask({ model: MODEL, input: "Hello" });
    assert.deepEqual([text, status, model], [HELLO_ANSWER, "completed", MODEL]);
    assert.deepEqual([usage.input_tokens, usage.output_tokens, usage.total_tokens], [2, 14, 16]);
  }
});

test("text comes in pieces", async () => {
  const stream = gpt.responses.stream(said("Hello"));
  const pieces = [];
  stream.on("response.output_text.delta", ({ delta }) => pieces.push(delta));
  await stream.done();
  assert.ok(pieces.length > 1);
  assert.equal(pieces.join(""), HELLO_ANSWER);
});

test("two tools in one turn, and their results", async () => {
  for (const ask of Object.values(WAYS)) {
    const body = { ...said(USE_BOTH), tools: DECLARED };
    const call = await ask(body);
    const calls = listCalls(call).map(({ name, arguments: text }) => [name, JSON.parse(text)]);
    assert.deepEqual(calls, [["get_weather", { city: "Bergen ☂" }], ["get_time", {}]]);
    const final = await ask({ ...body, input: [...body.input, ...call.output, ...answerCalls(call)] });
    assert.deepEqual(listCalls(final), []);
    assert.ok(final.output_text.startsWith(BOTH_RESULTS), final.output_text);
  }
});

test("two tools, and their results to a response that is kept", async () => {
  for (const ask of Object.values(WAYS)) {
    const call = await ask({ ...said(USE_BOTH), tools: DECLARED });
    const final = await ask({
      model: MODEL,
      input: answerCalls(call),
      tools: DECLARED,
      previous_response_id: call.id,
    });
    assert.ok(final.output_text.startsWith(BOTH_RESULTS), final.output_text);
    assert.equal(final.previous_response_id, call.id);
  }
});

test("the arguments of a call come in pieces", async () => {
  const stream = gpt.responses.stream({ ...said('use get_weather {"city": "Oslo"}'), tools: DECLARED });
  const pieces = [];
  stream.on("response.function_call_arguments.delta", ({ delta, snapshot }) => pieces.push([delta, snapshot]));
  await stream.done();
  assert.ok(pieces.length > 1);
  const text = pieces.map(([delta]) => delta).join("");
  assert.deepEqual([JSON.parse(text), pieces.at(-1)[1]], [{ city: "Oslo" }, text]);
});

test("an answer has the form that is asked for", async () => {
  const body = { ...said("Hello"), text: { format: zodTextFormat(CITY, "city") } };
  for (const response of [await gpt.responses.parse(body), await WAYS.streamed(body)]) {
    assert.deepEqual(response.output_parsed, EXAMPLE_CITY);
  }
});

test("an image is seen", async () => {
  const image = { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" };
  const response = await WAYS.whole(said([{ type: "input_text", text: "What is this?" }, image]));
  assert.equal(response.output_text, IMAGE_ANSWER);
});

test("reasoning comes first, and is taken back", async () => {
  for (const ask of Object.values(WAYS)) {
    const body = { ...said("Hello"), reasoning: { effort: "high", summary: "auto" } };
    const response = await ask({ ...body, include: ["reasoning.encrypted_content"], store: false });
    assert.deepEqual(response.output.map(({ type }) => type), ["reasoning", "message"]);
    const [{ summary, encrypted_content: sealed }] = response.output;
    assert.deepEqual(summary, [{ type: "summary_text", text: THOUGHT }]);
    assert.ok(sealed);
    const input = [...body.input, ...response.output, { role: "user", content: "Go on" }];
    const again = await ask({ ...body, input });
    assert.equal(again.output_text, "You said: Go on | turns: 3 | tools: none | images: none");
  }
});

test("a conversation of several turns has its instructions", async () => {
  const answers = [];
  let previous = null;
  for (const input of ["One", "Two", "Three"]) {
    const body = { model: MODEL, input, instructions: "Answer in verse.", previous_response_id: previous };
    const response = await WAYS.whole(body);
    answers.push(response.output_text);
    previous = response.id;
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
    await rejects(stranger.responses.create({ ...said("Hello"), stream }), OpenAI.AuthenticationError, fields);
  }
});

test("an unknown model", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 404, code: "model_not_found", message: /no-such-model/ };
    await rejects(ask({ ...said("Hello"), model: "no-such-model" }), OpenAI.NotFoundError, fields);
  }
});

test("a response that is not kept", async () => {
  const fields = { status: 400, code: "previous_response_not_found", message: /resp_0123/ };
  await rejects(WAYS.whole({ ...said("Hello"), previous_response_id: "resp_0123" }), OpenAI.BadRequestError, fields);
});

test("a prompt that is too long", async () => {
  for (const ask of Object.values(WAYS)) {
    const fields = { status: 400, code: "context_length_exceeded", message: /prompt is too long/ };
    await rejects(ask(said(FAIL_FOR_LENGTH)), OpenAI.BadRequestError, fields);
  }
});

test("a stream that fails halfway", async () => {
  const stream = gpt.responses.stream(said(FAIL_HALFWAY));
  const pieces = [];
  stream.on("response.output_text.delta", ({ delta }) => pieces.push(delta));
  // The client's helper gives the event itself.
  await rejects(stream.finalResponse(), Object, { type: "error", code: "server_error" });
  assert.equal(pieces.join(""), BEGINNING);
});

test("a stream that is left early", async () => {
  const stream = gpt.responses.stream(said(FALL_SILENT));
  stream.on("response.output_text.delta", () => stream.abort());
  await rejects(stream.finalResponse(), OpenAI.APIUserAbortError, {});
});
