/** Plausible mistakes, each in one rule. With each some golden vector must fail, or they hold nobody to anything. */

import { boxMean, stretch } from "../../src/resample.js";
import { type Box, nms } from "../../src/boxes.js";
import { type Given, type Operation, OPERATIONS } from "./operations.js";

interface Mutant {
  readonly operation: string;
  readonly wrong: Operation;
}

/** The right answer, spoiled. */
function spoiled(operation: string, spoil: (answer: Given) => Given): Mutant {
  return { operation, wrong: async (given, read) => spoil(await OPERATIONS[operation]!(given, read)) };
}

/** The right rule, asked something else. */
function misled(operation: string, mislead: (given: Given) => Given): Mutant {
  return { operation, wrong: (given, read) => OPERATIONS[operation]!(mislead(given), read) };
}

const swap = (input: Given) => ({ ...input, color: input.color === "RGB" ? "BGR" : "RGB" });

export const mutants: Readonly<Record<string, Mutant>> = {
  "a box mean drops its fraction": {
    operation: "box_mean",
    wrong: ({ picture, k }, read) => {
      const source = read(picture);
      const dark = { ...source, data: source.data.map((value) => Math.max(value - 1, 0)) };
      return { picture: boxMean(dark, k) };
    },
  },
  "rows and columns are taken for each other": {
    operation: "stretch",
    wrong: ({ picture, rows, columns }, read) => ({ picture: stretch(read(picture), columns, rows) }),
  },
  "letterbox takes (width, height)": misled("letterbox", ({ size: [h, w], ...given }) => ({ ...given, size: [w, h] })),
  "red and blue are swapped": misled("tensor", ({ input, ...given }) => ({ ...given, input: swap(input) })),
  "a transform is turned the other way": spoiled("similarity", ({ matrix: [[a, b, x], [c, d, y]] }) => ({
    matrix: [
      [a, -b, x],
      [-c, d, y],
    ],
  })),
  "a crop is off by a sixteenth of a pixel": misled("align", ({ landmarks, ...given }) => ({
    ...given,
    landmarks: landmarks.map(([x, y]: [number, number]) => [x + 1 / 16, y]),
  })),
  "half a pixel is forgotten": {
    operation: "to_source",
    wrong: ({ points, scale }) => ({ points: points.map((p: number[]) => p.map((x) => x / scale)) }),
  },
  "an overlap of just the threshold removes": {
    operation: "nms",
    wrong: ({ boxes, scores, iou_threshold }) => {
      const all = boxes.map((box: Given) => Array.from(box, Number) as unknown as Box);
      return {
        kept: nms(
          all,
          Array.from(scores as number[], Number),
          Math.max(iou_threshold - 1e-9, Math.min(iou_threshold, 0)),
        ),
      };
    },
  },
  "yaw has the other sign": spoiled("pose", (pose) => ({ ...pose, yaw_deg: -pose.yaw_deg })),
  "a threshold must be exceeded": misled("decision", ({ cosine, ...given }) => ({ ...given, cosine: cosine - 1e-12 })),
  "zero points are forgotten": misled("dequantize", (given) => ({ ...given, zero_point: 0 })),
};
