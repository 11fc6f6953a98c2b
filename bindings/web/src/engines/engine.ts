/** What an engine is: it runs a model file on named tensors and knows nothing about faces. */

import type { Artifact } from "../artifact.js";
import type { Format } from "../embedded.js";

/** An array: its shape, and its numbers in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** A model loaded into an engine. */
export interface Loaded {
  /** Run the model once: input tensor name -> tensor, to output tensor name -> tensor. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Give its memory back. */
  close(): Promise<void>;
}

/** Something that runs model files of one format. */
export interface Engine {
  readonly name: string;
  readonly format: Format;
  /**
   * Load a model.
   *
   * @throws InvalidModel, UnsupportedModel: the file is damaged, or this engine cannot run it.
   */
  open(artifact: Artifact): Promise<Loaded>;
}
