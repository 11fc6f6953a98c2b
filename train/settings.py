"""How long and how hard to train; what, is the task's own matter."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ..errors import InvalidData

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one run.

    Attributes:
        steps: of the optimiser.
        optimizer: ``adamw``, or ``muon``, which learns more in a step and takes longer for it, see
            :class:`~.optimizers.MuonAdamW`.
        learning_rate: at its highest.
        warmup: steps of linear rise from 0.
        decay: share of all steps, at the end, over which the rate falls linearly to 0. 1 is the polynomial schedule of
            power 1 that FaceLiVT was trained with; less keeps the rate at its height before, so that a run can be made
            longer from a checkpoint before its fall.
        weight_decay: of everything but norms and biases.
        clip: the gradient's norm; 0 for none.
        average: decay per step of the moving average of the weights, which then is what ships; 0 for none.
        precision: ``bfloat16`` computes convolutions and products in it, the rest in float32.
        channels_last: how pictures lie in memory; it is the faster way for most networks, but not for depthwise ones.
        workers: processes that make batches beside the training; 0 makes them in between.
        log_every, save_every: steps.
        seed: of weights and batches.
    """

    steps: Positive
    learning_rate: Annotated[float, msgspec.Meta(gt=0.0)]
    warmup: Annotated[int, msgspec.Meta(ge=0)] = 0
    decay: Share = 1.0
    weight_decay: Annotated[float, msgspec.Meta(ge=0.0)] = 0.01
    clip: Annotated[float, msgspec.Meta(ge=0.0)] = 5.0
    average: Share = 0.0
    optimizer: Literal["adamw", "muon"] = "adamw"
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    log_every: Positive = 20
    save_every: Positive = 500
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0 on."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        fall = max(1, round(self.steps * self.decay))
        return self.learning_rate * rise * min(1.0, (self.steps - step) / fall)

    def to_json(self) -> str:
        """Sorted keys."""
        return msgspec.json.encode(self, order="sorted").decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Settings:
        """Settings from their JSON.

        Raises:
            InvalidData: no such settings.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as e:
            raise InvalidData(f"not the settings of a training: {e}") from e

    def require_same_run(self, other: Settings) -> None:
        """Raise InvalidData where a run cannot go on from the other; lengths and rates may change from run to run."""
        for what in ("seed", "optimizer"):
            mine, its = getattr(self, what), getattr(other, what)
            if mine != its:
                raise InvalidData(f"the checkpoint was made with {what} {its}, not {mine}")
