/** An embedding that knows which network made it, and in which precision, and the comparison that it is made for. */

import { EmbeddingMismatch } from "./errors.js";

/** A face as a direction in the space of one network. Plain data: it can be cloned, stored and read back. */
export interface Embedding {
  /** Of length 1. */
  readonly vector: Float32Array;
  /** Of the network, from its contract. */
  readonly fingerprint: string;
  /** Of the file that made it, from its contract. */
  readonly precision: string;
  /** Other precisions that this file's embeddings were shown to decide alike with. */
  readonly compatible: readonly string[];
}

/**
 * Cosine of two embeddings, -1..1; the higher, the more likely they show one person.
 *
 * @throws EmbeddingMismatch: different networks made them, or one network in two precisions that nobody has shown to
 *   decide alike (`pocketface evaluate verification` with --gate and --record does).
 */
export function compare(a: Embedding, b: Embedding): number {
  if (a.fingerprint !== b.fingerprint || a.vector.length !== b.vector.length) {
    throw new EmbeddingMismatch(
      `embeddings of networks ${a.fingerprint.slice(0, 12)} and ${b.fingerprint.slice(0, 12)} cannot be compared; ` +
        "embed both pictures with one network",
    );
  }
  if (a.precision !== b.precision && !b.compatible.includes(a.precision) && !a.compatible.includes(b.precision)) {
    throw new EmbeddingMismatch(
      `embeddings in ${a.precision} and ${b.precision} were not shown to decide alike; embed both pictures with one ` +
        "file, or prove the files with `pocketface evaluate verification --gate ... --record`",
    );
  }
  let sum = 0;
  for (let i = 0; i < a.vector.length; i++) sum += a.vector[i]! * b.vector[i]!;
  return Math.min(Math.max(sum, -1), 1);
}
