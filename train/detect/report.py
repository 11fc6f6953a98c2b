"""Compare detectors on the held-out scenes: ``python -m pocketface.train.detect.report --scenes DIR --model FILE``.

Files are exported detectors, or checkpoints (``.safetensors``) of ``mos_xs``, which run on torch.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...artifact import load_artifact
from ...contract import Detection
from ...models import create_model, reparameterize
from ...models.mos import Mos
from ...runtime.boxes import nms
from ...runtime.detector import DetectedFace, Detector
from ...runtime.preprocess import letterbox, to_source
from .judge import SIZE, Find, Judgement, judge
from .scenes import SceneStore

Image = NDArray[np.uint8]
_POSE = ("yaw", "pitch", "roll", "mean", "geodesic")


def exported(file: Path) -> Find:
    """An exported detector at 320 x 320."""
    detector = Detector(load_artifact(file), threads=1, size=(SIZE, SIZE))
    return lambda image, lowest: detector.detect(image, score_threshold=lowest)


def checkpoint(file: Path, name: str) -> Find:
    """A network of ``models`` with these weights, on torch; suppression as the contract of its export has it."""
    network = reparameterize(create_model(name, weights=file))
    assert isinstance(network, Mos)
    return on_torch(network)


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


def table(judgements: dict[str, Judgement]) -> str:
    """For reading."""
    lines = []
    for name, found in judgements.items():
        lines.append(name)
        for ap in found.precisions:
            span = f"{ap.low:.4f} to {ap.high:.4f}"
            lines.append(f"  AP@0.5 {ap.subset:<14}{ap.ap:.4f} ({span}) on {ap.faces} faces in {ap.pictures} pictures")
        for at in found.operations:
            lines.append(f"  score >= {at.threshold}: recall {at.recall:.3f}, precision {at.precision:.3f}")
        one = found.portraits
        lines.append(
            f"  portraits: {one.found} of {one.portraits} found, NME {one.nme:.4f}, median {one.median_nme:.4f}"
        )
        pose = ", ".join(
            f"{part} {getattr(one, part + '_deg'):.2f}" for part in ("yaw", "pitch", "roll", "mean", "geodesic")
        )
        lines.append(f"  mean absolute pose error in degrees: {pose}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="pocketface.train.detect.report", description=__doc__)
    parser.add_argument("--scenes", type=Path, required=True, help="folder that pocketface.train.detect.labels made")
    parser.add_argument("--model", type=Path, action="append", required=True, help="detector or checkpoint; repeatable")
    parser.add_argument("--name", default="mos_xs", help="the network that checkpoints are of")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    store, judgements = SceneStore(options.scenes), {}
    for file in options.model:
        find = checkpoint(file, options.name) if file.suffix == ".safetensors" else exported(file)
        judgements[str(file)] = judge(find, store)
    facts = {name: asdict(found) for name, found in judgements.items()}
    print(json.dumps(facts, indent=1) if options.json else table(judgements))


if __name__ == "__main__":
    main()
