/** Read the golden pictures: 8-bit RGB, not interlaced, rows unfiltered, in stored blocks of a zlib stream. */

import type { Picture } from "../../src/images.js";

/** Source: W3C PNG, sections 5.2 and 11.2; RFC 1950; RFC 1951, section 3.2.4. */
export function decodePng(bytes: Uint8Array): Picture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const rows = stored(join([...chunks(bytes, view, "IDAT")]));
  const line = 1 + 3 * width;
  if (view.getUint16(24) !== 0x0802 || rows.length !== height * line) throw new Error("not a golden picture");
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    if (rows[y * line] !== 0) throw new Error("a filtered row");
    data.set(rows.subarray(y * line + 1, (y + 1) * line), 3 * width * y);
  }
  return { width, height, data };
}

function* chunks(bytes: Uint8Array, view: DataView, kind: string): Generator<Uint8Array> {
  for (let at = 8; at < bytes.length;) {
    const size = view.getUint32(at);
    if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === kind) yield bytes.subarray(at + 8, at + 8 + size);
    at += 12 + size;
  }
}

function stored(stream: Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let at = 2, last = false; !last;) {
    if (stream[at]! > 1) throw new Error("a compressed block");
    last = stream[at] === 1;
    const size = stream[at + 1]! | (stream[at + 2]! << 8);
    blocks.push(stream.subarray(at + 5, at + 5 + size));
    at += 5 + size;
  }
  return join(blocks);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
