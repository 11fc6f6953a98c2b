/** The pixel rules on random questions, against the words of bindings/golden/README.md written down in big integers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { alignFace, ARCFACE, noise, random } from "./question.js";
import { estimateSimilarity } from "../../src/align.js";
import { type Picture } from "../../src/images.js";
import { letterbox } from "../../src/preprocess.js";
import { boxMean } from "../../src/resample.js";

/** Floor division; `/` of big integers rounds towards 0. */
function floorDiv(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

function at({ width, height, data }: Picture, y: bigint, x: bigint, c: number): bigint {
  const inside = y >= 0n && x >= 0n && y < BigInt(height) && x < BigInt(width);
  return inside ? BigInt(data[3 * (Number(y) * width + Number(x)) + c]!) : 0n;
}

function naiveBoxMean({ width, height, data }: Picture, k: number): Picture {
  const [rows, columns] = [Math.ceil(height / k), Math.ceil(width / k)];
  const out = new Uint8Array(3 * rows * columns);
  for (let i = 0; i < out.length; i++) {
    const [y, x, c] = [Math.floor(i / 3 / columns), Math.floor(i / 3) % columns, i % 3];
    let [sum, n] = [0, 0];
    for (let v = y * k; v < Math.min(y * k + k, height); v++) {
      for (let u = x * k; u < Math.min(x * k + k, width); u++, n++) sum += data[3 * (v * width + u) + c]!;
    }
    out[i] = Math.floor((sum + Math.floor(n / 2)) / n);
  }
  return { width: columns, height: rows, data: out };
}

function naiveAlign(picture: Picture, landmarks: [number, number][], size: [number, number]): Uint8Array {
  const [[a, , tx], [b, , ty]] = estimateSimilarity(landmarks, ARCFACE);
  const [c, s] = [a / (a * a + b * b), b / (a * a + b * b)];
  const whole = (x: number) => BigInt(Math.floor(65536 * x + 0.5));
  const [A, B, X0, Y0] = [whole(c), whole(s), whole(-(c * tx + s * ty)), whole(s * tx - c * ty)];
  let k = 1n;
  while (k < 256n && (65536n * (k + 1n)) ** 2n <= A * A + B * B) k++;
  const small = naiveBoxMean(picture, Number(k));
  const out = new Uint8Array(3 * size[0] * size[1]);
  for (let i = 0; i < out.length; i++) {
    const [v, u] = [BigInt(Math.floor(i / 3 / size[1])), BigInt(Math.floor(i / 3) % size[1])];
    const column = floorDiv(A * u + B * v + X0 + 32768n - 32640n * k, 256n * k);
    const row = floorDiv(A * v - B * u + Y0 + 32768n - 32640n * k, 256n * k);
    const [y, x, r, q] = [row >> 8n, column >> 8n, row & 255n, column & 255n];
    const p = (dy: bigint, dx: bigint) => at(small, y + dy, x + dx, i % 3);
    const above = (256n - r) * (256n - q) * p(0n, 0n) + (256n - r) * q * p(0n, 1n);
    out[i] = Number((above + r * (256n - q) * p(1n, 0n) + r * q * p(1n, 1n) + 32768n) >> 16n);
  }
  return out;
}

test("box means are those of the words, on 60 pictures", () => {
  const draw = random(1);
  for (let i = 0; i < 60; i++) {
    const picture = noise(1 + (draw() % 40), 1 + (draw() % 40), i);
    const k = 1 + (draw() % 12);
    assert.deepEqual(boxMean(picture, k), naiveBoxMean(picture, k));
  }
});

test("crops are those of the words, on 60 faces of any size, place and turn", () => {
  const draw = random(2);
  for (let i = 0; i < 60; i++) {
    const picture = noise(8 + (draw() % 90), 8 + (draw() % 90), i);
    const [scale, angle] = [2 ** ((draw() % 900) / 100 - 5), (draw() % 628) / 100];
    const [dx, dy] = [(draw() % 120) - 20, (draw() % 120) - 20];
    const landmarks = ARCFACE.map(([x, y]): [number, number] => {
      const [u, v] = [(x - 56) * scale, (y - 56) * scale];
      return [u * Math.cos(angle) - v * Math.sin(angle) + dx, u * Math.sin(angle) + v * Math.cos(angle) + dy];
    });
    const size: [number, number] = [16 + (draw() % 16), 16 + (draw() % 16)];
    const crop = alignFace(picture, landmarks, ARCFACE, size);
    assert.deepEqual(crop.data, naiveAlign(picture, landmarks, size));
  }
});

test("a face a million pixels wide is black or sound, never an error", () => {
  const far = ARCFACE.map(([x, y]): [number, number] => [x * 1e4, y * 1e4]);
  assert.equal(alignFace(noise(4, 4, 0), far, ARCFACE, [112, 112]).data.length, 3 * 112 * 112);
});

test("a strip of a picture is letterboxed", () => {
  for (const [h, w] of [
    [1, 5000],
    [5000, 1],
  ] as const) {
    const { picture, scale } = letterbox(noise(h, w, 0), [320, 320]);
    assert.equal(picture.data.length, 3 * 320 * 320);
    assert.equal(scale, 320 / 5000);
  }
});
