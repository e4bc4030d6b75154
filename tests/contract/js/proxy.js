// The running proxy, the simulated model behind it, and what the cases of all clients share.

import assert from "node:assert/strict";
import { test as register } from "node:test";

import { z } from "zod";

export const ADDRESS = process.env.PROXY_URL;
export const KEY = process.env.PROXY_KEY;
export const WRONG_KEY = "another-key";
export const MODEL = "claude-opus-4-6";
export const HELLO_ANSWER = "You said: Hello | turns: 1 | tools: none | images: none";
export const THOUGHT = "Let me think: the question is plain, and so is the answer.";
// The model calls both tools, one after the other, in one turn.
export const USE_BOTH = 'use get_weather {"city": "Bergen \\u2602"}\nuse get_time {}';
export const BOTH_RESULTS = "Tool result: sun over Bergen ☂ | Tool result: noon | ";
export const IMAGE_ANSWER = "You said: What is this? | turns: 1 | tools: none | images: 1 png";
export const PNG = process.env.PNG;

// What the simulated Kiro does when it is told so.
export const FAIL_FOR_LENGTH = "fail for length";
export const FAIL_HALFWAY = "fail halfway";
export const FALL_SILENT = "fall silent";
// What it says before it fails halfway or falls silent.
export const BEGINNING = "The answer";

export const TOOLS = {
  get_weather: { description: "The weather in a city.", run: ({ city }) => `sun over ${city}` },
  get_time: { description: "The time.", run: () => "noon" },
};
export const WEATHER_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
export const CLOCK_SCHEMA = { type: "object", properties: {}, additionalProperties: false };
export const CITY = z.object({ name: z.string(), country: z.string() });
// What the model makes of it when nothing else is said.
export const EXAMPLE_CITY = { name: "example", country: "example" };

// A case waits for ever for an answer that is not what it should be: it has so many milliseconds, on a busy machine.
const TIMEOUT = 20_000;

export const test = (name, run) => register(name, { timeout: TIMEOUT }, run);

// Asserts that `promise` is rejected with an error of `type` that has `fields`; regular expressions are searched for.
export async function rejects(promise, type, fields) {
  await assert.rejects(promise, (error) => {
    const fits = type.isInstance ? type.isInstance(error) : error instanceof type;
    assert.ok(fits, `${error.constructor.name}: ${error.message}`);
    for (const [name, value] of Object.entries(fields)) {
      if (value instanceof RegExp) assert.match(error[name], value);
      else assert.equal(error[name], value);
    }
    return true;
  });
}
