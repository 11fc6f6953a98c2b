/** Boxes: overlap and non-maximum suppression, in float64 so that every language decides alike. */

import { InvalidGeometry } from "./errors.js";

/** (x1, y1, x2, y2); its area is (x2 - x1) * (y2 - y1), without the extra pixel that some add. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

/**
 * Intersection over union of two boxes, 0..1.
 *
 * Boxes turned inside out have no area. Where the union has none, or a coordinate is not finite, the overlap is 0.
 */
export function iou(a: Box, b: Box): number {
  const [shared, union] = overlap(a, b);
  return union > 0 && Number.isFinite(union) ? shared / union : 0;
}

/**
 * Greedy non-maximum suppression: candidates by falling score, equal scores by rising index; each one taken removes
 * all later ones that overlap it by more than the threshold. A candidate whose score is NaN, or whose box is not
 * finite, is never kept.
 *
 * @returns indices of those kept, best first.
 * @throws InvalidGeometry: unequal counts, or a threshold outside 0..1.
 */
export function nms(boxes: readonly Box[], scores: ArrayLike<number>, threshold: number): number[] {
  if (scores.length !== boxes.length) {
    throw new InvalidGeometry(`expected one score for each of ${boxes.length} boxes, got scores of ${scores.length}`);
  }
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new InvalidGeometry(`expected an IoU threshold in 0..1, got ${threshold}`);
  }
  const kept: number[] = [];
  for (const i of ranked(boxes, scores)) {
    const removed = kept.some((j) => {
      const [shared, union] = overlap(boxes[j]!, boxes[i]!);
      return shared > threshold * union;
    });
    if (!removed) kept.push(i);
  }
  return kept;
}

function ranked(boxes: readonly Box[], scores: ArrayLike<number>): number[] {
  const usable = boxes.flatMap((box, i) => (!Number.isNaN(scores[i]) && box.every(Number.isFinite) ? [i] : []));
  return usable.sort((i, j) => (scores[i] === scores[j] ? i - j : scores[i]! < scores[j]! ? 1 : -1));
}

/** Areas of intersection and union. */
function overlap(a: Box, b: Box): [number, number] {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return [shared, area(a) + area(b) - shared];
}

function area([x1, y1, x2, y2]: Box): number {
  return Math.max(x2 - x1, 0) * Math.max(y2 - y1, 0);
}
