// Build the demo page and serve it with the models of a folder: `npm run demo -- FOLDER [PORT]`.

import { cpSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { serve } from "./server.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Write the page into dist-demo/, which any web server can serve; what to serve beside it is returned. */
export async function buildDemo() {
  const out = `${root}dist-demo/`;
  rmSync(out, { recursive: true, force: true });
  await build({
    entryPoints: [`${root}demo/main.ts`],
    outdir: out,
    bundle: true,
    splitting: true, // an engine is loaded when it is needed
    format: "esm",
    target: "es2022",
    minify: true,
    conditions: ["onnxruntime-web-use-extern-wasm"],
  });
  for (const name of ["index.html", "style.css", "icon.svg"]) cpSync(`${root}demo/${name}`, out + name);
  return {
    "/": out,
    "/ort/": `${root}node_modules/onnxruntime-web/dist/`,
    "/litert/": `${root}node_modules/@litertjs/core/wasm/`,
  };
}

/** Name and task of the models in a folder; a file that is no sound model is named on stderr and left out. */
export async function listModels(folder) {
  const { loadArtifact } = await import("../dist/index.js");
  const found = [];
  for (const name of readdirSync(folder)
    .filter((one) => /\.(onnx|tflite)$/.test(one))
    .sort()) {
    try {
      const { contract } = await loadArtifact(readFileSync(`${folder}/${name}`), name);
      found.push({ name, task: contract.task.type });
    } catch (error) {
      console.error(`left out: ${error.message}`);
    }
  }
  return found;
}

async function main([given, port = "8000"]) {
  const folder = given && resolve(process.env.INIT_CWD ?? "", given); // npm runs scripts in the package's folder
  const mounts = await buildDemo();
  const models = folder ? await listModels(folder) : [];
  if (folder) mounts["/models/"] = folder;
  const server = await serve(mounts, { made: { "/models.json": () => JSON.stringify(models) }, port: Number(port) });
  console.log(`http://localhost:${server.address().port}/ with ${models.length} models; end with Ctrl-C`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(`demo: ${error.message}; usage: npm run demo -- [FOLDER [PORT]]`);
    process.exit(1);
  });
}
