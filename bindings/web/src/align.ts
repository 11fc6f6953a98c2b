/** Cut a face out of a picture so that its five landmarks lie where a recogniser expects them. */

import { InvalidGeometry } from "./errors.js";
import { blank, checkPicture, checkSize, type Picture, type Size } from "./images.js";
import { general } from "./numbers.js";
import { boxMean, MAX_BOX, sample, UNITS } from "./resample.js";

/** (x, y) in pixels. */
export type Point = readonly [x: number, y: number];

/** `[[a, -b, tx], [b, a, ty]]`: x' = a x - b y + tx, y' = b x + a y + ty. */
export type Similarity = [[number, number, number], [number, number, number]];

const ONE = 65536; // the transform counts in 1/65536 pixel
const FARTHEST = 1e6; // coordinates beyond a million pixels are a fault
const LEAST = 1e-12; // squared: points within a millionth of a pixel, or a scale of a millionth

/**
 * The scale, rotation and shift that take `source` closest to `target` in the least-squares sense; no reflection.
 *
 * Umeyama 1991 in two dimensions, without an SVD: see `bindings/golden/README.md`.
 *
 * @throws InvalidGeometry: unequal counts, fewer than two points, NaN, infinity, coordinates beyond a million, or
 *   points so close together or so contrary that there is no such transform.
 */
export function estimateSimilarity(source: readonly Point[], target: readonly Point[]): Similarity {
  const [a, b, tx, ty] = fit(checkPoints(source, "src"), checkPoints(target, "dst"));
  return [
    [a, -b, tx],
    [b, a, ty],
  ];
}

/**
 * Warp a face so that its landmarks come to lie on `template`; what is outside the picture is 0.
 *
 * The rule stands in `bindings/golden/README.md`; from the rounded transform on it works in whole numbers.
 *
 * @param landmarks (x, y) in the picture; may lie outside.
 * @param template where they belong, in pixels of the crop.
 * @param size of the crop.
 * @throws InvalidImage, InvalidGeometry: see `estimateSimilarity`.
 */
export function alignFace(
  picture: Picture,
  landmarks: readonly Point[],
  template: readonly Point[],
  size: Size,
): Picture {
  const { width, height } = checkPicture(picture);
  const crop = blank(checkSize(size));
  const [A, B, X0, Y0] = inverse(...fit(checkPoints(landmarks, "landmarks"), checkPoints(template, "template")));
  const k = boxSide(A * A + B * B);
  const half = 32768 - 32640 * k;
  const column = (u: number, v: number) => Math.floor((A * u + B * v + X0 + half) / (UNITS * k));
  const row = (u: number, v: number) => Math.floor((A * v - B * u + Y0 + half) / (UNITS * k));
  const [top, bottom] = reach(row, crop, Math.ceil(height / k));
  const [left, right] = reach(column, crop, Math.ceil(width / k));
  if (top >= bottom || left >= right) return crop;
  const small = boxMean(picture, k, k === 1 ? undefined : { top, bottom, left, right });
  const [dy, dx] = k === 1 ? [0, 0] : [UNITS * top, UNITS * left];
  for (let v = 0, to = 0; v < crop.height; v++) {
    for (let u = 0; u < crop.width; u++, to += 3) sample(small, row(u, v) - dy, column(u, v) - dx, crop.data, to);
  }
  return crop;
}

function inverse(a: number, b: number, tx: number, ty: number): [number, number, number, number] {
  const square = a * a + b * b;
  const c = a / square;
  const s = b / square;
  const [A, B, X0, Y0] = [c, s, -(c * tx + s * ty), s * tx - c * ty].map((n) => Math.floor(ONE * n + 0.5));
  return [A!, B!, X0!, Y0!];
}

/** The greatest k with (65536 k)² <= square, limited to 1..256. The root only guesses: its last bit may be off. */
function boxSide(square: number): number {
  let k = Math.min(Math.max(Math.floor(Math.sqrt(square) / ONE), 1), MAX_BOX);
  while (k > 1 && (ONE * k) ** 2 > square) k--;
  while (k < MAX_BOX && (ONE * (k + 1)) ** 2 <= square) k++;
  return k;
}

/** First and one past the last of `length` pixels that the crop blends. A linear map has its ends in the corners. */
function reach(position: (u: number, v: number) => number, crop: Picture, length: number): [number, number] {
  const [u, v] = [crop.width - 1, crop.height - 1];
  const ends = [position(0, 0), position(u, 0), position(0, v), position(u, v)];
  const first = Math.floor(Math.min(...ends) / UNITS);
  const last = Math.floor(Math.max(...ends) / UNITS) + 2;
  return [Math.max(first, 0), Math.min(last, length)];
}

function fit(source: readonly Point[], target: readonly Point[]): [number, number, number, number] {
  if (source.length !== target.length) {
    throw new InvalidGeometry(
      `expected the same number of points on both sides, got ${source.length} and ${target.length}`,
    );
  }
  const [mx, my] = mean(source);
  const [nx, ny] = mean(target);
  let [spread, along, across] = [0, 0, 0];
  source.forEach(([sx, sy], i) => {
    const [x, y, p, q] = [sx - mx, sy - my, target[i]![0] - nx, target[i]![1] - ny];
    spread += x * x + y * y;
    along += x * p + y * q;
    across += x * q - y * p;
  });
  if (spread < LEAST) {
    const place = `(${general(mx)}, ${general(my)})`;
    throw new InvalidGeometry(`the points all lie at ${place}; a face has landmarks in different places`);
  }
  const [a, b] = [along / spread, across / spread];
  if (a * a + b * b < LEAST) {
    throw new InvalidGeometry("no similarity takes these points to the others: those lie in one place, or mirror them");
  }
  return [a, b, nx - (a * mx - b * my), ny - (b * mx + a * my)];
}

function mean(points: readonly Point[]): Point {
  let [sx, sy] = [0, 0];
  for (const [x, y] of points) {
    sx += x;
    sy += y;
  }
  return [sx / points.length, sy / points.length];
}

function checkPoints(points: readonly Point[], what: string): readonly Point[] {
  if (!Array.isArray(points) || points.length < 2 || !points.every((point) => point?.length === 2)) {
    throw new InvalidGeometry(`expected ${what} as (n, 2) points (x, y), two or more`);
  }
  if (!points.flat().every((n) => Math.abs(n) <= FARTHEST)) {
    const came = points.map((point) => `[${point.join(", ")}]`).join(", ");
    throw new InvalidGeometry(`${what} hold NaN, infinity or more than ${general(FARTHEST)} pixels: [${came}]`);
  }
  return points;
}
