/** The operations of bindings/golden: from a vector's question to this package's answer. */

import { alignFace, estimateSimilarity, type Point } from "../../src/align.js";
import type { Artifact } from "../../src/artifact.js";
import { type Box, iou, nms } from "../../src/boxes.js";
import { type Detection, type InputSpec, parseInput, parseTask, type Recognition } from "../../src/contract.js";
import { decide } from "../../src/decision.js";
import { boxOf, decode } from "../../src/decode.js";
import { Detector } from "../../src/detector.js";
import { Embedder } from "../../src/embedder.js";
import { compare, type Embedding } from "../../src/embedding.js";
import type { Engine, Tensor } from "../../src/engines/engine.js";
import { Gate } from "../../src/gate.js";
import { blank, type Picture, type Size } from "../../src/images.js";
import { dequantize, quantize, type Steps } from "../../src/integers.js";
import { eulerAngles, type Matrix3, type Pose, rotationFrom6d } from "../../src/pose.js";
import { letterbox, toSource, toTensor } from "../../src/preprocess.js";
import { boxMean, sample, stretch } from "../../src/resample.js";
import type { Pictures } from "./judge.js";

type Numbers = readonly (number | string)[];
type RawTensor = { shape: number[]; data: Numbers };
type RawOutputs = Record<string, RawTensor>;
type Told = Omit<Embedding, "vector"> & { vector: number[] };

/** A vector's `given`; the schema in bindings/golden says which fields each operation has. */
export type Given = any;
export type Operation = (given: Given, picture: (name: string) => Picture) => unknown;

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  box_mean: ({ picture, k }: { picture: string; k: number }, read) => ({ picture: boxMean(read(picture), k) }),
  stretch: ({ picture, rows, columns }: Sampling, read) => ({ picture: stretch(read(picture), rows, columns) }),
  sample: ({ picture, rows, columns }: Sampling, read) => ({
    colors: rows.map((row, i) => color(read(picture), row, columns[i]!)),
  }),
  letterbox: ({ picture, size }: { picture: string; size: Size }, read) => letterbox(read(picture), size),
  tensor: ({ picture, input }: { picture: string; input: unknown }, read) => ({
    tensor: toTensor([read(picture)], parseInput(input)),
  }),
  similarity: ({ source, target }) => ({ matrix: estimateSimilarity(points(source), points(target)) }),
  align: ({ picture, landmarks, template, size }, read) => ({
    picture: alignFace(read(picture), points(landmarks), points(template), size),
  }),
  to_source: ({ points: given, scale }) => ({
    points: given.map((p: Numbers) => numbers(p).map((x) => toSource(x, Number(scale)))),
  }),
  iou: ({ a, b }: { a: Box[]; b: Box[] }) => ({ iou: a.map((box) => b.map((other) => iou(box, other))) }),
  nms: ({ boxes, scores, iou_threshold }) => ({
    kept: nms(
      boxes.map((box: Numbers) => numbers(box) as unknown as Box),
      numbers(scores),
      iou_threshold,
    ),
  }),
  decode: answerDecode,
  rotation: ({ six }) => ({ rotation: rotationFrom6d(numbers(six)) }),
  pose: ({ rotation }) => angles(eulerAngles(rotation.map(numbers) as unknown as Matrix3)),
  detect: answerDetect,
  embedding: answerEmbedding,
  cosine: ({ a, b }: { a: Told; b: Told }) => ({ cosine: compare(told(a), told(b)) }),
  decision: answerDecision,
  gate: ({ box, face_quality, quality, side_px }) => {
    const face = { box: numbers(box) as unknown as Box, quality: face_quality === null ? null : Number(face_quality) };
    const text = new Gate({ quality, sidePx: side_px }).refusal(face);
    return { refused: text && (text.startsWith("too small") ? "size" : "quality"), text };
  },
  dequantize: ({ integers, ...given }) => ({ numbers: dequantize(integers, steps(given)) }),
  quantize: ({ numbers: given, ...rest }) => ({ integers: quantize(given, steps(rest)) }),
};

interface Sampling {
  picture: string;
  rows: number[];
  columns: number[];
}

/** A function for one vector's pictures. */
export function reader(pictures: Pictures): (name: string) => Picture {
  return (name) => {
    const picture = pictures.get(name);
    if (!picture) throw new Error(`${name} is not in index.json`);
    return picture;
  };
}

/** An engine that answers as told. */
export function fakeEngine(outputs: Readonly<Record<string, Tensor>>): Engine {
  return {
    name: "fake",
    format: "onnx",
    open: async () => ({ run: async () => ({ ...outputs }), close: async () => {} }),
  };
}

/** A model without a file, whose outputs are named by their meanings. */
export function fakeModel(task: Detection | Recognition, [height, width]: Size, outputs: readonly string[]): Artifact {
  const input: InputSpec = parseInput({ name: "image", layout: "NCHW", height, width });
  return {
    name: "golden.onnx",
    format: "onnx",
    bytes: new Uint8Array(1),
    contract: {
      schema: 1,
      model: "golden",
      task,
      input,
      outputs: Object.fromEntries(outputs.map((name) => [name, name])),
      precision: "float32",
      fingerprint: "0".repeat(64),
      weights: "none",
      trained: false,
      parameters: 0,
      macs: 0,
      license: "Apache-2.0",
      producer: "",
      quantization: undefined,
    },
  };
}

function answerDecode({ decoder, size, outputs }: { decoder: "pixels" | "yunet"; size: Size; outputs: RawOutputs }) {
  const found = decode(decoder, tensors(outputs), size);
  const each = <T>(make: (i: number) => T) => [...found.scores.keys()].map(make);
  return {
    scores: found.scores,
    boxes: each((i) => boxOf(found, i)),
    landmarks: each((i) => rows(found.landmarks.subarray(10 * i, 10 * i + 10), 2)),
    rotations: found.rotations && each((i) => rows(found.rotations!.subarray(9 * i, 9 * i + 9), 3)),
  };
}

async function answerDetect(given: Given) {
  const outputs = tensors(given.outputs);
  const model = fakeModel(parseTask(given.task) as Detection, given.size, Object.keys(outputs));
  const detector = await Detector.load(model, fakeEngine(outputs));
  const options = { scoreThreshold: given.score_threshold ?? undefined, maxFaces: given.max_faces ?? undefined };
  const faces = await detector.detect(blank(given.picture_size), options);
  return { faces: faces.map(({ pose, ...face }) => ({ ...face, pose: pose && angles(pose) })) };
}

async function answerEmbedding({ embedding }: { embedding: Numbers }) {
  const data = Float32Array.from(numbers(embedding));
  const task = parseTask({ type: "recognition", embedding_size: data.length, normalized: false }) as Recognition;
  const engine = fakeEngine({ embedding: { shape: [1, data.length], data } });
  const embedder = await Embedder.load(fakeModel(task, [8, 8], ["embedding"]), engine);
  const [found] = await embedder.embed([blank([8, 8])]);
  return { embedding: found!.vector };
}

function answerDecision({ cosine, task, far }: { cosine: number; task: unknown; far: number }) {
  const decision = decide(cosine, parseTask(task) as Recognition);
  const { calibrated, threshold, lenient } = decision;
  return { calibrated, far: decision.far, threshold, lenient, same: decision.sameAt(far), text: String(decision) };
}

function angles({ yawDeg, pitchDeg, rollDeg }: Pose) {
  return { yaw_deg: yawDeg, pitch_deg: pitchDeg, roll_deg: rollDeg };
}

function color(picture: Picture, row: number, column: number): Uint8Array {
  const out = new Uint8Array(3);
  sample(picture, row, column, out, 0);
  return out;
}

function steps({ scale, zero_point, dtype }: Given): Steps {
  return { scale, zeroPoint: zero_point, dtype };
}

function told({ vector, ...rest }: Told): Embedding {
  return { ...rest, vector: Float32Array.from(vector) };
}

function tensors(outputs: RawOutputs): Record<string, Tensor> {
  const pairs = Object.entries(outputs).map(([name, { shape, data }]) => {
    return [name, { shape, data: Float32Array.from(numbers(data)) }] as const;
  });
  return Object.fromEntries(pairs);
}

function rows(flat: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: flat.length / width }, (_, i) =>
    Array.from({ length: width }, (_, j) => flat[i * width + j]!),
  );
}

function points(given: readonly Numbers[]): Point[] {
  return given.map((point) => numbers(point) as unknown as Point);
}

/** What is not finite is written as text. */
function numbers(given: Numbers): number[] {
  return Array.from(given, Number);
}
