"""The contract of a model: everything that a program must know to feed a model file and read its answer.

It travels inside the file and beside it, so that nothing is guessed from shapes or tensor names: colour
order, layout, value range, size, the five-point template, what each output means, the licence, and the
fingerprint of the weights. A contract with a key or a version that this release does not know is refused.

Coordinates, wherever a contract speaks of points: ``(x, y)`` in pixels, and the centre of the top-left
pixel is ``(0, 0)``, as OpenCV has it.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec

from .errors import InvalidContract

SCHEMA_VERSION = 1

Point = tuple[float, float]
FivePoints = tuple[Point, Point, Point, Point, Point]

#: Where ArcFace-style recognisers expect the five landmarks in a 112 x 112 crop: left eye, right eye, nose,
#: left and right mouth corner, as seen in the picture. Source: InsightFace, ``face_align.py``.
ARCFACE_TEMPLATE: FivePoints = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)

Side = Annotated[int, msgspec.Meta(ge=1, le=8192)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Cosine = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]
Triple = tuple[float, float, float]


class InputSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The one picture that a model takes, and how to lay it out.

    Attributes:
        name: the input tensor's name.
        layout: ``NCHW`` or ``NHWC`` for tensors, ``image`` for a Core ML ImageType.
        dtype: type of the tensor's elements. ``int8``: the file's own scale and zero point make them of pixel values;
            an engine of ours takes the pixel values, float32, and does that.
        height, width: size in pixels; with a ``size_step``, the size to use unless the caller wants another.
        size_step: 0 for a fixed size; otherwise height and width may be any multiple of it.
        dynamic_batch: whether several pictures may go in at once.
        color: order of the channels that the tensor wants. Callers always hand over RGB.
        mean, std: what is still to be done to pixel values 0..255 before they enter, per channel of the
            tensor: ``(pixel - mean) / std``. Our exports do it inside the graph and say 0 and 1 here.
    """

    name: str
    layout: Literal["NCHW", "NHWC", "image"]
    height: Side
    width: Side
    dtype: Literal["float32", "uint8", "int8"] = "float32"
    size_step: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    dynamic_batch: bool = False
    color: Literal["RGB", "BGR"] = "RGB"
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if not all(math.isfinite(v) for v in (*self.mean, *self.std)) or min(self.std) <= 0:
            raise ValueError(f"mean must be finite and std positive, got mean {self.mean}, std {self.std}")
        if self.size_step and (self.height % self.size_step or self.width % self.size_step):
            raise ValueError(f"{self.height} x {self.width} is not a multiple of size_step {self.size_step}")


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where to draw the line for one false accept rate: two faces pass for one person if their cosine reaches it.

    Attributes:
        far: the share of pairs of two people that may pass.
        score: the lowest cosine at which no more of them passed.
        score_interval: where that lies with 95 % confidence, by drawing other people of the same kind.
        tar: the share of pairs of one person that passed.
    """

    far: Annotated[float, msgspec.Meta(gt=0.0, le=0.5)]
    score: Cosine
    score_interval: tuple[Cosine, Cosine]
    tar: Share


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Thresholds of one file, precision and all, and what they were measured on.

    Attributes:
        thresholds: from the most lenient to the strictest.
        data: the data set's name.
        data_fingerprint: hex SHA-256 over its pictures and who is in them.
        genuine, impostors: number of pairs of one person and of two.
        identities: number of people; 0 where the data are pairs without names.
        backend: the engine that it was measured with.
    """

    thresholds: Annotated[tuple[Threshold, ...], msgspec.Meta(min_length=1)]
    data: str
    data_fingerprint: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    genuine: Annotated[int, msgspec.Meta(ge=1)]
    impostors: Annotated[int, msgspec.Meta(ge=1)]
    identities: Annotated[int, msgspec.Meta(ge=0)]
    backend: str

    def __post_init__(self) -> None:
        fars, scores = [t.far for t in self.thresholds], [t.score for t in self.thresholds]
        if fars != sorted(set(fars), reverse=True) or scores != sorted(scores):
            raise ValueError(f"thresholds must go from lenient to strict, got FAR {fars} at scores {scores}")


class Recognition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="recognition"):
    """What a recogniser needs and gives.

    Attributes:
        embedding_size: length of the embedding.
        normalized: whether the graph already divides the embedding by its L2 norm.
        template: where the five landmarks must lie in the input, in its pixels.
        calibration: thresholds measured with exactly this file; absent until they are.
        compatible: other precisions of the same network whose embeddings were shown to decide alike with this file's;
            absent until there are any.
    """

    embedding_size: Annotated[int, msgspec.Meta(ge=1, le=65536)]
    normalized: bool = True
    template: FivePoints = ARCFACE_TEMPLATE
    # absent, not null, so that a release that does not know them still reads the files that have none
    calibration: Calibration | msgspec.UnsetType = msgspec.UNSET
    compatible: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="detection"):
    """What a detector needs and gives.

    Attributes:
        decoder: how raw outputs become faces. ``pixels``: nothing is left to do; the graph gives scores
            ``(B, N)`` in 0..1, boxes ``(B, N, 4)`` xyxy, landmarks ``(B, N, 5, 2)`` and rotations
            ``(B, N, 3, 3)`` in pixels of the input. ``yunet``: the twelve maps of YuNet.
        score_threshold: lowest score of a face, unless the caller says otherwise.
        nms_iou: of two boxes that overlap by more than this IoU, the better one stays.
    """

    decoder: Literal["pixels", "yunet"] = "pixels"
    score_threshold: Share = 0.5
    nms_iou: Share = 0.4


Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Rehearsal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The training in which weights learnt to lose less in 8 bits.

    Attributes:
        weights: hex SHA-256 of the file of weights that it gave.
        data: fingerprint of each set of pictures.
        pictures: number of those that were drawn.
        steps: of the optimiser.
        ranges: number of the file's tensors that have the range that they had in training, not a measured one.
    """

    weights: Sha256
    data: tuple[Sha256, ...]
    pictures: Annotated[int, msgspec.Meta(ge=1)]
    steps: Annotated[int, msgspec.Meta(ge=1)]
    ranges: Annotated[int, msgspec.Meta(ge=0)] = 0


class Quantization(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a file was made smaller, and from what.

    Attributes:
        recipe: its name, by the grammar of :mod:`pocketface.quantize.recipe`.
        parent: hex SHA-256 of the float file.
        kept: layers that stayed in float, by their names in the deployed network.
        calibration: hex SHA-256 over the pictures, as the network takes them, that gave activations their ranges;
            absent where a recipe needs none.
        pictures: number of them.
        equalized: whether the ranges of the float network's channels were made alike first, which changes no answer.
        trained: the training that the weights went through in between; absent where they are the float file's.
    """

    recipe: str
    parent: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    kept: tuple[str, ...] = ()
    calibration: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")] | msgspec.UnsetType = msgspec.UNSET
    pictures: Annotated[int, msgspec.Meta(ge=0)] = 0
    equalized: bool = False
    trained: Rehearsal | msgspec.UnsetType = msgspec.UNSET


class ModelContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that a program must know about a model file.

    Attributes:
        schema: version of this schema; other versions are refused.
        model: the architecture's name in the registry.
        task: what the model does, with the constants of that task.
        input: the picture that goes in.
        outputs: what an output means -> the output tensor's name.
        precision: of the weights and the arithmetic: ``float32``, ``float16``, ``int8``; ``int8_weights``,
            ``int8_dynamic``, ``palette6`` where only weights are stored so.
        fingerprint: hex SHA-256 over the network's weights, of a recogniser over those that make the embedding.
            Embeddings may be compared only between models of one fingerprint.
        weights: where the weights come from: ``seeded:N`` or a file's name.
        trained: false as long as the weights are seeded; what such a model says means nothing.
        parameters: number of parameters as deployed.
        macs: multiply-accumulates of one picture at ``input.height`` x ``input.width``.
        license: SPDX identifier of the weights' licence.
        producer: name and version of the exporter.
        quantization: how it was quantized; absent from float files.
    """

    schema: int = SCHEMA_VERSION
    model: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    task: Recognition | Detection
    input: InputSpec
    outputs: dict[str, str]
    precision: str = "float32"
    fingerprint: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    weights: str
    trained: bool
    parameters: Annotated[int, msgspec.Meta(ge=0)] = 0
    macs: Annotated[int, msgspec.Meta(ge=0)] = 0
    license: str = "Apache-2.0"
    producer: str = ""
    quantization: Quantization | msgspec.UnsetType = msgspec.UNSET

    def __post_init__(self) -> None:
        if self.schema != SCHEMA_VERSION:
            raise ValueError(f"schema version {self.schema} is unknown, this release reads {SCHEMA_VERSION}")
        needed = _NEEDED_OUTPUTS[_decoding(self.task)]
        if missing := needed - self.outputs.keys():
            raise ValueError(f"outputs lack {sorted(missing)}, they name only {sorted(self.outputs)}")

    @property
    def task_name(self) -> str:
        """``recognition`` or ``detection``."""
        return str(self.task.__struct_config__.tag)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces; the same contract always gives the same text."""
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelContract:
        """Read a contract.

        Raises:
            InvalidContract: the text is not JSON, or not a contract that this release knows.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as e:
            raise InvalidContract(f"not a valid model contract: {e}") from e


def _decoding(task: Recognition | Detection) -> str:
    return task.decoder if isinstance(task, Detection) else "embedding"


_NEEDED_OUTPUTS: dict[str, set[str]] = {
    "embedding": {"embedding"},
    "pixels": {"scores", "boxes", "landmarks"},
    "yunet": {f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32)},
}
