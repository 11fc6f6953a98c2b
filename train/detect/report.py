"""Compare detectors on the held-out scenes: ``pocketface scenes report``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...artifact import load_artifact
from ...contract import Detection
from ...errors import InvalidData
from ...models import create_model, reparameterize
from ...models.mos import Mos
from ...report import Column, Row
from ...runtime.boxes import nms
from ...runtime.detector import DetectedFace, Detector
from ...runtime.preprocess import letterbox, to_source
from .judge import SIZE, Find, Judgement

Image = NDArray[np.uint8]


def finder(file: Path, name: str) -> Find:
    """An exported detector at 320 x 320, or a checkpoint of the network ``name`` on torch.

    Raises:
        InvalidData: the network is no detector of ours.
        InvalidModel: a damaged file, or weights of another network.
    """
    if file.suffix == ".safetensors":
        deployed = reparameterize(detector_of(file, name))
        assert isinstance(deployed, Mos)
        return on_torch(deployed)
    detector = Detector(load_artifact(file), threads=1, size=(SIZE, SIZE))
    return lambda image, lowest: detector.detect(image, score_threshold=lowest)


def detector_of(file: Path, name: str) -> Mos:
    """The network ``name`` with the weights of a checkpoint, in training form; raises as :func:`finder` does."""
    network = create_model(name, weights=file)
    if not isinstance(network, Mos):
        raise InvalidData(f"{name} is no detector that is trained here; try mos_xs or mos_s")
    return network


def on_torch(network: Mos) -> Find:
    """A detector in its deployed form, in evaluation mode."""
    overlap = Detection(decoder="pixels").nms_iou

    @torch.inference_mode()
    def find(image: Image, lowest: float) -> list[DetectedFace]:
        canvas, scale = letterbox(image, (SIZE, SIZE))
        tensor = (torch.from_numpy(canvas).permute(2, 0, 1)[None].float() - 127.5) / 127.5
        scores, boxes, landmarks, rotation = (part[0].numpy() for part in network.decode(network(tensor), SIZE, SIZE))
        likely = np.flatnonzero(scores >= lowest)
        kept = likely[nms(boxes[likely], scores[likely], overlap)]
        places = (to_source(part, scale).astype(np.float32) for part in (boxes[kept], landmarks[kept]))
        return [
            DetectedFace(box, float(score), five, turn)
            for box, five, score, turn in zip(*places, scores[kept], rotation[kept], strict=True)
        ]

    return find


def rows_of(file: str, found: Judgement) -> tuple[list[Row], ...]:
    """The rows of a judgement in each of ``TABLES``."""
    precisions = [{"file": file, **asdict(one)} for one in found.precisions]
    operations = [
        {"file": file, **asdict(one), "recall": one.recall, "precision": one.precision} for one in found.operations
    ]
    portraits = [{"file": file, **asdict(one)} for one in found.portraits]
    return precisions, operations, portraits, [{"file": file, **asdict(found.poses)}]


def _number(key: str, name: str, spec: str = "", unit: str = "") -> Column:
    return Column(key=key, name=name, kind="number", spec=spec, unit=unit)


_FILE = Column(key="file", name="file")
PRECISIONS = (
    "Average precision at IoU 0.5",
    (
        *(_FILE, Column(key="subset", name="faces of"), _number("ap", "AP", ".4f")),
        *(_number("low", "95 % from", ".4f"), _number("high", "to", ".4f")),
        *(_number("faces", "faces"), _number("pictures", "pictures")),
    ),
)
OPERATIONS = (
    "Over all sources, by score",
    (
        *(_FILE, _number("threshold", "score ≥", ".2f"), _number("faces", "faces")),
        *(_number("recall", "recall", ".3f"), _number("precision", "precision", ".3f")),
    ),
)
PORTRAITS = (
    "Portraits that were marked by hand, upright and turned both ways",
    (
        *(_FILE, _number("turned_deg", "turned by", ".0f", "°")),
        *(_number("portraits", "pictures"), _number("found", "found")),
        *(_number("nme", "NME by eyes", ".4f"), _number("median_nme", "median", ".4f")),
        *(_number(f"{part}_deg", part, ".2f", "°") for part in ("yaw", "pitch", "roll", "mean", "geodesic")),
    ),
)
POSES = (
    "Poses of faces in photographs against those that were taught",
    (
        *(_FILE, _number("faces", "faces"), _number("found", "found")),
        *(_number(f"{part}_r", f"{part}, correlation", ".2f") for part in ("yaw", "pitch", "roll")),
        *(_number(f"{part}_deg", part, ".2f", "°") for part in ("yaw", "pitch", "roll")),
    ),
)
TABLES = (PRECISIONS, OPERATIONS, PORTRAITS, POSES)
