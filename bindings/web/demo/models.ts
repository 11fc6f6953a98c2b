/** Models: which there are, and how they are opened. */

import {
  type Artifact,
  Detector,
  Embedder,
  type Engine,
  FaceAnalyzer,
  litertEngine,
  loadArtifact,
  ortEngine,
} from "../src/index.js";

/** What a model can be chosen for. */
export type Task = "detection" | "recognition";

/** A model that can be chosen. */
export interface Choice {
  readonly label: string;
  readonly task: Task;
  load(): Promise<Artifact>;
}

/** The models beside the page, as `npm run demo -- FOLDER` lists them; none on a server that lists nothing. */
export async function served(): Promise<Choice[]> {
  const response = await fetch("models.json");
  if (!response.ok) return [];
  const listed = (await response.json()) as { name: string; task: Task }[];
  return listed.map(({ name, task }) => ({ label: name, task, load: () => download(name) }));
}

/** Models from the visitor's own files. */
export async function local(files: Iterable<File>): Promise<Choice[]> {
  const artifacts = await Promise.all(
    Array.from(files, async (file) => loadArtifact(await file.arrayBuffer(), file.name)),
  );
  return artifacts.map((artifact) => ({
    label: artifact.name,
    task: artifact.contract.task.type,
    load: async () => artifact,
  }));
}

async function download(name: string): Promise<Artifact> {
  const response = await fetch(`models/${encodeURIComponent(name)}`);
  if (!response.ok) throw new Error(`${name}: the server answered ${response.status}`);
  return loadArtifact(await response.arrayBuffer(), name);
}

/** Open both models; if the second fails, the first is closed. */
export async function openBoth(detection: Choice, recognition: Choice): Promise<FaceAnalyzer> {
  const found = await detection.load();
  const detector = await Detector.load(found, await engineFor(found));
  try {
    const judge = await recognition.load();
    return new FaceAnalyzer(detector, await Embedder.load(judge, await engineFor(judge)));
  } catch (error) {
    await detector.close();
    throw error;
  }
}

/** An engine is fetched when a model first needs it, and once. */
function engineFor({ format }: Artifact): Promise<Engine> {
  return (engines[format] ??= { onnx: startOrt, tflite: startLiteRt }[format]());
}

const engines: Partial<Record<Artifact["format"], Promise<Engine>>> = {};

async function startOrt(): Promise<Engine> {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
  ort.env.wasm.numThreads = 1; // on phones more run out of memory, see microsoft/onnxruntime #11679
  return ortEngine(ort);
}

async function startLiteRt(): Promise<Engine> {
  const litert = await import("@litertjs/core");
  await litert.loadLiteRt(new URL("litert/", location.href).href, { threads: false });
  return litertEngine(litert);
}
