/** Turn aligned face crops into embeddings. */

import { alignFace, type Point } from "./align.js";
import type { ArtifactInfo } from "./artifact.js";
import type { Recognition } from "./contract.js";
import type { Embedding } from "./embedding.js";
import type { Engine } from "./engines/engine.js";
import { InvalidContract, InvalidImage, UnsupportedModel } from "./errors.js";
import { checkPicture, type Picture, type Size } from "./images.js";
import { type Answers, type Model, Session } from "./session.js";

const AT_ONCE = 8; // crops per run: on a CPU, more take memory and save no time

/** What a recogniser says of one crop. */
export interface Judged {
  readonly embedding: Embedding;
  /** How far the face can be recognised, 0..1; null from a recogniser that does not judge. */
  readonly quality: number | null;
}

/** A face recogniser, open and ready. */
export class Embedder {
  private constructor(private readonly session: Session<Recognition>) {}

  /**
   * Open a recogniser.
   *
   * @param model a model file's bytes, or a loaded artifact.
   * @param engine that runs it, such as `ortEngine(ort)`.
   * @throws InvalidModel, InvalidContract: the file or its contract is not sound, or not a recogniser's.
   *   UnsupportedModel: the engine cannot run it.
   */
  static async load(model: Model, engine: Engine): Promise<Embedder> {
    return new Embedder(await Session.open<Recognition>(model, "recognition", engine));
  }

  /** The file's name and contract. */
  get artifact(): ArtifactInfo {
    return this.session.artifact;
  }

  /** The thresholds and the template of the file. */
  get task(): Recognition {
    return this.session.task;
  }

  /** Which network this is: embeddings may be compared only within one fingerprint. */
  get fingerprint(): string {
    return this.artifact.contract.fingerprint;
  }

  /** `[height, width]` of a crop. */
  get size(): Size {
    const { height, width } = this.artifact.contract.input;
    return [height, width];
  }

  /**
   * Cut out a face so that its five landmarks lie where this network expects them.
   *
   * @throws InvalidImage: not a picture. InvalidGeometry: landmarks not finite, or all in one place.
   */
  align(picture: Picture, landmarks: readonly Point[]): Picture {
    return alignFace(picture, landmarks, this.task.template, this.size);
  }

  /** Embed aligned crops; see `judge`. */
  async embed(crops: readonly Picture[]): Promise<Embedding[]> {
    return (await this.judge(crops)).map(({ embedding }) => embedding);
  }

  /**
   * Embed aligned crops and say how far each can be recognised, in one run of the network.
   *
   * @throws InvalidImage: crops of another size. InvalidContract: the file gives outputs of another shape than its
   *   contract says. UnsupportedModel: the engine fails, or answers NaN or zeros.
   */
  async judge(crops: readonly Picture[]): Promise<Judged[]> {
    crops.forEach((crop) => this.check(crop));
    const judged: Judged[] = [];
    for (let i = 0; i < crops.length; i += AT_ONCE) {
      const batch = crops.slice(i, i + AT_ONCE);
      const answers = await this.session.run(batch);
      judged.push(...answers.flatMap((answer) => this.read(answer, batch.length / answers.length)));
    }
    return judged;
  }

  /** Give the engine's memory back; the embedder is of no use after. */
  close(): Promise<void> {
    return this.session.close();
  }

  private check(crop: Picture): void {
    const [height, width] = this.size;
    const { height: h, width: w } = checkPicture(crop);
    if (h !== height || w !== width) {
      throw new InvalidImage(
        `expected crops uint8 (N, ${height}, ${width}, 3), got uint8 (${h}, ${w}, 3); use align()`,
      );
    }
  }

  /** The answer of one run for so many crops. */
  private read({ embedding, quality }: Answers, count: number): Judged[] {
    const length = this.task.embedding_size;
    if (embedding!.shape.join() !== `${count},${length}`) {
      const came = embedding!.shape.join(", ");
      throw new InvalidContract(
        `${this.artifact.name}: an embedding of shape (${came}), expected (${count}, ${length})`,
      );
    }
    if (quality && quality.data.length !== count) {
      const came = quality.shape.join(", ");
      throw new InvalidContract(`${this.artifact.name}: quality of shape (${came}), expected one for each crop`);
    }
    this.session.requireFinite("embedding", embedding!.data);
    if (quality) this.session.requireFinite("quality", quality.data);
    return Array.from({ length: count }, (_, i) => ({
      embedding: this.embedding(embedding!.data.subarray(i * length, (i + 1) * length)),
      quality: quality ? quality.data[i]! : null,
    }));
  }

  /** Of length 1, even what the graph normalised: float16 is off by 1e-3. */
  private embedding(raw: Float32Array): Embedding {
    const length = Math.sqrt(raw.reduce((sum, x) => sum + x * x, 0));
    if (!length) {
      throw new UnsupportedModel(
        `${this.artifact.name}: an embedding of zeros, which has no direction; its weights are damaged`,
      );
    }
    const { precision } = this.artifact.contract;
    const vector = raw.map((x) => x / length);
    return { vector, fingerprint: this.fingerprint, precision, compatible: this.task.compatible ?? [] };
  }
}
