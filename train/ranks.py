"""The processes that train together: one, or as many as ``torchrun`` started."""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from types import TracebackType

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one network; ``with`` it they can exchange tensors.

    A DistributedDataParallel made inside must be gone at the end. torch 2.13 waits for ever where one outlives the
    group: it then ends the group's threads while it holds Python's lock, and a thread may still want that.

    Attributes:
        index: of this process, from 0 on.
        count: of all.
        device: where this one computes.
    """

    index: int
    count: int
    device: torch.device

    @classmethod
    def from_environment(cls) -> Ranks:
        """As ``torchrun`` says it, or else alone; on a GPU where there is one."""
        index, count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        gpu = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if gpu else torch.device("cpu")
        return cls(index, count, device)

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def __enter__(self) -> Ranks:
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.count > 1 and dist.is_initialized():
            if kind is None:
                dist.barrier()  # the first rank may still be writing
            traceback.clear_frames(trace)  # a network that an error stopped lives on in them
            dist.destroy_process_group()
