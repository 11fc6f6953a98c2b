/** Pictures that callers hand over, and headers of files that strangers sent. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { alignFace } from "../../src/align.js";
import { sizeInHeader } from "../../src/header.js";
import { checkPicture, fromImageData, MAX_PIXELS } from "../../src/images.js";
import { letterbox } from "../../src/preprocess.js";
import { GOLDEN, PEOPLE } from "../paths.js";
import { ARCFACE } from "./question.js";

const BAD: Record<string, [unknown, RegExp]> = {
  nothing: [null, /got null; give \{ width, height, data \}/],
  "a number": [3, /got number/],
  "a fraction of a pixel": [{ width: 1.5, height: 2, data: new Uint8Array(9) }, /got Object/],
  "a grey picture": [
    { width: 4, height: 2, data: new Uint8Array(8) },
    /got shape \(2, 4, 1\) uint8; repeat the grey channel/,
  ],
  RGBA: [{ width: 4, height: 2, data: new Uint8Array(32) }, /got shape \(2, 4, 4\) uint8; drop the fourth channel/],
  "too few bytes": [{ width: 4, height: 2, data: new Uint8Array(20) }, /got shape \(2, 4, 2.5\) uint8; reshape it/],
  floats: [
    { width: 1, height: 1, data: Float32Array.of(0, 0.5, 1) },
    /float32 with values 0\.\.1; scale the values to 0\.\.255/,
  ],
  NaN: [{ width: 1, height: 1, data: Float32Array.of(0, NaN, 1) }, /float32 with NaN or infinite values/],
  "no pixels": [
    { width: 0, height: 4, data: new Uint8Array() },
    /which has no pixels; check the crop or the file it came from/,
  ],
  "a huge picture": [
    { width: 65536, height: 65536, data: new Uint8Array(3) },
    /65536 x 65536 pixels, at most 67108864 are read; scale it down first/,
  ],
};
for (const [name, [picture, message]] of Object.entries(BAD)) {
  test(`${name} is no picture`, () => {
    for (const look of [
      checkPicture,
      (p: never) => letterbox(p, [8, 8]),
      (p: never) => alignFace(p, ARCFACE, ARCFACE, [8, 8]),
    ]) {
      assert.throws(() => look(picture as never), { name: "InvalidImage", message });
    }
  });
}

test("canvas pixels lose their alpha, over black", () => {
  const data = Uint8ClampedArray.of(10, 20, 30, 255, 200, 100, 50, 128, 9, 9, 9, 0, 1, 2, 3, 255);
  assert.deepEqual([...fromImageData({ width: 2, height: 2, data }).data], [10, 20, 30, 100, 50, 25, 0, 0, 0, 1, 2, 3]);
  assert.throws(() => fromImageData({ width: 2, height: 3, data }), {
    name: "InvalidImage",
    message: /expected 24 bytes RGBA/,
  });
});

test("headers of real files are read", async () => {
  const header = async (url: URL) => sizeInHeader(new Blob([await readFile(url)]));
  assert.deepEqual(await header(new URL("person_a_1.jpg", PEOPLE)), { width: 256, height: 256 });
  assert.deepEqual(await header(new URL("pictures/noise_23x31.png", GOLDEN)), { height: 23, width: 31 });
});

const HEADERS: Record<string, [number[], object | null]> = {
  "BMP from the top": [[0x42, 0x4d, ...Array(16).fill(0), 5, 0, 0, 0, 0xfd, 0xff, 0xff, 0xff], { width: 5, height: 3 }],
  "WebP, lossy": [[...riff("VP8 "), 0, 0, 0, 0, 0, 0, 0, 0x9d, 1, 0x2a, 7, 0, 9, 0], { width: 7, height: 9 }],
  "WebP, lossless": [[...riff("VP8L"), 0, 0, 0, 0, 0x2f, 6, 0, 2, 0], { width: 7, height: 9 }],
  "WebP, extended": [[...riff("VP8X"), 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 8, 0, 0], { width: 7, height: 9 }],
  "JPEG behind an EXIF of 64 KiB": [
    [0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, ...Array(65533).fill(0), 0xff, 0xff, 0xc2, 0, 17, 8, 0, 9, 0, 7, 3],
    { width: 7, height: 9 },
  ],
  "a GIF": [[...Buffer.from("GIF89a"), ...Array(60).fill(0)], null],
  text: [[...Buffer.from("only text, but more of it than a header has")], null],
  "three bytes": [[1, 2, 3], null],
  "JPEG that ends": [[0xff, 0xd8, 0xff, 0xe0], null],
  "JPEG of nothing but filling": [[0xff, 0xd8, ...Array(9000).fill(0xff)], null],
  "JPEG whose segments stand still": [[0xff, 0xd8, ...Array(40).fill([0xff, 0xe0, 0, 0]).flat()], null],
};
for (const [name, [bytes, size]] of Object.entries(HEADERS)) {
  test(`a header: ${name}`, async () => assert.deepEqual(await sizeInHeader(new Blob([Uint8Array.from(bytes)])), size));
}

test("the largest picture that is allowed passes", () => {
  const data = new Uint8Array(3 * MAX_PIXELS); // zeros, which take no memory until they are written
  assert.ok(checkPicture({ width: 8192, height: MAX_PIXELS / 8192, data }));
});

function riff(kind: string): number[] {
  return [...Buffer.from("RIFF"), 0, 0, 0, 0, ...Buffer.from("WEBP"), ...Buffer.from(kind)];
}
