import { InvalidImage } from "./errors.js";
import { general } from "./numbers.js";

/** A picture: RGB bytes, rows first, `height * width * 3` of them. (0, 0) is the centre of the top-left pixel. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** A size as `[height, width]`, the order of the contract and of Python. */
export type Size = readonly [height: number, width: number];

/** Most pixels that are looked at: 64 Mi, so 9248 x 6944 from a 64-megapixel phone still passes. */
export const MAX_PIXELS = 64 << 20;

/**
 * The picture itself, if it is one with at least one pixel and at most `MAX_PIXELS`.
 *
 * @throws InvalidImage: anything else; the message names the fault and its cure.
 */
export function checkPicture(picture: Picture): Picture {
  const { width, height, data } = Object(picture) as Partial<Picture>;
  if (!isSide(width) || !isSide(height) || !ArrayBuffer.isView(data)) {
    throw wrong(`${typeOf(picture)}`, "give { width, height, data }, or read it with loadImage");
  }
  if (width * height > MAX_PIXELS) {
    throw new InvalidImage(`${width} x ${height} pixels, at most ${MAX_PIXELS} are read; scale it down first`);
  }
  const values = data as Uint8Array;
  const channels = width * height ? values.length / (width * height) : 3;
  const came = `shape (${height}, ${width}, ${general(channels)}) ${dtype(values)}`;
  if (channels !== 3) throw wrong(came, shapeCure(channels));
  if (!(values instanceof Uint8Array)) {
    throw wrong(came + range(values), "scale the values to 0..255 and put them into a Uint8Array");
  }
  if (values.length === 0) throw wrong(`${came}, which has no pixels`, "check the crop or the file it came from");
  return picture;
}

/**
 * The size itself, if it is two positive whole numbers.
 *
 * @throws InvalidImage: anything else.
 */
export function checkSize(size: Size): Size {
  if (size.length !== 2 || !size.every((n) => Number.isInteger(n) && n > 0)) {
    throw new InvalidImage(`expected a size (height, width) of positive whole numbers, got (${size.join(", ")})`);
  }
  return size;
}

/** A black picture. */
export function blank([height, width]: Size): Picture & { data: Uint8Array } {
  return { width, height, data: new Uint8Array(3 * height * width) };
}

/**
 * The picture in a canvas's `ImageData`; what is transparent goes over black.
 *
 * @throws InvalidImage: its bytes are not `height * width * 4`.
 */
export function fromImageData(image: { width: number; height: number; data: ArrayLike<number> }): Picture {
  const { width, height, data } = image;
  if (data.length !== 4 * width * height) {
    throw new InvalidImage(
      `expected ${4 * width * height} bytes RGBA of ${width} x ${height} pixels, got ${data.length}`,
    );
  }
  const picture = blank([height, width]);
  copyRgb(data, picture.data, 0);
  return picture;
}

/** Write RGBA pixels as RGB, from byte `to` on. */
export function copyRgb(rgba: ArrayLike<number>, out: Uint8Array, to: number): void {
  for (let i = 0; i < rgba.length; i += 4, to += 3) {
    const alpha = rgba[i + 3]!;
    for (let c = 0; c < 3; c++) {
      const value = rgba[i + c]!;
      out[to + c] = alpha === 255 ? value : Math.round((value * alpha) / 255);
    }
  }
}

function wrong(came: string, cure: string): InvalidImage {
  return new InvalidImage(`expected a picture of shape (H, W, 3) uint8 RGB, got ${came}; ${cure}`);
}

function isSide(n: unknown): n is number {
  return Number.isSafeInteger(n) && (n as number) >= 0;
}

function shapeCure(channels: number): string {
  if (channels === 1) return "repeat the grey channel three times";
  if (channels === 4) return "drop the fourth channel: fromImageData";
  return "reshape it";
}

function dtype(values: ArrayBufferView): string {
  return values.constructor.name.replace("Array", "").toLowerCase();
}

function range(values: ArrayLike<number>): string {
  let least = Infinity;
  let most = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = Number(values[i]);
    if (!Number.isFinite(value)) return " with NaN or infinite values";
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return values.length ? ` with values ${general(least)}..${general(most)}` : "";
}

function typeOf(value: unknown): string {
  return value === null ? "null" : typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;
}
