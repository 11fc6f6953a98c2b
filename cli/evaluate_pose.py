"""`evaluate pose`: how far are the angles of the head off?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .evaluate_output import exported, finish, out
from .output import PATH, as_json, backend, console, threads


@click.command()
@click.argument("data", type=PATH)
@exported("detector")
@click.option("--size", type=click.IntRange(1), help="Side of the square test size. Default: the contract's size.")
@click.option("--strict", is_flag=True, help="Stop if a picture or its .mat is missing or damaged.")
@out
@backend
@threads
@as_json
def pose(
    data: Path,
    models: Sequence[Path],
    size: int | None,
    strict: bool,
    out: Path | None,
    backend: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure head pose on DATA, a folder like AFLW2000-3D: pictures, each with a .mat of its pose.

    Yaw, pitch and roll: mean absolute errors in degrees, and the mean angle of the rotation between the annotated and
    the estimated pose. Pictures with an angle beyond 99 degrees are left out and counted. The detector sees whole
    pictures; those in which it does not find the face have no error, and are counted.
    """
    from ..artifact import load_artifact
    from ..errors import InvalidData
    from ..evaluate.headpose import evaluate_pose, read_aflw2000
    from ..evaluate.headpose_table import pose_facts, pose_section

    pictures, results = read_aflw2000(data, strict=strict), []
    with console().status("") as status:
        for model in models:

            def progress(done: int, of: int, name: str = model.name) -> None:
                status.update(f"{name}: {done} of {of} pictures")

            artifact, square = load_artifact(model), (size, size) if size else None
            results.append(
                evaluate_pose(artifact, pictures, backend=backend, threads=threads, size=square, progress=progress)
            )
            if strict and results[-1].problems:
                raise InvalidData(f"{results[-1].problems[0]}; leave out --strict to go on without")
    facts, artifacts = [pose_facts(r) for r in results], [r.artifact for r in results]
    title = f"Head pose on {pictures.name}"
    finish(title, [pose_section(results)], facts, artifacts, out=out, as_json=as_json)
