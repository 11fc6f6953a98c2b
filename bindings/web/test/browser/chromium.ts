/** Headless Chromium on a page of this package's tests. */

import type { Server } from "node:http";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
// @ts-expect-error: plain JavaScript, shared with the demo
import { serve } from "../../scripts/server.mjs";
import { GOLDEN, PEOPLE, WEB } from "../paths.js";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** An open page, what it could not do without, and what it asked others for. */
export interface Opened {
  readonly page: Page;
  readonly origin: string;
  /** Every address outside the page's own server that something in it asked for. */
  readonly foreign: string[];
  close(): Promise<void>;
}

/**
 * Open a page of served folders.
 *
 * @param path of the page.
 * @param mounts prefix -> folder, besides the ones that every test has.
 */
export async function open(path: string, mounts: Readonly<Record<string, string>> = {}): Promise<Opened> {
  const folder = (url: URL | string) => fileURLToPath(new URL(url, WEB));
  const server: Server = await serve({
    "/": folder("test/browser/"),
    "/js/": folder("dist-test/"),
    "/ort/": folder("node_modules/onnxruntime-web/dist/"),
    "/litert/": folder("node_modules/@litertjs/core/wasm/"),
    "/golden/": folder(GOLDEN),
    "/people/": folder(PEOPLE),
    ...mounts,
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await launch();
  const page = await (await browser.newContext()).newPage();
  const foreign: string[] = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(origin) && !/^(blob|data):/.test(request.url())) foreign.push(request.url());
  });
  page.setDefaultTimeout(120_000);
  await page.goto(origin + path);
  return { page, origin, foreign, close: () => close(browser, server) };
}

/** Start it; `CHROMIUM` names another than the one on the path. */
export async function launch(args: readonly string[] = []): Promise<Browser> {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const found = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(existsSync);
  const executablePath = process.env["CHROMIUM"] ?? found;
  if (!executablePath) {
    throw new Error(
      "no Chromium on the path: install it, name it with CHROMIUM=/path/to/chromium, or run `npm run test:node`",
    );
  }
  return chromium.launch({ executablePath, chromiumSandbox: false, args: [...FLAGS, ...args] });
}

async function close(browser: Browser, server: Server): Promise<void> {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
