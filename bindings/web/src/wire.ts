/**
 * As much of protobuf's wire format as it takes to find an entry in a message.
 *
 * A message is a row of fields; each begins with a number that holds the field's number and the kind of what follows.
 * Every step moves on and stays within the bytes, so hostile ones end in an error after one pass at most.
 */

/** Kinds of fixed size: bytes. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

/** Number and content of a message's length-delimited fields; the others are passed over. */
export function* fields(message: Uint8Array): Generator<[number: number, body: Uint8Array]> {
  let at = 0;
  while (at < message.length) {
    const [tag, start] = varint(message, at);
    const kind = tag % 8;
    at = start;
    let size = FIXED[kind] ?? 0;
    if (kind === 0) [, at] = varint(message, at);
    else if (kind === 2) [size, at] = varint(message, at);
    else if (!size) throw new RangeError(`wire type ${kind} is not protobuf`);
    if (size > message.length - at)
      throw new RangeError(`a field claims ${size} bytes, ${message.length - at} are left`);
    if (kind === 2) yield [Math.floor(tag / 8), message.subarray(at, at + size)];
    at += size;
  }
}

/** A number and where it ends. Beyond 2**53 it is rounded, which is beyond any file. */
function varint(message: Uint8Array, at: number): [value: number, end: number] {
  let value = 0;
  for (let factor = 1, i = 0; i < 10; factor *= 128, i++) {
    if (at >= message.length) throw new RangeError("it ends in the middle of a number");
    const byte = message[at++]!;
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
  throw new RangeError("a number has more than ten bytes");
}
