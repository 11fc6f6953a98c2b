"""What is asked of embeddings, thresholds, gates and integers: above all, what lies just on an edge."""

from __future__ import annotations

from collections.abc import Iterator

from ...contract import Calibration, Recognition, Threshold
from .matching import Comparing, Deciding, FloatTensor, Gating, IntegerTensor, Raw, Told
from .pictures import Pictures
from .vectors import Question

_ONE, _OTHER = "ab" * 32, "cd" * 32
_THRESHOLDS = ((1e-1, 0.25), (1e-2, 0.375), (1e-3, 0.5), (1e-4, 0.5))


def raws(_: Pictures) -> Iterator[Question]:
    """For ``matching.embed``."""
    yield Question("three_four_five", "by hand", Raw((3.0, 0.0, -4.0)))
    yield Question("any_length", "divided by its length", Raw(tuple((i * 37 % 64 - 31) / 8 for i in range(64))))
    yield Question("nearly_one", "what the graph normalised is normalised again", Raw((0.6015625, 0.0, 0.80078125)))
    yield Question("zeros", "no direction", Raw((0.0, 0.0, 0.0)))
    yield Question("not_finite", "a broken model", Raw((1.0, "NaN", 0.0)))


def comparisons(_: Pictures) -> Iterator[Question]:
    """For ``matching.cosine``."""
    a, b = (0.6, 0.0, 0.8), (0.0, -0.6, 0.8)
    one = Told(a, _ONE)
    yield Question("cosine", "the dot product", Comparing(one, Told(b, _ONE)))
    yield Question("opposite", "not below -1", Comparing(one, Told((-0.6, 0.0, -0.80002), _ONE)))
    yield Question("same", "not above 1", Comparing(one, Told((0.6, 0.0, 0.80002), _ONE)))
    yield Question("other_network", "no cosine across networks", Comparing(one, Told(b, _OTHER)))
    yield Question("other_precision", "nor across precisions", Comparing(one, Told(b, _ONE, "int8")))
    shown = Told(b, _ONE, "int8", ("float32",))
    yield Question("compatible", "unless one of both says that they decide alike", Comparing(one, shown))
    yield Question("compatible_reversed", "whichever of both says it", Comparing(shown, one))


def decisions(_: Pictures) -> Iterator[Question]:
    """For ``matching.match``."""
    task = Recognition(embedding_size=3, calibration=_calibration())
    for name, cosine, far, why in (
        ("just_reached", 0.375, 1e-2, "a cosine of just the threshold is the same person"),
        ("just_missed", 0.37499, 1e-2, "and a hair below is not, at this FAR"),
        ("lenient", 0.3, 1e-1, "only at the most lenient FAR"),
        ("none", 0.125, 1e-1, "at none"),
        ("strictest", 0.75, 1e-4, "at all"),
        ("equal_scores", 0.5, 1e-4, "of two FARs with one threshold the stricter is told"),
        ("in_doubt", 0.3, 5e-2, "at a FAR between two thresholds, the stricter holds"),
    ):
        yield Question(name, why, Deciding(cosine, task, far))
    why = "without thresholds a cosine says nothing"
    yield Question("not_calibrated", why, Deciding(0.9, Recognition(embedding_size=3), 1e-3))


def _calibration() -> Calibration:
    thresholds = tuple(
        Threshold(far=far, score=score, score_interval=(score - 0.0625, score + 0.0625), tar=0.9)
        for far, score in _THRESHOLDS
    )
    return Calibration(
        thresholds=thresholds,
        data="golden",
        data_fingerprint="0" * 64,
        genuine=100,
        impostors=10000,
        identities=10,
        backend="fake",
    )


def gatings(_: Pictures) -> Iterator[Question]:
    """For ``matching.gate``."""
    box = (10.0, 20.0, 50.0, 90.0)
    yield Question("passes", "large and good enough", Gating(box, 0.5, 0.4, 40))
    yield Question("just_large_enough", "the shorter side of just the least", Gating(box, 0.9, 0.0, 40))
    yield Question("too_small", "the shorter side counts", Gating(box, 0.9, 0.0, 40.5))
    yield Question("just_good_enough", "a quality of just the least", Gating(box, 0.4, 0.4, 0))
    yield Question("too_bad", "below it", Gating(box, 0.39, 0.4, 0))
    yield Question("both", "the size is told first", Gating(box, 0.1, 0.4, 100))
    yield Question("unknown_quality", "what is not known is not held against a face", Gating(box, None, 0.4, 0))
    yield Question("quality_not_finite", "NaN does not pass", Gating(box, "NaN", 0.0, 0))
    yield Question("box_not_finite", "nor a box without a size", Gating(("NaN", 0.0, 9.0, 9.0), 0.9, 0.0, 0))


def integers(_: Pictures) -> Iterator[Question]:
    """For ``matching.to_numbers``."""
    ends = (-128, -127, -1, 0, 1, 3, 64, 127)
    yield Question("int8", "scale * (q - zero point)", IntegerTensor(ends, 0.0078125, -1, "int8"))
    yield Question("int8_decimal", "the scale is float32", IntegerTensor(ends, 0.0473, 13, "int8"))
    yield Question("symmetric", "zero point 0", IntegerTensor(ends, 0.0039, 0, "int8"))
    yield Question("uint8", "unsigned", IntegerTensor((0, 1, 127, 128, 255), 0.0078125, 128, "uint8"))
    yield Question("int16", "16 bits", IntegerTensor((-32768, -7, 0, 9, 32767), 3.0517578e-05, 0, "int16"))


def floats(_: Pictures) -> Iterator[Question]:
    """For ``matching.to_integers``."""
    halves = (-1.5, -1.0, -0.5, -0.25, 0.25, 0.5, 0.75, 1.25, 1.5, 2.5)
    why = "halves go to the even step, before the zero point is added"
    yield Question("halves_to_even", why, FloatTensor(halves, 1.0, 0, "int8"))
    yield Question("odd_zero_point", why, FloatTensor(halves, 0.5, 3, "int8"))
    ends = FloatTensor((-1e9, -65.0, 63.5, 64.0, 1e9), 0.5, 0, "int8")
    yield Question("ends", "what is out of range goes to its end", ends)
    pixels = (0.0, 1.0, 127.0, 128.0, 254.0, 255.0)
    yield Question("pixels", "pixel values for an int8 input", FloatTensor(pixels, 1.0, -128, "int8"))
    yield Question("uint8", "unsigned", FloatTensor((-1.0, -0.2, 0.0, 0.7, 1.0, 5.0), 0.0078431, 128, "uint8"))
