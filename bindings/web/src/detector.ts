/** Find faces in a picture: letterbox, run, decode, threshold, suppress, and back to the picture's own pixels. */

import type { Point } from "./align.js";
import type { ArtifactInfo } from "./artifact.js";
import { type Box, nms } from "./boxes.js";
import type { Detection } from "./contract.js";
import { boxOf, type Candidates, decode, type Outputs } from "./decode.js";
import type { Engine } from "./engines/engine.js";
import { InvalidContract, reason, UnsupportedModel } from "./errors.js";
import { checkPicture, type Picture, type Size } from "./images.js";
import { eulerAngles, type Matrix3, type Pose } from "./pose.js";
import { letterbox, toSource } from "./preprocess.js";
import { type Model, Session } from "./session.js";

/** A face found in a picture, in the pixels of that picture. */
export interface DetectedFace {
  /** It may reach beyond the picture, as a face at the edge does. */
  readonly box: Box;
  /** How sure the detector is, 0..1. */
  readonly score: number;
  /** Left eye, right eye, nose, left and right mouth corner, as seen in the picture. */
  readonly landmarks: readonly Point[];
  /** Rows of the rotation from the head's axes to the camera's; null from a detector that knows no pose. */
  readonly rotation: Matrix3 | null;
  /** The head's yaw, pitch and roll; null from a detector that knows no pose. */
  readonly pose: Pose | null;
}

/** What to look for. */
export interface DetectOptions {
  /** Lowest score of a face, 0..1; the contract's if it is left out. */
  readonly scoreThreshold?: number | undefined;
  /** At most so many faces, those with the best scores. */
  readonly maxFaces?: number | undefined;
}

/** A face detector, open and ready. */
export class Detector {
  private constructor(
    private readonly session: Session<Detection>,
    /** `[height, width]` that it runs at. */
    readonly size: Size,
  ) {}

  /**
   * Open a detector.
   *
   * @param model a model file's bytes, or a loaded artifact.
   * @param engine that runs it, such as `ortEngine(ort)`.
   * @param size to run it at, where the contract allows several.
   * @throws InvalidModel, InvalidContract: the file or its contract is not sound, or not a detector's.
   *   UnsupportedModel: the engine cannot run it, or not at this size.
   */
  static async load(model: Model, engine: Engine, size?: Size): Promise<Detector> {
    const session = await Session.open<Detection>(model, "detection", engine);
    const { height, width } = session.artifact.contract.input;
    try {
      checkInputSize(session.artifact, size ?? [height, width]);
    } catch (error) {
      await session.close();
      throw error;
    }
    return new Detector(session, size ?? [height, width]);
  }

  /** The file's name and contract. */
  get artifact(): ArtifactInfo {
    return this.session.artifact;
  }

  /**
   * Find the faces in a picture, best score first; an empty list where there is none.
   *
   * @throws InvalidImage: not a picture. InvalidContract: it does not describe the file. UnsupportedModel: the engine
   *   fails, or answers NaN. RangeError: an option out of its range.
   */
  async detect(picture: Picture, { scoreThreshold, maxFaces }: DetectOptions = {}): Promise<DetectedFace[]> {
    checkOptions(scoreThreshold, maxFaces);
    const canvas = letterbox(checkPicture(picture), this.size);
    const [answers] = await this.session.run([canvas.picture]);
    const found = this.decoded(answers!);
    this.session.requireFinite("scores", found.scores);
    const threshold = Math.fround(scoreThreshold ?? this.session.task.score_threshold);
    const likely = [...found.scores.keys()].filter((i) => found.scores[i]! >= threshold);
    this.requireSound(found, likely);
    const boxes = likely.map((i) => boxOf(found, i));
    const kept = nms(
      boxes,
      likely.map((i) => found.scores[i]!),
      this.session.task.nms_iou,
    );
    return kept.slice(0, maxFaces).map((i) => faceAt(found, likely[i]!, canvas.scale));
  }

  /** Give the engine's memory back; the detector is of no use after. */
  close(): Promise<void> {
    return this.session.close();
  }

  private decoded(outputs: Outputs): Candidates {
    const { decoder } = this.session.task;
    try {
      return decode(decoder, outputs, this.size);
    } catch (error) {
      const shapes = Object.entries(outputs).map(([meaning, { shape }]) => `${meaning} (${shape.join(", ")})`);
      throw new InvalidContract(
        `${this.artifact.name}: gave ${shapes.join(", ")}, not outputs for the decoder '${decoder}': ${reason(error)}`,
        { cause: error },
      );
    }
  }

  private requireSound({ boxes, landmarks, rotations }: Candidates, likely: readonly number[]): void {
    for (const i of likely) {
      this.session.requireFinite("boxes", boxes.subarray(4 * i, 4 * i + 4));
      this.session.requireFinite("landmarks", landmarks.subarray(10 * i, 10 * i + 10));
      if (rotations) this.session.requireFinite("rotations", rotations.subarray(9 * i, 9 * i + 9));
    }
  }
}

function faceAt(found: Candidates, i: number, scale: number): DetectedFace {
  const back = (x: number) => Math.fround(toSource(x, scale));
  const [x1, y1, x2, y2] = boxOf(found, i);
  const flat = found.landmarks.subarray(10 * i, 10 * i + 10);
  const r = found.rotations?.subarray(9 * i, 9 * i + 9);
  const rotation: Matrix3 | null = r
    ? [
        [r[0]!, r[1]!, r[2]!],
        [r[3]!, r[4]!, r[5]!],
        [r[6]!, r[7]!, r[8]!],
      ]
    : null;
  return {
    box: [back(x1), back(y1), back(x2), back(y2)],
    score: found.scores[i]!,
    landmarks: [0, 2, 4, 6, 8].map((j): Point => [back(flat[j]!), back(flat[j + 1]!)]),
    rotation,
    pose: rotation && eulerAngles(rotation),
  };
}

function checkOptions(scoreThreshold?: number, maxFaces?: number): void {
  if (scoreThreshold !== undefined && !(scoreThreshold >= 0 && scoreThreshold <= 1)) {
    throw new RangeError(`scoreThreshold must be in 0..1, got ${scoreThreshold}`);
  }
  if (maxFaces !== undefined && !(Number.isInteger(maxFaces) && maxFaces >= 0)) {
    throw new RangeError(`maxFaces must be 0 or more, got ${maxFaces}`);
  }
}

function checkInputSize({ name, contract }: ArtifactInfo, size: Size): void {
  const { height, width, size_step: step } = contract.input;
  const came = size.join(" x ");
  if (step === 0 && (size[0] !== height || size[1] !== width)) {
    throw new UnsupportedModel(`${name}: takes ${height} x ${width} only, got ${came}`);
  }
  if (step && size.some((n) => !(n >= step) || n % step)) {
    throw new UnsupportedModel(`${name}: takes multiples of ${step}, got ${came}`);
  }
}
