/** From a detector's raw outputs to faces in pixels of its input. A decoder is a function and a line in DECODERS. */

import type { Box } from "./boxes.js";
import type { Detection } from "./contract.js";
import type { Tensor } from "./engines/engine.js";
import type { Size } from "./images.js";

/** Meaning of an output -> tensor, for one picture. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** Every place where the detector looked, good or not, in pixels of its input, as float32. */
export interface Candidates {
  /** (N): 0..1. */
  readonly scores: Float32Array;
  /** (N, 4): x1, y1, x2, y2. */
  readonly boxes: Float32Array;
  /** (N, 5, 2): left eye, right eye, nose, left and right mouth corner, as seen in the picture. */
  readonly landmarks: Float32Array;
  /** (N, 3, 3), or null if the detector knows no pose. */
  readonly rotations: Float32Array | null;
}

/** The box of one candidate. */
export function boxOf({ boxes }: Candidates, i: number): Box {
  return [boxes[4 * i]!, boxes[4 * i + 1]!, boxes[4 * i + 2]!, boxes[4 * i + 3]!];
}

/**
 * Decode the outputs of a model with this input size.
 *
 * @throws RangeError: outputs of other shapes than the decoder's.
 */
export function decode(decoder: Detection["decoder"], outputs: Outputs, size: Size): Candidates {
  return DECODERS[decoder](outputs, size);
}

const DECODERS: Readonly<Record<Detection["decoder"], (outputs: Outputs, size: Size) => Candidates>> = {
  pixels: decodePixels,
  yunet: decodeYunet,
};

/** Our own exports: decoding is part of the graph. */
function decodePixels(outputs: Outputs): Candidates {
  const n = outputs["scores"]?.shape[1] ?? 0;
  return {
    scores: take(outputs, "scores", [1, n]),
    boxes: take(outputs, "boxes", [1, n, 4]),
    landmarks: take(outputs, "landmarks", [1, n, 5, 2]),
    rotations: outputs["rotation"] ? take(outputs, "rotation", [1, n, 3, 3]) : null,
  };
}

/**
 * YuNet: for each stride, one candidate per cell of `stride` x `stride` pixels, rows first.
 *
 * Source: ShiqiYu/libfacedetection.train; opencv/modules/objdetect/src/face_detect.cpp.
 */
function decodeYunet(outputs: Outputs, [height, width]: Size): Candidates {
  const strides = [8, 16, 32].map((stride) => ({
    stride,
    columns: Math.floor(width / stride),
    n: Math.floor(height / stride) * Math.floor(width / stride),
  }));
  const total = strides.reduce((sum, { n }) => sum + n, 0);
  const scores = new Float32Array(total);
  const boxes = new Float32Array(4 * total);
  const landmarks = new Float32Array(10 * total);
  let to = 0;
  for (const { stride, columns, n } of strides) {
    const [cls, obj] = [take(outputs, `cls_${stride}`, [1, n, 1]), take(outputs, `obj_${stride}`, [1, n, 1])];
    const [bbox, kps] = [take(outputs, `bbox_${stride}`, [1, n, 4]), take(outputs, `kps_${stride}`, [1, n, 10])];
    for (let i = 0; i < n; i++, to++) {
      const cell = [i % columns, Math.floor(i / columns)];
      scores[to] = Math.sqrt(share(cls[i]!) * share(obj[i]!));
      for (let d = 0; d < 2; d++) {
        const centre = (cell[d]! + bbox[4 * i + d]!) * stride;
        const half = (Math.exp(bbox[4 * i + 2 + d]!) * stride) / 2;
        boxes[4 * to + d] = centre - half;
        boxes[4 * to + 2 + d] = centre + half;
      }
      for (let j = 0; j < 10; j++) landmarks[10 * to + j] = (cell[j % 2]! + kps[10 * i + j]!) * stride;
    }
  }
  return { scores, boxes, landmarks, rotations: null };
}

function share(x: number): number {
  return Math.min(Math.max(x, 0), 1);
}

function take(outputs: Outputs, meaning: string, shape: readonly number[]): Float32Array {
  const tensor = outputs[meaning];
  if (!tensor || tensor.shape.join() !== shape.join()) throw new RangeError(`${meaning} is not (${shape.join(", ")})`);
  return tensor.data as Float32Array;
}
