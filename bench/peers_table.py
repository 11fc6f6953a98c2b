"""How the peers are told: what a photo costs each, how many faces each finds, and a perf.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from ..environment import current_environment
from ..evaluate.detection.annotations import AnnotatedPicture
from ..evaluate.detection.matching import IGNORED, TRUE, Matching, match
from ..evaluate.detection.precision import all_points
from ..evaluate.detection.searched import Search
from ..report import Column, Row, Section
from ..runtime.images import load_image
from .peers import Peer, run_peers
from .perf import Device, Measurement, Perf

#: Shorter side of a face below which nobody needs to find it, in pixels of the picture scaled to 320, whatever the
#: side of a detector's input.
SMALLEST, SCALED = 12, 320
#: Scores from here on make the curve of precision over recall.
LOWEST = 0.05
#: False detections per picture at which recalls can be compared, whatever a score of 0.5 means to each.
FALSE_PER_PICTURE = 0.25

_LATENCY = (
    ("side", "input", "px", ".0f"),
    ("threads", "threads", "", ".0f"),
    ("p50_ms", "a photo, p50", "ms", ".1f"),
    ("cpu_ms", "processor time", "ms", ".1f"),
    ("detect_ms", "detection's", "ms", ".1f"),
    ("ratio", "of the first", "", ".2f"),
    ("cpu_ratio", "of the first, processor", "", ".2f"),
    ("detect_ratio", "of the first, detection", "", ".2f"),
    ("with_face", "photos with a face", "", ".0f"),
    ("faces", "faces", "", ".0f"),
)
_RECALL = (
    ("side", "input", "px", ".0f"),
    ("found", "found at 0.5", "", ".0f"),
    ("recall", "recall at 0.5", "", ".3f"),
    ("false", "false at 0.5", "", ".0f"),
    ("recall_even", f"recall at {FALSE_PER_PICTURE:g} false a picture", "", ".3f"),
    ("ap", "AP@0.5", "", ".3f"),
    ("low", "from", "", ".3f"),
    ("high", "to", "", ".3f"),
)


def measure_peers(
    photos: Mapping[str, NDArray[np.uint8]], peers: Sequence[Peer], rounds: int, held: Sequence[AnnotatedPicture] = ()
) -> list[Section]:
    """A table of latencies on photos and, if annotated pictures are given, one of recall on those."""
    run_peers(peers, list(photos.values()), rounds)
    about = (Column(key="about", name="what it is, or why not"),)
    title = f"{len(photos)} photos, {rounds} rounds in turn, ratios to the first row with as many threads"
    sections = [Section(title=title, columns=_columns(_LATENCY) + about, rows=latency_rows(peers))]
    if held:
        images = [load_image(picture.path) for picture in held]
        pictures = [_asked(picture, max(image.shape[:2])) for picture, image in zip(held, images, strict=True)]
        fewest = min(peer.threads for peer in peers)
        one = [_afresh(peer, peer.lowest) for peer in peers if peer.threads == fewest]
        low = [_afresh(peer, LOWEST) for peer in one]
        for peer in (*one, *low):  # one after another: each holds all the pictures, and nothing is timed
            run_peers([peer], images, 1, embed=False)
        faces = sum(int((~picture.ignore).sum()) for picture in pictures)
        title = f"{faces} faces of {SMALLEST} pixels and more at {SCALED}, in {len(pictures)} pictures, IoU 0.5"
        sections.append(Section(title=title, columns=_columns(_RECALL), rows=recall_rows(one, low, pictures)))
    return sections


def _columns(texts: Sequence[tuple[str, str, str, str]]) -> tuple[Column, ...]:
    numbers = (Column(key=key, name=name, unit=unit, kind="number", spec=spec) for key, name, unit, spec in texts)
    return (Column(key="pipeline", name="pipeline"), *numbers)


def _afresh(peer: Peer, lowest: float) -> Peer:
    return Peer(peer.name, peer.command, peer.threads, peer.side, lowest, peer.files)


def latency_rows(peers: Sequence[Peer]) -> list[Row]:
    """Medians over photos and rounds, and medians of ratios to the first on the same photo in the same round."""
    rows: list[Row] = []
    for peer in peers:
        first = next(p for p in peers if p.threads == peer.threads)
        row: Row = {"pipeline": peer.title, "side": peer.side, "threads": peer.threads, "about": peer.about}
        if peer.times_ms and first.times_ms:
            measured = {"": (peer.times_ms, first.times_ms), "cpu_": (peer.cpu_ms, first.cpu_ms)}
            measured["detect_"] = (peer.detect_ms, first.detect_ms)
            for key, (mine, firsts) in measured.items():
                row[f"{key or 'p50_'}ms"] = float(np.median(mine))
                row[f"{key}ratio"] = float(np.median(np.array(mine) / np.array(firsts)))
            row |= {"with_face": sum(map(bool, peer.boxes)), "faces": sum(map(len, peer.boxes))}
        rows.append(row)
    return rows


def recall_rows(peers: Sequence[Peer], low: Sequence[Peer], pictures: Sequence[AnnotatedPicture]) -> list[Row]:
    """Faces found at IoU 0.5.

    Args:
        peers: what they find at a threshold of 0.5, which is to none of them what it is to the others.
        low: the same with scores down to ``LOWEST``, for what does not depend on a threshold.
        pictures: with those faces ignored that nobody needs to find.
    """
    rows: list[Row] = []
    for peer, all_of_it in zip(peers, low, strict=True):
        if not peer.boxes or not all_of_it.boxes:
            continue
        _, matchings = _matched(peer, pictures)
        outcome = np.concatenate([matching.outcome for matching in matchings])
        found, faces = int((outcome == TRUE).sum()), sum(int((~picture.ignore).sum()) for picture in pictures)
        searches, matchings = _matched(all_of_it, pictures)
        area = all_points(searches, matchings)
        row: Row = {"pipeline": peer.title, "side": peer.side, "found": found, "recall": found / faces}
        row |= {"false": int(((outcome != TRUE) & (outcome != IGNORED)).sum())}
        row |= {"recall_even": _recall_at(searches, matchings, FALSE_PER_PICTURE * len(pictures)) / faces}
        rows.append(row | {"ap": area.ap, "low": area.low, "high": area.high})
    return rows


def _asked(picture: AnnotatedPicture, side: int) -> AnnotatedPicture:
    small = (picture.boxes[:, 2:] - picture.boxes[:, :2]).min(axis=1) * SCALED / side < SMALLEST
    return replace(picture, ignore=picture.ignore | small)


def _matched(peer: Peer, pictures: Sequence[AnnotatedPicture]) -> tuple[list[Search], list[Matching]]:
    searches = []
    for picture, boxes, scores in zip(pictures, peer.boxes, peer.scores, strict=True):
        order = np.argsort(-np.array(scores, np.float64), kind="stable")
        found = np.array(boxes, np.float64).reshape(-1, 4)[order]
        searches.append(Search(picture, found, np.array(scores, np.float64)[order], np.empty((len(order), 5, 2)), 1.0))
    return searches, [match(s.boxes, s.picture.boxes, s.picture.ignore) for s in searches]


def _recall_at(searches: Sequence[Search], matchings: Sequence[Matching], false: float) -> int:
    """Faces found before more than so many detections are false; those of one score count together."""
    scores = np.concatenate([search.scores for search in searches])
    outcome = np.concatenate([matching.outcome for matching in matchings])
    wrong = np.sort(scores[(outcome != TRUE) & (outcome != IGNORED)])[::-1]
    above = wrong[int(false)] if len(wrong) > false else -np.inf
    return int(((outcome == TRUE) & (scores > above)).sum())


def peers_perf(peers: Sequence[Peer], command: str) -> Perf:
    """What was measured, for ``bench report``."""
    machine = current_environment()
    device = Device(kind="host", name=machine.cpu, system=machine.system, machine=machine.machine, cores=machine.cores)
    measurements = tuple(
        Measurement(
            model=f"whole pipeline at {peer.side}",
            engine=peer.title,
            threads=peer.threads,
            times_ms=tuple(time for turn in peer.times_ms for time in turn),
            notes=(peer.about[:500],),
        )
        for peer in peers
    )
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Perf(device=device, measurements=measurements, command=command, created=created, packages=machine.packages)
