// Bundle the sources into dist/index.js, one module without dependencies, and write the types beside it.

import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const path = (name) => `${root}${name}`;

rmSync(path("dist"), { recursive: true, force: true });
await build({
  entryPoints: [path("src/index.ts")],
  outfile: path("dist/index.js"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  sourcemap: true,
});
const types = ["--noEmit", "false", "--emitDeclarationOnly", "--declaration", "--rootDir", "src", "--outDir", "dist"];
execFileSync(path("node_modules/.bin/tsc"), ["-p", path("tsconfig.build.json"), ...types], { stdio: "inherit" });
