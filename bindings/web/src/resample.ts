/**
 * The two pixel rules that letterboxing and alignment are made of: a box mean and a bilinear blend.
 *
 * Both work in whole numbers and give the same bytes in every language. No number below exceeds 2**24.
 */

import { blank, type Picture } from "./images.js";

/** Positions count in 1/256 pixel. */
export const UNITS = 256;
/** Longest side of a box; sums of 256 x 256 pixels still fit in 24 bits. */
export const MAX_BOX = 256;

/** A part of a picture: rows `top` to before `bottom`, columns `left` to before `right`. */
export interface Region {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/**
 * Shrink by a whole factor: pixel (y, x) is the mean of rows k*y .. k*y + k - 1 and columns k*x .. k*x + k - 1.
 *
 * A box that hangs over an edge takes the mean of the pixels it has. The mean of n values with sum s is
 * `(s + n // 2) // n`.
 *
 * @param picture of any size.
 * @param k side of a box, 1..`MAX_BOX`.
 * @param boxes which boxes to compute, counted from the picture's top left; all of them if it is left out.
 * @returns the picture itself for k = 1 and all boxes.
 */
export function boxMean(picture: Picture, k: number, boxes?: Region): Picture {
  if (k === 1 && !boxes) return picture;
  const { width, height, data } = picture;
  const { top, bottom, left, right } = boxes ?? {
    top: 0,
    bottom: Math.ceil(height / k),
    left: 0,
    right: Math.ceil(width / k),
  };
  const small = blank([bottom - top, right - left]);
  const sums = new Uint32Array(3 * small.width);
  for (let row = top, to = 0; row < bottom; row++) {
    const tall = Math.min(k, height - row * k);
    sums.fill(0);
    for (let y = row * k; y < row * k + tall; y++) addRow(data, 3 * (y * width + left * k), width - left * k, k, sums);
    for (let column = left, i = 0; column < right; column++) {
      const n = tall * Math.min(k, width - column * k);
      for (let c = 0; c < 3; c++, i++) small.data[to++] = (sums[i]! + (n >> 1)) / n; // a byte drops the fraction
    }
  }
  return small;
}

/** Add the pixels of one row, from byte `at`, to the sums of their boxes. */
function addRow(data: Uint8Array, at: number, left: number, k: number, sums: Uint32Array): void {
  for (let i = 0; i < sums.length && left > 0; i += 3, left -= k) {
    const end = at + 3 * Math.min(k, left);
    let r = 0;
    let g = 0;
    let b = 0;
    for (; at < end; at += 3) {
      r += data[at]!;
      g += data[at + 1]!;
      b += data[at + 2]!;
    }
    sums[i]! += r;
    sums[i + 1]! += g;
    sums[i + 2]! += b;
  }
}

/**
 * Sample a grid of rows x columns, bilinearly; beyond an edge the edge's pixels go on.
 *
 * @param rows positions in 1/256 pixel.
 * @param columns likewise.
 */
export function stretch(picture: Picture, rows: ArrayLike<number>, columns: ArrayLike<number>): Picture {
  const { width, height, data } = picture;
  const out = blank([rows.length, columns.length]);
  for (let i = 0, to = 0; i < rows.length; i++) {
    const y = rows[i]! >> 8;
    const up = 3 * width * clamp(y, height);
    const down = 3 * width * clamp(y + 1, height);
    for (let j = 0; j < columns.length; j++) {
      const x = columns[j]! >> 8;
      const left = 3 * clamp(x, width);
      const right = 3 * clamp(x + 1, width);
      for (let c = 0; c < 3; c++) {
        out.data[to++] = blend(
          data[up + left + c]!,
          data[up + right + c]!,
          data[down + left + c]!,
          data[down + right + c]!,
          rows[i]! & 255,
          columns[j]! & 255,
        );
      }
    }
  }
  return out;
}

/**
 * Sample one point by the formula of `stretch`; pixels outside the picture count as 0.
 *
 * @param row position in 1/256 pixel.
 * @param column likewise.
 * @param out three bytes are written here, from `to` on.
 */
export function sample(picture: Picture, row: number, column: number, out: Uint8Array, to: number): void {
  const y = Math.floor(row / UNITS);
  const x = Math.floor(column / UNITS);
  const r = row - UNITS * y;
  const column256 = column - UNITS * x;
  for (let c = 0; c < 3; c++) {
    out[to + c] = blend(
      pixel(picture, y, x, c),
      pixel(picture, y, x + 1, c),
      pixel(picture, y + 1, x, c),
      pixel(picture, y + 1, x + 1, c),
      r,
      column256,
    );
  }
}

function blend(p00: number, p01: number, p10: number, p11: number, r: number, c: number): number {
  return ((p00 * (256 - r) + p10 * r) * (256 - c) + (p01 * (256 - r) + p11 * r) * c + 32768) >> 16;
}

function pixel({ width, height, data }: Picture, y: number, x: number, c: number): number {
  return y >= 0 && y < height && x >= 0 && x < width ? data[3 * (y * width + x) + c]! : 0;
}

function clamp(n: number, length: number): number {
  return n < 0 ? 0 : n < length ? n : length - 1;
}
