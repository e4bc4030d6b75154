// Vercel's AI SDK works with the proxy through each of its providers.

import assert from "node:assert/strict";

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

import {
  ADDRESS,
  BEGINNING,
  BOTH_RESULTS,
  CITY,
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
  WRONG_KEY,
} from "./proxy.js";

const BASE = `${ADDRESS}/v1`;
const COMPATIBLE = { name: "proxy", baseURL: BASE, includeUsage: true, supportsStructuredOutputs: true };
// Each makes a model from a key and a name; `thinking` asks it to think, `thought` is what the client shows of that.
const PROVIDERS = {
  anthropic: {
    make: (apiKey, name) => createAnthropic({ apiKey, baseURL: BASE })(name),
    thinking: { anthropic: { thinking: { type: "adaptive" } } },
    thought: THOUGHT,
  },
  responses: {
    make: (apiKey, name) => createOpenAI({ apiKey, baseURL: BASE })(name),
    thinking: { openai: { forceReasoning: true, reasoningEffort: "high", reasoningSummary: "auto" } },
    thought: THOUGHT,
  },
  chat: {
    make: (apiKey, name) => createOpenAI({ apiKey, baseURL: BASE }).chat(name),
    thinking: { openai: { forceReasoning: true, reasoningEffort: "high" } },
    thought: undefined,
  },
  compatible: {
    make: (apiKey, name) => createOpenAICompatible({ ...COMPATIBLE, apiKey })(name),
    thinking: { proxy: { reasoningEffort: "high" } },
    thought: THOUGHT,
  },
};

const tools = {
  get_weather: tool({
    description: TOOLS.get_weather.description,
    inputSchema: z.object({ city: z.string() }),
    execute: TOOLS.get_weather.run,
  }),
  get_time: tool({
    description: TOOLS.get_time.description,
    inputSchema: z.object({}),
    execute: TOOLS.get_time.run,
  }),
};

// A stream of the AI SDK to its end; what fails is a part of it, and nothing is printed.
async function gather(options) {
  const stream = streamText({ ...options, maxRetries: 0, onError: () => {} });
  const parts = [];
  for await (const part of stream.fullStream) parts.push(part);
  const [failed] = parts.filter(({ type }) => type === "error");
  if (failed) throw failed.error;
  return { parts, stream };
}

const pick = (parts, type, name) => parts.flatMap((part) => (part.type === type ? [part[name]] : []));

for (const [provider, { make, thinking, thought }] of Object.entries(PROVIDERS)) {
  const model = make(KEY, MODEL);

  test(`${provider}: text is the same, whole and streamed`, async () => {
    const whole = await generateText({ model, prompt: "Hello", maxRetries: 0 });
    const { parts, stream } = await gather({ model, prompt: "Hello" });
    for (const answer of [whole, stream]) {
      assert.deepEqual([await answer.text, await answer.finishReason], [HELLO_ANSWER, "stop"]);
      const { inputTokens, outputTokens, totalTokens } = await answer.usage;
      assert.deepEqual([inputTokens, outputTokens, totalTokens], [2, 14, 16]);
    }
    const pieces = pick(parts, "text-delta", "text");
    assert.ok(pieces.length > 1);
    assert.equal(pieces.join(""), HELLO_ANSWER);
  });

  test(`${provider}: parts of a stream come in order`, async () => {
    const { parts } = await gather({ model, prompt: "Hello" });
    const kinds = parts.map(({ type }) => type).filter((type, place, all) => type !== all[place - 1]);
    const text = ["text-start", "text-delta", "text-end"];
    assert.deepEqual(kinds, ["start", "start-step", ...text, "finish-step", "finish"]);
  });

  test(`${provider}: two tools in one turn, and their results`, async () => {
    const options = { model, tools, prompt: USE_BOTH, stopWhen: stepCountIs(3) };
    const whole = await generateText({ ...options, maxRetries: 0 });
    const { parts, stream } = await gather(options);
    for (const answer of [whole, stream]) {
      const [call, final, ...more] = await answer.steps;
      assert.deepEqual(more, []);
      assert.equal(call.finishReason, "tool-calls");
      const calls = call.toolCalls.map(({ toolName, input }) => [toolName, input]);
      assert.deepEqual(calls, [["get_weather", { city: "Bergen ☂" }], ["get_time", {}]]);
      assert.equal(final.finishReason, "stop");
      assert.ok(final.text.startsWith(BOTH_RESULTS), final.text);
    }
    assert.ok(pick(parts, "tool-input-delta", "delta").length > 2);
  });

  test(`${provider}: a tool that has to be used`, async () => {
    const { toolCalls } = await generateText({ model, tools, prompt: "Hello", toolChoice: "required", maxRetries: 0 });
    assert.deepEqual(toolCalls.map(({ toolName }) => toolName), ["get_weather"]);
    const named = { type: "tool", toolName: "get_time" };
    const other = await generateText({ model, tools, prompt: "Hello", toolChoice: named, maxRetries: 0 });
    assert.deepEqual(other.toolCalls.map(({ toolName }) => toolName), ["get_time"]);
  });

  test(`${provider}: an object has the form that is asked for`, async () => {
    const options = { model, schema: CITY, prompt: "Hello", maxRetries: 0 };
    const streamed = streamObject(options);
    const parts = [];
    for await (const part of streamed.partialObjectStream) parts.push(part);
    assert.deepEqual((await generateObject(options)).object, EXAMPLE_CITY);
    assert.deepEqual([await streamed.object, parts.at(-1)], [EXAMPLE_CITY, EXAMPLE_CITY]);
  });

  test(`${provider}: an image is seen`, async () => {
    const content = [{ type: "text", text: "What is this?" }, { type: "image", image: PNG, mediaType: "image/png" }];
    const { text } = await generateText({ model, messages: [{ role: "user", content }], maxRetries: 0 });
    assert.equal(text, IMAGE_ANSWER);
  });

  test(`${provider}: thinking is told apart, and is taken back`, async () => {
    const options = { model, messages: [{ role: "user", content: "Hello" }], providerOptions: thinking };
    const whole = await generateText({ ...options, maxRetries: 0 });
    const { stream } = await gather(options);
    for (const answer of [whole, stream]) {
      assert.deepEqual([await answer.reasoningText, await answer.text], [thought, HELLO_ANSWER]);
      const { messages } = await answer.response;
      const history = [...options.messages, ...messages, { role: "user", content: "Go on" }];
      const { text } = await generateText({ ...options, messages: history, maxRetries: 0 });
      assert.equal(text, "You said: Go on | turns: 3 | tools: none | images: none");
    }
  });

  test(`${provider}: a conversation of several turns has its system prompt`, async () => {
    const messages = [];
    const answers = [];
    for (const content of ["One", "Two", "Three"]) {
      messages.push({ role: "user", content });
      const { text, response } = await generateText({ model, system: "Answer in verse.", messages, maxRetries: 0 });
      answers.push(text);
      messages.push(...response.messages);
    }
    assert.deepEqual(answers, [
      "You said: Answer in verse.\n\nOne | turns: 1 | tools: none | images: none",
      "You said: Two | turns: 3 | tools: none | images: none",
      "You said: Three | turns: 5 | tools: none | images: none",
    ]);
  });

  test(`${provider}: errors have their status and words`, async () => {
    for (const ask of [(options) => generateText({ ...options, maxRetries: 0 }), gather]) {
      const stranger = make(WRONG_KEY, MODEL);
      await rejects(ask({ model: stranger, prompt: "Hello" }), APICallError, { statusCode: 401, message: /key/ });
      const unknown = make(KEY, "no-such-model");
      const absent = { statusCode: 404, message: /no-such-model/ };
      await rejects(ask({ model: unknown, prompt: "Hello" }), APICallError, absent);
      const tooLong = { statusCode: 400, message: /prompt is too long/ };
      await rejects(ask({ model, prompt: FAIL_FOR_LENGTH }), APICallError, tooLong);
    }
  });

  test(`${provider}: a stream that fails halfway`, async () => {
    const stream = streamText({ model, prompt: FAIL_HALFWAY, maxRetries: 0, onError: () => {} });
    const parts = [];
    for await (const part of stream.fullStream) parts.push(part);
    assert.equal(pick(parts, "text-delta", "text").join(""), BEGINNING);
    assert.equal(pick(parts, "error", "error").length, 1);
    assert.deepEqual(pick(parts, "finish", "finishReason"), ["error"]);
  });

  test(`${provider}: a stream that is left early`, async () => {
    const abort = new AbortController();
    const stream = streamText({ model, prompt: FALL_SILENT, maxRetries: 0, abortSignal: abort.signal });
    const kinds = [];
    for await (const part of stream.fullStream) {
      kinds.push(part.type);
      if (part.type === "text-delta") abort.abort();
    }
    assert.equal(kinds.at(-1), "abort");
  });
}

test("anthropic: an object by way of a tool", async () => {
  const { object } = await generateObject({
    model: PROVIDERS.anthropic.make(KEY, MODEL),
    schema: CITY,
    prompt: "Hello",
    maxRetries: 0,
    providerOptions: { anthropic: { structuredOutputMode: "jsonTool" } },
  });
  assert.deepEqual(object, EXAMPLE_CITY);
});
