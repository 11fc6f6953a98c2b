/** A picture's size in its header, read before its pixels are: a small file can claim a huge picture. */

export interface Header {
  readonly width: number;
  readonly height: number;
}

const BEGINNING = 64; // bytes, enough for all but JPEG
const SEGMENTS = 4096; // of a JPEG that are passed over

/** The size in the header of a JPEG, PNG, WEBP or BMP; null where the file is none of them. */
export async function sizeInHeader(file: Blob): Promise<Header | null> {
  const view = new DataView(await file.slice(0, BEGINNING).arrayBuffer());
  try {
    return png(view) ?? bmp(view) ?? webp(view) ?? (await jpeg(file));
  } catch {
    return null; // it ends in the header
  }
}

/** Source: W3C PNG, section 11.2.1. */
function png(view: DataView): Header | null {
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(12) !== 0x49484452) return null;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Source: Microsoft, BITMAPINFOHEADER; a negative height is a picture from the top. */
function bmp(view: DataView): Header | null {
  if (view.getUint16(0) !== 0x424d) return null;
  return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
}

/** Source: Google, WebP container specification, and RFC 6386 section 9.1 for VP8. */
function webp(view: DataView): Header | null {
  if (view.getUint32(0) !== 0x52494646 || view.getUint32(8) !== 0x57454250) return null;
  const kind = view.getUint32(12);
  if (kind === 0x56503858) return { width: 1 + uint24(view, 24), height: 1 + uint24(view, 27) };
  if (kind === 0x5650384c) {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  return kind === 0x56503820
    ? { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff }
    : null;
}

/** Source: ITU T.81, annex B. The header is sought segment by segment, wherever in the file it lies. */
async function jpeg(file: Blob): Promise<Header | null> {
  let at = 0;
  const read = async (count: number) => new DataView(await file.slice(at, at + count).arrayBuffer());
  if ((await read(2)).getUint16(0) !== 0xffd8) return null;
  at = 2;
  for (let i = 0; i < SEGMENTS; i++) {
    const head = await read(9);
    const marker = head.getUint16(0);
    if (marker === 0xffff) {
      at += 1; // filling
      continue;
    }
    const isFrame = marker >= 0xffc0 && marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return { height: head.getUint16(5), width: head.getUint16(7) };
    if (marker < 0xff01 || marker === 0xffd9 || marker === 0xffda) return null;
    at += 2 + head.getUint16(2);
  }
  return null;
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
}
