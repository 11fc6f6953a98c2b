/**
 * The contract of a model: everything that a program must know to feed a model file and read its answer.
 *
 * It stands inside the file. Its names are those of the JSON there, unchanged; `contract.py` explains each. A contract
 * with a key or a version that this release does not know is refused.
 */

import { InvalidContract, reason } from "./errors.js";
import {
  type Checked,
  flag,
  list,
  number,
  oneOf,
  optional,
  record,
  SchemaError,
  struct,
  tagOf,
  text,
  tuple,
  where,
  whole,
} from "./schema.js";

const SCHEMA_VERSION = 1;

/** Where recognisers expect the five landmarks in a 112 x 112 crop. Source: InsightFace, `face_align.py`. */
export const ARCFACE_TEMPLATE = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
] as const;

const sha256 = text(/^[0-9a-f]{64}$/);
const side = whole(1, 8192);
const share = number(0, 1);
const cosine = number(-1, 1);
const triple = tuple(number(), number(), number());
const point = tuple(number(), number());

const inputFields = struct({
  name: text(),
  layout: oneOf("NCHW", "NHWC", "image"),
  height: side,
  width: side,
  dtype: optional(oneOf("float32", "uint8", "int8"), "float32"),
  size_step: optional(whole(0, 1024), 0),
  dynamic_batch: optional(flag, false),
  color: optional(oneOf("RGB", "BGR"), "RGB"),
  mean: optional(triple, [0, 0, 0]),
  std: optional(triple, [1, 1, 1]),
});

/** The one picture that a model takes, and how to lay it out. */
export type InputSpec = Checked<typeof inputFields>;

const threshold = struct({
  far: number(0, 0.5),
  score: cosine,
  score_interval: tuple(cosine, cosine),
  tar: share,
});

const calibrationFields = struct({
  thresholds: list(threshold, 1),
  data: text(),
  data_fingerprint: sha256,
  genuine: whole(1),
  impostors: whole(1),
  identities: whole(0),
  backend: text(),
});

const recognition = struct({
  type: oneOf("recognition"),
  embedding_size: whole(1, 65536),
  normalized: optional(flag, true),
  template: optional(tuple(point, point, point, point, point), ARCFACE_TEMPLATE),
  calibration: optional(calibration),
  compatible: optional(list(text())),
});

/** What a recogniser needs and gives. */
export type Recognition = Checked<typeof recognition>;

const detection = struct({
  type: oneOf("detection"),
  decoder: optional(oneOf("pixels", "yunet"), "pixels"),
  score_threshold: optional(share, 0.5),
  nms_iou: optional(share, 0.4),
});

/** What a detector needs and gives. */
export type Detection = Checked<typeof detection>;

const quantization = struct({
  recipe: text(),
  parent: sha256,
  kept: optional(list(text()), []),
  calibration: optional(sha256),
  pictures: optional(whole(0), 0),
  equalized: optional(flag, false),
});

const contractFields = struct({
  schema: optional(whole(), SCHEMA_VERSION),
  model: text(/^[A-Za-z0-9_.-]{1,64}$/),
  task: checkTask,
  input: checkInput,
  outputs: record(text()),
  precision: optional(text(), "float32"),
  fingerprint: sha256,
  weights: text(),
  trained: flag,
  parameters: optional(whole(0), 0),
  macs: optional(whole(0), 0),
  license: optional(text(), "Apache-2.0"),
  producer: optional(text(), ""),
  quantization: optional(quantization),
});

/** Everything that a program must know about a model file. */
export type ModelContract = Checked<typeof contractFields>;

const STRIDES = [8, 16, 32];
const NEEDED_OUTPUTS = {
  embedding: ["embedding"],
  pixels: ["scores", "boxes", "landmarks"],
  yunet: ["cls", "obj", "bbox", "kps"].flatMap((kind) => STRIDES.map((stride) => `${kind}_${stride}`)),
};

/**
 * Read a contract.
 *
 * @throws InvalidContract: the text is not JSON, or not a contract that this release knows.
 */
export function parseContract(json: string): ModelContract {
  return checked(() => {
    const contract = contractFields(JSON.parse(json), "$");
    if (contract.schema !== SCHEMA_VERSION) {
      throw new SchemaError(`schema version ${contract.schema} is unknown, this release reads ${SCHEMA_VERSION}`);
    }
    const needed = NEEDED_OUTPUTS[contract.task.type === "detection" ? contract.task.decoder : "embedding"];
    const missing = needed.filter((name) => !Object.hasOwn(contract.outputs, name));
    if (missing.length) {
      throw new SchemaError(`outputs lack ${names(missing)}, they name only ${names(Object.keys(contract.outputs))}`);
    }
    return contract;
  });
}

/** The task in a part of a contract; see `parseContract`. */
export function parseTask(value: unknown): Recognition | Detection {
  return checked(() => checkTask(value, "$"));
}

/** The input in a part of a contract; see `parseContract`. */
export function parseInput(value: unknown): InputSpec {
  return checked(() => checkInput(value, "$"));
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new InvalidContract(`not a valid model contract: ${reason(error)}`, { cause: error });
  }
}

function checkTask(value: unknown, at: string): Recognition | Detection {
  const tag = tagOf(value, "type", at);
  if (tag === undefined) throw new SchemaError(`Object missing required field \`type\`${where(at)}`);
  if (tag === "recognition") return recognition(value, at);
  if (tag === "detection") return detection(value, at);
  throw new SchemaError(`Invalid value '${String(tag)}' - at \`${at}.type\``);
}

function checkInput(value: unknown, at: string): InputSpec {
  const spec = inputFields(value, at);
  if (Math.min(...spec.std) <= 0) {
    const [mean, std] = [spec.mean.join(", "), spec.std.join(", ")];
    throw new SchemaError(`mean must be finite and std positive, got mean (${mean}), std (${std})${where(at)}`);
  }
  if (spec.size_step && (spec.height % spec.size_step || spec.width % spec.size_step)) {
    throw new SchemaError(
      `${spec.height} x ${spec.width} is not a multiple of size_step ${spec.size_step}${where(at)}`,
    );
  }
  return spec;
}

function calibration(value: unknown, at: string): Checked<typeof calibrationFields> {
  const found = calibrationFields(value, at);
  found.thresholds.forEach(({ far, score }, i, all) => {
    const before = all[i - 1];
    if (far <= 0 || (before && (far >= before.far || score < before.score))) {
      throw new SchemaError(
        `thresholds must go from lenient to strict, got FAR ${far} at a score of ${score}${where(at)}`,
      );
    }
  });
  return found;
}

function names(list: string[]): string {
  return `[${[...list]
    .sort()
    .map((name) => `'${name}'`)
    .join(", ")}]`;
}
