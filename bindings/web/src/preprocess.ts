/** From a picture to what a network takes: scale it into the input's size, and lay it out as a tensor. */

import type { InputSpec } from "./contract.js";
import type { Tensor } from "./engines/engine.js";
import { InvalidContract, InvalidGeometry, InvalidImage } from "./errors.js";
import { blank, checkPicture, checkSize, type Picture, type Size } from "./images.js";
import { boxMean, MAX_BOX, stretch, UNITS } from "./resample.js";

/**
 * Scale a picture, aspect kept, to fill `size` from the top left; what is left at the right or bottom is 0.
 *
 * The rule stands in `bindings/golden/README.md`; it is in whole numbers, and gives the same bytes in every language.
 *
 * @returns the canvas, and the scale that leads from the picture to it.
 * @throws InvalidImage: not a picture, or a size that is not two positive whole numbers.
 */
export function letterbox(picture: Picture, size: Size): { picture: Picture; scale: number } {
  const { width, height } = checkPicture(picture);
  const [h, w] = checkSize(size);
  const [p, q] = h * width <= w * height ? [h, height] : [w, width];
  const k = Math.min(Math.max(Math.floor(q / p), 1), MAX_BOX);
  const rows = Math.max(1, Math.floor((2 * height * p + q) / (2 * q)));
  const columns = Math.max(1, Math.floor((2 * width * p + q) / (2 * q)));
  const small = boxMean(picture, k);
  const scaled = q === p * k ? small : stretch(small, positions(rows, q, p * k), positions(columns, q, p * k));
  return { picture: onCanvas(scaled, rows, columns, size), scale: p / q };
}

function positions(count: number, q: number, pk: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => Math.floor((UNITS * ((2 * i + 1) * q - pk) + pk) / (2 * pk)));
}

function onCanvas(scaled: Picture, rows: number, columns: number, size: Size): Picture {
  if (rows === size[0] && columns === size[1] && scaled.width === columns && scaled.height === rows) return scaled;
  const canvas = blank(size);
  for (let y = 0; y < rows; y++) {
    const from = 3 * y * scaled.width;
    canvas.data.set(scaled.data.subarray(from, from + 3 * columns), 3 * y * canvas.width);
  }
  return canvas;
}

/**
 * Take a coordinate of the letterboxed picture back to the picture it was made from: `(x + 1/2) / scale - 1/2`.
 *
 * @throws InvalidGeometry: the scale is not a positive finite number.
 */
export function toSource(x: number, scale: number): number {
  if (!(scale > 0 && scale < Infinity)) {
    throw new InvalidGeometry(`expected the positive scale that letterbox returned, got ${scale}`);
  }
  return (x + 0.5) / scale - 0.5;
}

/**
 * Lay pictures out as the input tensor that a contract asks for.
 *
 * Channels are put in the order `spec.color`; then, only where the spec says other than 0 and 1, mean is subtracted
 * and the rest divided by std, each step rounded to float32.
 *
 * @param pictures of the spec's size, or with a `size_step` all of one size that is a multiple of it.
 * @returns (N, 3, H, W) for `NCHW`, (N, H, W, 3) otherwise; bytes for the dtype `uint8`, else float32.
 * @throws InvalidImage: another size. InvalidContract: mean and std for a model that takes bytes.
 */
export function toTensor(pictures: readonly Picture[], spec: InputSpec): Tensor {
  const [height, width] = checkBatch(pictures, spec);
  const plain = spec.layout === "image" || spec.dtype === "uint8";
  if (plain && (spec.mean.some((m) => m !== 0) || spec.std.some((s) => s !== 1))) {
    const [mean, std] = [spec.mean.join(", "), spec.std.join(", ")];
    throw new InvalidContract(`input '${spec.name}' takes uint8, so mean (${mean}), std (${std}) cannot be applied`);
  }
  const planes = spec.layout === "NCHW";
  const area = height * width;
  const data = plain ? new Uint8Array(3 * area * pictures.length) : new Float32Array(3 * area * pictures.length);
  pictures.forEach((picture, n) => {
    for (let c = 0; c < 3; c++) {
      const out = data.subarray(3 * area * n + (planes ? area * c : c));
      fill(out, planes ? 1 : 3, picture.data.subarray(sourceChannel(c, spec)), spec.mean[c]!, spec.std[c]!);
    }
  });
  const shape = planes ? [pictures.length, 3, height, width] : [pictures.length, height, width, 3];
  return { shape, data };
}

function sourceChannel(c: number, spec: InputSpec): number {
  return spec.color === "BGR" && spec.layout !== "image" ? 2 - c : c;
}

/** One channel: every third byte of `from` to every `step`-th place. */
function fill(out: Float32Array | Uint8Array, step: number, from: Uint8Array, mean: number, std: number): void {
  const shift = Math.fround(mean);
  const unit = Math.fround(std);
  for (let i = 0, to = 0; i < from.length; i += 3, to += step) out[to] = Math.fround(from[i]! - shift) / unit;
}

function checkBatch(pictures: readonly Picture[], spec: InputSpec): Size {
  const step = spec.size_step;
  const { height = 0, width = 0 } = pictures[0] ?? {};
  for (const picture of pictures) {
    const { height: h, width: w } = checkPicture(picture);
    const fits = step ? !(h % step || w % step) : h === spec.height && w === spec.width;
    if (!fits || h !== height || w !== width) throw misfit(spec, `(${h}, ${w}, 3) uint8`);
  }
  if (!pictures.length) throw misfit(spec, "none");
  return [height, width];
}

function misfit(spec: InputSpec, came: string): InvalidImage {
  const wanted = spec.size_step ? `a multiple of ${spec.size_step}` : `${spec.height} x ${spec.width}`;
  return new InvalidImage(
    `expected pictures, at least one of ${wanted} pixels, got ${came}; letterbox or align them to that size`,
  );
}
