// Version 5 of Vercel's AI SDK sends nothing again that a kept response has: it names each item by its id.

import assert from "node:assert/strict";

import { createOpenAI } from "@ai-sdk/openai-2";
import { APICallError, generateText, stepCountIs, streamText, tool } from "ai-5";
import { z } from "zod";

import { ADDRESS, BOTH_RESULTS, KEY, MODEL, rejects, test, TOOLS, USE_BOTH } from "./proxy.js";

const model = createOpenAI({ apiKey: KEY, baseURL: `${ADDRESS}/v1` })(MODEL);
const { get_weather: weather, get_time: clock } = TOOLS;
const tools = {
  get_weather: tool({
    description: weather.description,
    inputSchema: z.object({ city: z.string() }),
    execute: weather.run,
  }),
  get_time: tool({ description: clock.description, inputSchema: z.object({}), execute: clock.run }),
};
const OPTIONS = { model, tools, stopWhen: stepCountIs(3), maxRetries: 0 };

const listReferences = ({ request }) => request.body.input.filter(({ type }) => type === "item_reference");

test("two tools in one turn, named by their ids, and their results", async () => {
  const whole = await generateText({ ...OPTIONS, prompt: USE_BOTH });
  const streamed = streamText({ ...OPTIONS, prompt: USE_BOTH });
  await streamed.consumeStream();
  for (const answer of [whole, streamed]) {
    const [, final] = await answer.steps;
    assert.equal(listReferences(final).length, 3);
    assert.ok(final.text.startsWith(BOTH_RESULTS), final.text);
  }
});

test("a conversation of several turns, named by their ids", async () => {
  const messages = [];
  const answers = [];
  for (const content of ["One", "Two", "Three"]) {
    messages.push({ role: "user", content });
    const answer = await generateText({ ...OPTIONS, messages });
    messages.push(...answer.response.messages);
    answers.push([listReferences(answer).length, answer.text]);
  }
  assert.deepEqual(answers, [
    [0, "You said: One | turns: 1 | tools: get_weather, get_time | images: none"],
    [1, "You said: Two | turns: 3 | tools: get_weather, get_time | images: none"],
    [2, "You said: Three | turns: 5 | tools: get_weather, get_time | images: none"],
  ]);
});

test("an item that is not kept", async () => {
  const content = [{ type: "text", text: "Hello", providerOptions: { openai: { itemId: "msg_none" } } }];
  const messages = [{ role: "assistant", content }, { role: "user", content: "Go on" }];
  await rejects(generateText({ ...OPTIONS, messages }), APICallError, { statusCode: 404, message: /msg_none/ });
});
