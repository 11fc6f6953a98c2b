/** pocketface for JavaScript: find, judge and compare faces with pocketface's model files, on the device. */

export { alignFace, estimateSimilarity, type Point, type Similarity } from "./align.js";
export { type Face, FaceAnalyzer } from "./analyzer.js";
export { type Artifact, type ArtifactInfo, loadArtifact } from "./artifact.js";
export { type Box, iou, nms } from "./boxes.js";
export type { Detection, InputSpec, ModelContract, Recognition } from "./contract.js";
export { Decision, decide } from "./decision.js";
export { type DetectedFace, Detector, type DetectOptions } from "./detector.js";
export { Embedder, type Judged } from "./embedder.js";
export { compare, type Embedding } from "./embedding.js";
export type { Engine, Loaded, Tensor } from "./engines/engine.js";
export { type LiteRt, litertEngine } from "./engines/litert.js";
export { type Ort, ortEngine, type OrtOptions } from "./engines/ort.js";
export {
  EmbeddingMismatch,
  InvalidContract,
  InvalidGeometry,
  InvalidImage,
  InvalidModel,
  PocketfaceError,
  UnsupportedModel,
} from "./errors.js";
export { Gate } from "./gate.js";
export { fromImageData, MAX_PIXELS, type Picture, type Size } from "./images.js";
export { fromSource, loadImage } from "./load.js";
export type { Matrix3, Pose } from "./pose.js";
export { letterbox, toSource, toTensor } from "./preprocess.js";
export type { Model } from "./session.js";
