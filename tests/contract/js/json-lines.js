// A reporter for node's test runner: one line of JSON for each case, for the tests in Python to read.

import { inspect } from "node:util";

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === "test:pass" || type === "test:fail") {
      const error = data.details.error;
      yield `${JSON.stringify({ name: data.name, failure: error ? inspect(error.cause ?? error) : null })}\n`;
    }
  }
}
