/** Every golden vector, in Node; and that they would notice a wrong rule. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { mutants } from "../golden/mutants.js";
import { OPERATIONS } from "../golden/operations.js";
import { readVectors, runGolden } from "../golden/runner.js";
import { GOLDEN } from "../paths.js";

const vectors = await readVectors((path) => readFile(new URL(path, GOLDEN)));

for (const { operation, name, why, faults } of await runGolden(vectors)) {
  test(`${operation}: ${name}, ${why}`, () => assert.deepEqual(faults, []));
}

test("an operation that the runner does not know fails", async () => {
  const files = [{ operation: "new", cases: vectors.files[0]!.cases }];
  const results = await runGolden({ ...vectors, files }, {});
  assert.ok(results.length && results.every(({ faults }) => faults.length));
});

test("an operation without vectors fails", async () => {
  const results = await runGolden(vectors, { ...OPERATIONS, forgotten: () => null });
  assert.deepEqual(
    results.filter(({ faults }) => faults.length).map(({ operation }) => operation),
    ["forgotten"],
  );
});

describe("a wrong rule is noticed", () => {
  for (const [name, { operation, wrong }] of Object.entries(mutants)) {
    test(name, async () => {
      const results = await runGolden(vectors, { ...OPERATIONS, [operation]: wrong });
      const failed = results.filter(({ faults }) => faults.length);
      assert.ok(failed.length, `no vector of ${operation} fails`);
      assert.ok(failed.every((result) => result.operation === operation));
    });
  }
});
