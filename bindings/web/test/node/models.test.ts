/** Detectors and recognisers on engines that answer as told: what is asked of the engine, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import * as litert from "@litertjs/core";
import * as ort from "onnxruntime-web";
import {
  type Artifact,
  compare,
  Detector,
  Embedder,
  type Engine,
  FaceAnalyzer,
  type LiteRt,
  litertEngine,
  type Ort,
  ortEngine,
  type Tensor,
} from "../../src/index.js";
import { type Detection, parseInput, parseTask, type Recognition } from "../../src/contract.js";
import { fakeEngine, fakeModel } from "../golden/operations.js";
import { CONTRACT, onnx } from "./files.js";
import { noise } from "./question.js";

const detection = parseTask({ type: "detection" }) as Detection;
const recognition = parseTask({ type: "recognition", embedding_size: 3 }) as Recognition;
const floats = (shape: number[], ...data: number[]): Tensor => ({ shape, data: Float32Array.from(data) });

const LANDMARKS = [10, 10, 20, 10, 15, 16, 11, 22, 19, 22];
const ONE_FACE = {
  scores: floats([1, 1], 0.9),
  boxes: floats([1, 1, 4], 4, 4, 28, 30),
  landmarks: floats([1, 1, 5, 2], ...LANDMARKS),
};

function detectorModel(outputs: Record<string, Tensor>, input: object = {}): Artifact {
  const model = fakeModel(detection, [32, 32], Object.keys(outputs));
  return { ...model, contract: { ...model.contract, input: parseInput({ ...model.contract.input, ...input }) } };
}

/** An engine that counts what it is given and how many run at once. */
function counting(answer: (count: number) => Record<string, Tensor>) {
  const seen = { sizes: [] as number[], running: 0, most: 0, closed: 0 };
  const engine: Engine = {
    name: "counting",
    format: "onnx",
    open: async () => ({
      async run({ image }) {
        seen.most = Math.max(seen.most, ++seen.running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        seen.running--;
        seen.sizes.push(image!.shape[0]!);
        return answer(image!.shape[0]!);
      },
      close: async () => void seen.closed++,
    }),
  };
  return { engine, seen };
}

function embedderModel(dynamic: boolean, outputs = ["embedding"]): Artifact {
  const model = fakeModel(recognition, [8, 8], outputs);
  return { ...model, contract: { ...model.contract, input: { ...model.contract.input, dynamic_batch: dynamic } } };
}

const units = (count: number) => ({ embedding: floats([count, 3], ...Array(count).fill([0, 3, 4]).flat()) });

test("a face comes back in the picture's own pixels", async () => {
  const detector = await Detector.load(detectorModel(ONE_FACE), fakeEngine(ONE_FACE));
  const [face, ...others] = await detector.detect(noise(64, 64, 0));
  assert.equal(others.length, 0);
  assert.deepEqual(face!.box, [8.5, 8.5, 56.5, 60.5]);
  assert.equal(face!.pose, null);
  assert.equal(face!.score, Math.fround(0.9));
});

test("options out of their range are refused", async () => {
  const detector = await Detector.load(detectorModel(ONE_FACE), fakeEngine(ONE_FACE));
  for (const options of [{ scoreThreshold: 2 }, { scoreThreshold: NaN }, { maxFaces: -1 }, { maxFaces: 0.5 }]) {
    await assert.rejects(detector.detect(noise(8, 8, 0), options), RangeError);
  }
  assert.deepEqual(await detector.detect(noise(8, 8, 0), { maxFaces: 0 }), []);
});

const WRONG: Record<string, [Record<string, Tensor>, string, RegExp]> = {
  "another shape": [
    { ...ONE_FACE, boxes: floats([1, 4], 1, 2, 3, 4) },
    "InvalidContract",
    /boxes \(1, 4\).*not outputs for the decoder 'pixels'/,
  ],
  integers: [
    { ...ONE_FACE, scores: { shape: [1, 1], data: Uint8Array.of(1) } },
    "UnsupportedModel",
    /'scores' is uint8, and the file does not say/,
  ],
  "no scores": [
    { boxes: ONE_FACE.boxes, landmarks: ONE_FACE.landmarks },
    "InvalidContract",
    /gave boxes, landmarks, but its contract also names scores/,
  ],
  NaN: [
    { ...ONE_FACE, landmarks: floats([1, 1, 5, 2], NaN, ...LANDMARKS.slice(1)) },
    "UnsupportedModel",
    /NaN or infinity in its landmarks on fake/,
  ],
};
for (const [name, [outputs, kind, message]] of Object.entries(WRONG)) {
  test(`a detector that answers with ${name} is refused`, async () => {
    const detector = await Detector.load(detectorModel(ONE_FACE), fakeEngine(outputs));
    await assert.rejects(detector.detect(noise(8, 8, 0)), { name: kind, message });
  });
}

test("a size that the model does not take is refused, and the engine's memory given back", async () => {
  const { engine, seen } = counting(() => ONE_FACE);
  await assert.rejects(Detector.load(detectorModel(ONE_FACE), engine, [64, 64]), {
    message: /takes 32 x 32 only, got 64 x 64/,
  });
  const stepped = detectorModel(ONE_FACE, { size_step: 16 });
  await assert.rejects(Detector.load(stepped, engine, [40, 48]), { message: /takes multiples of 16, got 40 x 48/ });
  assert.equal(seen.closed, 2);
  assert.deepEqual((await Detector.load(stepped, engine, [48, 64])).size, [48, 64]);
});

test("a recogniser is no detector, and an engine runs its own format", async () => {
  await assert.rejects(Detector.load(embedderModel(true), fakeEngine({})), {
    message: /a model for recognition, expected one for detection/,
  });
  const other: Engine = { ...fakeEngine({}), format: "tflite", name: "litert" };
  await assert.rejects(Detector.load(onnx(["pocketface", CONTRACT]), other), {
    name: "UnsupportedModel",
    message: /no backend 'litert' for onnx/,
  });
});

test("crops go to the engine eight at a time, or one by one, and runs wait for one another", async () => {
  for (const [dynamic, sizes] of [
    [true, [8, 8, 3, 1]],
    [false, Array(20).fill(1)],
  ] as const) {
    const { engine, seen } = counting(units);
    const embedder = await Embedder.load(embedderModel(dynamic), engine);
    const crops = Array.from({ length: 19 }, (_, i) => noise(8, 8, i));
    const [many, one] = await Promise.all([embedder.embed(crops), embedder.embed(crops.slice(0, 1))]);
    assert.equal(many.length, 19);
    assert.deepEqual([...one[0]!.vector], [0, Math.fround(0.6), Math.fround(0.8)]);
    assert.deepEqual(
      [...seen.sizes].sort((a, b) => b - a),
      sizes,
    );
    assert.equal(seen.most, 1);
    assert.deepEqual(await embedder.embed([]), []);
    await embedder.close();
    assert.equal(seen.closed, 1);
  }
});

test("fewer embeddings than crops are refused", async () => {
  const embedder = await Embedder.load(embedderModel(true), fakeEngine(units(1)));
  const crops = [noise(8, 8, 0), noise(8, 8, 1)];
  await assert.rejects(embedder.embed(crops), {
    name: "InvalidContract",
    message: /an embedding of shape \(1, 3\), expected \(2, 3\)/,
  });
});

test("crops of another size are refused", async () => {
  const embedder = await Embedder.load(embedderModel(true), fakeEngine(units(1)));
  await assert.rejects(embedder.embed([noise(8, 9, 0)]), {
    name: "InvalidImage",
    message: /got uint8 \(8, 9, 3\); use align\(\)/,
  });
});

test("a recogniser that fails once can be asked again", async () => {
  let times = 0;
  const flaky: Engine = {
    ...fakeEngine({}),
    open: async () => ({
      run: async () => (times++ ? units(1) : Promise.reject(new Error("once"))),
      close: async () => {},
    }),
  };
  const embedder = await Embedder.load(embedderModel(true), flaky);
  await assert.rejects(embedder.embed([noise(8, 8, 0)]), /once/);
  assert.equal((await embedder.embed([noise(8, 8, 0)])).length, 1);
});

test("an analyser finds, cuts out, judges and decides", async () => {
  const model = embedderModel(true, ["embedding", "quality"]);
  const detector = await Detector.load(detectorModel(ONE_FACE), fakeEngine(ONE_FACE));
  const embedder = await Embedder.load(model, fakeEngine({ ...units(1), quality: floats([1, 1], 0.5) }));
  const analyzer = new FaceAnalyzer(detector, embedder);
  const [face] = await analyzer.analyze(noise(32, 32, 0));
  assert.equal(face!.quality, 0.5);
  assert.ok(Math.abs(compare(face!.embedding, face!.embedding) - 1) < 1e-6);
  assert.match(String(analyzer.decide(face!, face!)), /^cosine 1\.0000; the model is not calibrated/);
  const copy = structuredClone(face!.embedding);
  assert.ok(compare(copy, face!.embedding) > 0.999999, "an embedding is plain data");
});

test("the engines' packages have the types that are asked of them", () => {
  const [onnxruntime, lite]: [Ort, LiteRt] = [ort, litert];
  assert.equal(ortEngine(onnxruntime).format, "onnx");
  assert.equal(litertEngine(lite).format, "tflite");
});

test("LiteRT.js has no int8 inputs", async () => {
  const model: Artifact = { ...detectorModel(ONE_FACE, { dtype: "int8", layout: "NHWC" }), format: "tflite" };
  await assert.rejects(Detector.load(model, litertEngine(litert)), {
    name: "UnsupportedModel",
    message: "golden.onnx: its input is int8, which LiteRT.js does not have; quantize it with --io float",
  });
});

test("a damaged ONNX file with a sound contract is refused by the engine", async () => {
  ort.env.wasm.numThreads = 1;
  await assert.rejects(Detector.load(onnx(["pocketface", CONTRACT]), ortEngine(ort)), {
    name: "InvalidModel",
    message: /onnxruntime cannot load it: /,
  });
});
