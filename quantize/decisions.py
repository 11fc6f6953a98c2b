"""What quantization does to decisions about people: TAR that is lost, and pairs that are decided otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..artifact import Artifact
from ..errors import InvalidData
from ..evaluate.cache import Cache
from ..evaluate.gate import FIGURES as MEASURED
from ..evaluate.gate import Condition
from ..evaluate.verification import Data, images_of
from ..evaluate.verification_run import run_verification
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .fidelity import FIGURES
from .pictures import Pictures, digests_of, plain, refuse_shared

#: What only a set with identities or pairs can tell.
DECISIONS = tuple(figure for figure in MEASURED if figure not in FIGURES["recognition"])


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

    def figures(self, parent: Artifact, child: Artifact, progress: Callable[[str], None]) -> dict[str, float]:
        """How the child's decisions differ from the parent's, as ``evaluate verification`` measures it.

        Raises:
            InvalidData: too few pairs for any false accept rate.
        """
        files = [Embedder(file, backend=self.backend, threads=1) for file in (parent, child)]
        options = {"detector": self.detector, "cache": self.cache, "progress": progress}
        return run_verification(self.data, files, **options).drifts[0].figures  # type: ignore[arg-type]


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
