"""A gate about decisions is judged on a set of known people, none of whom was calibrated on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pocketface.errors import InvalidData, ParityError
from pocketface.evaluate.data import open_images
from pocketface.evaluate.faces import bundled_portraits
from pocketface.evaluate.gate import parse_gate
from pocketface.quantize.decisions import DECISIONS, Decisions, split_gate
from pocketface.quantize.pipeline import quantize_artifact
from pocketface.runtime.align import align_face

RECOGNIZER = "facelivtv2_xs"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """12 people with 3 pictures each: as they are, mirrored, and darker."""
    folder = tmp_path_factory.mktemp("data") / "people"
    for i, portrait in enumerate(bundled_portraits()[32:44]):
        (folder / f"p{i}").mkdir(parents=True)
        crop = align_face(portrait.image, portrait.landmarks)
        for k, image in enumerate((crop, crop[:, ::-1], crop // 4 * 3)):
            Image.fromarray(image).save(folder / f"p{i}" / f"{k}.png")
    return open_images(folder, aligned=True)


def test_decisions_are_figures_of_the_result_and_its_gate(job_for, people, tmp_path):
    job = job_for(RECOGNIZER, "onnx", "weight_only_wi8_afp32", decisions=Decisions(people))
    gate = parse_gate("cosine>=0.99,flips<=0.2,tar_drop<=0.5", ("cosine", *DECISIONS))
    made = quantize_artifact(job, tmp_path, gate=gate)
    figures = made.fidelity.figures
    assert {"cosine", "flips", "tar_drop"} <= figures.keys()
    assert 0 <= figures["flips"] <= 0.2
    with pytest.raises(ParityError, match=r"shift_genuine is -?\d"):
        quantize_artifact(job, tmp_path, gate=parse_gate("shift_genuine>=1", DECISIONS))


def test_conditions_about_decisions_need_somebody_to_decide_about():
    gate = parse_gate("cosine>=0.9,flips<=0.1", ("cosine", *DECISIONS))
    answers, decisions = split_gate(gate, True)
    assert [c.figure for c in answers] == ["cosine"]
    assert [c.figure for c in decisions] == ["flips"]
    with pytest.raises(InvalidData, match="flips: only pictures of known people"):
        split_gate(gate, False)


def test_the_whole_set_is_kept_apart_not_only_what_is_drawn_of_it(job_for, people, pictures_of):
    job = job_for(RECOGNIZER, "onnx", "static_wi8_ai8")
    Decisions(people).require_apart(job.calibration)
    last = pictures_of(job.parent.contract, bundled_portraits()[:33])
    one_more = people.samples[-1].read()
    shared = type(last)("mine", np.concatenate([last.inputs, one_more[None]]), (*last.digests, _digest(one_more)))
    with pytest.raises(InvalidData, match="mine and people share 1 pictures"):
        Decisions(people).require_apart(shared)


def _digest(image):
    from pocketface.quantize.pictures import digest_of

    return digest_of(image)
