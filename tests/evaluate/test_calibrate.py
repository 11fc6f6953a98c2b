"""Thresholds get into the file that they hold for, if the data support them; decisions are then kept and proven."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from pocketface.artifact import load_artifact, write_sidecar
from pocketface.contract import Detection, InputSpec, ModelContract, Recognition
from pocketface.embedded import append_zip
from pocketface.errors import EmbeddingMismatch, InvalidContract, InvalidData
from pocketface.evaluate.cache import Cache
from pocketface.evaluate.calibrate import CALIBRATED_FARS, calibration_of, write_calibration, write_compatible
from pocketface.evaluate.data import ImageSet, Sample
from pocketface.evaluate.metrics import accepted
from pocketface.evaluate.verification_run import Outcome, Settings, run_verification
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.decision import decide
from pocketface.runtime.embedder import Embedder

SIDE = 112
TFLITE = b"\x10\0\0\0TFL3" + bytes(range(64))


def contract(**changes):
    values = {
        "model": "tiny",
        "task": Recognition(embedding_size=8),
        "input": InputSpec(name="image", layout="NHWC", height=SIDE, width=SIDE),
        "outputs": {"embedding": "embedding"},
        "fingerprint": "ab" * 32,
        "weights": "by hand",
        "trained": False,
    }
    return ModelContract(**{**values, **changes})


def artifact(folder, **changes):
    path = folder / f"{changes.get('precision', 'float32')}.tflite"
    path.write_bytes(append_zip(TFLITE, contract(**changes).to_json()))
    return write_sidecar(path, contract(**changes))


def picture(vector):
    """A crop whose first pixels are a vector, 0..255 around 128."""
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    image[0, :8, 0] = np.clip(128 + 40 * vector, 0, 255).round()
    return image


def people(identities=40, each=3, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(identities, 8))
    vectors = [c + 0.3 * rng.normal(size=8) for c in centres for _ in range(each)]
    crops = [picture(v) for v in vectors]
    samples = tuple(
        Sample(f"{i}.png", lambda crop=crop: crop, aligned=True, identity=f"p{i // each}")
        for i, crop in enumerate(crops)
    )
    return ImageSet("people", samples, f"{seed:064x}")


def reading(noise=0.0):
    """A network that reads the vector back, with some noise that depends on the picture alone."""

    def run(feeds):
        vectors = feeds["image"][:, 0, :8, 0] - 128
        return {"embedding": vectors + noise * 40 * np.sin(97 * vectors + 1)}

    return FakeBackend(run)


@pytest.fixture
def embedder(tmp_path):
    return Embedder(artifact(tmp_path), backend=reading())


def test_thresholds_are_written_for_what_the_data_support(embedder):
    data = people()
    result = run_verification(data, [embedder], settings=Settings(fars=CALIBRATED_FARS)).results[0]
    calibration, refused = calibration_of(data, result, "onnxruntime")
    changed = write_calibration(embedder.artifact, calibration)
    assert load_artifact(changed.path) == changed
    assert changed.parent == embedder.artifact.sha256
    written = changed.contract.task.calibration
    assert written == calibration
    assert (written.genuine, written.impostors, written.identities) == (120, 120 * 119 // 2 - 120, 40)
    assert (written.data, written.data_fingerprint) == ("people", data.labels_fingerprint)
    assert [entry.far for entry in written.thresholds] == [1e-2]
    assert len(refused) == 2
    assert refused[0].startswith("FAR 1e-3 rests on 7 of 7,020 impostor pairs, fewer than 30")
    low, high = written.thresholds[0].score_interval
    assert low <= written.thresholds[0].score <= high


def test_the_written_threshold_decides_as_it_was_measured(embedder):
    data = people()
    result = run_verification(data, [embedder], settings=Settings(fars=CALIBRATED_FARS)).results[0]
    calibration, _ = calibration_of(data, result, "fake")
    task = write_calibration(embedder.artifact, calibration).contract.task
    vectors = embedder.embed(np.stack([sample.read() for sample in data.samples]))
    scores, who = vectors @ vectors.T, np.arange(120) // 3
    pairs = np.triu(np.ones((120, 120), bool), 1)
    same = who[:, None] == who[None]
    threshold = task.calibration.thresholds[0]
    assert accepted(scores[pairs & ~same], threshold.score) <= 1e-2
    assert accepted(scores[pairs & same], threshold.score) == pytest.approx(threshold.tar, abs=0.01)
    for cosine in (scores[pairs & same].max(), -0.5):
        assert decide(float(cosine), task).same_at(1e-2) is bool(cosine >= threshold.score)


def test_data_that_support_no_threshold_are_refused(embedder):
    data = people(identities=10)
    result = run_verification(data, [embedder], settings=Settings(fars=CALIBRATED_FARS)).results[0]
    with pytest.raises(InvalidData, match=r"people supports no threshold; FAR 1e-2 rests on 4 of 405"):
        calibration_of(data, result, "fake")


def test_compatible_precisions_are_added_once_and_without_its_own(tmp_path):
    before = artifact(tmp_path, precision="int8")
    after = write_compatible(before, ["float32", "int8"])
    assert load_artifact(after.path).contract.task.compatible == ("float32",)
    assert write_compatible(after, ["float32"]) is after
    both = write_compatible(after, ["float16"])
    assert both.contract.task.compatible == ("float16", "float32")
    assert both.parent == after.sha256


def test_a_detector_gets_no_thresholds(tmp_path):
    names = {n: n for n in ("scores", "boxes", "landmarks")}
    with pytest.raises(InvalidContract, match="a model for detection, expected a recogniser"):
        write_compatible(artifact(tmp_path, task=Detection(), outputs=names), ["float32"])


def test_a_second_run_is_read_from_the_cache_and_a_damaged_one_is_made_again(tmp_path):
    data, cache = people(), Cache(tmp_path / "cache")
    engines = [reading(), reading(0.2)]
    files = [artifact(tmp_path, precision=p) for p in ("float32", "int8")]
    embedders = [Embedder(f, backend=e) for f, e in zip(files, engines, strict=True)]
    first = run_verification(data, embedders, cache=cache)
    runs = [len(engine.feeds) for engine in engines]
    assert run_verification(data, embedders, cache=cache) == first
    assert [len(engine.feeds) for engine in engines] == runs
    assert msgspec.json.decode(msgspec.json.encode(first), type=Outcome) == first
    other = run_verification(data, embedders, settings=Settings(seed=1), cache=cache)
    assert other.results[0].at_far[0].tar == first.results[0].at_far[0].tar
    assert other.results[0].at_far[0].tar_interval != first.results[0].at_far[0].tar_interval
    for file in cache.folder.glob("??/*.npz"):
        with np.load(file) as entry:
            arrays = dict(entry)
        if "outcome" in arrays:
            np.savez(file, **{**arrays, "outcome": np.array("{}")})
    cache = Cache(tmp_path / "cache")
    assert run_verification(data, embedders, cache=cache) == first
    assert "is ignored and made again, for it is no result" in cache.notes[0]


def test_files_of_different_networks_need_to_be_asked_for(tmp_path):
    one = Embedder(artifact(tmp_path), backend=reading())
    other = Embedder(artifact(tmp_path, precision="int8", fingerprint="cd" * 32), backend=reading())
    with pytest.raises(EmbeddingMismatch, match=r"int8.tflite is network cdcdcdcdcdcd.*--allow-different"):
        run_verification(people(), [one, other])
    outcome = run_verification(people(), [one, other], settings=Settings(allow_different=True))
    assert outcome.drifts[0].turn is None
    assert outcome.drifts[0].flips == 0
