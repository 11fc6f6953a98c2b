"""Two processes that train together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.distributed import TCPStore


def _run(worker: Path, *arguments: object, groups: int = 1) -> None:
    """Run a script as ranks 0 and 1; after ``arguments`` it is given as many ports as the groups that it forms.

    The first port stands in ``MASTER_PORT``. As under ``torchrun``, the meeting places are kept by who starts the
    ranks, so nobody can take a port before they are there.
    """
    stores = [TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False) for _ in range(groups)]
    ports = [str(store.port) for store in stores]
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": ports[0], "TORCHELASTIC_USE_AGENT_STORE": "True"}
    command = [sys.executable, "-P", str(worker), *map(str, arguments), *ports]
    running = []
    try:
        for rank in "01":
            environment = {**os.environ, **meet, "RANK": rank, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
            running.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
        for process in running:
            _, error = process.communicate(timeout=300)
            assert process.returncode == 0, error.decode()
    finally:
        for process in running:
            process.kill()


@pytest.fixture(scope="session")
def on_two_ranks() -> Callable[..., None]:
    return _run
