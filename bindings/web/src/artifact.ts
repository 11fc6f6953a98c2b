/** A model file and its contract, checked when it is loaded. */

import { type ModelContract, parseContract } from "./contract.js";
import { type Format, formatOf, readEmbedded } from "./embedded.js";
import { InvalidModel } from "./errors.js";

/** What is known of a model file. */
export interface ArtifactInfo {
  /** The file's name, for messages. */
  readonly name: string;
  readonly format: Format;
  /** How to feed it and read its answer. */
  readonly contract: ModelContract;
}

/** A model file that was found sound. */
export interface Artifact extends ArtifactInfo {
  readonly bytes: Uint8Array;
}

/**
 * Read the contract in a model file.
 *
 * @param bytes of an `.onnx` or `.tflite` that pocketface exported.
 * @param name of the file, for messages.
 * @throws InvalidModel: empty, damaged, or without a contract. InvalidContract: one that this release does not know.
 */
export async function loadArtifact(bytes: Uint8Array | ArrayBuffer, name = "the model"): Promise<Artifact> {
  const file = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
  if (!(file instanceof Uint8Array)) {
    throw new InvalidModel(`${name}: expected its bytes, got ${typeof bytes}; fetch it and take arrayBuffer()`);
  }
  if (!file.length) throw new InvalidModel(`${name}: empty, expected a model file; fetch or copy it again`);
  const json = await readEmbedded(file, name);
  if (json === null) {
    throw new InvalidModel(`${name}: no contract inside it, so how to feed it is unknown; export it with pocketface`);
  }
  return { name, format: formatOf(file), contract: parseContract(json), bytes: file };
}
