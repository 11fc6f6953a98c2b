/** Holds this package to bindings/golden, in Node and in a browser alike. */

import { PocketfaceError } from "../../src/errors.js";
import { faults, type Pictures } from "./judge.js";
import { type Given, type Operation, OPERATIONS, reader } from "./operations.js";
import { decodePng } from "./png.js";

/** Reads a file of the folder of vectors. */
export type ReadFile = (path: string) => Promise<Uint8Array>;

/** One golden vector and how this package did. */
export interface Result {
  readonly operation: string;
  readonly name: string;
  readonly why: string;
  /** Where the answer departs; none where all is right. */
  readonly faults: readonly string[];
}

interface Vector {
  readonly name: string;
  readonly why: string;
  readonly given: Given;
  readonly expected?: unknown;
  readonly error?: string;
  readonly tolerance: Readonly<Record<string, number>>;
}

/** Everything in the folder. */
export interface Vectors {
  readonly pictures: Pictures;
  readonly files: readonly { readonly operation: string; readonly cases: readonly Vector[] }[];
}

/** Read all vectors and pictures that the index names. */
export async function readVectors(read: ReadFile): Promise<Vectors> {
  const index = await json<{ vectors: string[]; pictures: string[] }>(read, "index.json");
  const pictures = index.pictures.map(async (name) => [name, decodePng(await read(`pictures/${name}`))] as const);
  const files = index.vectors.map((name) => json<Vectors["files"][number]>(read, name));
  return { pictures: new Map(await Promise.all(pictures)), files: await Promise.all(files) };
}

/**
 * Ask every question.
 *
 * An operation that is not in the table is a fault of each of its cases, and one in the table that no file has is a
 * fault of its own.
 */
export async function runGolden(
  vectors: Vectors,
  operations: Readonly<Record<string, Operation>> = OPERATIONS,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const { operation, cases } of vectors.files) {
    for (const vector of cases) {
      const found = await judge(vector, operations[operation], vectors.pictures);
      results.push({ operation, name: vector.name, why: vector.why, faults: found });
    }
  }
  const asked = new Set(vectors.files.map(({ operation }) => operation));
  for (const operation of Object.keys(operations).filter((name) => !asked.has(name))) {
    results.push({ operation, name: "*", why: "every operation is asked", faults: ["no vectors"] });
  }
  return results;
}

async function judge(vector: Vector, operation: Operation | undefined, pictures: Pictures): Promise<string[]> {
  if (!operation) return ["the runner does not know this operation"];
  let answer: unknown;
  try {
    answer = await operation(vector.given, reader(pictures));
  } catch (error) {
    if (!(error instanceof PocketfaceError)) throw error;
    return error.name === vector.error
      ? []
      : [`${error.name}: ${error.message}, expected ${vector.error ?? "an answer"}`];
  }
  if (vector.error) return [`an answer, expected ${vector.error}`];
  return faults(vector.expected, answer, vector.tolerance, pictures);
}

async function json<T>(read: ReadFile, name: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await read(name))) as T;
}
