/** One model at one setting, in a frame of its own: engines keep threads and memory as long as their page lives. */

import { measure } from "./timing.js";

const TYPES = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array };

/** The input tensors, one for each picture, of the type that the model takes. */
function pictures(sent, { pictures: count, input }) {
  const numbers = new TYPES[input.sent](sent);
  const size = numbers.length / count;
  return Array.from({ length: count }, (_, i) => TYPES[input.dtype].from(numbers.subarray(i * size, (i + 1) * size)));
}

/** Bytes of any length in base64. */
function base64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** The answers for all pictures, output by output. */
function joined(names, answers) {
  return Object.fromEntries(names.map((name) => {
    const parts = answers.map((answer) => answer[name]);
    if (parts.some((part) => !part)) throw new Error(`there is no output ${name}`);
    const bytes = parts.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    const all = new Uint8Array(bytes.reduce((total, part) => total + part.length, 0));
    bytes.reduce((at, part) => (all.set(part, at), at + part.length), 0);
    return [name, { dtype: parts[0].dtype, data: base64(all) }];
  }));
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response.arrayBuffer();
}

async function run({ model, setting, threads, limits }, tell) {
  const engine = await import(new URL(model.module, import.meta.url));
  const [loaded, bytes, sent] = await Promise.all([engine.prepare(setting), fetched(model.url), fetched(model.inputs)]);
  const inputs = pictures(sent, model);
  const start = performance.now();
  const answer = await engine.open(loaded, new Uint8Array(bytes), { setting, threads, input: model.input });
  await answer(inputs[0]);
  const loadMs = performance.now() - start;
  tell(0, []);
  const times = await measure((i) => answer(inputs[i % inputs.length]), limits, tell);
  const answers = [];
  for (const input of inputs) {
    answers.push(await answer(input));
    tell(1, times);
  }
  return { load_ms: loadMs, times_ms: times, outputs: joined(model.outputs, answers) };
}

addEventListener("message", async ({ data, origin, source }) => {
  if (origin !== location.origin || source !== parent) return;
  const post = (message) => parent.postMessage(message, location.origin);
  try {
    post({ result: await run(data, (share, times) => post({ share, times })) });
  } catch (error) {
    post({ error: String(error?.message ?? error) || "it failed without a word" });
  }
});
parent.postMessage({ ready: true }, location.origin);
