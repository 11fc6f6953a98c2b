/** A model file, its contract and an engine, joined: pictures in, outputs by their meaning out. */

import { type Artifact, type ArtifactInfo, loadArtifact } from "./artifact.js";
import type { Detection, Recognition } from "./contract.js";
import type { Engine, Loaded, Tensor } from "./engines/engine.js";
import { dtypeOf } from "./engines/feeds.js";
import { InvalidContract, UnsupportedModel } from "./errors.js";
import type { Picture } from "./images.js";
import { toTensor } from "./preprocess.js";

/** A model: its bytes, or what `loadArtifact` made of them. */
export type Model = Uint8Array | ArrayBuffer | Artifact;

/** Meaning of an output -> float32. */
export type Answers = Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

type Task = Detection | Recognition;

/** An open model that speaks in meanings instead of tensor names. It lets the file's bytes go: the engine has them. */
export class Session<T extends Task> {
  private constructor(
    readonly artifact: ArtifactInfo,
    readonly task: T,
    readonly engine: string,
    private readonly loaded: Loaded,
  ) {}

  private last: Promise<unknown> = Promise.resolve();

  /**
   * Open a model that does this task.
   *
   * @throws InvalidModel, InvalidContract: the file or its contract is not sound, or it does something else.
   *   UnsupportedModel: the engine cannot run it.
   */
  static async open<T extends Task>(model: Model, task: T["type"], engine: Engine): Promise<Session<T>> {
    const artifact = isArtifact(model) ? model : await loadArtifact(model);
    const { name, format, contract } = artifact;
    if (contract.task.type !== task) {
      throw new InvalidContract(`${name}: a model for ${contract.task.type}, expected one for ${task}`);
    }
    if (format !== engine.format) {
      throw new UnsupportedModel(
        `${name}: no backend '${engine.name}' for ${format} files, it runs ${engine.format} files`,
      );
    }
    const loaded = await engine.open(artifact);
    return new Session({ name, format, contract }, contract.task as T, engine.name, loaded);
  }

  /**
   * Run pictures of the model's size. Where the contract says one at a time, they are run so; runs of one session wait
   * for one another, for engines keep buffers between runs.
   *
   * @throws InvalidContract: the file lacks an output that the contract names. UnsupportedModel: the engine fails.
   */
  async run(pictures: readonly Picture[]): Promise<Answers[]> {
    const result = this.last.then(() => this.runNow(pictures));
    this.last = result.catch(() => undefined);
    return result;
  }

  private async runNow(pictures: readonly Picture[]): Promise<Answers[]> {
    const { input } = this.artifact.contract;
    const batches = input.dynamic_batch ? [pictures] : pictures.map((picture) => [picture]);
    const answers: Answers[] = [];
    for (const batch of batches) {
      answers.push(this.named(await this.loaded.run({ [input.name]: toTensor(batch, input) })));
    }
    return answers;
  }

  private named(came: Record<string, Tensor>): Answers {
    const { outputs } = this.artifact.contract;
    const missing = Object.values(outputs).filter((name) => !Object.hasOwn(came, name));
    if (missing.length) {
      const [gave, lacks] = [Object.keys(came), missing].map((names) => names.sort());
      throw new InvalidContract(
        `${this.artifact.name}: gave ${gave!.join(", ")}, but its contract also names ${lacks!.join(", ")}`,
      );
    }
    return Object.fromEntries(
      Object.entries(outputs).map(([meaning, name]) => [meaning, this.real(name, came[name]!)]),
    );
  }

  /** An answer as float32; integers that the engine left are steps of an unknown size, and mean nothing. */
  private real(name: string, tensor: Tensor): Answers[string] {
    if (!(tensor.data instanceof Float32Array)) {
      throw new UnsupportedModel(
        `${this.artifact.name}: '${name}' is ${dtypeOf(tensor)}, and the file does not say what a step of it is ` +
          "worth; end the graph with a DequantizeLinear, or quantize it with pocketface",
      );
    }
    return { shape: tensor.shape, data: tensor.data };
  }

  /**
   * Refuse an answer with NaN or infinity in it, which would otherwise pass for "no face" or "no match".
   *
   * @throws UnsupportedModel: there is one.
   */
  requireFinite(meaning: string, values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        throw new UnsupportedModel(
          `${this.artifact.name}: NaN or infinity in its ${meaning} on ${this.engine}: its weights are damaged, or ` +
            `${this.artifact.contract.precision} overflows; try another backend or precision`,
        );
      }
    }
  }

  /** Wait for what is running, and give the engine's memory back. */
  async close(): Promise<void> {
    await this.last;
    await this.loaded.close();
  }
}

function isArtifact(model: Model): model is Artifact {
  return Object.hasOwn(model, "contract");
}
