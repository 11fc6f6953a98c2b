"""Train a forest that tells from box and landmarks how useful a face will be to a recogniser. Nobody labels anything.

A crop is shown as a camera might have it, small, turned and spoiled, somewhere in a picture; the detector finds it, and
the recogniser's cosine between what was found and the person's prototype is what the forest shall say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import InvalidData, InvalidGeometry, MissingExtra
from ..runtime.detector import DetectedFace, Detector
from ..runtime.embedder import Embedder
from ..runtime.forest import Forest
from ..runtime.landmark_features import landmark_features
from .augment import Augmentation, Pixels, augment
from .crops import CropStore
from .recognizability import Floats, prototypes_of

#: Told how many scenes are done, and of how many.
Progress = Callable[[int, int], None]

#: Smallest and largest side of a crop in a scene, in pixels; every size in between on a logarithmic scale is as likely.
SIDES = (16, 128)
SCENE = 192
TREES, DEPTH, LEAF = 64, 8, 8
_SPOILED = 0.4
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Screened:
    """Faces that a detector found in scenes.

    Attributes:
        features: ``(N, F) float32``.
        utility: ``(N,) float32`` in 0..1: cosine with the own prototype, or 0 if that is negative.
        people: ``(N,) int64`` number of the identity.
    """

    features: Floats
    utility: Floats
    people: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> Screened:
        """Some of them."""
        return Screened(self.features[chosen], self.utility[chosen], self.people[chosen])


def scene_of(crop: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture of ``SCENE`` pixels with a face in it: of any size, turned a little, in two of five cases spoiled."""
    crop = augment(crop, Augmentation(rotate_deg=8.0, spoil=_SPOILED, worst=4.0), rng)
    side = round(float(np.exp(rng.uniform(*np.log(SIDES)))))
    small = Image.fromarray(crop).resize((side, side), Image.Resampling.BOX if side < 112 else Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (SCENE, SCENE), tuple(int(v) for v in crop.reshape(-1, 3).mean(0)))
    left, top = rng.integers(0, SCENE - side + 1, 2).tolist()
    canvas.paste(small, (left, top))
    pixels: Pixels = np.asarray(canvas)
    return pixels


def screen(
    store: CropStore,
    detector: Detector,
    embedder: Embedder,
    *,
    scenes: int,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Screened:
    """Show crops in scenes, and measure what the recogniser can make of the faces found.

    Args:
        store: the crops; of unknown identities each is its own prototype.
        detector: whose landmarks the forest will see.
        embedder: the recogniser.
        scenes: number of them; each crop comes once before any comes again.
        seed: of all randomness.
        progress: told about the scenes.

    Raises:
        InvalidData: too few faces found to train anything.
    """
    template = np.array(embedder.task.template, np.float32) * (store.pixels.shape[1] / embedder.size[0])
    clean = _embedded(
        embedder, [embedder.align(np.array(crop), template) for crop in store.pixels[: min(len(store), scenes)]]
    )
    prototypes, own = prototypes_of(clean, store.labels[: len(clean)])
    order = np.random.default_rng([seed, 4]).permutation(len(clean))
    features: list[Floats] = []
    said: list[float] = []
    people: list[int] = []
    for first in range(0, scenes, _AT_ONCE):
        faces, crops, whose = [], [], []
        for number in range(first, min(first + _AT_ONCE, scenes)):
            who = int(order[number % len(clean)])
            image = scene_of(store.pixels[who], np.random.default_rng([seed, number, 5]))
            if (found := _found(image, detector, embedder)) is not None:
                faces.append(found[0])
                crops.append(found[1])
                whose.append(int(own[who]))
        features += [landmark_features(face) for face in faces]
        people += whose
        said += (_embedded(embedder, crops) * prototypes[whose]).sum(1).tolist() if faces else []
        progress(min(first + _AT_ONCE, scenes), scenes)
    if len(features) < 10 * LEAF:
        raise InvalidData(f"a face is found in only {len(features)} of {scenes} scenes: too few for a forest")
    return Screened(np.stack(features), np.clip(said, 0, 1).astype(np.float32), np.array(people, np.int64))


def grow(screened: Screened, *, trees: int = TREES, depth: int = DEPTH, leaf: int = LEAF, seed: int = 0) -> Forest:
    """A random forest that predicts the utility.

    Args:
        screened: the faces.
        trees: number of them.
        depth: the deepest.
        leaf: fewest faces in a leaf.
        seed: of the forest.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped]
    except ImportError as e:
        raise MissingExtra("scikit-learn", "train", "train a forest") from e
    model = RandomForestRegressor(trees, max_depth=depth, min_samples_leaf=leaf, max_features=0.5, random_state=seed)
    return flatten(model.fit(screened.features, screened.utility))


def flatten(model: object) -> Forest:
    """scikit-learn's trees one after the other; their nodes are in preorder already.

    Thresholds there are float64 and features float32, so each threshold may be rounded down to float32 without any
    face going another way.
    """
    roots: list[int] = []
    nodes: list[NDArray[np.float64]] = []  # per tree (N, 4): feature, threshold, right child, value
    for tree in (estimator.tree_ for estimator in model.estimators_):  # type: ignore[attr-defined]
        inner, here = tree.children_left >= 0, np.arange(tree.node_count)
        assert (tree.children_left[inner] == here[inner] + 1).all(), "not in preorder"
        above = sum(map(len, nodes))
        right = np.where(inner, tree.children_right, here) + above
        leaf = np.where(inner, 0, tree.value[:, 0, 0])
        threshold = np.where(inner, tree.threshold, 0)
        nodes.append(np.column_stack([np.where(inner, tree.feature, -1), threshold, right, leaf]))
        roots.append(above)
    feature, threshold, right, value = np.concatenate(nodes).T
    return Forest(
        np.array(roots, np.int32),
        feature.astype(np.int8),
        _rounded_down(threshold),
        right.astype(np.int32),
        value.astype(np.float32),
    )


def _rounded_down(values: NDArray[np.float64]) -> Floats:
    near = values.astype(np.float32)
    down: Floats = np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
    return down


def _found(image: Pixels, detector: Detector, embedder: Embedder) -> tuple[DetectedFace, Pixels] | None:
    """The best face of a picture and its crop."""
    for face in detector.detect(image, max_faces=1):
        try:
            return face, embedder.align(image, face.landmarks)
        except InvalidGeometry:
            return None
    return None


def _embedded(embedder: Embedder, crops: list[Pixels]) -> Floats:
    parts = [embedder.embed(crops[i : i + _AT_ONCE]) for i in range(0, len(crops), _AT_ONCE)]
    vectors: Floats = np.concatenate(parts)
    return vectors
