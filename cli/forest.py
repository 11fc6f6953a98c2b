"""``pocketface forest``: train the forest that screens faces by box and landmarks."""

from __future__ import annotations

from pathlib import Path

import click

from .output import PATH, as_json, console, show_facts, threads
from .progress import training_bar


@click.command()
@click.option("--data", type=PATH, required=True, help="Aligned crops: a folder or tar.")
@click.option("--recognizer", type=PATH, required=True, help="Exported recogniser that the faces are meant for.")
@click.option("--detector", type=PATH, required=True, help="Exported detector whose landmarks the forest will see.")
@click.option("--scenes", type=click.IntRange(100), default=12_000, show_default=True, help="Pictures to search.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of scenes and forest.")
@click.option("--store", type=PATH, help="Folder for decoded crops; trainings can share it. Default: crops in --out.")
@click.option("--out", type=PATH, required=True, help="Folder for forest.npz and forest.onnx.")
@threads
@as_json
def forest(
    data: Path,
    recognizer: Path,
    detector: Path,
    scenes: int,
    seed: int,
    store: Path | None,
    out: Path,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train a forest that tells from box and landmarks how useful a face will be to a recogniser.

    Crops are shown small, turned and spoiled; the cosine between what the detector finds of a face and the person's
    prototype is what the forest learns. A fifth of the scenes, of other people, tells how well it does.
    """
    import numpy as np

    from ..artifact import atomic
    from ..evaluate.data.opening import open_images
    from ..evaluate.known import adopt
    from ..evaluate.rank_correlation import spearman
    from ..export.forest_onnx import write_forest
    from ..runtime.detector import Detector
    from ..runtime.embedder import Embedder
    from ..train.crops import pack_crops
    from ..train.forest import grow, screen

    folder = store or out / "crops"
    with training_bar(console(), scenes) as bar:
        crops = pack_crops(open_images(data, aligned=True), folder / data.stem)
        found = screen(
            crops,
            Detector(adopt(detector, folder / "teachers"), threads=threads),
            Embedder(adopt(recognizer, folder / "teachers"), threads=threads),
            scenes=scenes,
            seed=seed,
            progress=lambda done, total: bar.work("searching scenes for faces", done, total),
        )
    held_out = found.people % 5 == 0
    model = grow(found.take(~held_out), seed=seed)
    said, utility = model.predict(found.features[held_out]), found.utility[held_out]
    with atomic(out / "forest.npz") as temporary:
        model.save(temporary)
    with atomic(out / "forest.onnx") as temporary:
        write_forest(model, temporary)
    facts = {
        "scenes": scenes,
        "faces": len(found.utility),
        "nodes": len(model.feature),
        "held_out": int(held_out.sum()),
        "spearman": spearman(said, utility),
        "mean_error": float(np.abs(said - utility).mean()),
        "mean_error_of_a_constant": float(np.abs(utility - np.median(utility)).mean()),
        "forest": str(out / "forest.npz"),
        "onnx": str(out / "forest.onnx"),
    }
    show_facts(facts, as_json)


COMMANDS = (forest,)
