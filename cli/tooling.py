"""The verbs of whoever makes models: models, info, build, export, parity, demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .contents import show_contents
from .output import FILE, PATH, as_json, backend, console, parse_size, print_json, seed, show, show_report, weights

FORMATS = ("onnx", "tflite", "coreml")


@click.command()
@click.option("--task", type=click.Choice(["recognition", "detection"]), help="Only models for this task.")
@as_json
def models(task: Any, as_json: bool) -> None:
    """List the architectures, with parameters and MACs as deployed."""
    import torch

    from ..models import create_model, list_models, macs, model_spec, parameters, reparameterize
    from ..report import Column

    rows = []
    for name in list_models(task):
        spec = model_spec(name)
        with torch.device("meta"):  # shapes without numbers: nothing is computed
            deployed = reparameterize(create_model(name))
        row = {"model": name, "task": spec.task, "input": "{}x{}".format(*spec.input_size)}
        counts = {"parameters": parameters(deployed), "macs": macs(deployed, spec.input_size)}
        rows.append({**row, **counts, "summary": spec.summary, "source": spec.source})
    columns = [
        Column(key="model", name="model"),
        Column(key="task", name="task"),
        Column(key="input", name="input"),
        Column(key="parameters", name="parameters", kind="count"),
        Column(key="macs", name="MACs", kind="count"),
        Column(key="summary", name="what it is"),
    ]
    show("Models", columns, rows, as_json)


@click.command()
@click.argument("model", type=PATH)
@click.option("--privacy", is_flag=True, help="List what is stored inside; status 1 if it is more than the network.")
@as_json
def info(model: Path, privacy: bool, as_json: bool) -> None:
    """Say what a model file needs and gives: its contract, after the file was checked against its SHA-256."""
    if privacy:
        show_contents(model, as_json)
        return
    import msgspec

    from ..artifact import load_artifact
    from ..report import Column

    artifact = load_artifact(model)
    contract = msgspec.to_builtins(artifact.contract)
    facts = {"format": artifact.format, "size_bytes": artifact.size_bytes, "sha256": artifact.sha256, **contract}
    if as_json:
        print_json(facts)
        return
    told = {
        key: value if isinstance(value, str) else msgspec.json.encode(value).decode() for key, value in facts.items()
    }
    columns = [Column(key="fact", name="fact"), Column(key="value", name="value")]
    show(model.name, columns, [{"fact": key, "value": value} for key, value in told.items()], as_json)


@click.command()
@click.argument("name")
@weights
@seed
@click.option("--average", type=FILE, multiple=True, help="Take the mean with these weights. Repeatable.")
@click.option("--out", type=FILE, required=True, help="The .safetensors file to write.")
@click.option("--deployed", is_flag=True, help="Fold branches and norms first.")
@click.option("--half", is_flag=True, help="Store kernels and matrices in float16: half the size.")
@as_json
def build(
    name: str,
    weights: Path | None,
    seed: int | None,
    average: Sequence[Path],
    out: Path,
    deployed: bool,
    half: bool,
    as_json: bool,
) -> None:
    """Build a network and save its weights, in training form or folded.

    The mean of trainings that began from the same weights, with other seeds, is often better than each: name one with
    --weights and the others with --average.
    """
    from ..export import build_model
    from ..models import average_weights, create_model, parameters, reparameterize, save_weights
    from ..report import Column

    built = build_model(name, weights, seed=seed)
    average_weights(built.network, [create_model(name, weights=file) for file in average])
    network = reparameterize(built.network) if deployed else built.network
    save_weights(network, out, half=half)
    counts = {"tensors": len(network.state_dict()), "parameters": parameters(network)}
    columns = [Column(key="file", name="file"), Column(key="weights", name="weights from")]
    columns += [Column(key=key, name=key, kind="number") for key in counts]
    weights_from = ", ".join([built.weights, *(file.name for file in average)])
    show(f"Built {name}", columns, [{"file": str(out), "weights": weights_from, **counts}], as_json)


@click.command()
@click.argument("name")
@weights
@seed
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, help="Repeatable. Default: all.")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(["float32", "float16"]),
    multiple=True,
    help="Repeatable. Default: all.",
)
@click.option("--size", help="Input of a detector: 448, or 480x640 (height x width). Default: that of its training.")
@click.option("--license", "spdx", help="SPDX licence of the weights. Default: that of the bundled ones.")
@click.option("--out", type=PATH, default=Path("out"), show_default=True, help="Folder for the files.")
@as_json
def export(
    name: str,
    weights: Path | None,
    seed: int | None,
    formats: Sequence[str],
    precisions: Sequence[str],
    size: str | None,
    spdx: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Export a model to every format and prove each file on faces.

    \b
    pocketface export facelivtv2_xs_ri
    pocketface export mos_xs --size 448

    A file gets its name only after it was proven against the network in training form. If a tolerance is broken,
    nothing is left, the first tensor that departs is named, and the status is 1.

    A detector finds more small faces in a larger input, in time that grows with its area: `bench peers --side` and
    `evaluate detection --size` measure both. ONNX files take any multiple of 32, and --size is what they take first;
    TFLite and Core ML files take the one size.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..evaluate.table import PARITY_COLUMNS, parity_row
    from ..export import build_model, export_model

    with console().status(f"building {name}") as status:
        built = build_model(name, weights, seed=seed, license=spdx, size=parse_size(size) if size else None)
        exports = export_model(
            built, out, formats=formats or FORMATS, precisions=precisions or None, progress=status.update
        )
        rows = [parity_row(one.parity) for one in exports]
    show(f"Exports of {name} in {out}", PARITY_COLUMNS, rows, as_json)


@click.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@weights
@backend
@click.option("--faces", type=PATH, help="Folder of at least 48 pictures with a landmarks.json. Default: our own.")
@as_json
def parity(files: Sequence[Path], weights: Path | None, backend: str | None, faces: Path | None, as_json: bool) -> None:
    """Prove exported files against the network they came from, on faces.

    The network is built again from the file's contract. If its weights were neither
    bundled nor seeded, name their file with --weights.
    """
    from ..artifact import load_artifact
    from ..evaluate import check_parity
    from ..evaluate.faces import load_portraits
    from ..evaluate.table import PARITY_COLUMNS, parity_row
    from ..export import original_of
    from ..export.quiet import quiet

    portraits = load_portraits(faces) if faces else None
    results = []
    with console().status("") as status:
        for file in files:
            status.update(f"proving {file.name} on faces")
            artifact = load_artifact(file)
            with quiet():
                original = original_of(artifact, weights)
                results.append(check_parity(artifact, original, backend=backend, portraits=portraits))
    show("Parity with torch", PARITY_COLUMNS, [parity_row(result) for result in results], as_json)
    for result in results:
        result.require()


@click.command()
@click.option("--out", type=PATH, default=Path("out"), show_default=True, help="Folder for files and report.")
@as_json
def demo(out: Path, as_json: bool) -> None:
    """Build, fold, export, run and prove the default recogniser and detector, and write a report with pictures."""
    from ..demo import run_demo

    report = run_demo(out, console())
    show_report(report, as_json, out)
    if report.state != "pass":
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("file", type=FILE)
@click.option("--out", type=PATH, default=Path("out"), show_default=True, help="Folder for the copy.")
@as_json
def adopt(file: Path, out: Path, as_json: bool) -> None:
    """Give a known network of others its contract, so that every command can run it.

    Known by the SHA-256 of their files: face-reidentification-retail-0095, SFace (2021dec), YuNet-n.
    """
    from ..evaluate.known import adopt as adopt_file
    from ..report import Column

    artifact = adopt_file(file, out)
    row = {"file": str(artifact.path), "model": artifact.contract.model, "license": artifact.contract.license}
    show(f"Adopted {file.name}", [Column(key=key, name=key) for key in row], [row], as_json)


COMMANDS = (models, info, adopt, build, export, parity, demo)
