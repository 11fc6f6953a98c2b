/** LiteRT.js, for `.tflite` files in browsers. Measured with @litertjs/core 2.5. */

import type { Artifact } from "../artifact.js";
import { InvalidModel, reason, UnsupportedModel } from "../errors.js";
import type { Engine, Loaded, Tensor } from "./engine.js";
import { checkFeeds, type Feeds, type TensorSpec } from "./feeds.js";

type Accelerator = "wasm" | "webgpu";

/** As much of `@litertjs/core` as is used here. */
export interface LiteRt {
  loadAndCompile(model: Uint8Array, options: { accelerator: Accelerator }): Promise<LiteRtModel>;
  readonly Tensor: new (data: never, shape: number[]) => LiteRtTensor;
}

interface LiteRtModel {
  getInputDetails(): readonly { name: string; dtype: string; shape: ArrayLike<number> }[];
  run(feeds: Record<string, never>): Promise<Record<string, LiteRtTensor>>;
  delete(): void;
}

interface LiteRtTensor {
  readonly type: { layout: { dimensions: ArrayLike<number> } };
  data(): Promise<ArrayLike<number>>;
  delete(): void;
}

/**
 * An engine for `.tflite` files whose inputs and outputs are float32 or bytes; LiteRT.js has no others.
 *
 * @param litert the package, its wasm loaded: `await litert.loadLiteRt("wasm/")`.
 * @param accelerator where to compute.
 */
export function litertEngine(litert: LiteRt, accelerator: Accelerator = "wasm"): Engine {
  return { name: "litert", format: "tflite", open: (artifact) => open(litert, accelerator, artifact) };
}

async function open(litert: LiteRt, accelerator: Accelerator, artifact: Artifact): Promise<Loaded> {
  if (artifact.contract.input.dtype === "int8") {
    throw new UnsupportedModel(
      `${artifact.name}: its input is int8, which LiteRT.js does not have; quantize it with --io float`,
    );
  }
  let model: LiteRtModel;
  try {
    model = await litert.loadAndCompile(artifact.bytes, { accelerator });
  } catch (error) {
    throw new InvalidModel(`${artifact.name}: litert cannot load it: ${reason(error)}`, { cause: error });
  }
  try {
    const inputs = model.getInputDetails().map(({ name, dtype, shape }): TensorSpec => {
      return { name, dtype, shape: Array.from(shape) };
    });
    return {
      async run(feeds) {
        checkFeeds(artifact.name, feeds, inputs);
        return run(litert, model, artifact.name, feeds);
      },
      close: async () => model.delete(),
    };
  } catch (error) {
    model.delete();
    throw new UnsupportedModel(`${artifact.name}: litert cannot run it: ${reason(error)}`, { cause: error });
  }
}

/** Run once; all that the engine holds for it is given back, also on an error. */
async function run(litert: LiteRt, model: LiteRtModel, name: string, feeds: Feeds): Promise<Record<string, Tensor>> {
  const held: LiteRtTensor[] = [];
  try {
    const tensors = Object.entries(feeds).map(([key, { shape, data }]) => {
      const tensor = new litert.Tensor(data as never, [...shape]);
      held.push(tensor);
      return [key, tensor as never] as const;
    });
    const answers = await model.run(Object.fromEntries(tensors));
    held.push(...Object.values(answers));
    const taken = Object.entries(answers).map(async ([key, tensor]) => [key, await take(tensor)] as const);
    return Object.fromEntries(await Promise.all(taken));
  } catch (error) {
    throw new UnsupportedModel(`${name}: litert fails to run it: ${reason(error)}`, { cause: error });
  } finally {
    for (const tensor of held) tensor.delete();
  }
}

async function take(tensor: LiteRtTensor): Promise<Tensor> {
  return { shape: Array.from(tensor.type.layout.dimensions), data: await tensor.data() };
}
