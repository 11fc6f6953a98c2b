"""From a recipe and data to a running training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..artifact import atomic
from ..errors import InvalidData
from ..evaluate.data.opening import open_images
from ..evaluate.known import adopt
from ..models import create_model, model_spec
from ..models.checkpoint import load_weights
from ..runtime.embedder import Embedder
from .crops import CropStore, Deck, pack_crops
from .distill import Distillation
from .loop import Progress, run
from .ranks import Ranks
from .recipes import Distill, Recipe, recipe_to_json
from .teachers import combine, teach

#: Told what is being done, and how much of it.
Work = Callable[[str, int, int], None]


def train(
    recipe: Recipe,
    data: Sequence[Path],
    out: Path,
    *,
    teachers: Sequence[Path] = (),
    weights: Path | None = None,
    store: Path | None = None,
    work: Work = lambda what, done, total: None,
    progress: Progress = lambda step, losses: None,
) -> Path:
    """Prepare the data, then train; what was prepared or trained before is taken up.

    Args:
        recipe: what and how.
        data: aligned crops: folders per identity, tar files or folders of tar shards.
        out: folder of the run.
        teachers: ONNX recognisers, for distillation.
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
    out.mkdir(parents=True, exist_ok=True)
    store = store or out / "crops"
    stores = [_store(path, store, work) for path in data]
    ranks = Ranks.from_environment()
    deck = Deck(stores, recipe.batch, recipe.settings.seed, ranks.index, ranks.count)
    task = _distillation(recipe, deck, teachers, weights, store, work)
    if ranks.first:
        with atomic(out / "recipe.json") as temporary:
            temporary.write_text(recipe_to_json(recipe))
    return run(task, recipe.settings, out, progress=progress)


def _store(path: Path, folder: Path, work: Work) -> CropStore:
    images = open_images(path, aligned=True)
    return pack_crops(
        images, folder / path.stem, progress=lambda done, total: work(f"decoding {path.name}", done, total)
    )


def _distillation(
    recipe: Distill, deck: Deck, teachers: Sequence[Path], weights: Path | None, folder: Path, work: Work
) -> Distillation:
    if not teachers:
        raise InvalidData("a distillation needs a teacher: name an ONNX recogniser with --teacher")
    said = []
    for file in teachers:
        teacher = Embedder(adopt(file, folder / "teachers"), threads=1)
        said.append(np.concatenate([_taught(store, teacher, work) for store in deck.stores]))
    torch.manual_seed(recipe.settings.seed)
    backbone = create_model(recipe.network)
    if weights:
        load_weights(backbone, weights)
    targets = combine(said, model_spec(recipe.network).embedding_size or 0, recipe.settings.seed)
    return Distillation(backbone, deck, targets, recipe.augmentation, recipe.relational)


def _taught(store: CropStore, teacher: Embedder, work: Work) -> NDArray[np.float32]:
    what = f"{teacher.contract.model} on {store.folder.name}"
    return teach(store, teacher, progress=lambda done, total: work(what, done, total))
