"""A file that is to be quantized, and all that is found out about it once: layers, ranges, its own answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from ..artifact import Artifact, load_artifact
from ..contract import ModelContract, Quantization, Recognition
from ..embedded import write_embedded
from ..errors import ExportError, InvalidData, PocketfaceError
from ..evaluate.crops import NO_FACE
from ..runtime.detector import Detector
from ..runtime.preprocess import to_tensor
from .decisions import Decisions
from .fidelity import Judge
from .formats import QUANTIZERS, layers_of
from .layers import BEFORE, BEHIND, Layer
from .pictures import Pictures, require_apart
from .policy import check_recipe, check_source, chosen_layers, effective, in_half
from .ranges import HALF_MAX, HALF_SHARE, Extremes, Range, at_risk
from .recipe import Recipe
from .trained import Trained

Progress = Callable[[str], None]


class Job:
    """One float file, one recipe, the pictures for its ranges and those that judge the result.

    Args:
        parent: the float file.
        recipe: how it is to be quantized.
        calibration: pictures for ranges: static recipes need them, and files that are to compute in half should have
            them, to keep in float32 what would overflow.
        judge: other pictures, of other people.
        backend: name of the engine that judges; None for the first that can run the files.
        decisions: a set of known people to decide on with both files, of whom none was calibrated on.
        source: a file that answers as ``parent`` does and is easier to quantize; None for ``parent`` itself.
        trained: one that was trained to be quantized, instead.
        progress: told in a few words what is being done.

    Raises:
        InvalidModel: the file is quantized already, or damaged.
        UnsupportedModel: the format or its engines cannot have the recipe.
        InvalidData: no pictures to calibrate on, or the two sets share some.
    """

    def __init__(
        self,
        parent: Artifact,
        recipe: Recipe,
        calibration: Pictures | None,
        judge: Pictures,
        *,
        backend: str | None = None,
        decisions: Decisions | None = None,
        source: Artifact | None = None,
        trained: Trained | None = None,
        progress: Progress = lambda step: None,
    ) -> None:
        check_source(parent)
        check_recipe(recipe, parent)
        if recipe.static and calibration is None:
            raise InvalidData(f"{recipe.name} needs pictures to calibrate on: activations have ranges")
        if calibration is not None:
            require_apart(calibration, judge)
            if decisions:
                decisions.require_apart(calibration)
        if trained:
            require_apart(trained.pictures, judge)
            if decisions:
                decisions.require_apart(trained.pictures)
        self.parent, self.recipe, self.progress = parent, effective(recipe, parent), progress
        self.calibration = calibration if recipe.static or in_half(recipe, parent) else None
        self.source, self.decisions = trained.source if trained else source or parent, decisions
        self.rehearsal = trained.rehearsal if trained else msgspec.UNSET
        self._learnt: Mapping[str, Range] = trained.ranges if trained else {}
        self.quantizer = QUANTIZERS[parent.format]
        self.layers = layers_of(self.source)
        self._pictures, self._backend = judge, backend

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """Of every tensor, as 8 bits are to cover it: learnt in training, or else measured; none where none is needed.

        Pixels, also normalised ones, keep all that was seen: 256 levels fit into 256 steps.
        """
        before, first, *_ = self.layers
        pixels = {name for operation in before.operations for name in (*operation.takes, *operation.gives)}
        pixels |= {*first.operations[0].takes}
        learnt = {name: found for name, found in self._learnt.items() if name not in pixels}
        return {**self._extremes.ranges(whole=pixels), **learnt}

    @cached_property
    def peaks(self) -> dict[str, float]:
        """Greatest absolute value of every tensor on the calibration pictures; none where the recipe needs none."""
        return self._extremes.peaks()

    @cached_property
    def _extremes(self) -> Extremes:
        if self.calibration is None:
            return Extremes()
        self.progress(f"ranges of {self.parent.path.name} on {len(self.calibration)} pictures")
        return measure_extremes(self.source, self.calibration)

    @cached_property
    def judge(self) -> Judge:
        """What the float file itself answers, to compare with."""
        self.progress(f"{self.parent.path.name} on {len(self._pictures)} pictures that judge")
        return Judge(self.parent, self._pictures.inputs, self._backend)

    @cached_property
    def at_risk(self) -> dict[str, float]:
        """Layers that might overflow in half -> their greatest absolute value on the calibration pictures."""
        if self.recipe.static or self.calibration is None:
            return {}
        layer_of = {operation.name: layer.name for layer in self.layers for operation in layer.operations}
        return at_risk(self.peaks, lambda tensor: layer_of.get(tensor, BEFORE))

    @property
    def forecast(self) -> list[str]:
        """What can be said beforehand of a file that is to compute in half: a sentence each; none for other files."""
        if not in_half(self.recipe, self.parent):
            return []
        if self.calibration is None:
            return ["Nobody looked whether half overflows in it: that takes pictures to calibrate on."]
        if self.at_risk:
            return [
                f"{layer} reaches {peak:.0f} and stays in float32: half ends at {HALF_MAX:.0f}"
                for layer, peak in self.at_risk.items()
            ]
        name, peak = max(self.peaks.items(), key=lambda item: item[1])
        return [
            f"No tensor exceeds {HALF_SHARE:.0%} of half's range on {len(self.calibration)} pictures: the largest is "
            f"{name} with {peak:.0f}, {peak / HALF_MAX:.1%} of it."
        ]

    def chosen(self, kept: Collection[str] = ()) -> list[Layer]:
        """The layers that are quantized if some more are kept in float."""
        left = {*kept, *self.at_risk}
        return [layer for layer in chosen_layers(self.recipe, self.parent, self.layers) if layer.name not in left]

    def kept(self, chosen: Collection[Layer]) -> tuple[str, ...]:
        """The layers that stay in float where the given ones are quantized."""
        names = {layer.name for layer in chosen}
        return tuple(layer.name for layer in self.layers if layer.name not in {*names, BEFORE, BEHIND})

    def build(self, chosen: Collection[Layer], path: Path) -> Artifact:
        """Write a file in which the given layers are quantized, with its contract inside.

        Raises:
            ExportError: the format's quantizer fails.
        """
        operations = {operation.name for layer in chosen for operation in layer.operations}
        try:
            self.quantizer.write(self.source.path, self.recipe, operations, self.ranges, path)
        except PocketfaceError:
            raise
        except Exception as e:  # three libraries, each with errors of its own
            raise ExportError(f"{self.parent.path.name} cannot be quantized with {self.recipe.name}: {e}") from e
        write_embedded(path, self.contract(chosen).to_json())
        return load_artifact(path)

    def contract(self, chosen: Collection[Layer]) -> ModelContract:
        """The parent's contract, as it holds for the child; what was measured with the parent alone is left out."""
        parent, spec = self.parent.contract, self.parent.contract.input
        how = Quantization(
            recipe=self.recipe.name,
            parent=self.parent.sha256,
            kept=self.kept(chosen),
            equalized=self.source is not self.parent and self.rehearsal is msgspec.UNSET,
            trained=self.rehearsal,
        )
        if self.calibration is not None:
            told = {"calibration": self.calibration.fingerprint, "pictures": len(self.calibration)}
            how = msgspec.structs.replace(how, **told)
        task = parent.task
        if isinstance(task, Recognition):
            task = msgspec.structs.replace(task, calibration=msgspec.UNSET, compatible=msgspec.UNSET)
        if self.recipe.io == "int8":
            spec = msgspec.structs.replace(spec, dtype="int8")
        changed = {"precision": self.recipe.precision, "quantization": how, "task": task, "input": spec}
        return msgspec.structs.replace(parent, **changed)


def measure_extremes(parent: Artifact, calibration: Pictures) -> Extremes:
    """Least and greatest values of every tensor of a float file, picture by picture.

    Raises:
        InvalidData: a detector finds no face in any of the pictures, so they are not what it will see.
    """
    if parent.contract.task_name == "detection":
        detector = Detector(parent, threads=1)
        if not any(detector.detect(image, max_faces=1) for image in calibration.inputs):
            raise InvalidData(f"{calibration.name}: its pictures {NO_FACE}; calibrate on pictures with faces")
    feeds = to_tensor(calibration.inputs, parent.contract.input)
    return QUANTIZERS[parent.format].extremes(parent.path, feeds, parent.contract.input.name)
