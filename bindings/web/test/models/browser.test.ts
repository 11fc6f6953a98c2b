/** Models in headless Chromium: ONNX Runtime's wasm and LiteRT.js, on JPEG files that the browser decodes. */

import { after, test } from "node:test";
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { open } from "../browser/chromium.js";
import type { Api } from "../browser/page.js";
import { assertAgrees, MODELS } from "./tolerance.js";

declare const api: Api;

const { page, foreign, close } = await open("/", { "/models/": fileURLToPath(MODELS) });
await page.waitForFunction(() => "api" in globalThis);
after(close);

for (const format of ["onnx", "tflite"]) {
  test(`${format} in Chromium answers as in Python`, async (t) => {
    assertAgrees(t, await page.evaluate((name) => api.models(name), format));
    assert.deepEqual(foreign, []);
  });
}
