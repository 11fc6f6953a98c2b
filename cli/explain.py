"""`explain`: which pixels of two faces make them match."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import PATH, as_json, backend, command_line, console, show_report, threads

if TYPE_CHECKING:
    from ..evaluate.data import Image as Pixels
    from ..evaluate.explain import Saliency
    from ..report import Report
    from ..runtime.embedder import Embedder


@click.command()
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--recognizer", type=PATH, required=True, help="Exported recogniser, in any format.")
@click.option("--detector", type=PATH, help="Exported detector. Without it, pictures must be crops on the template.")
@click.option("--against", type=PATH, help="A picture of somebody else: explain what tells A and B from them.")
@click.option("--masks", type=click.IntRange(1), default=500, show_default=True, help="More give a smoother map.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the masks' places.")
@backend
@threads
@click.option("--out", type=PATH, required=True, help="Folder for the report, the pictures and the maps.")
@as_json
def explain(
    a: Path,
    b: Path,
    recognizer: Path,
    detector: Path | None,
    against: Path | None,
    masks: int,
    seed: int,
    backend: str | None,
    threads: int | None,
    out: Path,
    as_json: bool,
) -> None:
    """Show which pixels of A make it match B, and which of B make it match A.

    Spots of the picture are blurred, one at a time, and what each costs in similarity is laid down where it was. The
    500 masks of an interactive run give the outline; the paper draws 6,500. The report holds the faces: keep it as
    you would keep the pictures.
    """
    from ..evaluate.explain import Masking, explain_match
    from ..runtime.detector import Detector
    from ..runtime.embedder import Embedder

    embedder = Embedder(recognizer, backend=backend, threads=threads)
    finder = Detector(detector, backend=backend, threads=threads) if detector else None
    crops = {path: _crop(path, embedder, finder) for path in filter(None, (a, b, against))}
    vectors = {path: embedder.embed(crop)[0] for path, crop in crops.items()}
    other = vectors[against] if against else None
    found = {}
    with console().status("") as status:
        for path, mate in ((a, b), (b, a)):

            def tell(done: int, total: int, name: str = path.name) -> None:
                status.update(f"explaining {name}: {done} of {total} masks")

            masking = Masking(masks=masks, seed=seed)
            found[path] = explain_match(
                crops[path], vectors[mate], embedder.embed, non_mate=other, masking=masking, progress=tell
            )
    report = _report(found, crops, embedder, against, seed)
    _save(found, crops, out)
    show_report(report, as_json, out)


def _crop(path: Path, embedder: Embedder, detector: Any) -> Pixels:
    from ..errors import InvalidImage
    from ..evaluate.crops import Cropper
    from ..evaluate.data import Sample
    from ..runtime.images import load_image

    image = load_image(path)
    crop = Cropper(embedder, detector)(Sample(path.name, lambda: image, aligned=detector is None))
    if isinstance(crop, str):
        cure = "take another picture" if detector else "name a detector with --detector"
        raise InvalidImage(f"{path}: pictures like this {crop}; {cure}")
    return crop


def _report(
    found: dict[Path, Saliency], crops: dict[Path, Pixels], embedder: Embedder, against: Path | None, seed: int
) -> Report:
    import numpy as np
    from PIL import Image

    from ..draw import contact_sheet, encode
    from ..evaluate.explain import overlay
    from ..report import Column, Picture, Report, Section, artifact_section

    columns = [Column(key="picture", name="picture")]
    columns += [Column(key="similarity", name="similarity", kind="number", spec=".4f")]
    columns += [Column(key="largest_loss", name="most that one spot costs", kind="number", spec=".4f")]
    columns += [Column(key=key, name=key, kind="number") for key in ("masks", "seed")]
    rows: list[dict[str, Any]] = []
    pictures = []
    for path, saliency in found.items():
        rows.append({"picture": path.name, "similarity": saliency.similarity, "seed": seed, "masks": saliency.masks})
        rows[-1]["largest_loss"] = saliency.largest_loss
        glow = overlay(crops[path], saliency.map)
        seen = np.asarray(Image.fromarray(crops[path]).resize((glow.shape[1], glow.shape[0]), Image.Resampling.BICUBIC))
        pictures.append(
            Picture(f"{path.name}, and what the match rests on", encode(contact_sheet([seen, glow]), "JPEG"))
        )
    names = " and ".join(path.name for path in found)
    notes = ["Light is important. Each map has its own scale: compare places within a map, not brightness between two."]
    if against:
        notes.append(f"What {against.name} shares with them is left out: the maps show what tells it from them.")
    section = Section(title="What it rests on", columns=columns, rows=rows, notes=notes, pictures=pictures)
    return Report(
        title=f"What makes {names} alike",
        summary="Spots of each face were blurred one at a time, and the loss of similarity laid down where they were.",
        command=command_line(),
        sections=[section, artifact_section([embedder.artifact])],
    )


def _save(found: dict[Path, Saliency], crops: dict[Path, Pixels], out: Path) -> None:
    """The overlays as pictures and the maps as numbers, named a and b."""
    import numpy as np

    from ..artifact import atomic
    from ..draw import encode
    from ..evaluate.explain import overlay

    for name, (path, saliency) in zip("ab", found.items(), strict=False):
        with atomic(out / f"{name}.png") as temporary:
            temporary.write_bytes(encode(overlay(crops[path], saliency.map)))
    maps = {name: saliency.map for name, saliency in zip("ab", found.values(), strict=False)}
    with atomic(out / "saliency.npz") as temporary, temporary.open("wb") as file:
        np.savez(file, **maps)


COMMANDS = (explain,)
