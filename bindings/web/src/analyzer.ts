/** The whole pipeline on one picture: detect, align, embed. */

import { type Decision, decide } from "./decision.js";
import type { DetectedFace, DetectOptions, Detector } from "./detector.js";
import type { Embedder, Judged } from "./embedder.js";
import { compare } from "./embedding.js";
import type { Picture } from "./images.js";

/** A detected face and what the recogniser says of it. */
export interface Face extends DetectedFace, Judged {}

/** A detector and a recogniser, each open already. */
export class FaceAnalyzer {
  constructor(
    readonly detector: Detector,
    readonly embedder: Embedder,
  ) {}

  /**
   * Find and embed the faces in a picture, best score first, as the detector has them.
   *
   * @throws InvalidImage: not a picture. UnsupportedModel: an engine fails, or answers NaN.
   */
  async analyze(picture: Picture, options: DetectOptions = {}): Promise<Face[]> {
    const found = await this.detector.detect(picture, options);
    const judged = await this.embedder.judge(found.map(({ landmarks }) => this.embedder.align(picture, landmarks)));
    return found.map((face, i) => ({ ...face, ...judged[i]! }));
  }

  /**
   * Whether two faces show one person, by the thresholds of the recogniser's file.
   *
   * @throws EmbeddingMismatch: other files made the embeddings, which cannot be compared.
   */
  decide(a: Judged, b: Judged): Decision {
    return decide(compare(a.embedding, b.embedding), this.embedder.task);
  }
}
