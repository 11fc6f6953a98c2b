/** A check that what goes into an engine is what the model takes. */

import { InvalidContract } from "../errors.js";
import type { Tensor } from "./engine.js";

/** An input as the model file declares it; what is not a number may have any length. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

/** Tensors by name. */
export type Feeds = Readonly<Record<string, Tensor>>;

/** The name of a tensor's element type. */
export function dtypeOf({ data }: Tensor): string {
  return data instanceof Float32Array ? "float32" : data.constructor.name.replace("Array", "").toLowerCase();
}

/**
 * Refuse feeds whose names, types or shapes are not those of the model's inputs.
 *
 * @throws InvalidContract: feeds are made by the contract, so it does not describe this file.
 */
export function checkFeeds(model: string, feeds: Feeds, expected: readonly TensorSpec[]): void {
  const fits =
    expected.length === Object.keys(feeds).length && expected.every((spec) => admits(spec, feeds[spec.name]));
  if (fits) return;
  const came = Object.entries(feeds).map(([name, tensor]) => `${name} ${dtypeOf(tensor)} (${tensor.shape.join(", ")})`);
  const wanted = expected.map(({ name, dtype, shape }) => {
    return `${name} ${dtype} (${shape.map((n) => (typeof n === "number" ? n : "any")).join(", ")})`;
  });
  throw new InvalidContract(
    `${model}: fed with ${came.join(", ")}, but the file takes ${wanted.join(", ")}; correct its contract`,
  );
}

function admits({ dtype, shape }: TensorSpec, tensor: Tensor | undefined): boolean {
  if (!tensor || dtypeOf(tensor) !== dtype || tensor.shape.length !== shape.length) return false;
  return shape.every((n, i) => typeof n !== "number" || n === tensor.shape[i]);
}
