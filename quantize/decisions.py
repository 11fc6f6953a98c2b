"""What quantization does to decisions about people: TAR that is lost, and pairs that are decided otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..artifact import Artifact
from ..errors import InvalidData
from ..evaluate.cache import Cache
from ..evaluate.data import PairSet
from ..evaluate.gate import FIGURES as MEASURED
from ..evaluate.gate import Condition
from ..evaluate.verification import Data, images_of
from ..evaluate.verification_run import run_verification
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .fidelity import FIGURES
from .pictures import Pictures, digests_of, plain, prepare_pictures, refuse_shared

#: What only a set with identities or pairs can tell.
DECISIONS = tuple(figure for figure in MEASURED if figure not in FIGURES["recognition"])
#: Pictures that layers are chosen on: as many as say where the first percentile of the cosine lies.
TO_CHOOSE = 128


@dataclass(frozen=True)
class Decisions:
    """A set of pictures of known people, or of pairs, to decide on with both files.

    Attributes:
        data: the set.
        detector: for pictures that are not aligned.
        cache: keeps embeddings.
        backend: name of the engine; None for the first that can run the files.
    """

    data: Data
    detector: Detector | None = None
    cache: Cache | None = None
    backend: str | None = None

    def require_apart(self, calibration: Pictures) -> None:
        """Refuse a set that shares a picture or a person with the calibration.

        Raises:
            InvalidData: it does.
        """
        images = images_of(self.data)
        wanted = set(calibration.digests)
        shared = [name for name, digest in digests_of(images) if digest in wanted]
        people = {plain(sample.identity) for sample in images.samples if sample.identity}
        refuse_shared(calibration.name, images.name, len(shared), calibration.identities & people)

    @property
    def told(self) -> str:
        """What a verdict rests on, in words."""
        images = images_of(self.data)
        people = len({sample.identity for sample in images.samples if sample.identity})
        return f"{len(images):,} pictures of {people:,} people of {images.name}"

    def pictures(self, file: Artifact) -> Pictures:
        """Some of its pictures as a file takes them, to choose layers on.

        Raises:
            InvalidData: too few that can be used.
        """
        return prepare_pictures(images_of(self.data), file, self.detector, count=TO_CHOOSE)

    def compare(self, files: Sequence[Artifact], progress: Callable[[str], None]) -> list[dict[str, float]]:
        """Figures of each file, the first being what the others are held to, as ``evaluate verification`` has them.

        Returns:
            ``tar`` of all, at ``far``; of the others also how their decisions differ from the first one's.

        Raises:
            InvalidData: too few pairs for any false accept rate.
        """
        embedders = [Embedder(file, backend=self.backend, threads=1) for file in files]
        options = {"detector": self.detector, "cache": self.cache, "progress": progress}
        drifts = run_verification(self.data, embedders, **options).drifts  # type: ignore[arg-type]
        drops = [next(drop for drop in drift.tar if drop.far == drift.far) for drift in drifts]
        first = {"tar": drops[0].first, "far": drops[0].far}
        return [first, *({"tar": d.other, "far": d.far, **f.figures} for d, f in zip(drops, drifts, strict=True))]


def some_people(data: Data, count: int, seed: int = 0) -> Data:
    """A smaller set of the same kind: all pictures of people drawn at random, until there are ``count`` pictures.

    Raises:
        InvalidData: a list of pairs, which is judged as it stands.
    """
    if isinstance(data, PairSet):
        raise InvalidData(f"{data.images.name}: a list of pairs is judged as a whole; give it without a limit")
    people = dict.fromkeys(sample.identity for sample in data.samples)
    order = [list(people)[i] for i in np.random.default_rng(seed).permutation(len(people))]
    sizes = np.cumsum([sum(sample.identity == one for sample in data.samples) for one in order])
    taken = set(order[: int(np.searchsorted(sizes, count)) + 1])
    return data.derive(f"at least {count}", [sample for sample in data.samples if sample.identity in taken])


def split_gate(gate: Sequence[Condition], decides: bool) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """The conditions about answers, which every trial is held to, and those about decisions, which the result is.

    Raises:
        InvalidData: some are about decisions, and there is no set to decide on.
    """
    about = tuple(condition for condition in gate if condition.figure in DECISIONS)
    if about and not decides:
        named = ", ".join(condition.figure for condition in about)
        raise InvalidData(f"{named}: only pictures of known people, or pairs, can tell; name some that judge")
    return tuple(condition for condition in gate if condition not in about), about
