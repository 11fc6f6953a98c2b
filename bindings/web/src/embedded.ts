/**
 * Find the contract inside a model file.
 *
 * - ONNX: `metadata_props["pocketface"]` (ModelProto field 14)
 * - TFLite: `pocketface.json` in a ZIP archive that follows the flatbuffer
 */

import { InvalidModel, reason } from "./errors.js";
import { fields } from "./wire.js";
import { readEntry } from "./zip.js";

export type Format = "onnx" | "tflite";

const KEY = "pocketface";
const MAX_BYTES = 1 << 20; // longest contract that is read
const METADATA_PROPS = 14;

/** What a file's first bytes say that it is. ONNX has no mark of its own, so it is what is not TFLite. */
export function formatOf(bytes: Uint8Array): Format {
  return ascii(bytes.subarray(4, 8)) === "TFL3" ? "tflite" : "onnx";
}

/**
 * The contract's JSON text inside a model file, or null where there is none.
 *
 * @param name of the file, for errors.
 * @throws InvalidModel: the file is damaged, so that the search cannot be finished.
 */
export async function readEmbedded(bytes: Uint8Array, name: string): Promise<string | null> {
  const format = formatOf(bytes);
  try {
    const content = format === "onnx" ? entry(bytes) : await readEntry(bytes, `${KEY}.json`, MAX_BYTES);
    if (content && content.length > MAX_BYTES) {
      throw new RangeError(`its contract has ${content.length} bytes, at most ${MAX_BYTES} are read`);
    }
    return content && new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch (error) {
    throw new InvalidModel(`${name}: damaged .${format} file: ${reason(error)}`, { cause: error });
  }
}

/** The value of our key among ONNX's repeated {1: key, 2: value} messages; the first counts. */
function entry(message: Uint8Array): Uint8Array | null {
  for (const [number, body] of fields(message)) {
    if (number !== METADATA_PROPS) continue;
    const pair = new Map(fields(body));
    if (ascii(pair.get(1) ?? new Uint8Array()) === KEY) return pair.get(2) ?? new Uint8Array();
  }
  return null;
}

function ascii(bytes: Uint8Array): string {
  return bytes.length > 64 ? "" : String.fromCharCode(...bytes);
}
