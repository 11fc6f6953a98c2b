"""From a recipe and data to a running training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidData
from ..evaluate.aligned import aligned_crops
from ..evaluate.data import ImageSet
from ..evaluate.data.opening import open_images
from ..evaluate.known import adopt
from ..models import create_model, model_spec
from ..models.checkpoint import load_weights
from ..runtime.detector import Detector
from ..runtime.embedder import Embedder
from .blends import blends
from .classify import Classification
from .crops import CropStore, Deck, is_store, open_crops, pack_crops
from .detect.recipe import Detect
from .detect.start import train_detector
from .distill import Distillation
from .fronts import look
from .identifying import identifying, leave_cleaning
from .identity_recipes import Identities
from .judging import judging
from .loop import Progress, Task, run
from .ranks import Ranks
from .rec import holds_records, open_rec
from .recipes import Distill, OfCrops, QuantizationAware, Recipe, Recognizability, recipe_to_json
from .record import leave_record
from .rounding import Rounding, record_of, rounding
from .teachers import combine, teach

#: Told what is being done, and how much of it.
Work = Callable[[str, int, int], None]


def train(
    recipe: Recipe,
    data: Sequence[Path],
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    detector: Path | None = None,
    weights: Path | None = None,
    store: Path | None = None,
    work: Work = lambda what, done, total: None,
    progress: Progress = lambda step, losses: None,
) -> Path:
    """Prepare the data, then train; what was prepared or trained before is taken up.

    Args:
        recipe: what and how.
        data: aligned crops: folders per identity, tar files, folders of tar shards, InsightFace's ``.rec``, or what is
            in an earlier run's ``store``; for a detector one folder of scenes that ``pocketface scenes label`` made.
        out: folder of the run.
        teachers: ONNX recognisers, for distillation; for identities, the weights of the recipe's teacher.
        detector: an exported one that aligns the faces of pictures which are not aligned; None where all are.
        weights: to begin with instead of random ones.
        store: folder for decoded crops and the teachers' answers, which several runs may share; None for ``out/crops``.
        work: told about the preparation.
        progress: told after each step.

    Returns:
        The file with the weights that ship.

    Raises:
        InvalidData: data that cannot be used, no teacher for a distillation, or a folder of another run.
        InvalidModel: a teacher or weights that cannot be used.
    """
    if isinstance(recipe, Detect):
        return train_detector(recipe, _only(data), out, weights=weights, progress=progress)
    out.mkdir(parents=True, exist_ok=True)
    store = store or out / "crops"
    finder = Detector(detector, threads=1) if detector else None
    stores = [_store(path, store, finder, work) for path in data]
    if isinstance(recipe, Distill) and recipe.blends:
        stores = [*stores, *(_packed(images, store / images.name, work) for images in blends(stores, recipe.blends))]
    ranks = Ranks.from_environment()
    deck = Deck(stores, recipe.batch, recipe.settings.seed, ranks.index, ranks.count)
    task = _task(recipe, deck, ranks, teachers, weights, store, work)
    if ranks.first:
        with atomic(out / "recipe.json") as temporary:
            temporary.write_text(recipe_to_json(recipe))
    file = run(task, recipe.settings, out, progress=progress)
    if ranks.first and isinstance(recipe, QuantizationAware) and isinstance(task, Rounding) and weights:
        leave_record(record_of(recipe, weights, deck, task), out)
    if isinstance(recipe, Identities) and isinstance(task, Classification) and recipe.centres > 1 and ranks.count == 1:
        leave_cleaning(task, out / "kept.csv")
    return file


def _only(data: Sequence[Path]) -> Path:
    if len(data) != 1:
        raise InvalidData(f"got {len(data)} folders of data; a detector learns from one, by pocketface scenes label")
    return data[0]


def _store(path: Path, folder: Path, finder: Detector | None, work: Work) -> CropStore:
    if is_store(path):
        return open_crops(path)
    images = open_rec(path) if holds_records(path) else open_images(path, aligned=finder is None)
    return _packed(aligned_crops(images, finder, keep_bytes=0), folder / path.stem, work)


def _packed(images: ImageSet, folder: Path, work: Work) -> CropStore:
    return pack_crops(images, folder, progress=lambda done, total: work(f"decoding {images.name}", done, total))


def _task(
    recipe: OfCrops,
    deck: Deck,
    ranks: Ranks,
    teachers: Sequence[Path],
    weights: Path | None,
    folder: Path,
    work: Work,
) -> Task:
    torch.manual_seed(recipe.settings.seed)
    network = create_model(recipe.network)
    if isinstance(recipe, Identities):
        if weights:
            load_weights(network, weights)
        return identifying(recipe, network, deck, teachers, _fronts(recipe, deck, folder, work))
    if isinstance(recipe, QuantizationAware):
        return rounding(recipe, network, weights, deck)
    targets = _targets(recipe, deck, teachers, folder, work)
    if isinstance(recipe, Recognizability):
        return judging(recipe, network, weights, deck, targets, ranks, work)
    if weights:
        load_weights(network, weights)
    return Distillation(network, deck, targets, recipe.augmentation, recipe.relational, recipe.similarity, recipe.bank)


def _fronts(recipe: Identities, deck: Deck, folder: Path, work: Work) -> NDArray[np.float32] | None:
    """How frontal each crop is, for a recipe that wants to know."""
    if not recipe.symmetry:
        return None
    if not recipe.detector:
        raise InvalidData("symmetry is for frontal faces, and a detector tells which are: --set detector=FILE")
    detector = Detector(adopt(Path(recipe.detector), folder / "detectors"))
    looked = []
    for store in deck.stores:
        what = f"{detector.contract.model} on {store.folder.name}"
        looked.append(look(store, detector, progress=partial(work, what)))
    return np.concatenate(looked)


def _targets(recipe: OfCrops, deck: Deck, teachers: Sequence[Path], folder: Path, work: Work) -> NDArray[np.float32]:
    """What all teachers together say of each crop."""
    if not teachers:
        raise InvalidData(f"{recipe.network} learns from a teacher: name an ONNX recogniser with --teacher")
    said = []
    for file in teachers:
        teacher = Embedder(adopt(file, folder / "teachers"), threads=1)
        said.append(np.concatenate([_taught(store, teacher, work) for store in deck.stores]))
    return combine(said, model_spec(recipe.network).embedding_size or 0)


def _taught(store: CropStore, teacher: Embedder, work: Work) -> NDArray[np.float32]:
    what = f"{teacher.contract.model} on {store.folder.name}"
    return teach(store, teacher, progress=lambda done, total: work(what, done, total))
