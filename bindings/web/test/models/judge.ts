/** Models end to end, in Node and in a browser alike: what this package finds against what Python finds. */

import {
  type Box,
  compare,
  Detector,
  Embedder,
  type Engine,
  type Face,
  FaceAnalyzer,
  iou,
  type Picture,
} from "../../src/index.js";

/** What `answers.py` writes. */
export interface Answers {
  readonly engines: Readonly<Record<string, EngineAnswers>>;
  readonly contracts: readonly { readonly text: string; readonly error: string }[];
}

interface EngineAnswers {
  readonly detector: string;
  readonly embedder: string;
  readonly faces: Readonly<Record<string, readonly Told[]>>;
  readonly decisions: readonly string[];
}

interface Told {
  readonly box: Box;
  readonly score: number;
  readonly landmarks: readonly (readonly [number, number])[];
  readonly pose: readonly [number, number, number] | null;
  readonly quality: number | null;
  readonly vector: readonly number[];
}

/** The worst over all faces. */
export interface Agreement {
  pictures: number;
  faces: number;
  cosine: number;
  iou: number;
  landmarksPx: number;
  poseDeg: number;
  quality: number;
}

/** Where files come from. */
export interface Source {
  model(name: string): Promise<Uint8Array>;
  picture(name: string): Promise<Picture>;
}

/**
 * Analyse every picture that Python did.
 *
 * @throws Error: another number of faces, or another decision.
 */
export async function agreement(answers: EngineAnswers, engine: Engine, source: Source): Promise<Agreement> {
  const detector = await Detector.load(await source.model(answers.detector), engine);
  const embedder = await Embedder.load(await source.model(answers.embedder), engine);
  const analyzer = new FaceAnalyzer(detector, embedder);
  const worst: Agreement = { pictures: 0, faces: 0, cosine: 1, iou: 1, landmarksPx: 0, poseDeg: 0, quality: 0 };
  const first: Face[] = [];
  for (const [name, wanted] of Object.entries(answers.faces)) {
    const faces = await analyzer.analyze(await source.picture(name));
    if (faces.length !== wanted.length) throw new Error(`${name}: ${faces.length} faces, expected ${wanted.length}`);
    faces.forEach((face, i) => compareFace(worst, face, wanted[i]!));
    worst.pictures++;
    first.push(...faces.slice(0, 1));
  }
  const decisions = first.map((face) => String(analyzer.decide(first[0]!, face)));
  decisions.forEach((text, i) => {
    if (!alike(text, answers.decisions[i]!)) throw new Error(`decided: ${text}, expected: ${answers.decisions[i]}`);
  });
  await Promise.all([detector.close(), embedder.close()]);
  return worst;
}

function compareFace(worst: Agreement, face: Face, wanted: Told): void {
  const { fingerprint, precision, compatible } = face.embedding;
  const theirs = { vector: Float32Array.from(wanted.vector), fingerprint, precision, compatible };
  const pose = face.pose && [face.pose.yawDeg, face.pose.pitchDeg, face.pose.rollDeg];
  worst.faces++;
  worst.cosine = Math.min(worst.cosine, compare(face.embedding, theirs));
  worst.iou = Math.min(worst.iou, iou(face.box, wanted.box));
  worst.landmarksPx = Math.max(worst.landmarksPx, farthest(face.landmarks.flat(), wanted.landmarks.flat()));
  worst.poseDeg = Math.max(worst.poseDeg, farthest(pose ?? [], wanted.pose ?? []));
  worst.quality = Math.max(worst.quality, farthest([face.quality ?? -1], [wanted.quality ?? -1]));
}

function farthest(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Infinity;
  return Math.max(0, ...a.map((x, i) => Math.abs(x - b[i]!)));
}

/** The same sentence, its numbers within the last digit. */
function alike(a: string, b: string): boolean {
  const number = /-?\d+\.\d{4}/g;
  const [ours, theirs] = [a, b].map((text) => (text.match(number) ?? []).map(Number));
  return a.replace(number, "") === b.replace(number, "") && farthest(ours!, theirs!) <= 1.1e-4;
}
