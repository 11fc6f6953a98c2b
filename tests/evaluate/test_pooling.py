"""Protocols of templates on data sets: random ones, IJB's with pictures missing, and the command from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pocketface.cli import cli
from pocketface.errors import InvalidData
from pocketface.evaluate.data import ImageSet, Sample
from pocketface.evaluate.embeddings import Embedded
from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.evaluate.pooling import (
    ijb_protocol,
    measure_pooling,
    pooling_section,
    random_protocol,
    require_others,
)

if TYPE_CHECKING:
    from pocketface.export import Exported


def image_set(identities: list[str | None], names: list[str] | None = None, called: str = "tiny") -> ImageSet:
    names = names or [f"{i}.jpg" for i in range(len(identities))]
    blank = np.zeros((8, 8, 3), np.uint8)
    samples = [Sample(name, lambda: blank, True, who) for name, who in zip(names, identities, strict=True)]
    return ImageSet(called, tuple(samples), "0" * 64)


def embedded_of(vectors: np.ndarray) -> Embedded:
    failed = ~vectors.any(axis=1)
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(failed, 1, norms)[:, None]
    return Embedded(unit.astype(np.float32), failed, norms.astype(np.float32), (), 1.0, 0)


def people(count: int = 30, each: int = 8, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Raw embeddings whose length is their quality."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 24))
    quality = rng.uniform(0.05, 1, count * each)
    rows = quality[:, None] * centres[np.arange(count * each) // each] / np.sqrt(24)
    return [f"p{i // each}" for i in range(count * each)], rows + rng.normal(0, 0.09, rows.shape)


def test_every_way_is_measured_at_the_fars_that_the_pairs_support() -> None:
    who, vectors = people()
    protocol, embedded = random_protocol(image_set(who), 2), embedded_of(vectors)
    rows = measure_pooling(protocol, embedded, weights={"weighted by norm": embedded.norms})
    impostors = int((~protocol.same).sum())
    assert impostors == 120 * 119 // 2 - 30 * 6
    assert protocol.fars == (1e-2, 1e-3)  # 1e-4 of 6,960 pairs is less than 3
    assert [row["pooling"] for row in rows] == ["mean", "weighted by norm"]
    assert rows[1]["tar_at_0.001"] > rows[0]["tar_at_0.001"]
    section = pooling_section(protocol, rows)
    assert "120 templates of 240 pictures" in section.notes[0]
    assert any("rule of 30" in note for note in section.notes)


def test_a_quality_may_be_negative_or_unknown() -> None:
    who, vectors = people()
    protocol, embedded = random_protocol(image_set(who), 2), embedded_of(vectors)
    shifted = np.where(np.arange(len(who)) == 3, -np.inf, embedded.norms - embedded.norms.max())
    known = np.isfinite(shifted)
    lifted = np.where(known, shifted - shifted[known].min(), 0)
    found = measure_pooling(protocol, embedded, weights={"shifted": shifted, "lifted": lifted})
    assert {k: v for k, v in found[1].items() if k != "pooling"} == {
        k: v for k, v in found[2].items() if k != "pooling"
    }


def ijb(folder: Path, pairs: str = "1 2 1\n1 3 0\n") -> tuple[Path, Path]:
    (folder / "m.txt").write_text("a.jpg 1 10\nb.jpg 1 11\nc.jpg 2 12\nd.jpg 3 13\n")
    (folder / "p.txt").write_text(pairs)
    return folder / "m.txt", folder / "p.txt"


def test_ijb_pictures_are_found_by_name_and_missing_ones_are_named(tmp_path: Path) -> None:
    images = image_set([None] * 3, ["d.jpg", "a.jpg", "c.jpg"])
    protocol = ijb_protocol(*ijb(tmp_path, "1 2 1\n" + "1 3 0\n" * 300), images)
    assert protocol.pictures.tolist() == [1, -1, 2, 0]
    assert "1 of 4 pictures" in protocol.notes[0]
    assert "b.jpg" in protocol.notes[0]
    vectors = np.eye(3)[[1, 0, 0]]  # d differs, a and c are alike
    rows = measure_pooling(protocol, embedded_of(vectors))
    assert rows[0]["tar_at_0.01"] == 1
    assert rows[0]["failed"] == 0


def test_data_that_support_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"none of the 4 pictures"):
        ijb_protocol(*ijb(tmp_path), image_set([None], ["z.jpg"]))
    with pytest.raises(InvalidData, match="1 pictures name no identity, first"):
        random_protocol(image_set(["a", None]), 1)
    few = random_protocol(image_set(["a", "a", "b", "b"]), 1)
    with pytest.raises(InvalidData, match="2 genuine and 4 impostor"):
        measure_pooling(few, embedded_of(np.eye(4)))
    with pytest.raises(InvalidData, match="other people"):
        require_others(image_set(["a", "b"]), image_set(["b", "c"]))
    require_others(image_set(["a", None]), image_set([None, "c"]))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, exports: dict[tuple[str, str, str], Exported]) -> list[Path]:
    """Two folders of other people, each portrait in four lights: a folder per person of aligned crops."""
    contract = exports["facelivtv2_xs", "onnx", "float32"].artifact.contract
    crops, made = inputs_for(contract, bundled_portraits()[:24]), []
    for part in range(2):
        made.append(tmp_path_factory.mktemp("people"))
        for i in range(12 * part, 12 * part + 12):
            (made[-1] / f"p{i}").mkdir()
            for light in range(4):
                Image.fromarray(crops[i] // (light + 1)).save(made[-1] / f"p{i}" / f"{light}.png")
    return made


def test_the_command_learns_from_others_and_keeps_what_it_learnt(
    folders: list[Path],
    exports: dict[tuple[str, str, str], Exported],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("POCKETFACE_CACHE", str(tmp_path / "cache"))
    model = str(exports["facelivtv2_xs", "onnx", "float32"].artifact.path)
    pool = str(tmp_path / "pool.safetensors")
    call = ["evaluate", "templates", str(folders[0]), "--aligned", "--model", model, "--size", "1", "--json"]

    def run(*more: str, status: int = 0):
        done = CliRunner().invoke(cli, [*call, *more])
        assert done.exit_code == status, done.output
        return done

    learnt = json.loads(run("--learn-from", str(folders[1]), "--aggregator", pool).stdout)["results"]
    assert [row["pooling"] for row in learnt] == ["mean", "learnt"]  # the graph normalises: no weighting by norm
    assert learnt[0]["tar_at_0.01"] == learnt[1]["tar_at_0.01"]  # a set of one is its own pool
    again = json.loads(run("--aggregator", pool).stdout)["results"]
    assert again == learnt
    assert "other people" in run("--learn-from", str(folders[0]), status=1).stderr
    assert run("--members", "m.txt", status=2)
