"""A contract survives the trip through JSON unchanged, and anything that this release does not know is refused."""

from __future__ import annotations

import json
import random

import msgspec
import pytest

from pocketface.contract import (
    ARCFACE_TEMPLATE,
    Calibration,
    Detection,
    InputSpec,
    ModelContract,
    Quantization,
    Recognition,
    Threshold,
)
from pocketface.errors import InvalidContract


def recognizer(**changes: object) -> ModelContract:
    values: dict[str, object] = {
        "model": "tiny",
        "task": Recognition(embedding_size=4),
        "input": InputSpec(name="image", layout="NCHW", height=112, width=112),
        "outputs": {"embedding": "embedding"},
        "fingerprint": "0123456789abcdef" * 4,
        "weights": "seeded:0",
        "trained": False,
    }
    return ModelContract(**{**values, **changes})


def edited(**changes: object) -> str:
    return json.dumps({**json.loads(recognizer().to_json()), **changes})


def detector(decoder: str = "pixels") -> ModelContract:
    names = ["scores", "boxes", "landmarks"]
    if decoder == "yunet":
        names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)]
    return recognizer(task=Detection(decoder=decoder), outputs={n: n for n in names})


def calibrated(*thresholds: tuple[float, float]) -> ModelContract:
    made = tuple(Threshold(far=far, score=s, score_interval=(s - 0.1, s + 0.1), tar=0.9) for far, s in thresholds)
    counts = {"genuine": 10, "impostors": 20, "identities": 3}
    data = Calibration(thresholds=made, data="faces", data_fingerprint="cd" * 32, backend="onnxruntime", **counts)
    return recognizer(task=Recognition(embedding_size=4, calibration=data, compatible=("float32",)))


@pytest.mark.parametrize(
    "contract",
    [recognizer(), detector(), detector("yunet"), calibrated((1e-2, 0.3), (1e-3, 0.4))],
    ids=["embedding", "pixels", "yunet", "calibrated"],
)
def test_json_gives_back_the_same_contract(contract: ModelContract) -> None:
    assert ModelContract.from_json(contract.to_json()) == contract
    assert ModelContract.from_json(contract.to_json().encode()).to_json() == contract.to_json()


def test_json_is_canonical_whatever_order_the_keys_came_in() -> None:
    text = recognizer().to_json()
    shuffled = dict(reversed(json.loads(text).items()))
    assert ModelContract.from_json(json.dumps(shuffled, indent=3)).to_json() == text
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_what_was_not_measured_is_absent() -> None:
    """So that a release that knows no thresholds reads the files that have none."""
    assert not {"calibration", "compatible"} & json.loads(recognizer().to_json())["task"].keys()
    assert not recognizer().task.calibration


def test_thresholds_go_from_lenient_to_strict() -> None:
    for wrong in [((1e-3, 0.4), (1e-2, 0.3)), ((1e-2, 0.4), (1e-3, 0.3)), ((1e-2, 0.4), (1e-2, 0.4))]:
        with pytest.raises(ValueError, match="from lenient to strict"):
            calibrated(*wrong)
    text = calibrated((1e-2, 0.3)).to_json()
    for old, new in {'"far":0.01': '"far":0', '"score":0.3': '"score":1.3', '"genuine":10': '"genuine":0'}.items():
        assert old in text
        with pytest.raises(InvalidContract):
            ModelContract.from_json(text.replace(old, new))


def test_template_is_the_published_one() -> None:
    assert recognizer().task.template == ARCFACE_TEMPLATE
    assert ARCFACE_TEMPLATE[2] == (56.0252, 71.7366)  # the nose


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (edited(favourite_colour="red"), "favourite_colour"),
        (edited(schema=2), "schema version 2 is unknown, this release reads 1"),
        (edited(outputs={}), "outputs lack ['embedding']"),
        (edited(outputs={"embedding": 7}), "Expected `str`"),
        (edited(fingerprint="abc"), "fingerprint"),
        (edited(model="../../etc/passwd"), "model"),
        (edited(parameters=-1), "parameters"),
        (edited(macs=1e999), ""),  # Infinity is not JSON
        (edited(task={"type": "juggling"}), "juggling"),
        (edited(task={"type": "recognition", "embedding_size": 0}), "embedding_size"),
        (edited(task={"type": "recognition", "embedding_size": 4, "template": [[1, 2]] * 4}), "template"),
        (edited(task={"type": "detection", "decoder": "guess"}), "decoder"),
        (edited(task={"type": "detection", "nms_iou": 1.5}), "nms_iou"),
        ("", "truncated"),
        ("{}", "missing required field"),
        ("[]", "Expected `object`"),
        ("\ud800", "surrogates"),
        ("[" * 100_000, ""),
        ('{"outputs":' + '{"a":' * 100_000, ""),
    ],
)
def test_what_this_release_does_not_know_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        ModelContract.from_json(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", [f for f in ModelContract.__struct_fields__ if f in edited()])
def test_every_required_field_is_missed(field: str) -> None:
    raw = json.loads(recognizer().to_json())
    del raw[field]
    optional = {"schema", "precision", "parameters", "macs", "license", "producer"}
    if field in optional:
        assert ModelContract.from_json(json.dumps(raw)) == recognizer()
    else:
        with pytest.raises(InvalidContract, match=field):
            ModelContract.from_json(json.dumps(raw))


@pytest.mark.parametrize(
    "changes",
    [
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, -1.0, 1.0)},
        {"mean": (float("nan"), 0.0, 0.0)},
        {"std": (float("inf"), 1.0, 1.0)},
        {"size_step": 32},  # 112 is not a multiple
    ],
)
def test_an_input_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"mean must be finite|not a multiple"):
        InputSpec(**{"name": "image", "layout": "NCHW", "height": 112, "width": 112, **changes})


def test_truncated_and_altered_text_raises_nothing_but_invalid_contract() -> None:
    whole = detector("yunet").to_json().encode()
    for seed in range(1000):
        rng = random.Random(seed)
        data = bytearray(whole[: rng.randrange(len(whole))] if seed % 2 else whole)
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data)) if data else 0 : 0] = bytes([rng.randrange(256)])
        try:
            contract = ModelContract.from_json(bytes(data))
        except InvalidContract:
            continue
        assert ModelContract.from_json(contract.to_json()) == contract


def test_contracts_are_values() -> None:
    changed = msgspec.structs.replace(recognizer(), trained=True)
    assert changed != recognizer()
    with pytest.raises(AttributeError):
        changed.trained = False  # type: ignore[misc]
    assert (recognizer().task_name, detector().task_name) == ("recognition", "detection")


def test_a_quantized_file_says_how_it_was_made_and_a_float_one_says_nothing() -> None:
    assert "quantization" not in recognizer().to_json()  # so that older releases still read float files
    how = Quantization(recipe="static_wi8_ai8", parent="ab" * 32, kept=("stem.0",), calibration="cd" * 32, pictures=128)
    made = recognizer(precision="int8", quantization=how)
    assert ModelContract.from_json(made.to_json()) == made
    bare = recognizer(quantization=Quantization(recipe="fp16", parent="ab" * 32))
    assert ModelContract.from_json(bare.to_json()) == bare
    assert "calibration" not in bare.to_json()
    for wrong in ({"recipe": "fp16"}, {"recipe": "fp16", "parent": "ab"}, {**json.loads(bare.to_json()), "bits": 8}):
        with pytest.raises(InvalidContract):
            ModelContract.from_json(edited(quantization=wrong))
