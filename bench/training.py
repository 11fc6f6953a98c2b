"""What the quick forms, bfloat16 and channels-last bring in training: crops a second of a step on this CPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models import create_model, model_spec
from ..report import Column, Row, Section
from ..train.speed import quicken
from .timing import Task, median_ms

COLUMNS = (
    Column(key="forms", name="modules"),
    Column(key="precision", name="arithmetic"),
    Column(key="layout", name="layout"),
    Column(key="crops_per_s", name="crops/s", kind="number", spec=".1f", bar=True),
    Column(key="speedup", name="times faster", kind="number", spec=".2f"),
)
PRECISIONS: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS: Mapping[str, torch.memory_format] = {
    "contiguous": torch.contiguous_format,
    "channels-last": torch.channels_last,
}
LEFT_OUT = (
    "Channels-last without the quick forms is left out: torch 2.13 ends in a segmentation fault in the backward pass "
    "of the strided 1 x 1 convolutions that the quick forms do without."
)


def measure_training(
    model: str = "facelivtv2_xs",
    batch: int = 32,
    rounds: int = 7,
    progress: Callable[[str], None] = lambda step: None,
) -> Section:
    """Median of a whole step, forward, backward and AdamW, of a recogniser in every form; all take turns.

    Args:
        model: name of a recogniser.
        batch: crops in a step.
        rounds: steps of each form that count.
        progress: told in a few words what is being done.
    """
    progress(f"training {model}")
    cells = [
        cell
        for cell in product(("plain", "quick"), PRECISIONS, LAYOUTS)
        if cell[0] == "quick" or cell[2] == "contiguous"
    ]
    times = median_ms({" ".join(cell): _step(model, batch, *cell) for cell in cells}, rounds=rounds, warmup=1)
    first = times[" ".join(cells[0])]
    rows: list[Row] = [
        {
            "forms": cell[0],
            "precision": cell[1],
            "layout": cell[2],
            "crops_per_s": batch / times[" ".join(cell)] * 1e3,
            "speedup": first / times[" ".join(cell)],
        }
        for cell in cells
    ]
    notes = [f"Median of {rounds} steps of {batch} crops, {torch.get_num_threads()} threads.", LEFT_OUT]
    return Section(title=f"Training {model}", columns=COLUMNS, rows=rows, notes=notes)


def _step(model: str, batch: int, forms: str, precision: str, layout: str) -> Task:
    """A step of a network of its own, on the same crops."""
    height, width = model_spec(model).input_size
    generator = torch.Generator().manual_seed(0)
    crops = torch.rand(batch, 3, height, width, generator=generator) * 2 - 1
    memory = LAYOUTS[layout]
    network = create_model(model, seed=0).to(memory_format=memory).train()  # type: ignore[call-overload]
    if forms == "quick":
        quicken(network)
    target = torch.randn(batch, model_spec(model).embedding_size or 0, generator=generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    return partial(_train, network, optimizer, crops.contiguous(memory_format=memory), target, PRECISIONS[precision])


def _train(
    network: nn.Module, optimizer: torch.optim.Optimizer, crops: Tensor, target: Tensor, precision: torch.dtype
) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        embedding = network(crops)
    loss = 1 - F.cosine_similarity(embedding.float(), target).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
