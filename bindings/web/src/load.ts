/** Pictures from files and cameras, in a browser: its decoder, its canvas for the pixels, and nothing scaled by it. */

import { InvalidImage, reason } from "./errors.js";
import { blank, copyRgb, MAX_PIXELS, type Picture } from "./images.js";
import { sizeInHeader } from "./header.js";

const MAX_BYTES = 1 << 29; // of a file, twice what MAX_PIXELS take uncompressed
const STRIP = 256; // rows at a time: besides the decoder only the result holds a whole picture

/** What a canvas can draw. */
type Source = CanvasImageSource &
  (ImageBitmap | HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | HTMLImageElement);

/**
 * Decode a picture's file, turned upright as its EXIF orientation says. Colour profiles are ignored; what is
 * transparent goes over black; of an animation the first picture is taken.
 *
 * @throws InvalidImage: empty, damaged, not JPEG, PNG, WEBP or BMP, or more than `MAX_PIXELS`.
 */
export async function loadImage(file: Blob | Uint8Array, name = "the picture"): Promise<Picture> {
  const blob = file instanceof Blob ? file : new Blob([file as Uint8Array<ArrayBuffer>]);
  if (blob.size === 0) throw new InvalidImage(`${name}: empty, expected a picture; fetch or copy it again`);
  if (blob.size > MAX_BYTES) {
    throw new InvalidImage(
      `${name}: ${blob.size} bytes, at most ${MAX_BYTES} are read; save it smaller, as JPEG or PNG`,
    );
  }
  const size = await sizeInHeader(blob);
  if (!size) throw new InvalidImage(`${name}: not a JPEG, PNG, WEBP, BMP picture; convert it to JPEG or PNG`);
  if (size.width * size.height > MAX_PIXELS) {
    const came = `${size.width} x ${size.height} pixels`;
    throw new InvalidImage(`${name}: ${came}, at most ${MAX_PIXELS} are read; scale it down first`);
  }
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch (error) {
    throw new InvalidImage(`${name}: damaged or truncated: ${reason(error)}; fetch or copy it again`, { cause: error });
  }
  try {
    return fromSource(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/**
 * The pixels of what is already decoded: a bitmap, a canvas, or a video's frame of the moment.
 *
 * @param width of the source, in its own pixels; of a video `videoWidth`.
 * @param height likewise.
 * @throws InvalidImage: no pixels, or more than `MAX_PIXELS`.
 */
export function fromSource(source: Source, width: number, height: number): Picture {
  if (!(width * height > 0 && width * height <= MAX_PIXELS)) {
    throw new InvalidImage(`${width} x ${height} pixels, at least one and at most ${MAX_PIXELS} are read`);
  }
  const picture = blank([height, width]);
  const context = canvas(width, Math.min(STRIP, height));
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.fillRect(0, 0, width, rows); // black, for what is transparent
    context.drawImage(source, 0, top, width, rows, 0, 0, width, rows);
    copyRgb(context.getImageData(0, 0, width, rows).data, picture.data, 3 * width * top);
  }
  return picture;
}

function canvas(width: number, height: number): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D {
  const options = { alpha: false, willReadFrequently: true } as const;
  const surface =
    typeof OffscreenCanvas === "undefined"
      ? Object.assign(document.createElement("canvas"), { width, height })
      : new OffscreenCanvas(width, height);
  const context = surface.getContext("2d", options) as OffscreenCanvasRenderingContext2D | null;
  if (!context) throw new InvalidImage(`the browser gave no canvas of ${width} x ${height} pixels; close other pages`);
  return context;
}
