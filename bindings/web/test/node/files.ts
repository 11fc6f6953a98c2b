/** Model files made by hand: as much of ONNX and TFLite as holds a contract. */

import { deflateRawSync } from "node:zlib";

/** A sound detector's contract, as JSON. */
export const CONTRACT = JSON.stringify({
  schema: 1,
  model: "tiny",
  task: { type: "detection" },
  input: { name: "image", layout: "NCHW", height: 32, width: 32 },
  outputs: { scores: "scores", boxes: "boxes", landmarks: "landmarks" },
  fingerprint: "ab".repeat(32),
  weights: "none",
  trained: false,
});

/** ONNX: a version, a graph of some bytes, and metadata_props. */
export function onnx(...pairs: [key: string, value: string][]): Uint8Array {
  const metadata = pairs.map(([key, value]) =>
    field(14, Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])),
  );
  return Buffer.concat([Buffer.from([0x08, 9]), field(7, Buffer.alloc(40, 3)), ...metadata]);
}

function field(number: number, body: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return Buffer.from([...bytes, value]);
}

/** What a ZIP entry says of itself; what is left out is true. */
export interface Lies {
  size?: number;
  packed?: number;
  crc?: number;
  method?: number;
  offset?: number;
  count?: number;
}

/** TFLite: some bytes with its mark, and an archive with one entry behind them. */
export function tflite(name: string, text: string, { deflate = false, lies = {} as Lies } = {}): Uint8Array {
  const content = Buffer.from(text);
  const packed = deflate ? deflateRawSync(content) : content;
  const model = Buffer.concat([Buffer.from([28, 0, 0, 0]), Buffer.from("TFL3"), Buffer.alloc(50, 5)]);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(lies.method ?? (deflate ? 8 : 0), 4);
  common.writeUInt32LE(lies.crc ?? crc32(content), 10);
  common.writeUInt32LE(lies.packed ?? packed.length, 14);
  common.writeUInt32LE(lies.size ?? content.length, 18);
  common.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(lies.offset ?? 0, 10);
  const entry = Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, rest, Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(lies.count ?? 1, 8);
  end.writeUInt16LE(lies.count ?? 1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([model, local, entry, end]);
}

function crc32(bytes: Uint8Array): number {
  const table = Array.from({ length: 256 }, (_, n) => {
    for (let i = 0; i < 8; i++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  return (bytes.reduce((crc, byte) => (crc >>> 8) ^ table[(crc ^ byte) & 255]!, -1) ^ -1) >>> 0;
}
