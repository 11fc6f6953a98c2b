/** LiteRT.js: a model in, a function from an input tensor to named outputs out. */

const FOLDER = new URL("./engines/@litertjs/core/", import.meta.url);

/** Which build of the engine a setting needs: where the GPU is asked for its answers, wasm must be able to wait. */
async function build(litert, setting) {
  if (!(await litert.supportsFeature("relaxedSimd"))) return { kind: "compat_", options: {} };
  if (setting === "wasm threads") return { kind: "threaded_", options: { threads: true } };
  if (setting === "webgpu" && (await litert.supportsFeature("jspi"))) return { kind: "jspi_", options: { jspi: true } };
  return { kind: "", options: {} };
}

/** What the engine has to fetch before the clock runs: into the browser's cache, for it takes addresses only. */
export async function prepare(setting) {
  const litert = await import(new URL("dist/index.js", FOLDER));
  const { kind, options } = await build(litert, setting);
  const files = ["js", "wasm"].map((suffix) => new URL(`wasm/litert_wasm_${kind}internal.${suffix}`, FOLDER));
  await Promise.all(files.map(async (file) => (await fetch(file)).arrayBuffer()));
  return { litert, options };
}

/** Start the engine with a model. */
export async function open({ litert, options }, bytes, { setting, threads, input }) {
  const accelerator = setting === "webgpu" ? "webgpu" : "wasm";
  await litert.loadLiteRt(new URL("wasm/", FOLDER).href, options);
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
