"""The runtime needs numpy, Pillow, msgspec and one engine: proven in a process where nothing else can be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pocketface.artifact import Artifact

BLOCKED = ("torch", "onnx", "tensorflow", "coremltools", "litert_torch", "jax", "scipy", "cv2", "click", "rich")

PIPELINE = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is not for the runtime")

sys.meta_path.insert(0, Blocker())

def pipeline(detector, recogniser, photo):
    from pocketface import Detector, Embedder, load_image
    image = load_image(photo)
    faces = Detector(detector, threads=1).detect(image)
    embedder = Embedder(recogniser, threads=1)
    crops = [embedder.align(image, face.landmarks) for face in faces]
    return image, embedder.embed(crops)

image, vectors = pipeline(*sys.argv[1:4])
modules = sorted(m for m in sys.modules if "." not in m)
status = open("/proc/self/status").read() if sys.platform == "linux" else ""
print(json.dumps({{"image": image.shape, "vectors": vectors.tolist(), "modules": modules, "status": status}}))
"""


def run(detector: Artifact, recognizer: Artifact, photo: Path) -> dict[str, object]:
    command = [sys.executable, "-c", PIPELINE.format(blocked=BLOCKED), detector.path, recognizer.path, photo]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bright(folder: Path, height: int, width: int) -> Path:
    """A bright photo, in which the tiny detector sees a face."""
    grey = np.linspace(170, 255, width, dtype=np.uint8)
    Image.fromarray(np.broadcast_to(grey[None, :, None], (height, width, 3))).save(folder / "photo.jpg", quality=90)
    return folder / "photo.jpg"


def test_the_pipeline_runs_on_numpy_pillow_and_one_engine(
    detector_onnx: Artifact, recognizer_onnx: Artifact, tmp_path: Path
) -> None:
    answer = run(detector_onnx, recognizer_onnx, bright(tmp_path, 96, 96))
    assert np.linalg.norm(answer["vectors"], axis=1) == pytest.approx([1])
    assert not set(answer["modules"]) & set(BLOCKED)
    assert {"numpy", "onnxruntime"} <= set(answer["modules"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_a_twelve_megapixel_photo_takes_less_than_400_mb(
    detector_onnx: Artifact, recognizer_onnx: Artifact, tmp_path: Path
) -> None:
    answer = run(detector_onnx, recognizer_onnx, bright(tmp_path, 3000, 4000))
    assert answer["image"] == [3000, 4000, 3]
    assert len(answer["vectors"]) == 1
    peak = next(line for line in answer["status"].splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 400_000  # kB
