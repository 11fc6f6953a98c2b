"""Each picture is embedded once, whatever happens; failures are named; a killed run goes on where it was."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from pocketface.artifact import Artifact, write_sidecar
from pocketface.contract import Calibration, Detection, InputSpec, ModelContract, Recognition, Threshold
from pocketface.embedded import append_zip
from pocketface.errors import InvalidData, InvalidImage, UnsupportedModel
from pocketface.evaluate import embeddings
from pocketface.evaluate.cache import Cache
from pocketface.evaluate.data import Image, ImageSet, Sample
from pocketface.evaluate.embeddings import embed_images
from pocketface.runtime import backends
from pocketface.runtime.backends import FakeBackend
from pocketface.runtime.detector import Detector
from pocketface.runtime.embedder import Embedder

SIDE = 112


def picture(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def corner(tensor: np.ndarray) -> np.ndarray:
    """A network: the top-left pixel less 100, and its red once more, so that a picture can be told by its vector."""
    values = tensor[:, :, 0, 0]
    return np.concatenate([values - 100, values[:, :1]], axis=1).astype(np.float32)


def artifact() -> Artifact:
    spec = InputSpec(name="image", layout="NCHW", height=SIDE, width=SIDE, dynamic_batch=True)
    task = Recognition(embedding_size=4, normalized=False)
    values = {"outputs": {"embedding": "embedding"}, "fingerprint": "ab" * 32, "weights": "", "trained": True}
    return Artifact(Path("fake.onnx"), ModelContract(model="fake", task=task, input=spec, **values), "0" * 64, 0)


def network(answer: Callable[[np.ndarray], np.ndarray] = corner) -> tuple[Embedder, FakeBackend]:
    backend = FakeBackend(lambda feeds: {"embedding": answer(feeds["image"])})
    return Embedder(artifact(), backend=backend), backend


def images(count: int, broken: tuple[int, ...] = ()) -> ImageSet:
    def read(i: int) -> Image:
        if i in broken:
            raise InvalidImage("broken")
        return picture(i)

    samples = (Sample(f"{i}.jpg", lambda i=i: read(i), True) for i in range(count))  # type: ignore[misc]
    return ImageSet("set", tuple(samples), "cd" * 32)


def expected(count: int) -> np.ndarray:
    raw = corner(np.stack([picture(i) for i in range(count)]).transpose(0, 3, 1, 2).astype(np.float64))
    return raw / np.linalg.norm(raw, axis=1, keepdims=True)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 256, 300])
def test_vectors_come_in_the_order_of_the_pictures(count: int) -> None:
    result = embed_images(images(count), network()[0])
    assert result.vectors.shape == (count, 4)
    assert result.vectors.dtype == result.norms.dtype == np.float32
    assert not result.failed.any()
    assert result.problems == ()
    if count:
        assert np.allclose(result.vectors, expected(count), atol=1e-6)


def test_each_picture_is_read_and_embedded_once() -> None:
    reads: list[str] = []
    embedder, backend = network()
    source = images(100)
    counted = replace(
        source,
        samples=tuple(replace(s, read=lambda s=s: (reads.append(s.name), s.read())[1]) for s in source.samples),  # type: ignore[misc]
    )
    embed_images(counted, embedder)
    assert sorted(reads) == sorted(s.name for s in source.samples)
    assert sum(len(feeds["image"]) for feeds in backend.feeds) == 100


def test_flip_sums_both_before_it_normalises() -> None:
    result = embed_images(images(5), network()[0], flip=True)
    for i in range(5):
        raw = sum(corner(p.transpose(2, 0, 1)[None].astype(float))[0] for p in (picture(i), picture(i)[:, ::-1]))
        assert result.norms[i] == pytest.approx(np.linalg.norm(raw), rel=1e-5)
        assert np.allclose(result.vectors[i], raw / np.linalg.norm(raw), atol=1e-6)


def test_failures_are_named_and_take_nothing_with_them() -> None:
    def faulty(tensor: np.ndarray) -> np.ndarray:
        vectors = corner(tensor)
        for i, first in enumerate(tensor[:, :, 0, 0]):
            if np.array_equal(first, picture(3)[0, 0]):
                vectors[i, 2] = np.nan
            if np.array_equal(first, picture(5)[0, 0]):
                vectors[i, 1] = -np.inf
            if np.array_equal(first, picture(7)[0, 0]):
                vectors[i] = 0
        return vectors

    result = embed_images(images(40, broken=(0, 33)), network(faulty)[0])
    assert np.flatnonzero(result.failed).tolist() == [0, 3, 5, 7, 33]
    assert not result.vectors[result.failed].any()
    assert not result.norms[result.failed].any()
    good = ~result.failed
    assert np.allclose(result.vectors[good], expected(40)[good], atol=1e-6)
    assert result.problems == (
        "2 of 40 pictures cannot be read: 0.jpg, 33.jpg",
        "2 of 40 pictures have an embedding with NaN or infinity: 3.jpg, 5.jpg",
        "1 of 40 pictures have an embedding of zeros: 7.jpg",
    )


@pytest.mark.parametrize("scale", [1e-26, 1e17, 1e36])
def test_no_length_overflows_or_vanishes(scale: float) -> None:
    result = embed_images(images(5), network(lambda tensor: corner(tensor) * np.float32(scale))[0])
    assert np.allclose(result.vectors, expected(5), atol=1e-6)
    assert np.isfinite(result.norms).all()


def test_a_network_that_only_says_nan_is_an_error() -> None:
    embedder, _ = network(lambda tensor: np.full((len(tensor), 4), np.nan, np.float32))
    with pytest.raises(UnsupportedModel, match="no embedding at all; 3 of 3 pictures have an embedding with NaN"):
        embed_images(images(3), embedder)


def test_pictures_that_are_not_aligned_need_a_detector() -> None:
    loose = replace(images(2), samples=(Sample("a", lambda: picture(0), False),))
    with pytest.raises(InvalidData, match="need a detector"):
        embed_images(loose, network()[0])


def test_a_picture_without_a_face_is_counted(tmp_path: Path) -> None:
    """A detector whose score is the brightness, and a black picture among bright ones."""
    points = np.array([[[[38, 52], [74, 52], [56, 72], [42, 92], [71, 92]]]], np.float32)

    def detect(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        score = np.float32(feeds["image"].mean() / 255)
        box = np.array([[[10, 10, 100, 110]]], np.float32)
        return {"scores": np.full((1, 1), score), "boxes": box, "landmarks": points}

    contract = artifact().contract
    outputs = {name: name for name in ("scores", "boxes", "landmarks")}
    task = Detection(score_threshold=0.3)
    made = replace(artifact(), contract=msgspec.structs.replace(contract, task=task, outputs=outputs))
    finder = Detector(made, backend=FakeBackend(detect))
    black = Sample("black.jpg", lambda: np.zeros((SIDE, SIDE, 3), np.uint8), False)
    loose = tuple(replace(sample, aligned=False) for sample in images(20).samples)
    source = ImageSet("set", (*loose[:10], black, *loose[10:]), "cd" * 32)
    embedder, cache = network()[0], Cache(tmp_path)
    result = embed_images(source, embedder, detector=finder, cache=cache, threads=3)
    assert np.flatnonzero(result.failed).tolist() == [10]
    assert result.problems == ("1 of 21 pictures show no face that the detector finds: black.jpg",)
    crops = [embedder.align(picture(i), points[0, 0]) for i in range(20)]
    assert np.allclose(result.vectors[~result.failed], embedder.embed(crops), atol=1e-6)
    stricter = Detector(replace(made, sha256="2" * 64), backend=FakeBackend(detect))
    assert embed_images(source, embedder, detector=finder, cache=cache).cached == 21
    assert embed_images(source, embedder, detector=stricter, cache=cache).cached == 0


def test_a_second_run_reads_nothing_and_is_equal(tmp_path: Path) -> None:
    source = images(300, broken=(299,))
    first = embed_images(source, network()[0], cache=Cache(tmp_path))
    assert first.cached == 0
    assert first.images_per_s > 0
    embedder, backend = network()
    forbidden = replace(source, samples=tuple(replace(s, read=pytest.fail) for s in source.samples))
    again = embed_images(forbidden, embedder, cache=Cache(tmp_path))
    assert backend.feeds == []
    assert again.cached == 300
    assert np.isnan(again.images_per_s)
    assert again.problems == first.problems
    assert np.array_equal(again.vectors, first.vectors)
    assert np.array_equal(again.norms, first.norms)


@pytest.mark.parametrize(
    "change",
    [
        lambda s, e: (replace(s, fingerprint="ef" * 32), e, {}),
        lambda s, e: (replace(s, samples=s.samples[::-1]), e, {}),
        lambda s, e: (s, Embedder(replace(e.artifact, sha256="1" * 64), backend=network()[1]), {}),
        lambda s, e: (s, e, {"flip": True}),
    ],
)
def test_whatever_an_embedding_depends_on_makes_the_cache_miss(
    change: Callable[..., tuple[ImageSet, Embedder, dict[str, bool]]], tmp_path: Path
) -> None:
    source, embedder = images(3), network()[0]
    embed_images(source, embedder, cache=Cache(tmp_path))
    assert embed_images(source, embedder, cache=Cache(tmp_path)).cached == 3
    other, model, options = change(source, embedder)
    assert embed_images(other, model, cache=Cache(tmp_path), **options).cached == 0


def test_thresholds_in_the_file_change_no_embedding_and_other_weights_do(tmp_path: Path) -> None:
    """A calibrated file finds the embeddings of the one that it was, although its SHA-256 is another."""
    contract, model = artifact().contract, b"\x10\0\0\0TFL3" + bytes(64)
    threshold = Threshold(far=1e-2, score=0.4, score_interval=(0.3, 0.5), tar=0.9)
    told = {"data": "d", "data_fingerprint": "0" * 64, "genuine": 1, "impostors": 1, "identities": 2, "backend": "fake"}
    task = msgspec.structs.replace(contract.task, calibration=Calibration(thresholds=(threshold,), **told))
    elsewhere = msgspec.structs.replace(contract.task, template=(*contract.task.template[:4], (9.0, 9.0)))
    cached = []
    for name, content, change in (
        ("plain", model, {}),
        ("calibrated", model, {"task": task}),
        ("other weights", model + b"\1", {}),
        ("another template", model, {"task": elsewhere}),
    ):
        file = tmp_path / f"{name}.tflite"
        made = msgspec.structs.replace(contract, **change)
        file.write_bytes(append_zip(content, made.to_json()))
        embedder = Embedder(write_sidecar(file, made), backend=network()[1])
        cached.append(embed_images(images(3), embedder, cache=Cache(tmp_path / "cache")).cached)
    assert cached == [0, 3, 0, 0]


def test_a_damaged_part_is_made_again_with_a_note(tmp_path: Path) -> None:
    source = images(300)
    first = embed_images(source, network()[0], cache=Cache(tmp_path))
    file = max(tmp_path.rglob("*.npz"), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    cache = Cache(tmp_path)
    again = embed_images(source, network()[0], cache=cache)
    assert again.cached == 44
    assert len(cache.notes) == 1
    assert np.array_equal(again.vectors, first.vectors)


def test_a_part_with_other_contents_is_not_believed(tmp_path: Path) -> None:
    source, cache = images(3), Cache(tmp_path)
    embed_images(source, network()[0], cache=cache)
    (file,) = tmp_path.rglob("*.npz")
    good = {"vectors": np.ones((3, 4), np.float32), "reasons": np.array(["", "", ""])}
    for planted in (
        {"vectors": good["vectors"]},
        good | {"vectors": np.ones((2, 4), np.float32)},
        good | {"vectors": np.ones((3, 4))},
        good | {"vectors": np.full((3, 4), np.nan, np.float32)},
        good | {"vectors": np.zeros((3, 4), np.float32)},
        good | {"reasons": np.array(["", "", "x"])},
        good | {"reasons": np.zeros(3)},
    ):
        cache.put(file.stem, planted)
        assert embed_images(source, network()[0], cache=cache).cached == 0
    cache.put(file.stem, good)
    assert embed_images(source, network()[0], cache=cache).cached == 3
    assert len(cache.notes) == 7


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    seen: list[int] = []

    def until_interrupted(tensor: np.ndarray) -> np.ndarray:
        seen.append(len(tensor))
        if sum(seen) > 600:
            raise KeyboardInterrupt
        return corner(tensor)

    source = images(1000)
    with pytest.raises(KeyboardInterrupt):
        embed_images(source, network(until_interrupted)[0], cache=Cache(tmp_path))
    embedder, backend = network()
    told: list[tuple[int, int]] = []
    result = embed_images(source, embedder, cache=Cache(tmp_path), progress=lambda *now: told.append(now))
    assert result.cached == 512
    assert sum(len(feeds["image"]) for feeds in backend.feeds) == 488
    assert np.allclose(result.vectors, expected(1000), atol=1e-6)
    assert told[0] == (512, 1000)
    assert told[-1] == (1000, 1000)
    assert told == sorted(told)


#: Embeds 1000 pictures into a cache, but its engine hangs after 600, so that it never ends by itself.
CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
import test_embeddings as t
seen = 0
def hanging(tensor):
    global seen
    seen += len(tensor)
    if seen > 600:
        time.sleep(3600)
    return t.corner(tensor)
t.embed_images(t.images(1000), t.network(hanging)[0], cache=t.Cache(t.Path(sys.argv[1])))
"""


def finished_parts(folder: Path) -> list[Path]:
    """Entries of a cache that stand under their name; one that is being written lies in a hidden folder beside it."""
    return [file for file in folder.rglob("*.npz") if not file.parent.name.startswith(".")]


def test_a_killed_process_leaves_its_parts(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command) as child:
        try:
            deadline = time.monotonic() + 600
            while not finished_parts(tmp_path) and time.monotonic() < deadline and child.poll() is None:
                time.sleep(0.01)
        finally:
            child.kill()
    embedder, backend = network()
    result = embed_images(images(1000), embedder, cache=Cache(tmp_path))
    assert 256 <= result.cached < 1000
    assert sum(len(feeds["image"]) for feeds in backend.feeds) == 1000 - result.cached
    assert np.allclose(result.vectors, expected(1000), atol=1e-6)


def test_few_crops_wait_for_a_slow_network() -> None:
    lock, ahead, most = threading.Lock(), 0, 0
    source = images(400)

    def counted(sample: Sample) -> Callable[[], Image]:
        def read() -> Image:
            nonlocal ahead, most
            with lock:
                ahead += 1
                most = max(most, ahead)
            return sample.read()

        return read

    def slow(tensor: np.ndarray) -> np.ndarray:
        nonlocal ahead
        time.sleep(0.002)
        with lock:
            ahead -= len(tensor)
        return corner(tensor)

    watched = replace(source, samples=tuple(replace(s, read=counted(s)) for s in source.samples))
    embed_images(watched, network(slow)[0], threads=3)
    assert 16 < most <= 3 * embeddings._BATCH


def test_an_error_of_the_engine_ends_the_run_at_once() -> None:
    def fails(tensor: np.ndarray) -> np.ndarray:
        raise UnsupportedModel("out of order")

    reads: list[str] = []

    def slowly(sample: Sample) -> Image:  # so that what is not read is a matter of half a minute, not of luck
        reads.append(sample.name)
        time.sleep(0.01)
        return sample.read()

    source = images(5000)
    noted = tuple(replace(s, read=lambda s=s: slowly(s)) for s in source.samples)  # type: ignore[misc]
    with pytest.raises(UnsupportedModel, match="out of order"):
        embed_images(replace(source, samples=noted), network(fails)[0])
    assert len(reads) < 5000


class Strict(FakeBackend):
    """Backends keep buffers between runs, so no two threads may be in one."""

    busy = False

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:  # type: ignore[override]
        assert not self.busy
        self.busy = True
        time.sleep(0.005)
        self.busy = False
        return super().run(feeds)


def test_an_engine_that_cannot_be_opened_again_serves_one_thread_at_a_time() -> None:
    engine = Strict(lambda feeds: {"embedding": corner(feeds["image"])})
    result = embed_images(images(200), Embedder(artifact(), backend=engine), threads=3)
    assert np.allclose(result.vectors, expected(200), atol=1e-6)


def test_every_thread_has_an_engine_of_its_own_where_the_engine_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[FakeBackend] = []

    def load(_: Artifact, threads: int | None) -> FakeBackend:
        assert threads in (1, None)
        opened.append(Strict(lambda feeds: {"embedding": corner(feeds["image"])}))
        return opened[-1]

    monkeypatch.setitem(backends._LOADERS["onnx"], "fake", load)
    result = embed_images(images(200), Embedder(artifact(), backend="fake"), threads=3)
    assert np.allclose(result.vectors, expected(200), atol=1e-6)
    assert len(opened) == 4
    assert not opened[0].feeds
    assert all(len(engine.feeds) > 1 for engine in opened[1:])


def test_a_real_engine_gives_what_the_embedder_gives(tmp_path: Path) -> None:
    """A network of one step: the picture, averaged over blocks of 28 x 28."""
    node = helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[28, 28], strides=[28, 28])
    flat = helper.make_node("Flatten", ["pooled"], ["embedding"])
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    result = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, None)
    graph = helper.make_graph([node, flat], "tiny", [image], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (tmp_path / "tiny.onnx").write_bytes(model.SerializeToString())
    contract = artifact().contract
    task = Recognition(embedding_size=48, normalized=False)
    made = write_sidecar(tmp_path / "tiny.onnx", msgspec.structs.replace(contract, task=task))
    embedder = Embedder(made)
    found = embed_images(images(70), embedder, cache=Cache(tmp_path), threads=2)
    means = np.stack(
        [picture(i).reshape(4, 28, 4, 28, 3).mean(axis=(1, 3)).transpose(2, 0, 1).ravel() for i in range(70)]
    )
    lengths = np.linalg.norm(means, axis=1)
    assert np.allclose(found.vectors, means / lengths[:, None], atol=1e-5)
    assert np.allclose(found.norms, lengths, rtol=1e-5)
    assert np.allclose(found.vectors, embedder.embed([picture(i) for i in range(70)]), atol=1e-6)
