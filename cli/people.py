"""``pocketface people``: pictures of people who do not exist, to learn from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from .output import PATH, as_json, console, show_facts, threads
from .progress import progress_bar


@click.command()
@click.argument("networks", type=PATH)
@click.option("--detector", type=PATH, required=True, help="Exported detector, which finds the faces.")
@click.option("--count", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="Seeds to try.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="First seed, a multiple of 500.")
@click.option("--whole", is_flag=True, help="Keep whole pictures with annotations, to train a detector with.")
@click.option("--out", type=PATH, required=True, help="Folder of the tars; the same folder goes on where it stopped.")
@threads
@as_json
def people(
    networks: Path,
    detector: Path,
    count: int,
    first: int,
    whole: bool,
    out: Path,
    threads: int | None,
    as_json: bool,
) -> None:
    """Make pictures of people who do not exist, to train with: aligned crops, or whole ones for a detector.

    NETWORKS is the wheel of random-face (Apache-2.0, 37 MB), or a folder with the four files of its random_face/data.
    Its author trained the generator on FFHQ, photographs under CC BY-NC-SA.

    \b
    pip install 'pocketface[generate]'
    pip download --no-deps random-face==2021.7.21.0
    pocketface people random_face-2021.7.21.0-py3-none-any.whl --detector out/mos_xs_320_fp32.onnx --out people
    pocketface train distill_xs --data people --teacher teacher.onnx --out run

    Person i is what the generator answers to seed i. The folder gets a tar for every 500 seeds, about 12 MB, which is
    there whole or not at all. Processes share the work by seeds: --first 5000 --count 5000.

    \b
    pocketface adopt yunet_n_320_320.onnx --out teachers
    pocketface people random_face-2021.7.21.0-py3-none-any.whl --detector teachers/yunet_n_320_320.onnx \\
        --count 2000 --whole --out generated
    pocketface scenes label detect/ generated/ --facemesh face_landmark.tflite --out scenes

    With --whole the pictures are 512 x 512 JPEGs, about 30 MB a tar, each tar with their annotations.json. Every face
    that scores 0.5 is annotated, to be ignored below 0.8; a picture whose best face scores less than 0.8 is left out.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..runtime.detector import Detector
    from ..train.generator import RandomFace
    from ..train.people import write_people

    finder = Detector(detector, threads=threads)
    with progress_bar(console()) as told:
        told("opening the generator", 0, count)
        generator = RandomFace(networks, threads)
        made = write_people(
            generator, finder, out, count=count, first=first, whole=whole, progress=partial(told, "people")
        )
    pictures = "pictures" if whole else "crops"
    facts = {
        "people": str(out),
        pictures: made.pictures,
        "without_face": made.without_face,
        "made_now": made.made,
        f"{pictures}_per_second": round(made.made / made.seconds, 2) if made.made else None,
    }
    show_facts(facts, as_json)


COMMANDS = (people,)
