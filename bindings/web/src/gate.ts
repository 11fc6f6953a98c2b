/** A gate before comparison: faces that are too small or too bad to be compared are refused, and told why. */

import type { Box } from "./boxes.js";
import { fixed, general } from "./numbers.js";

/**
 * What a face must have to be compared.
 *
 * What quality to ask for depends on the recogniser: its card says which share of pictures each value refuses, and
 * which errors that avoids.
 */
export class Gate {
  /** The least quality, 0..1; a face whose quality is not known passes. */
  readonly quality: number;
  /** The least length of the shorter side of its box, in pixels of the picture. */
  readonly sidePx: number;

  constructor({ quality = 0, sidePx = 0 }: { quality?: number; sidePx?: number } = {}) {
    this.quality = quality;
    this.sidePx = sidePx;
  }

  /** Why a face is refused, in a few words; null if it may pass. */
  refusal({ box, quality }: { readonly box: Box; readonly quality: number | null }): string | null {
    const [x1, y1, x2, y2] = box.map(Math.fround) as [number, number, number, number];
    const side = Math.fround(Math.min(x2 - x1, y2 - y1));
    if (!(side >= this.sidePx)) {
      return `too small: ${fixed(side, 1)} px, expected at least ${general(this.sidePx)} px`;
    }
    if (quality !== null && !(quality >= this.quality)) {
      return `too hard to recognise: quality ${fixed(quality, 2)}, expected at least ${general(this.quality)}`;
    }
    return null;
  }
}
