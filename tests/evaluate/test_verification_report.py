"""The report's plots and lists hold what brute force finds, and faces only if they were asked for."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from pocketface.evaluate import scores as scores_module
from pocketface.evaluate.data import ImageSet, PairSet, Sample, contiguous_folds
from pocketface.evaluate.discard import ListedImpostors
from pocketface.evaluate.embeddings import Embedded
from pocketface.evaluate.quality import discard_all
from pocketface.evaluate.quality_report import discard_section
from pocketface.evaluate.scores import score_all_pairs
from pocketface.evaluate.verification_report import (
    PRIVACY,
    histogram_section,
    reliability_section,
    worst_sections,
)
from pocketface.evaluate.worst_pairs import LINE, SIDE, contact_sheet_of, worst_pairs
from pocketface.render import to_html
from pocketface.report import Report

PEOPLE, EACH, SIZE = 8, 5, 16


@pytest.fixture(scope="module")
def images() -> ImageSet:
    def reader(i):
        return lambda: np.full((40, 40, 3), i * 6, np.uint8)

    samples = [Sample(f"{i}.png", reader(i), True, f"p{i // EACH}") for i in range(PEOPLE * EACH)]
    return ImageSet("tiny", tuple(samples), "0" * 64)


@pytest.fixture(scope="module")
def embedded() -> Embedded:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(PEOPLE, SIZE))[np.arange(PEOPLE * EACH) // EACH] + rng.normal(0, 0.9, (PEOPLE * EACH, SIZE))
    failed = np.arange(len(rows)) == 7
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True) * ~failed[:, None]).astype(np.float32)
    return Embedded(vectors, failed, np.ones(len(rows), np.float32), (), 1.0, 0)


def brute(images: ImageSet, embedded: Embedded, genuine: bool) -> list[tuple[float, int, int]]:
    """Every usable pair of a kind, the worst first."""
    found = []
    for a, b in combinations(range(len(images)), 2):
        same = images.samples[a].identity == images.samples[b].identity
        if same == genuine and not embedded.failed[[a, b]].any():
            score = float(embedded.vectors[a] @ embedded.vectors[b])
            found.append((score if genuine else -score, a, b))
    return sorted(found)


@pytest.mark.parametrize("block", [1 << 21, 64])
def test_the_worst_of_all_pairs_are_those_of_brute_force(
    images: ImageSet, embedded: Embedded, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_module, "_AT_ONCE", block)  # several blocks: what is kept must survive them
    for pairs, genuine in zip(worst_pairs(images, embedded, 6), (True, False), strict=True):
        expected = brute(images, embedded, genuine)[:6]
        assert pairs.pictures.tolist() == [[a, b] for _, a, b in expected]
        np.testing.assert_allclose(pairs.scores * (1 if genuine else -1), [s for s, _, _ in expected], atol=1e-6)


def test_the_worst_of_a_list_are_of_the_list(images: ImageSet, embedded: Embedded) -> None:
    pairs = np.array([[0, 1], [5, 7], [2, 3], [0, 9], [1, 12], [4, 20]])
    same = np.array([True, True, True, False, False, False])
    genuine, impostor = worst_pairs(PairSet(images, pairs, same, contiguous_folds(same)), embedded, 2)
    cosine = [float(embedded.vectors[a] @ embedded.vectors[b]) for a, b in pairs]
    assert len(genuine) == 2  # 7 has no embedding
    assert genuine.scores.tolist() == pytest.approx(sorted([cosine[0], cosine[2]]))
    assert impostor.scores.tolist() == pytest.approx(sorted(cosine[3:])[:0:-1])


def test_a_contact_sheet_shows_each_pair_side_by_side(images: ImageSet, embedded: Embedded) -> None:
    pairs, _ = worst_pairs(images, embedded, 3)
    sheet = contact_sheet_of(pairs, images.samples, lambda sample: sample.read(), columns=2)
    assert sheet.shape == (2 * (SIDE + LINE) + 6, 4 * SIDE + 12, 3)
    (a, b), top = pairs.pictures[1], 2 * SIDE + 12
    assert sheet[SIDE // 2, top + SIDE // 2, 0] == a * 6
    assert sheet[SIDE // 2, top + SIDE + SIDE // 2, 0] == b * 6


def test_faces_are_in_the_report_only_if_asked_for(images: ImageSet, embedded: Embedded) -> None:
    without = worst_sections(images, embedded, "a.onnx", None)
    shown = worst_sections(images, embedded, "a.onnx", lambda sample: sample.read())  # type: ignore[arg-type]
    assert [len(section.rows) for section in without] == [12, 12]
    assert not any(section.pictures for section in without)
    assert PRIVACY not in without[0].notes
    assert all(len(section.pictures) == 1 and PRIVACY in section.notes for section in shown)
    assert without[0].rows[0]["who"] in {f"p{i}" for i in range(PEOPLE)}
    assert " and " in str(without[1].rows[0]["who"])


def test_histograms_and_reliability_are_of_every_pair_with_a_score(images: ImageSet, embedded: Embedded) -> None:
    scores = score_all_pairs(embedded.vectors, embedded.failed, [str(s.identity) for s in images.samples])
    drawn = histogram_section(["a"], [scores], [0.4], 1e-3)
    assert drawn.pictures[0].plot
    assert Image.open(io.BytesIO(drawn.pictures[0].data)).width == 1024
    section = reliability_section(["a", "b"], [scores, scores], 0.5)
    counted = [sum(int(row[kind]) for row in section.rows) for kind in ("genuine", "impostors")]  # type: ignore[arg-type]
    assert counted == [2 * len(brute(images, embedded, kind)) for kind in (True, False)]
    assert sum(float(row["share"]) for row in section.rows if row["file"] == "a") == pytest.approx(100)  # type: ignore[arg-type]
    assert to_html(Report(title="t", sections=[drawn, section]))


def test_what_cannot_be_calibrated_is_said_and_the_rest_goes_on(images: ImageSet, embedded: Embedded) -> None:
    perfect = np.eye(PEOPLE, dtype=np.float32)[np.arange(PEOPLE * EACH) // EACH]
    scores = score_all_pairs(perfect, np.zeros(len(perfect), bool), [str(s.identity) for s in images.samples])
    section = reliability_section(["a"], [scores], 0.5)
    assert "above every impostor" in " ".join(section.notes)
    assert not section.rows


def test_discard_curves_are_drawn_for_each_fmr_with_the_random_control() -> None:
    rng = np.random.default_rng(0)
    quality = rng.random(400)
    impostors = ListedImpostors(rng.normal(0, 0.1, 5000), rng.random(5000))
    results = [
        one
        for name, q in (("head", quality), ("noise", rng.random(400)))
        for one in discard_all(name, quality * 0.5 + rng.normal(0, 0.1, 400), q, impostors)
    ]
    section = discard_section(results)
    assert [picture.title for picture in section.pictures] == [
        f"FNMR at FMR {fmr}, threshold fixed"
        for fmr in ("0.01", "0.001")  # 5000 pairs do not support 1e-4
    ]
    assert all(picture.plot for picture in section.pictures)
