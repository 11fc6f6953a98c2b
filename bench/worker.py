"""``python -m pocketface.bench.worker``: a process that measures one thing, told what by lines of JSON.

It waits at its standard input while others are measured, and ends when that is closed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import defaultdict
from typing import BinaryIO

import msgspec

from ..errors import PocketfaceError
from .engines import engine_version
from .messages import Answers, Ask, Job, Opened, Refused, Reply, Request, Run, Times
from .subjects import Subject, open_subject
from .system import peak_memory_bytes, pin


def main() -> None:
    """Open the job that the first line names, then answer line by line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches the whole terminal; ours is to end with our parent
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # engines print to standard output
    requests = sys.stdin.buffer
    try:
        job = _next(requests)
        assert isinstance(job, Job)
        pinned = pin(job.cores)
        subject = open_subject(job)
        engine = subject.engine
        _tell(replies, Opened(engine=engine, version=engine_version(engine), load_ms=subject.load_ms, pinned=pinned))
        while request := _next(requests):
            _tell(replies, _answer(subject, request))
    except PocketfaceError as e:
        _tell(replies, Refused(why=str(e)))
        sys.exit(1)


def _next(requests: BinaryIO) -> Request | None:
    line = requests.readline()
    return msgspec.json.decode(line, type=Request) if line else None


def _tell(replies: BinaryIO, reply: Reply) -> None:
    replies.write(msgspec.json.encode(reply) + b"\n")
    replies.flush()


def _answer(subject: Subject, request: Request) -> Times | Answers:
    if isinstance(request, Ask):
        return subject.answers()
    assert isinstance(request, Run)
    for _ in range(request.warmup):
        subject.run()
    stages: dict[str, list[float]] = defaultdict(list)
    start = time.process_time()
    for _ in range(request.count):
        for stage, time_ms in subject.run().items():
            stages[stage].append(time_ms)
    cpu_s = time.process_time() - start
    return Times(stages=stages, cpu_s=cpu_s, peak_memory_bytes=peak_memory_bytes())


if __name__ == "__main__":
    main()
