"""The processes that train together: one, or as many as ``torchrun`` started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one network.

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
                # The first rank may still be writing. And torch 2.13 hangs where a group ends in the very moment after
                # its last exchange: its thread still wants Python's lock, which is held by who waits for the thread.
                dist.barrier()
            dist.destroy_process_group()
