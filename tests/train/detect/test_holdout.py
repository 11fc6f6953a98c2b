"""A tenth of the pictures, by name alone."""

from __future__ import annotations

import hashlib

from pocketface.train.detect.holdout import held_out


def test_the_rule_is_the_hash_of_the_file_name() -> None:
    for name in ("a.jpg", "00036A02.jpg", "0_Parade_Parade_0_1014.jpg"):
        assert held_out(name) == (int(hashlib.sha256(name.encode()).hexdigest(), 16) % 10 == 0)


def test_folders_do_not_matter() -> None:
    assert all(held_out(f"some/where/{i}.jpg") == held_out(f"{i}.jpg") for i in range(50))


def test_a_tenth_is_held_out() -> None:
    share = sum(held_out(f"picture_{i}.jpg") for i in range(10_000)) / 10_000
    assert abs(share - 0.1) < 0.012  # four standard deviations
