/** ONNX Runtime Web: a model in, a function from an input tensor to named outputs out. */

const FOLDER = new URL("./engines/onnxruntime-web/dist/", import.meta.url);

/** What the engine has to fetch before the clock runs. */
export async function prepare(setting) {
  const gpu = setting === "webgpu";
  const ort = await import(new URL(gpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs", FOLDER));
  const runtime = `ort-wasm-simd-threaded${gpu ? ".asyncify" : ""}`;
  ort.env.wasm.wasmPaths = { mjs: new URL(`${runtime}.mjs`, FOLDER).href };
  ort.env.wasm.wasmBinary = await (await fetch(new URL(`${runtime}.wasm`, FOLDER))).arrayBuffer();
  ort.env.logLevel = "error";
  return ort;
}

/** Start the engine with a model. */
export async function open(ort, bytes, { setting, threads, input }) {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [setting === "webgpu" ? "webgpu" : "wasm"],
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  return async (data) => {
    const answers = await session.run({ [input.name]: new ort.Tensor(input.dtype, data, input.shape) });
    const taken = {};
    for (const [name, value] of Object.entries(answers)) {
      taken[name] = { dtype: value.type, data: await value.getData() }; // from a GPU it must be fetched
      value.dispose();
    }
    return taken;
  };
}
