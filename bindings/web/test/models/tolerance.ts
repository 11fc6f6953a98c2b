/** How near is near enough, and where the models lie. */

import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import type { Agreement } from "./judge.js";

const folder = process.env["MODELS"];
if (!folder) throw new Error("MODELS=FOLDER is needed: exports and answers.json, see test/models/answers.py");

/** With a slash at its end. */
export const MODELS = pathToFileURL(`${folder}/`);

/** Both engines compute in float32, in another order of sums than Python's. */
export function assertAgrees(t: TestContext, found: Agreement): void {
  const { pictures, faces, ...worst } = found;
  console.log(`${t.name}: ${pictures} pictures, ${faces} faces, worst ${JSON.stringify(worst)}`);
  assert.ok(pictures === 15 && faces >= 15, `${faces} faces in ${pictures} pictures`);
  assert.ok(worst.cosine > 0.9999, `cosine ${worst.cosine}`);
  assert.ok(worst.iou > 0.999, `IoU ${worst.iou}`);
  assert.ok(worst.landmarksPx < 0.05, `landmarks ${worst.landmarksPx} px`);
  assert.ok(worst.poseDeg < 0.05, `pose ${worst.poseDeg} degrees`);
  assert.ok(worst.quality < 1e-4, `quality ${worst.quality}`);
}
