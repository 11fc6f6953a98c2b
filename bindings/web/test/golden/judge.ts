/** Does an answer hold? By the tolerance that a golden vector states, pictures to the byte. */

import type { Picture } from "../../src/images.js";

export type Pictures = ReadonlyMap<string, Picture>;
type Tolerance = Readonly<Record<string, number>>;

/** Where an answer departs from a golden vector by more than that allows: a line for each place. */
export function faults(wanted: unknown, got: unknown, tolerance: Tolerance, pictures: Pictures): string[] {
  return [...differ(wanted, got, "", 0, tolerance, pictures)];
}

function* differ(
  wanted: unknown,
  got: unknown,
  at: string,
  allowed: number,
  tolerance: Tolerance,
  pictures: Pictures,
): Generator<string> {
  if (isPicture(got)) {
    yield* pixels(pictures.get(String(wanted)), got);
  } else if (isObject(wanted) && isObject(got) && sameKeys(wanted, got)) {
    for (const [key, value] of Object.entries(wanted)) {
      yield* differ(value, got[key], `${at}.${key}`, tolerance[key] ?? allowed, tolerance, pictures);
    }
  } else if (Array.isArray(wanted) && isList(got) && wanted.length === got.length) {
    for (const [i, value] of wanted.entries())
      yield* differ(value, got[i], `${at}[${i}]`, allowed, tolerance, pictures);
  } else if (!close(wanted, got, allowed)) {
    yield `${at}: ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}, within ${allowed}`;
  }
}

function* pixels(wanted: Picture | undefined, got: Picture): Generator<string> {
  if (wanted?.width !== got.width || wanted.height !== got.height) {
    yield `.picture: ${got.height} x ${got.width}, expected ${wanted?.height} x ${wanted?.width}`;
    return;
  }
  const wrong = wanted.data.filter((value, i) => value !== got.data[i]).length;
  if (wrong) yield `.picture: ${wrong} of ${wanted.data.length} bytes differ`;
}

/** What is not finite is written as text. */
function close(wanted: unknown, got: unknown, allowed: number): boolean {
  if (typeof got === "number" && !Number.isFinite(got)) return wanted === String(got);
  if (typeof wanted === "number" && typeof got === "number") return Math.abs(wanted - got) <= allowed;
  return wanted === got;
}

function isPicture(value: unknown): value is Picture {
  return isObject(value) && "width" in value && value["data"] instanceof Uint8Array;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !isList(value);
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

function sameKeys(a: object, b: object): boolean {
  return Object.keys(a).sort().join() === Object.keys(b).sort().join();
}
