/** The demo page in Chromium, as a visitor uses it: models served beside it, files, the gate, a camera, a phone. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { launch } from "../browser/chromium.js";
import { PEOPLE, WEB } from "../paths.js";
import { MODELS } from "./tolerance.js";

const SHOTS = process.env["SCREENSHOTS"]; // a folder: pictures of the page are put there
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1180, height: 900 };
const LITERT = /^(INFO|WARNING): /; // it writes its log to the console as errors
const person = (name: string) => fileURLToPath(new URL(`person_${name}.jpg`, PEOPLE));

const scratch = mkdtempSync(join(tmpdir(), "pocketface-demo-"));
const faults: string[] = [];
let server: Server;
let browser: Browser;
let url: string;

before(async () => {
  const [{ buildDemo, listModels }, { serve }] = await Promise.all([
    import(fileURLToPath(new URL("scripts/demo.mjs", WEB))),
    import(fileURLToPath(new URL("scripts/server.mjs", WEB))),
  ]);
  const folder = fileURLToPath(MODELS);
  const models = await listModels(folder);
  server = await serve(
    { ...(await buildDemo()), "/models/": folder },
    { made: { "/models.json": () => JSON.stringify(models) } },
  );
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const film = join(scratch, "camera.mjpeg"); // one picture after another is what the format is
  writeFileSync(film, Buffer.concat(["a_1", "a_2", "a_3"].map((name) => readFileSync(person(name)))));
  const camera = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-video-capture=${film}`,
  ];
  browser = await launch(camera);
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
  rmSync(scratch, { recursive: true });
});

async function visit(viewport: typeof PHONE, colorScheme: "light" | "dark" = "light"): Promise<Page> {
  const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: viewport.width < 500 ? 2 : 1 });
  const page = await context.newPage();
  page.on(
    "console",
    (message) => message.type() === "error" && !LITERT.test(message.text()) && faults.push(message.text()),
  );
  page.on("pageerror", (error) => faults.push(error.message));
  page.on(
    "request",
    (request) => !request.url().startsWith(url) && !/^(blob|data):/.test(request.url()) && faults.push(request.url()),
  );
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#status")?.textContent?.startsWith("Ready"));
  return page;
}

async function show(page: Page, pane: "a" | "b", name: string): Promise<void> {
  await page.setInputFiles(`[data-pane=${pane}] input`, person(name));
  await page.waitForSelector(`[data-pane=${pane}] .face`);
}

const word = (page: Page) => page.textContent("#verdict .word");
const reason = (page: Page) => page.textContent("#verdict .reason");
const shoot = async (page: Page, name: string, fullPage = true) => {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.jpg`), type: "jpeg", quality: 80, fullPage });
};

describe("the demo page", () => {
  test("compares two pictures, and the gate refuses", async () => {
    const page = await visit(DESKTOP);
    await shoot(page, "web-empty");
    await show(page, "a", "a_1");
    await show(page, "b", "a_2");
    await page.waitForFunction(() => document.querySelector("#verdict .word")?.textContent !== "Show two faces");
    const [said, same] = [await word(page), await verdict(page)];
    await shoot(page, "web-desktop");
    await show(page, "b", "b_1");
    await page.waitForFunction((before) => document.querySelector("#verdict .word")?.textContent !== before, said);
    const other = await verdict(page);
    assert.ok(same > other + 0.3, `${same} of one person, ${other} of two`);
    await page.fill("#side", "400");
    await page.waitForFunction(() => document.querySelector("#verdict .word")?.textContent === "Not compared");
    assert.match((await reason(page)) ?? "", /^The first face is too small: \d+\.\d px, expected at least 400 px\.$/);
    await shoot(page, "web-refused");
    await page.context().close();
  });

  test("decides by the thresholds of a calibrated file", async () => {
    const page = await visit(DESKTOP);
    await page.setInputFiles("#files", fileURLToPath(new URL("calibrated/facelivtv2_xs_ri_112_fp32.onnx", MODELS)));
    await show(page, "a", "a_1");
    for (const [name, state, text] of [
      ["a_3", "yes", "Same person at FAR 1e-3"],
      ["b_1", "no", "Not the same person"],
    ] as const) {
      await show(page, "b", name);
      await page.waitForSelector(`#verdict[data-state=${state}]`);
      assert.equal(await word(page), text);
      assert.match(
        (await reason(page)) ?? "",
        state === "yes" ? /^Cosine 0\.\d{4} >= 0\.4375$/ : /^Cosine 0\.\d{4} < 0\.3125, at FAR 1e-2$/,
      );
      await shoot(page, `web-${state}`);
    }
    await page.context().close();
  });

  test("follows a camera and keeps a frame", async () => {
    const page = await visit(PHONE, "dark");
    await show(page, "b", "a_3");
    await page.click("[data-pane=a] .camera");
    await page.waitForFunction(
      () => Number(document.querySelector<HTMLElement>("[data-pane=a] .rate")?.dataset["frames"]) > 4,
    );
    await page.waitForFunction(() => document.querySelector("#verdict .word")?.textContent !== "Show two faces");
    await page.click("[data-pane=a] .camera");
    assert.equal(await page.textContent("[data-pane=a] .camera"), "Camera");
    assert.ok((await verdict(page)) > 0.4);
    const kept = await page.textContent("[data-pane=a] .faces");
    await page.fill("#quality", "0.1"); // judged again, not turned round
    assert.equal(await page.textContent("[data-pane=a] .faces"), kept);
    await page.evaluate(() => document.querySelector("main")?.scrollIntoView());
    await shoot(page, "web-phone", false);
    await page.context().close();
  });

  test("fits a phone", async () => {
    const page = await visit({ width: 320, height: 640 });
    await show(page, "a", "c_1");
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
    const small = await page.$$eval(
      "button, select, .button",
      (all) => all.filter((one) => one.getBoundingClientRect().height < 44).length,
    );
    assert.equal(small, 0, "a finger needs 44 px");
    await page.context().close();
  });

  test("says what is wrong with a file", async () => {
    const page = await visit(DESKTOP);
    await page.setInputFiles("[data-pane=a] input", {
      name: "notes.txt",
      mimeType: "text/plain",
      buffer: Buffer.from("not a picture at all, but text"),
    });
    await page.waitForFunction(() => document.querySelector("[data-pane=a] .fault")?.textContent);
    assert.equal(
      await page.textContent("[data-pane=a] .fault"),
      "notes.txt: not a JPEG, PNG, WEBP, BMP picture; convert it to JPEG or PNG",
    );
    await page.setInputFiles("#files", { name: "bad.onnx", mimeType: "", buffer: Buffer.from([8, 7]) });
    await page.waitForSelector("#status[data-bad]");
    assert.match((await page.textContent("#status")) ?? "", /^bad\.onnx: no contract inside it/);
    await page.context().close();
  });

  test("runs TFLite files from the visitor's own disk", async () => {
    const page = await visit(DESKTOP);
    const files = ["mos_xs_320_fp32.tflite", "facelivtv2_xs_ri_112_fp32.tflite"].map((name) =>
      fileURLToPath(new URL(name, MODELS)),
    );
    await page.setInputFiles("#files", files);
    await page.waitForFunction(() => document.querySelector("#status")?.textContent?.startsWith("Ready"));
    await show(page, "a", "d_1");
    await page.context().close();
  });

  test("nothing failed unseen, and nobody else was asked for anything", () => assert.deepEqual(faults, []));
});

/** The cosine that a file without thresholds leads to. */
async function verdict(page: Page): Promise<number> {
  return Number(/^Cosine (-?\d\.\d{4})$/.exec((await word(page)) ?? "")?.[1] ?? NaN);
}
