"""Pictures as a file's network takes them: to calibrate it, or to judge what became of it, but never the same for both.

They go the way that the phone's pictures go: for a recogniser, photos are searched by a detector and the face is
aligned; for a detector they are scaled into its input. What they are is hashed, so that a result can say what it rests
on, and so that a set that judges can be told from the one that was calibrated on.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..artifact import Artifact
from ..contract import Detection
from ..errors import InvalidData, InvalidImage
from ..evaluate.crops import UNREADABLE, Cropper
from ..evaluate.data import Image, ImageSet, Sample, open_images
from ..evaluate.data.digest import digest_of
from ..evaluate.data.shelf import named
from ..evaluate.faces import bundled_portraits, inputs_for
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from ..runtime.preprocess import letterbox

#: Fewest pictures that ranges may rest on: with fewer, the next picture is likely to reach beyond them.
FEWEST = 32
#: Pictures that are taken unless more are asked for; the ranges of more hardly differ.
ENOUGH = 128


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures, ready for a network's input.

    Attributes:
        name: of the folder or set.
        inputs: ``(N, h, w, 3) uint8`` RGB.
        digests: hex SHA-256 of each picture's pixels, before anything was cut out of it.
        identities: who is in them, as far as that is known.
        problems: a sentence for each kind of picture that could not be used.
    """

    name: str
    inputs: NDArray[np.uint8]
    digests: tuple[str, ...]
    identities: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 over the inputs, in their order."""
        shape = "x".join(map(str, self.inputs.shape))
        return hashlib.sha256(shape.encode() + np.ascontiguousarray(self.inputs).tobytes()).hexdigest()


def open_pictures(
    path: Path,
    artifact: Artifact,
    *,
    detector: Detector | None = None,
    aligned: bool = False,
    identities: Path | None = None,
    count: int = ENOUGH,
    fewest: int = FEWEST,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pictures:
    """Draw pictures from a folder or tar file and prepare them for a file's input.

    Where people are known, each gives a picture before anyone gives a second one.

    Args:
        path: what ``evaluate`` takes: a folder, a tar file, a list of pairs.
        artifact: whose input they are for.
        detector: finds the faces, for a recogniser and pictures that are not aligned.
        aligned: whether they are square crops on the ArcFace template.
        identities: a JSON file, name of a picture -> identity, where no such file lies beside them.
        count: at most so many.
        fewest: at least so many, or it is an error.
        seed: of the draw.
        progress: told how many are ready, of how many.

    Raises:
        InvalidData: no such folder, no picture in it, too few that can be used, or no detector where one is needed.
    """
    images = open_images(path, identities=identities, aligned=aligned)
    return prepare_pictures(images, artifact, detector, count=count, fewest=fewest, seed=seed, progress=progress)


def prepare_pictures(
    images: ImageSet,
    artifact: Artifact,
    detector: Detector | None = None,
    *,
    count: int = ENOUGH,
    fewest: int = FEWEST,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pictures:
    """Draw pictures from a set that is open; arguments and errors are those of :func:`open_pictures`."""
    taken: list[tuple[Sample, str, Image]] = []
    failures = defaultdict[str, list[str]](list)
    prepare = _preparer(images, artifact, detector)
    for sample in drawn(images.samples, seed):
        if len(taken) == count:
            break
        made = prepare(sample)
        if isinstance(made, str):
            failures[made].append(sample.name)
        else:
            taken.append((sample, *made))
            progress(len(taken), min(count, len(images)))
    problems = tuple(f"{len(who)} pictures {reason}: {named(who)}" for reason, who in failures.items())
    if len(taken) < fewest:
        raise InvalidData(
            f"{images.name}: {len(taken)} of its {len(images)} pictures can be used, and at least {fewest} are needed"
            + "".join(f"; {problem}" for problem in problems)
        )
    return Pictures(
        images.name,
        np.stack([image for _, _, image in taken]),
        tuple(digest for _, digest, _ in taken),
        frozenset(plain(sample.identity) for sample, _, _ in taken if sample.identity),
        problems,
    )


def bundled_pictures(artifact: Artifact) -> Pictures:
    """The 48 bundled portraits, of people who do not exist."""
    portraits = bundled_portraits()
    digests = tuple(digest_of(portrait.image) for portrait in portraits)
    return Pictures("the bundled portraits", inputs_for(artifact.contract, portraits), digests)


def digests_of(images: ImageSet) -> Iterator[tuple[str, str]]:
    """Name and digest of every picture of a set that can be read."""
    for sample in images.samples:
        try:
            yield sample.name, digest_of(sample.read())
        except InvalidImage:
            continue


def require_apart(calibration: Pictures, judge: Pictures) -> None:
    """Refuse to judge a file by what it was calibrated on: its errors would look smaller than they are.

    Raises:
        InvalidData: the sets share a picture, byte for byte of its pixels, or a person.
    """
    shared = set(calibration.digests) & set(judge.digests)
    refuse_shared(calibration.name, judge.name, len(shared), calibration.identities & judge.identities)


def refuse_shared(calibration: str, judge: str, pictures: int, people: Collection[str]) -> None:
    """Refuse two sets that share pictures or people, if they do.

    Raises:
        InvalidData: they do.
    """
    shared = [f"{pictures} pictures"] if pictures else []
    shared += [f"{len(people)} people: {named(sorted(people))}"] if people else []
    if shared:
        raise InvalidData(
            f"{calibration} and {judge} share {' and '.join(shared)}; a file that is judged by what it was "
            "calibrated on looks better than it is: calibrate on other pictures of other people"
        )


def drawn(samples: Sequence[Sample], seed: int) -> Iterator[Sample]:
    """All samples in a random order in which everyone comes once before anyone comes twice.

    A sample without an identity counts as a person of its own.
    """
    rng = np.random.default_rng(seed)
    people = defaultdict[str, list[Sample]](list)
    for i in rng.permutation(len(samples)):
        people[samples[i].identity or f"\0{i}"].append(samples[i])
    for turn in zip_longest(*people.values()):
        yield from (sample for sample in turn if sample is not None)


def _preparer(
    images: ImageSet, artifact: Artifact, detector: Detector | None
) -> Callable[[Sample], tuple[str, Image] | str]:
    """Sample -> digest and input, or the reason why there is none."""
    if isinstance(artifact.contract.task, Detection):
        size = (artifact.contract.input.height, artifact.contract.input.width)
        return lambda sample: _read(sample, lambda: letterbox(sample.read(), size)[0])
    if detector is None and not all(sample.aligned for sample in images.samples):
        raise InvalidData(
            f"{images.name}: pictures that are not aligned need a detector; name one, or say that they are aligned if "
            "they are square crops on the ArcFace template"
        )
    cropper = Cropper(Embedder(artifact, threads=1), detector)
    return lambda sample: _read(sample, lambda: cropper(sample))


def _read(sample: Sample, prepare: Callable[[], Image | str]) -> tuple[str, Image] | str:
    try:
        made = prepare()
        return made if isinstance(made, str) else (digest_of(sample.read()), made)
    except InvalidImage:
        return UNREADABLE


def plain(identity: str | None) -> str:
    """A name in one spelling."""
    return " ".join((identity or "").casefold().replace("_", " ").split())
