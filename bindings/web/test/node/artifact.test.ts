/** Contracts in model files: found where they lie, and clear errors for whatever else comes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadArtifact } from "../../src/artifact.js";
import { parseContract } from "../../src/contract.js";
import { PocketfaceError } from "../../src/errors.js";
import { CONTRACT, onnx, tflite } from "./files.js";
import { random } from "./question.js";

const sound = { onnx: onnx(["other", "x"], ["pocketface", CONTRACT]), tflite: tflite("pocketface.json", CONTRACT) };

async function refused(bytes: Uint8Array, kind: string, message: RegExp): Promise<void> {
  await assert.rejects(loadArtifact(bytes, "it"), (error: Error) => {
    assert.equal(error.name, kind);
    assert.match(error.message, message);
    return true;
  });
}

for (const [format, bytes] of Object.entries(sound)) {
  test(`${format}: the contract is found`, async () => {
    const artifact = await loadArtifact(bytes, "it");
    assert.equal(artifact.format, format);
    assert.equal(artifact.contract.model, "tiny");
    assert.deepEqual([...artifact.contract.input.mean], [0, 0, 0]);
  });

  test(`${format}: cut off anywhere, it loads or is refused as InvalidModel`, async () => {
    for (let end = 0; end < bytes.length; end++) {
      await loadArtifact(bytes.subarray(0, end), "it").catch((error: Error) =>
        assert.equal(error.name, "InvalidModel"),
      );
    }
  });

  test(`${format}: 2,000 files with bytes changed at random load or are refused in so many words`, async () => {
    const draw = random(7);
    for (let i = 0; i < 2000; i++) {
      const spoiled = Uint8Array.from(bytes);
      for (let n = draw() % 4; n >= 0; n--) spoiled[draw() % spoiled.length] = draw() & 255;
      await loadArtifact(spoiled, "it").catch((error: Error) =>
        assert.ok(error instanceof PocketfaceError, error.stack),
      );
    }
  });
}

test("a deflated entry is read", async () => {
  const { contract } = await loadArtifact(tflite("pocketface.json", CONTRACT, { deflate: true }));
  assert.equal(contract.model, "tiny");
});

test("of two contracts the first counts", async () => {
  const second = CONTRACT.replace('"tiny"', '"second"');
  assert.equal((await loadArtifact(onnx(["pocketface", CONTRACT], ["pocketface", second]))).contract.model, "tiny");
});

const NONE = /^it: no contract inside it, so how to feed it is unknown; export it with pocketface$/;
const BAD: Record<string, [Uint8Array, string, RegExp]> = {
  nothing: [new Uint8Array(), "InvalidModel", /^it: empty, expected a model file/],
  "ONNX without a contract": [onnx(["other", "x"]), "InvalidModel", NONE],
  "TFLite without an archive": [sound.tflite.subarray(0, 58), "InvalidModel", NONE],
  "TFLite with another entry": [tflite("labels.txt", "x"), "InvalidModel", NONE],
  "a group, which protobuf no longer has": [Uint8Array.of(0x0b, 1, 2), "InvalidModel", /wire type 3 is not protobuf/],
  "an endless number": [new Uint8Array(40).fill(255), "InvalidModel", /more than ten bytes/],
  "a field beyond the end": [
    Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f),
    "InvalidModel",
    /a field claims \d+ bytes, 0 are left/,
  ],
  "a contract of 2 MiB": [
    onnx(["pocketface", " ".repeat(2 << 20)]),
    "InvalidModel",
    /2097152 bytes, at most 1048576 are read/,
  ],
  "not UTF-8": [
    Buffer.from(Buffer.from(sound.onnx).toString("latin1").replace("tiny", "\xff\xff\xff\xff"), "latin1"),
    "InvalidModel",
    /damaged/,
  ],
  "not JSON": [onnx(["pocketface", "{"]), "InvalidContract", /^not a valid model contract: /],
  "an entry of 2 MiB": [
    tflite("pocketface.json", CONTRACT, { lies: { size: 2 << 20 } }),
    "InvalidModel",
    /at most 1048576 are read/,
  ],
  "a bomb": [
    tflite("pocketface.json", " ".repeat(1 << 24), { deflate: true, lies: { size: 100 } }),
    "InvalidModel",
    /inflates to more than the 100 bytes/,
  ],
  "another checksum": [tflite("pocketface.json", CONTRACT, { lies: { crc: 1 } }), "InvalidModel", /Bad CRC-32/],
  "an unknown compression": [
    tflite("pocketface.json", CONTRACT, { lies: { method: 99 } }),
    "InvalidModel",
    /compressed by method 99/,
  ],
  "an entry elsewhere": [
    tflite("pocketface.json", CONTRACT, { lies: { offset: 0xfffffff0 } }),
    "InvalidModel",
    /lies outside the file/,
  ],
  "an entry longer than the file": [
    tflite("pocketface.json", CONTRACT, { lies: { packed: 0xfffffff0 } }),
    "InvalidModel",
    /lies outside the file/,
  ],
  "more entries than there are": [tflite("other", "x", { lies: { count: 9 } }), "InvalidModel", /directory is damaged/],
};
for (const [name, [bytes, kind, message]] of Object.entries(BAD)) {
  test(`${name} is refused`, () => refused(bytes, kind, message));
}

test("text in place of bytes is refused", () =>
  assert.rejects(loadArtifact("model.onnx" as never), {
    name: "InvalidModel",
    message: /expected its bytes, got string/,
  }));

test("a contract cannot reach the prototype, nor nest for ever", () => {
  const spoiled = CONTRACT.replace('"trained"', '"__proto__":{},"trained"');
  assert.throws(() => parseContract(spoiled), { name: "InvalidContract", message: /unknown field `__proto__`/ });
  const nested = `{"task":${"[".repeat(1e5)}${"]".repeat(1e5)}}`;
  assert.throws(() => parseContract(nested), { name: "InvalidContract" });
  assert.throws(() => parseContract(CONTRACT.replace('"width":32', '"width":1e999')), { name: "InvalidContract" });
});

test("thresholds that are not sorted are refused", () => {
  const task = (scores: number[]) => ({
    type: "recognition",
    embedding_size: 4,
    calibration: {
      thresholds: scores.map((score, i) => ({ far: 10 ** -(i + 1), score, score_interval: [score, score], tar: 1 })),
      data: "x",
      data_fingerprint: "0".repeat(64),
      genuine: 1,
      impostors: 1,
      identities: 0,
      backend: "x",
    },
  });
  const contract = (scores: number[]) =>
    JSON.stringify({ ...JSON.parse(CONTRACT), task: task(scores), outputs: { embedding: "e" } });
  assert.equal(parseContract(contract([0.1, 0.2])).task.type, "recognition");
  assert.throws(() => parseContract(contract([0.2, 0.1])), { message: /from lenient to strict/ });
});
