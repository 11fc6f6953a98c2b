"""What is measured takes turns."""

from __future__ import annotations

from functools import partial

from pocketface.bench.timing import interleaved, median_ms


def test_rounds_go_there_and_back_and_the_first_do_not_count() -> None:
    order: list[str] = []

    def measure(name: str) -> int:
        order.append(name)
        return len(order)

    found = interleaved({name: partial(measure, name) for name in "abc"}, rounds=2, warmup=1)
    assert "".join(order) == "abccbaabc"
    assert found == {"a": [6, 7], "b": [5, 8], "c": [4, 9]}


def test_a_task_has_a_median() -> None:
    ran: list[int] = []
    assert median_ms({"task": lambda: ran.append(1)}, rounds=5, warmup=2)["task"] >= 0
    assert len(ran) == 7
