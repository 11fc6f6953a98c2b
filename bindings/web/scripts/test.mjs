// Bundle tests into dist-test/ and run them: `node scripts/test.mjs node browser`, or `models` with MODELS=FOLDER.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const kinds = process.argv.slice(2);
const out = `${root}dist-test`;
const shared = { bundle: true, outdir: out, entryNames: "[name]", format: "esm", sourcemap: "inline" };

rmSync(out, { recursive: true, force: true });
const tests = kinds.flatMap((kind) => {
  const names = readdirSync(`${root}test/${kind}`).filter((name) => name.endsWith(".test.ts"));
  return names.map((name) => ({ out: `${kind}.${name.slice(0, -3)}`, in: `${root}test/${kind}/${name}` }));
});
const node = { packages: "external", platform: "node", target: "node20", outExtension: { ".js": ".mjs" } };
await build({ ...shared, ...node, entryPoints: tests });
if (kinds.some((kind) => kind !== "node")) {
  const conditions = ["onnxruntime-web-use-extern-wasm"]; // the wasm is served beside the page, never bundled
  await build({
    ...shared,
    entryPoints: [`${root}test/browser/page.ts`],
    platform: "browser",
    target: "es2022",
    conditions,
  });
}
const files = tests.map((test) => `${out}/${test.out}.mjs`);
const reporter = kinds.includes("models") ? "spec" : "dot"; // those say how near they came
const { status } = spawnSync(process.execPath, ["--test", `--test-reporter=${reporter}`, ...files], {
  stdio: "inherit",
});
process.exit(status ?? 1);
