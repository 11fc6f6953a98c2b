/** Every golden vector, in headless Chromium. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Result } from "../golden/runner.js";
import { open } from "./chromium.js";
import type { Api } from "./page.js";

declare const api: Api;

const { page, foreign, close } = await open("/");
await page.waitForFunction(() => "api" in globalThis);
const results: Result[] = await page.evaluate(() => api.golden());
await close();

test("there are as many as in Node", () => assert.ok(results.length >= 142, `${results.length}`));
for (const { operation, name, why, faults } of results) {
  test(`${operation}: ${name}, ${why}`, () => assert.deepEqual(faults, []));
}

test("nobody else was asked for anything", () => assert.deepEqual(foreign, []));
