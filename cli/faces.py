"""The verbs of whoever uses models: detect, embed, compare."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import FILE, PATH, as_json, backend, print_json, show, threads

if TYPE_CHECKING:
    from ..runtime.analyzer import Face, FaceAnalyzer
    from ..runtime.detector import DetectedFace

detector = click.option("--detector", type=PATH, required=True, help="Exported detector.")
recognizer = click.option("--recognizer", type=PATH, required=True, help="Exported recogniser.")
threshold = click.option("--threshold", type=click.FloatRange(0, 1), help="Lowest score. Default: the contract's.")


@click.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@detector
@backend
@threads
@threshold
@click.option("--draw", type=PATH, help="Folder for copies of the pictures with the faces drawn in.")
@as_json
def detect(
    images: Sequence[Path],
    detector: Path,
    backend: str | None,
    threads: int | None,
    threshold: float | None,
    draw: Path | None,
    as_json: bool,
) -> None:
    """Find faces: box, score, five landmarks, head pose."""
    from ..report import Column
    from ..runtime.detector import Detector
    from ..runtime.images import load_image

    finder = Detector(detector, backend=backend, threads=threads)
    rows = []
    for path in images:
        image = load_image(path)
        faces = finder.detect(image, score_threshold=threshold)
        rows += [row_of(path, face) for face in faces] or [{"image": str(path)}]
        if draw:
            _draw(image, faces, draw / f"{path.stem}.png")
    columns = [Column(key="image", name="image")]
    columns += [Column(key=key, name=key, kind="number", spec=".1f") for key in ("x1", "y1", "x2", "y2")]
    columns += [Column(key="score", name="score", kind="number", spec=".3f")]
    columns += [Column(key=f"{a}_deg", name=a, unit="°", kind="number", spec=".1f") for a in ("yaw", "pitch", "roll")]
    show("Faces", columns, rows, as_json)


@click.command()
@click.argument("images", nargs=-1, required=True, type=PATH)
@detector
@recognizer
@backend
@threads
@threshold
@click.option("--out", type=FILE, help="The .npz file for the embeddings; without it they are printed as JSON.")
@as_json
def embed(
    images: Sequence[Path],
    detector: Path,
    recognizer: Path,
    backend: str | None,
    threads: int | None,
    threshold: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Find and embed every face of the pictures.

    The .npz holds `images` (N,), `boxes` (N, 4), `embeddings` (N, D) of length one, and what embeddings they may be
    compared with: `fingerprint` of the network and `precision` of the file.
    """
    import numpy as np

    from ..artifact import atomic
    from ..report import Column
    from ..runtime.images import load_image

    analyzer = analyzer_of(detector, recognizer, backend, threads)
    found = [(p, face) for p in images for face in analyzer.analyze(load_image(p), score_threshold=threshold)]
    if out is None:
        origin = {"fingerprint": analyzer.embedder.fingerprint, "precision": analyzer.embedder.contract.precision}
        print_json([{**row_of(path, face), "embedding": face.embedding.vector, **origin} for path, face in found])
        return
    with atomic(out) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            images=np.array([str(path) for path, _ in found], dtype=str),
            boxes=np.array([face.box for _, face in found], np.float32).reshape(-1, 4),
            embeddings=np.array([face.embedding.vector for _, face in found], np.float32),
            fingerprint=np.array(analyzer.embedder.fingerprint),
            precision=np.array(analyzer.embedder.contract.precision),
        )
    columns = [Column(key="file", name="file"), Column(key="pictures", name="pictures", kind="number")]
    columns += [Column(key="faces", name="faces", kind="number")]
    show("Embeddings", columns, [{"file": str(out), "pictures": len(images), "faces": len(found)}], as_json)


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@detector
@recognizer
@backend
@threads
@threshold
@as_json
def compare(
    a: Path,
    b: Path,
    detector: Path,
    recognizer: Path,
    backend: str | None,
    threads: int | None,
    threshold: float | None,
    as_json: bool,
) -> None:
    """Say whether the best face of A and the best face of B show one person.

    A recogniser with thresholds in its file (see calibrate) answers with the strictest false accept rate at which they
    pass for one person. Without, only their cosine can be told, -1..1; higher is more alike.
    """
    from ..report import Column

    analyzer = analyzer_of(detector, recognizer, backend, threads)
    one, other = (_best_face(analyzer, path, threshold) for path in (a, b))
    decision = analyzer.decide(one, other)
    row = {
        "a": str(a),
        "b": str(b),
        "quality_a": one.quality,
        "quality_b": other.quality,
        "cosine": decision.cosine,
        "decision": str(decision),
        "same": None if not decision.calibrated else decision.far is not None,
        "far": decision.far,
        "threshold": decision.threshold,
        "trained": analyzer.embedder.contract.trained,
    }
    columns = [Column(key="a", name="A"), Column(key="b", name="B")]
    columns += [Column(key=f"quality_{x}", name=f"quality {x.upper()}", kind="number", spec=".3f") for x in "ab"]
    columns += [Column(key="cosine", name="cosine", kind="number", spec=".4f"), Column(key="decision", name="decision")]
    show("Similarity", [*columns, Column(key="trained", name="trained")], [row], as_json)


def analyzer_of(detector: Path, recognizer: Path, backend: str | None, threads: int | None) -> FaceAnalyzer:
    """An analyzer; a named engine is used for both models if it runs both formats, else each takes its first."""
    from ..runtime.analyzer import FaceAnalyzer
    from ..runtime.detector import Detector
    from ..runtime.embedder import Embedder

    finder = Detector(detector, backend=backend, threads=threads)
    return FaceAnalyzer(finder, Embedder(recognizer, backend=backend, threads=threads))


def _best_face(analyzer: FaceAnalyzer, path: Path, threshold: float | None) -> Face:
    from ..errors import InvalidImage
    from ..runtime.images import load_image

    faces = analyzer.analyze(load_image(path), score_threshold=threshold, max_faces=1)
    if not faces:
        raise InvalidImage(f"{path}: no face found; expected at least one (a lower --threshold finds fainter ones)")
    return faces[0]


def row_of(path: Path, face: DetectedFace) -> dict[str, Any]:
    """What is known of a face, for a table and for JSON; ``quality`` only where a recogniser judged it."""
    box = dict(zip(("x1", "y1", "x2", "y2"), map(float, face.box), strict=True))
    pose = face.pose._asdict() if face.pose else {}
    judged = {} if (quality := getattr(face, "quality", None)) is None else {"quality": quality}
    return {"image": str(path), **box, "score": face.score, **pose, **judged, "landmarks": face.landmarks}


def _draw(image: Any, faces: Sequence[DetectedFace], target: Path) -> None:
    from ..artifact import atomic
    from ..draw import draw_faces, encode

    with atomic(target) as temporary:
        temporary.write_bytes(encode(draw_faces(image, faces)))


COMMANDS = (detect, embed, compare)
