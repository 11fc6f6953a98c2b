/**
 * Inputs and outputs in few bits: the one place where they are made of numbers, and numbers of them.
 *
 * A quantized tensor holds `q`, and stands for `scale * (q - zeroPoint)`. Scale and zero point are the file's own.
 */

/** What the integers of one tensor stand for. The scale is rounded to float32, and so is each step. */
export interface Steps {
  readonly scale: number;
  readonly zeroPoint: number;
  readonly dtype: IntegerType;
}

export type IntegerType = "int8" | "uint8" | "int16";

const KINDS = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array };
const ENDS = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767] } as const;

/** To the nearest step, halves to even, and what is out of range at its end. */
export function quantize(
  numbers: ArrayLike<number>,
  { scale, zeroPoint, dtype }: Steps,
): Int8Array | Uint8Array | Int16Array {
  const step = Math.fround(scale);
  const [least, most] = ENDS[dtype];
  const integers = new KINDS[dtype](numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    const nearest = halfToEven(Math.fround(Math.fround(numbers[i]!) / step)) + zeroPoint;
    integers[i] = Math.min(Math.max(nearest, least), most);
  }
  return integers;
}

/** As numbers. */
export function dequantize(integers: ArrayLike<number>, { scale, zeroPoint }: Steps): Float32Array {
  const step = Math.fround(scale);
  return Float32Array.from(integers, (q) => Math.fround(q - zeroPoint) * step);
}

function halfToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}
