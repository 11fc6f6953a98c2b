// Bundle the tests for Node into dist-test/ and run them: `npm test`, or `npm test -- e2e` for one by its name.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const wanted = process.argv.slice(2);
const names = readdirSync(`${root}test`).filter((name) => name.endsWith(".test.ts"));
const chosen = names.filter((name) => !wanted.length || wanted.includes(basename(name, ".test.ts")));
if (!chosen.length) {
  console.error(`no test ${wanted.join(", ")}; there are ${names.map((name) => basename(name, ".test.ts")).join(", ")}`);
  process.exit(1);
}
rmSync(`${root}dist-test`, { recursive: true, force: true });
await build({
  entryPoints: chosen.map((name) => `${root}test/${name}`),
  outdir: `${root}dist-test`,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
});
const files = chosen.map((name) => `${root}dist-test/${name.replace(".ts", ".mjs")}`);
const { status } = spawnSync(process.execPath, ["--test", "--test-reporter=dot", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
