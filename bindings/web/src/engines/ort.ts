/** ONNX Runtime: onnxruntime-web, -node or -react-native, whichever the caller imported. Measured with web 1.30. */

import type { Artifact } from "../artifact.js";
import { InvalidModel, reason, UnsupportedModel } from "../errors.js";
import type { Engine, Loaded, Tensor } from "./engine.js";
import { checkFeeds, type Feeds, type TensorSpec } from "./feeds.js";

/** As much of `onnxruntime-common` as is used here, so that any of its packages fits. */
export interface Ort {
  readonly InferenceSession: { create(model: Uint8Array, options?: never): Promise<OrtSession> };
  readonly Tensor: new (type: "float32" | "uint8", data: never, shape: readonly number[]) => unknown;
}

/** Options of `InferenceSession.create`, such as `executionProviders`; see ONNX Runtime. */
export type OrtOptions = Readonly<Record<string, unknown>>;

interface OrtSession {
  readonly inputMetadata?: readonly { name: string; type?: string; shape?: readonly (number | string)[] }[];
  run(feeds: never): Promise<Readonly<Record<string, unknown>>>;
  release(): Promise<void>;
}

interface OrtValue {
  readonly dims: readonly number[];
  getData(): Promise<ArrayLike<number>>;
  dispose(): void;
}

/**
 * An engine for `.onnx` files.
 *
 * @param ort the package: `import * as ort from "onnxruntime-web/wasm"`.
 * @param options for each session.
 */
export function ortEngine(ort: Ort, options: OrtOptions = {}): Engine {
  const quiet = { logSeverityLevel: 4, ...options }; // what it warns of it handles, and its errors come as exceptions
  return { name: "onnxruntime", format: "onnx", open: (artifact) => open(ort, quiet, artifact) };
}

async function open(ort: Ort, options: OrtOptions, artifact: Artifact): Promise<Loaded> {
  let session: OrtSession;
  try {
    session = await ort.InferenceSession.create(artifact.bytes, options as never);
  } catch (error) {
    throw new InvalidModel(`${artifact.name}: onnxruntime cannot load it: ${reason(error)}`, { cause: error });
  }
  const inputs = session.inputMetadata?.map(({ name, type = "", shape = [] }): TensorSpec => ({
    name,
    dtype: type,
    shape,
  }));
  return {
    async run(feeds) {
      if (inputs) checkFeeds(artifact.name, feeds, inputs);
      return run(ort, session, artifact.name, feeds);
    },
    close: () => session.release(),
  };
}

async function run(ort: Ort, session: OrtSession, model: string, feeds: Feeds): Promise<Record<string, Tensor>> {
  const tensors = Object.entries(feeds).map(([name, { shape, data }]) => {
    return [name, new ort.Tensor(data instanceof Uint8Array ? "uint8" : "float32", data as never, shape)] as const;
  });
  try {
    const answers = await session.run(Object.fromEntries(tensors) as never);
    const taken = Object.entries(answers).map(async ([name, value]) => [name, await take(value as OrtValue)] as const);
    return Object.fromEntries(await Promise.all(taken));
  } catch (error) {
    throw new UnsupportedModel(`${model}: onnxruntime fails to run it: ${reason(error)}`, { cause: error });
  }
}

async function take(value: OrtValue): Promise<Tensor> {
  const data = await value.getData(); // from a GPU it must be fetched
  value.dispose();
  return { shape: value.dims, data };
}
