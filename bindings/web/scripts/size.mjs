// Print what a page has to load, raw, gzipped and with brotli: our module, and with --engines each engine's. Fails if
// ours is above its limit.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

const LIMIT = 25_000; // bytes, gzipped, of our own module
const root = fileURLToPath(new URL("..", import.meta.url));
const modules = `${root}node_modules/`;

/** An engine's JavaScript as a bundler takes it. */
function bundled(entry) {
  const { outputFiles } = buildSync({
    stdin: { contents: `export * from "${entry}";`, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    conditions: ["onnxruntime-web-use-extern-wasm"],
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0].contents;
}

const rows = { "pocketface, dist/index.js": () => readFileSync(`${root}dist/index.js`) };
const engines = {
  "onnxruntime-web/wasm, JavaScript": () => bundled("onnxruntime-web/wasm"),
  "onnxruntime-web, wasm": () => readFileSync(`${modules}onnxruntime-web/dist/ort-wasm-simd-threaded.wasm`),
  "@litertjs/core, JavaScript": () => bundled("@litertjs/core"),
  "@litertjs/core, wasm": () => readFileSync(`${modules}@litertjs/core/wasm/litert_wasm_internal.wasm`),
};
if (process.argv.includes("--engines")) Object.assign(rows, engines);
const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(12);
console.log(`${"".padEnd(34)}${"raw".padStart(12)}${"gzip -9".padStart(12)}${"brotli -9".padStart(12)}`);
let ours = 0;
for (const [name, read] of Object.entries(rows)) {
  const content = read();
  const zipped = gzipSync(content, { level: 9 }).length;
  const brotli = brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }).length;
  console.log(name.padEnd(34) + kilo(content.length) + kilo(zipped) + kilo(brotli));
  ours ||= zipped;
}
if (ours > LIMIT) {
  console.error(`our module has ${ours} bytes gzipped, at most ${LIMIT} are allowed`);
  process.exit(1);
}
