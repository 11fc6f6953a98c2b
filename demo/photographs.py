"""The pipeline at work on pictures of people who do not exist: find them, refuse bad ones, tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..draw import ORANGE, contact_sheet, draw_faces, encode, similarity_matrix
from ..evaluate.corruptions import CORRUPTIONS
from ..evaluate.faces import bundled_people, bundled_portraits
from ..report import Column, Picture, Row, Section
from ..runtime.analyzer import Face, FaceAnalyzer
from ..runtime.detector import Detector
from ..runtime.gate import Gate
from ..runtime.preprocess import letterbox

Image = NDArray[np.uint8]

#: Sides of the portraits in the rows of the wall; a row is as wide as the wall.
SIDES = (240, 120, 60, 30)
WIDTH = 960
#: What the detector is run at: three times as fine as its default.
FINE = (480, 960)
GATE = Gate(quality=0.45, side_px=32)

_FACE = Column(key="face", name="portraits of")
_FOUND = Column(key="found", name="faces found", kind="number")
_OF = Column(key="of", name="of", kind="number")


def wall() -> tuple[Image, list[tuple[int, int, int]]]:
    """Rows of ever smaller portraits, and where each is: (left, top, side)."""
    portraits = [portrait.image for portrait in bundled_portraits()]
    rows, places, top, taken = [], [], 0, 0
    for side in SIDES:
        count = WIDTH // side
        chosen = [portraits[(taken + i) % len(portraits)] for i in range(count)]
        rows.append(np.concatenate([letterbox(image, (side, side))[0] for image in chosen], axis=1))
        places += [(i * side, top, side) for i in range(count)]
        top, taken = top + side, taken + count
    return np.concatenate(rows), places


def faces_section(detector: Artifact, recognizer: Artifact) -> Section:
    """Boxes, landmarks, pose and quality on a wall of portraits, and how many of each size were found."""
    image, places = wall()
    faces = FaceAnalyzer(Detector(detector, size=FINE), recognizer).analyze(image)
    rows: list[Row] = []
    for side in SIDES:
        row = [place for place in places if place[2] == side]
        found = sum(any(_inside(face, place) for face in faces) for place in row)
        rows.append({"face": f"{side} px", "found": found, "of": len(row)})
    return Section(
        title="Faces",
        columns=[_FACE, _FOUND, _OF],
        rows=rows,
        notes=[
            "The people in these pictures do not exist: they were generated. A face fills about half of a portrait."
        ],
        pictures=[Picture("Boxes with quality, landmarks and head pose", encode(draw_faces(image, faces), "JPEG"))],
    )


def gate_section(detector: Artifact, recognizer: Artifact) -> Section:
    """A gate that lets sharp faces pass and refuses blurred and tiny ones, with the reason."""
    analyzer = FaceAnalyzer(detector, recognizer)
    rows: list[Row] = []
    shown = []
    for name, image in _spoilt():
        faces = analyzer.analyze(image, max_faces=1)
        refusal = GATE.refusal(faces[0]) if faces else "no face found"
        rows.append(
            {
                "picture": name,
                "side_px": float(np.min(faces[0].box[2:] - faces[0].box[:2])) if faces else None,
                "quality": faces[0].quality if faces else None,
                "verdict": f"refused: {refusal}" if refusal else "passes",
            }
        )
        shown.append(letterbox(draw_faces(image, faces, ORANGE), (256, 256))[0])
    columns = [
        Column(key="picture", name="picture"),
        Column(key="side_px", name="face", unit="px", kind="number", spec=".0f"),
        Column(key="quality", name="quality", kind="number", spec=".2f", bar=True),
        Column(key="verdict", name="the gate says"),
    ]
    note = f"The gate asks for a quality of {GATE.quality:g} and a face of {GATE.side_px:g} px."
    sheet = Picture("In the order of the table", encode(contact_sheet(shown, columns=6), "JPEG"))
    return Section(title="A gate before comparison", columns=columns, rows=rows, notes=[note], pictures=[sheet])


def people_section(detector: Artifact, recognizer: Artifact) -> Section:
    """The cosines of all pairs of pictures of five people, as a matrix."""
    analyzer = FaceAnalyzer(detector, recognizer)
    names, thumbnails, vectors = [], [], []
    for name, image in bundled_people():
        faces = analyzer.analyze(image, max_faces=1)
        if faces:
            names.append(name)
            thumbnails.append(analyzer.embedder.align(image, faces[0].landmarks))
            vectors.append(faces[0].embedding.vector)
    cosines = np.stack(vectors) @ np.stack(vectors).T
    who = np.array([name.rpartition("_")[0] for name in names])
    pairs = np.triu_indices(len(names), 1)
    same = (who[:, None] == who)[pairs]
    rows: list[Row] = [_pairs_row(what, cosines[pairs][mask]) for what, mask in (("one", same), ("two", ~same))]
    columns = [Column(key="pairs", name="pictures of"), Column(key="count", name="pairs", kind="number")]
    columns += [
        Column(key=key, name=f"{key} cosine", kind="number", spec=".3f") for key in ("lowest", "mean", "highest")
    ]
    matrix = Picture("Cosine of every two pictures", encode(similarity_matrix(thumbnails, cosines)))
    return Section(title="Who is who", columns=columns, rows=rows, pictures=[matrix])


def _pairs_row(people: str, cosines: NDArray[np.float32]) -> Row:
    told: Row = {"pairs": f"{people} person" if people == "one" else f"{people} people", "count": len(cosines)}
    return told | {"lowest": float(cosines.min()), "mean": float(cosines.mean()), "highest": float(cosines.max())}


def _inside(face: Face, place: tuple[int, int, int]) -> bool:
    """Whether the middle of a box lies in a square."""
    x, y = (face.box[:2] + face.box[2:]) / 2
    left, top, side = place
    return bool(left <= x < left + side and top <= y < top + side)


def _spoilt() -> Sequence[tuple[str, Image]]:
    """A portrait as it is, and in the ways that pictures go wrong."""
    image = bundled_portraits()[0].image
    rng = np.random.default_rng(0)
    tiny = np.zeros_like(image)
    small = letterbox(image, (48, 48))[0]
    tiny[168:216, 168:216] = small
    changes = (("blur", 3.0), ("blur", 4.5), ("dark", -4.0), ("resolution", 20.0))
    spoilt = [
        (f"{kind}: {value:g} {CORRUPTIONS[kind].what}", CORRUPTIONS[kind].change(image, value, rng))
        for kind, value in changes
    ]
    return [("as it is", image), *spoilt, ("far away", tiny)]
