/** Pictures and what was found in them, on a canvas. */

import type { Face, Picture } from "../src/index.js";

const LONGEST = 1280; // pixels of a canvas's longer side; a screen shows no more
const GOOD = "#35d0a5";
const BAD = "#ff7a5c";
const SHADE = "rgb(0 0 0 / 55%)";

/** A face and why it may not be compared. */
export interface Shown {
  readonly face: Face;
  readonly refusal: string | null;
}

/**
 * Draw a picture and its faces: box, landmarks and where the nose points. A refused face is dashed.
 *
 * @param chosen which face is to stand out.
 * @param mirrored as in a mirror, which people expect of their own camera.
 */
export function drawScene(
  canvas: HTMLCanvasElement,
  picture: Picture,
  shown: readonly Shown[],
  chosen: number,
  mirrored: boolean,
): void {
  const scale = Math.min(1, LONGEST / Math.max(picture.width, picture.height));
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  const context = canvas.getContext("2d")!;
  if (mirrored) context.setTransform(-scale, 0, 0, scale, canvas.width, 0);
  else context.setTransform(scale, 0, 0, scale, 0, 0);
  context.drawImage(surfaceOf(picture), 0, 0);
  context.translate(0.5, 0.5); // (0, 0) is the centre of the first pixel
  const line = Math.max(canvas.width, canvas.height) / 220 / scale;
  shown.forEach(({ face, refusal }, i) =>
    drawFace(context, face, refusal ? BAD : GOOD, !!refusal, i === chosen ? line * 1.6 : line),
  );
}

/** Draw a crop to fill a small canvas; clear it where there is none. */
export function drawCrop(canvas: HTMLCanvasElement, crop: Picture | null): void {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (crop) context.drawImage(surfaceOf(crop), 0, 0, canvas.width, canvas.height);
}

function drawFace(context: CanvasRenderingContext2D, face: Face, color: string, dashed: boolean, line: number): void {
  const [x1, y1, x2, y2] = face.box;
  for (const [style, width] of [
    [SHADE, line * 2],
    [color, line],
  ] as const) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.setLineDash(dashed ? [4 * line, 3 * line] : []);
    context.beginPath();
    context.roundRect(x1, y1, x2 - x1, y2 - y1, Math.min(x2 - x1, y2 - y1) / 12);
    context.stroke();
    context.setLineDash([]);
    drawNose(context, face);
  }
  context.fillStyle = color;
  for (const [x, y] of face.landmarks) {
    context.beginPath();
    context.arc(x, y, line * 1.3, 0, 2 * Math.PI);
    context.fill();
  }
}

/** Row 2 of the rotation leads out along the nose: x to the right, y up, z towards the camera. */
function drawNose(context: CanvasRenderingContext2D, { box, landmarks, rotation }: Face): void {
  if (!rotation) return;
  const [x, y] = landmarks[2]!;
  const length = (box[2] - box[0]) * 0.6;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + rotation[2][0] * length, y - rotation[2][1] * length);
  context.stroke();
}

function surfaceOf({ width, height, data }: Picture): OffscreenCanvas {
  const surface = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data[to] = data[from]!;
    pixels.data[to + 1] = data[from + 1]!;
    pixels.data[to + 2] = data[from + 2]!;
    pixels.data[to + 3] = 255;
  }
  surface.getContext("2d")!.putImageData(pixels, 0, 0);
  return surface;
}
