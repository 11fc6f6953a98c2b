/**
 * As much of ZIP as it takes to read one entry of an archive that follows other bytes, as in a TFLite file.
 *
 * Source: PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12 and 4.3.16. Neither ZIP64 nor encryption.
 */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const COMMENT = 65535; // longest comment behind the end record
const STORED = 0;
const DEFLATED = 8;

/** A file in an archive, still packed. */
interface Entry {
  readonly name: string;
  readonly method: number;
  readonly crc: number;
  readonly packed: Uint8Array;
  readonly size: number;
}

/**
 * The content of an entry, or null where the bytes do not end in an archive, or it has no such entry.
 *
 * @param most bytes that the entry may have.
 * @throws RangeError: the archive is damaged, or the entry is longer.
 */
export async function readEntry(bytes: Uint8Array, name: string, most: number): Promise<Uint8Array | null> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end < 0) return null;
  const count = view.getUint16(end + 10, true);
  const directory = view.getUint32(end + 12, true);
  const shift = end - directory - view.getUint32(end + 16, true); // offsets may count from the archive's beginning
  if (shift < 0) throw new RangeError("its ZIP directory lies outside the file");
  let at = end - directory;
  for (let i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== ENTRY) throw new RangeError("its ZIP directory is damaged");
    const [named, extra, comment] = [28, 30, 32].map((offset) => view.getUint16(at + offset, true));
    if (at + 46 + named! > end) throw new RangeError("its ZIP directory is damaged");
    if (named === name.length && ascii(bytes.subarray(at + 46, at + 46 + named)) === name) {
      return unpack(entryAt(view, bytes, at, shift, name), most);
    }
    at += 46 + named! + extra! + comment!;
  }
  return null;
}

function findEnd(view: DataView): number {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= 0 && at >= last - COMMENT; at--) {
    if (view.getUint32(at, true) === END && at + END_BYTES + view.getUint16(at + 20, true) === view.byteLength)
      return at;
  }
  return -1;
}

function entryAt(view: DataView, bytes: Uint8Array, at: number, shift: number, name: string): Entry {
  if (view.getUint16(at + 8, true) & 1) throw new RangeError(`${name} is encrypted`);
  const packedSize = view.getUint32(at + 20, true);
  const local = shift + view.getUint32(at + 42, true);
  if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL)
    throw new RangeError(`${name} lies outside the file`);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + packedSize > bytes.length) throw new RangeError(`${name} lies outside the file`);
  return {
    name,
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    size: view.getUint32(at + 24, true),
    packed: bytes.subarray(start, start + packedSize),
  };
}

async function unpack({ name, method, crc, size, packed }: Entry, most: number): Promise<Uint8Array> {
  if (size > most) throw new RangeError(`${name} has ${size} bytes, at most ${most} are read`);
  if (method !== STORED && method !== DEFLATED) throw new RangeError(`${name} is compressed by method ${method}`);
  const content = method === STORED ? packed : await inflate(packed, size);
  if (content.length !== size) throw new RangeError(`${name} has ${content.length} bytes, expected ${size}`);
  if (crc32(content) !== crc) throw new RangeError(`Bad CRC-32 for file '${name}'`);
  return content;
}

/** Inflate, but never to more than `size` bytes and a chunk. */
async function inflate(packed: Uint8Array, size: number): Promise<Uint8Array> {
  const reader = new Blob([packed as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream("deflate-raw"))
    .getReader();
  const content = new Uint8Array(size);
  for (let at = 0; ;) {
    const { done, value } = await reader.read();
    if (done) return content.subarray(0, at);
    if (at + value.length > size)
      throw new RangeError(`its contract inflates to more than the ${size} bytes that it claims`);
    content.set(value, at);
    at += value.length;
  }
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
