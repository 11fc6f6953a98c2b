/** LiteRT.js: a model in, a function from an input tensor to named outputs out. */

const FOLDER = new URL("./engines/@litertjs/core/", import.meta.url);

/** What the engine has to fetch before the clock runs: into the browser's cache, for it takes addresses only. */
export async function prepare(setting) {
  const litert = await import(new URL("dist/index.js", FOLDER));
  const relaxed = await litert.supportsFeature("relaxedSimd");
  const kind = !relaxed ? "compat_" : setting === "wasm threads" ? "threaded_" : "";
  const files = ["js", "wasm"].map((suffix) => new URL(`wasm/litert_wasm_${kind}internal.${suffix}`, FOLDER));
  await Promise.all(files.map(async (file) => (await fetch(file)).arrayBuffer()));
  return litert;
}

/** Start the engine with a model. */
export async function open(litert, bytes, { setting, threads, input }) {
  const accelerator = setting === "webgpu" ? "webgpu" : "wasm";
  await litert.loadLiteRt(new URL("wasm/", FOLDER).href, { threads: threads > 1 });
  const model = await litert.loadAndCompile(bytes, { accelerator, cpuOptions: { numThreads: threads } });
  if (accelerator === "webgpu" && !model.isFullyAccelerated) throw new Error("not all of it runs on the GPU");
  return async (data) => {
    const tensor = new litert.Tensor(data, input.shape);
    const answers = await model.run({ [input.name]: tensor });
    const taken = {};
    for (const [name, value] of Object.entries(answers)) {
      taken[name] = { dtype: value.type.dtype, data: (await value.data()).slice() }; // its own memory goes with it
      value.delete();
    }
    tensor.delete();
    return taken;
  };
}
