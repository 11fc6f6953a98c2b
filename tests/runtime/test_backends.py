"""Every engine answers like numpy, refuses what it would run wrongly, and says clearly what it was fed."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from PIL import Image

from pocketface.artifact import Artifact
from pocketface.errors import InvalidContract, InvalidModel, MissingExtra, UnsupportedModel
from pocketface.runtime import backends
from pocketface.runtime.backends import FakeBackend, available_backends, open_backend, ort, register_backend


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (count, 3, 32, 32)).astype(np.float32)


def pooled(images: np.ndarray) -> np.ndarray:
    """What the tiny recogniser computes, in float64."""
    count = len(images)
    return images.astype(np.float64).reshape(count, 3, 4, 8, 4, 8).mean((3, 5)).reshape(count, 48) - 100


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test register engines that are gone afterwards."""
    monkeypatch.setattr(backends, "_LOADERS", {k: dict(v) for k, v in backends._LOADERS.items()})


class TestRegistry:
    def test_engines_are_listed_in_the_order_in_which_they_are_tried(self) -> None:
        assert available_backends("onnx") == ["onnxruntime"]
        assert available_backends("tflite") == ["litert", "tflite-runtime"]
        assert available_backends("coreml")[0] == "coreml"
        assert available_backends("tarot") == []

    def test_a_wrong_name_is_answered_with_the_right_ones(self, recognizer_onnx: Artifact) -> None:
        with pytest.raises(UnsupportedModel, match=r"no backend 'ort' for onnx files, there are: onnxruntime"):
            open_backend(recognizer_onnx, "ort")

    def test_threads_are_counted_from_one(self, recognizer_onnx: Artifact) -> None:
        with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
            open_backend(recognizer_onnx, threads=0)

    @pytest.mark.usefixtures("registry")
    def test_a_registered_engine_gets_the_artifact_and_the_threads(self, recognizer_onnx: Artifact) -> None:
        fake, calls = FakeBackend({}), []
        register_backend("mine", "onnx", lambda *args: calls.append(args) or fake)
        assert available_backends("onnx") == ["onnxruntime", "mine"]
        assert open_backend(recognizer_onnx, "mine", threads=3) is fake
        assert calls == [(recognizer_onnx, 3)]

    @pytest.mark.usefixtures("registry")
    def test_without_a_name_the_first_that_can_run_it_is_taken(self, recognizer_onnx: Artifact) -> None:
        def absent(*_: object) -> FakeBackend:
            raise MissingExtra("abacus", "beads", "count")

        def unable(*_: object) -> FakeBackend:
            raise UnsupportedModel("too large")

        backends._LOADERS["onnx"] = {"absent": absent}
        with pytest.raises(MissingExtra, match=r"pip install 'pocketface\[beads\]'"):
            open_backend(recognizer_onnx)
        register_backend("unable", "onnx", unable)
        with pytest.raises(UnsupportedModel, match=r"no backend can run it: absent: abacus is.*; unable: too large"):
            open_backend(recognizer_onnx)
        register_backend("fake", "onnx", lambda *_: FakeBackend({}))
        assert open_backend(recognizer_onnx).name == "fake"

    @pytest.mark.usefixtures("registry")
    def test_pictures_go_one_by_one_where_the_contract_says_so(self, recognizer_onnx: Artifact) -> None:
        spec = msgspec.structs.replace(recognizer_onnx.contract.input, dynamic_batch=False)
        single = replace(recognizer_onnx, contract=msgspec.structs.replace(recognizer_onnx.contract, input=spec))
        fake = FakeBackend(lambda feeds: {"embedding": pooled(feeds["image"])})
        register_backend("fake", "onnx", lambda *_: fake)
        answer = open_backend(single, "fake").run({"image": pictures(3)})
        np.testing.assert_array_equal(answer["embedding"], pooled(pictures(3)))
        assert [feeds["image"].shape[0] for feeds in fake.feeds] == [1, 1, 1]

    @pytest.mark.parametrize(
        ("module", "backend", "suffix", "message"),
        [
            (
                "onnxruntime",
                "onnxruntime",
                ".onnx",
                "onnxruntime is needed to run .onnx files: pip install onnxruntime",
            ),
            ("ai_edge_litert.interpreter", "litert", ".tflite", "pip install 'pocketface[litert]'"),
            ("tflite_runtime.interpreter", "tflite-runtime", ".tflite", "pip install 'pocketface[tflite]'"),
            ("coremltools", "coreml", ".mlpackage", "pip install 'pocketface[coreml]'"),
        ],
    )
    def test_a_missing_package_is_named_with_its_extra(
        self,
        monkeypatch: pytest.MonkeyPatch,
        recognizer_onnx: Artifact,
        module: str,
        backend: str,
        suffix: str,
        message: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.setattr(sys, "platform", "darwin")
        with pytest.raises(MissingExtra) as caught:
            open_backend(replace(recognizer_onnx, path=Path(f"net{suffix}")), backend)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


class TestOnnxRuntime:
    def test_answers_like_numpy(self, recognizer_onnx: Artifact) -> None:
        backend = open_backend(recognizer_onnx, threads=1)
        assert backend.name == "onnxruntime"
        answer = backend.run({"image": pictures(5)})["embedding"]
        np.testing.assert_allclose(answer, pooled(pictures(5)), atol=1e-4)

    def test_uses_the_threads_that_were_asked_for(self, recognizer_onnx: Artifact) -> None:
        backend = open_backend(recognizer_onnx, threads=3)
        assert backend._session.get_session_options().intra_op_num_threads == 3

    @pytest.mark.parametrize(
        ("feeds", "came"),
        [
            ({}, "fed with nothing"),
            ({"picture": pictures(1)}, r"fed with picture float32 \(1, 3, 32, 32\)"),
            ({"image": pictures(1).astype(np.uint8)}, r"fed with image uint8 \(1, 3, 32, 32\)"),
            ({"image": pictures(1).transpose(0, 2, 3, 1)}, r"fed with image float32 \(1, 32, 32, 3\)"),
            ({"image": pictures(1)[0]}, r"fed with image float32 \(3, 32, 32\)"),
        ],
    )
    def test_wrong_feeds_are_named_beside_the_right_ones(
        self, recognizer_onnx: Artifact, feeds: dict[str, np.ndarray], came: str
    ) -> None:
        with pytest.raises(InvalidContract, match=came + r", but the file takes image float32 \(any, 3, 32, 32\)"):
            open_backend(recognizer_onnx).run(feeds)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [(b"", "No graph was found"), (b"not a model", "Protobuf parsing failed"), (b"\x08\x09", "No graph was found")],
    )
    def test_a_damaged_file_is_refused_in_one_line(
        self, recognizer_onnx: Artifact, tmp_path: Path, data: bytes, reason: str
    ) -> None:
        (tmp_path / "net.onnx").write_bytes(data)
        with pytest.raises(InvalidModel, match=rf"net.onnx: onnxruntime cannot load it: {reason}") as caught:
            open_backend(replace(recognizer_onnx, path=tmp_path / "net.onnx"))
        assert "\n" not in str(caught.value)

    def test_an_unknown_operator_is_named(self, recognizer_onnx: Artifact, tmp_path: Path) -> None:
        data = recognizer_onnx.path.read_bytes().replace(b"AveragePool", b"AveragePond")
        (tmp_path / "net.onnx").write_bytes(data)
        with pytest.raises(InvalidModel, match="AveragePond"):
            open_backend(replace(recognizer_onnx, path=tmp_path / "net.onnx"))

    @pytest.mark.parametrize("name", [b"\xbaveragePool", b"AveragePond"])
    def test_nothing_is_printed(
        self, recognizer_onnx: Artifact, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: bytes
    ) -> None:
        """By itself onnxruntime prints to stdout on the one and logs on the other, and would spoil a JSON report."""
        (tmp_path / "net.onnx").write_bytes(recognizer_onnx.path.read_bytes().replace(b"AveragePool", name))
        with pytest.raises(InvalidModel):
            open_backend(replace(recognizer_onnx, path=tmp_path / "net.onnx"))
        assert capfd.readouterr() == ("", "")

    def test_a_failing_run_is_an_unsupported_model(self, detector_onnx: Artifact) -> None:
        """The tiny detector's Reshape takes one picture only, whatever its contract says."""
        spec = msgspec.structs.replace(detector_onnx.contract.input, dynamic_batch=True)
        wrong = replace(detector_onnx, contract=msgspec.structs.replace(detector_onnx.contract, input=spec))
        with pytest.raises(UnsupportedModel, match=r"onnxruntime fails to run it: .*Reshape"):
            open_backend(wrong).run({"image": pictures(2)})


class TestCoreML:
    """Against a stand-in for coremltools; Core ML itself exists on macOS only."""

    @pytest.fixture
    def package(self, tmp_path: Path, recognizer_onnx: Artifact) -> Artifact:
        spec = msgspec.structs.replace(recognizer_onnx.contract.input, layout="image", dynamic_batch=False)
        contract = msgspec.structs.replace(recognizer_onnx.contract, input=spec)
        return Artifact(tmp_path / "net.mlpackage", contract, "0" * 64, 0)

    @pytest.fixture
    def predictions(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
        """A Mac with a coremltools that remembers what it was asked."""
        asked: list[dict[str, object]] = []

        class MLModel:
            def __init__(self, path: str) -> None:
                if "broken" in path:
                    raise RuntimeError("cannot compile")

            def predict(self, values: dict[str, object]) -> dict[str, object]:
                asked.append(values)
                if any(isinstance(v, Image.Image) and v.size == (1, 1) for v in values.values()):
                    raise RuntimeError("wrong size")
                return {"embedding": np.full((1, 48), len(asked), np.float16)}

        stand_in = SimpleNamespace(models=SimpleNamespace(MLModel=MLModel))
        monkeypatch.setitem(sys.modules, "coremltools", stand_in)
        monkeypatch.setattr(sys, "platform", "darwin")
        return asked

    @pytest.mark.skipif(sys.platform == "darwin", reason="says what happens elsewhere")
    def test_elsewhere_the_interpreter_is_named(self, package: Artifact) -> None:
        with pytest.raises(UnsupportedModel, match=r"Core ML runs on macOS only, this is linux.*the backend 'mil'"):
            open_backend(package, "coreml")

    def test_pictures_arrive_one_by_one_as_pillow_images(
        self, package: Artifact, predictions: list[dict[str, object]]
    ) -> None:
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
        answer = open_backend(package, "coreml", threads=2).run({"image": images[:, :, ::-1]})
        for asked, image in zip(predictions, images, strict=True):
            np.testing.assert_array_equal(np.asarray(asked["image"]), image[:, ::-1])
        np.testing.assert_array_equal(answer["embedding"], np.repeat([[1], [2]], 48, axis=1))
        assert answer["embedding"].dtype == np.float32

    @pytest.mark.usefixtures("predictions")
    @pytest.mark.parametrize("image", [np.zeros((1, 32, 32, 3), np.float32), np.zeros((1, 3, 32, 32), np.uint8)])
    def test_what_is_not_a_picture_is_refused(self, package: Artifact, image: np.ndarray) -> None:
        with pytest.raises(InvalidContract, match=r"expected one picture, uint8 \(1, H, W, 3\)"):
            open_backend(package, "coreml").run({"image": image})

    @pytest.mark.usefixtures("predictions")
    def test_core_mls_own_complaints_are_passed_on(self, package: Artifact) -> None:
        with pytest.raises(UnsupportedModel, match="Core ML cannot load it: cannot compile"):
            open_backend(replace(package, path=Path("broken.mlpackage")), "coreml")
        with pytest.raises(UnsupportedModel, match="Core ML fails to run it: wrong size"):
            open_backend(package, "coreml").run({"image": np.zeros((1, 1, 1, 3), np.uint8)})


class TestProductsOf8Bits:
    """x86 without VNNI adds them in 16 bits, which overflow, unless ONNX Runtime is told to take other kernels."""

    @pytest.mark.parametrize(
        ("machine", "told", "overflow"),
        [
            ("x86_64", "flags : avx2 avx512f", True),
            ("AMD64", None, True),
            ("x86_64", "flags : avx2 avx512_vnni", False),
            ("x86_64", "flags : avx2 avx_vnni", False),
            ("aarch64", "Features : asimd", False),
            ("arm64", None, False),
        ],
    )
    def test_a_processor_tells(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine, told, overflow) -> None:
        if told:
            (tmp_path / "cpuinfo").write_text(told)
        monkeypatch.setattr(ort, "_PROCESSOR", tmp_path / "cpuinfo")
        monkeypatch.setattr(ort.platform, "machine", lambda: machine)
        assert ort.overflows() is overflow

    @pytest.mark.parametrize("precision", ["int8", "float32"])
    def test_only_files_in_8_bits_are_opened_so(
        self, recognizer_onnx: Artifact, monkeypatch: pytest.MonkeyPatch, precision
    ) -> None:
        monkeypatch.setattr(ort, "overflows", lambda: True)
        contract = msgspec.structs.replace(recognizer_onnx.contract, precision=precision)
        engine = ort.load_onnxruntime(replace(recognizer_onnx, contract=contract), 1, entries={"a.b": "c"})
        options = engine._session.get_session_options()
        assert options.get_session_config_entry("a.b") == "c"
        if precision == "int8":
            assert options.get_session_config_entry("session.x64quantprecision") == "1"
        else:
            with pytest.raises(Exception, match="x64quantprecision"):
                options.get_session_config_entry("session.x64quantprecision")
