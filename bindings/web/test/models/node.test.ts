/** Models in Node, with ONNX Runtime's wasm. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as ort from "onnxruntime-web";
import { parseContract } from "../../src/contract.js";
import { ortEngine } from "../../src/index.js";
import { decodePng } from "../golden/png.js";
import { agreement, type Answers } from "./judge.js";
import { assertAgrees, MODELS } from "./tolerance.js";

const answers = JSON.parse(await readFile(new URL("answers.json", MODELS), "utf8")) as Answers;

test("ONNX in Node answers as in Python", async (t) => {
  ort.env.wasm.numThreads = 1;
  const found = await agreement(answers.engines["onnx"]!, ortEngine(ort), {
    model: (name) => readFile(new URL(name, MODELS)),
    picture: async (name) => decodePng(await readFile(new URL(`pictures/${name}.png`, MODELS))),
  });
  assertAgrees(t, found);
});

for (const { text, error } of answers.contracts) {
  test(`a broken contract is refused as in Python: ${error}`, () => {
    const same = (e: Error) => e.name === "InvalidContract" && (e.message === error || e.cause instanceof SyntaxError);
    assert.throws(() => parseContract(text), same);
  });
}
