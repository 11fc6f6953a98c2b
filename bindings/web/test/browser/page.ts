/** The browser's side of the tests: functions that a test calls by name. */

import * as litert from "@litertjs/core";
import * as ort from "onnxruntime-web/wasm";
import { type Engine, litertEngine, loadImage, ortEngine, PocketfaceError } from "../../src/index.js";
import { readVectors, runGolden } from "../golden/runner.js";
import { agreement, type Answers, type Source } from "../models/judge.js";

async function read(path: string): Promise<Uint8Array> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function engineFor(format: string): Promise<Engine> {
  if (format === "onnx") {
    ort.env.wasm.wasmPaths = new URL("/ort/", location.href).href;
    ort.env.wasm.numThreads = 1;
    return ortEngine(ort);
  }
  await litert.loadLiteRt("/litert/", { threads: false });
  return litertEngine(litert);
}

const api = {
  golden: async () => runGolden(await readVectors((path) => read(`/golden/${path}`))),

  /** The committed JPEG files, decoded here, against what Python made of them. */
  async models(format: string) {
    const answers = JSON.parse(new TextDecoder().decode(await read("/models/answers.json"))) as Answers;
    const source: Source = {
      model: (name) => read(`/models/${name}`),
      picture: async (name) => loadImage(await read(`/people/${name}.jpg`)),
    };
    return agreement(answers.engines[format]!, await engineFor(format), source);
  },

  /** A picture's size and the sum of its pixels, or the error. */
  async picture(bytes: number[]) {
    try {
      const { width, height, data } = await loadImage(Uint8Array.from(bytes));
      return { width, height, first: [...data.subarray(0, 3)], sum: data.reduce((sum, value) => sum + value, 0) };
    } catch (error) {
      if (!(error instanceof PocketfaceError)) throw error;
      return { error: error.name, message: error.message };
    }
  },
};

export type Api = typeof api;
Object.assign(globalThis, { api });
