/** Questions for the tests: noise, and numbers that are the same in every run. */

import { ARCFACE_TEMPLATE } from "../../src/contract.js";
import type { Picture } from "../../src/images.js";

export { alignFace } from "../../src/align.js";
export const ARCFACE = ARCFACE_TEMPLATE;

/** Whole numbers of 24 bits. Source: Numerical Recipes. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(1664525, state) + 1013904223) >>> 0;
    return state >>> 8;
  };
}

/** A picture whose every pixel differs from its neighbours. */
export function noise(height: number, width: number, seed: number): Picture {
  const draw = random(seed + 1);
  return { width, height, data: Uint8Array.from({ length: 3 * height * width }, () => draw() & 255) };
}
