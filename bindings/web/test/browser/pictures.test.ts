/** Pictures that a browser decodes: the same pixels as Python's, upright, and clear errors for bad files. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { decodePng } from "../golden/png.js";
import { GOLDEN, PEOPLE } from "../paths.js";
import { open } from "./chromium.js";
import type { Api } from "./page.js";

declare const api: Api;

const { page, close } = await open("/");
await page.waitForFunction(() => "api" in globalThis);
after(close);

const jpeg = await readFile(new URL("person_a_1.jpg", PEOPLE));
const png = await readFile(new URL("pictures/noise_23x31.png", GOLDEN));
const load = (bytes: Uint8Array) => page.evaluate((values) => api.picture(values), [...bytes]);

/** The JPEG with an EXIF that says only how it is to be turned. Source: EXIF 2.32, tag 274. */
function turned(orientation: number): Uint8Array {
  const tiff = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
  const body = [...Buffer.from("Exif\0\0"), ...tiff];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, 0, body.length + 2, ...body, ...jpeg.subarray(2)]);
}

test("a PNG has the pixels that are in it", async () => {
  const { data } = decodePng(png);
  const wanted = {
    width: 31,
    height: 23,
    first: [...data.subarray(0, 3)],
    sum: data.reduce((sum, value) => sum + value, 0),
  };
  assert.deepEqual(await load(png), wanted);
});

test("a JPEG is turned as its EXIF says", async () => {
  const [upright, half] = [await load(jpeg), await load(turned(3))];
  assert.ok("sum" in upright && "sum" in half);
  assert.equal(half.sum, upright.sum);
  assert.notDeepEqual(half.first, upright.first);
});

const huge = Uint8Array.from(png);
huge.set([0, 1, 0, 0, 0, 1, 0, 0], 16); // it claims 65536 x 65536
const BAD: Record<string, [Uint8Array, string]> = {
  nothing: [new Uint8Array(), "the picture: empty, expected a picture; fetch or copy it again"],
  text: [Buffer.from("x".repeat(200)), "the picture: not a JPEG, PNG, WEBP, BMP picture; convert it to JPEG or PNG"],
  "half a JPEG": [jpeg.subarray(0, jpeg.length / 2), "the picture: damaged or truncated: "],
  "half a PNG": [png.subarray(0, 60), "the picture: damaged or truncated: "],
  "a bomb": [huge, "the picture: 65536 x 65536 pixels, at most 67108864 are read; scale it down first"],
};
for (const [name, [bytes, message]] of Object.entries(BAD)) {
  test(`${name} is refused`, async () => {
    const answer = await load(bytes);
    assert.ok("error" in answer && answer.error === "InvalidImage", JSON.stringify(answer));
    assert.ok(answer.message.startsWith(message), answer.message);
  });
}
