"""Plots: what is drawn is where the numbers say, the same numbers give the same bytes, nothing global is touched."""

from __future__ import annotations

import io
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from pocketface.errors import MissingExtra
from pocketface.evaluate.plots import (
    COLORS,
    Curve,
    curve_plot,
    det_plot,
    edc_plot,
    interval_plot,
    percentile_plot,
    roc_plot,
    score_histograms,
)

FAR = np.logspace(-5, 0, 40)
GOOD = Curve("good", FAR, FAR**0.05, low=FAR**0.06, high=FAR**0.04, steps=True)
BAD = Curve("bad", FAR, FAR**0.2)
EDGES = np.linspace(-1, 1, 41)
PLOTS = {
    "roc": lambda: roc_plot([GOOD, BAD]),
    "det": lambda: det_plot([Curve("a", FAR, 1 - FAR**0.05)]),
    "edc": lambda: edc_plot(
        [Curve("quality", FAR, 0.1 * (1 - FAR)), Curve("random", FAR, 0.1 + 0 * FAR, control=True)]
    ),
    "histograms": lambda: score_histograms(EDGES, np.eye(40)[30] * 50, np.eye(40)[20] * 900, threshold=0.3),
    "intervals": lambda: interval_plot(
        ["a", "b"], np.array([0.1, np.nan]), np.array([0, np.nan]), np.ones(2), x="FNMR"
    ),
    "percentiles": lambda: percentile_plot(["a", "b\nc"], np.array([[5, 8, 30], [2, 3, 4]]), x="latency (ms)"),
    "curve": lambda: curve_plot([BAD], x="strength", y="TAR", marks=True),
}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def near(image: np.ndarray, color: str, within: int = 24) -> np.ndarray:
    """Where a picture has a color, (H, W) bool."""
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return (abs(image - rgb) <= within).all(axis=2)


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_numbers_give_the_same_small_file(name: str) -> None:
    first, again = PLOTS[name](), PLOTS[name]()
    assert first == again
    assert len(first) < 60_000
    with Image.open(io.BytesIO(first)) as image:
        assert image.info.keys() <= {"dpi"}  # no date, no name of a program
        assert image.width == 1024


@pytest.mark.parametrize("name", PLOTS)
def test_the_ground_is_white_and_the_ink_dark(name: str) -> None:
    image = pixels(PLOTS[name]())
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    assert (edge == 255).all()
    assert image.min() < 40


def test_a_curve_is_drawn_where_its_numbers_are() -> None:
    flat = [Curve(str(y), np.linspace(0, 1, 5), np.full(5, y)) for y in (0.2, 0.4, 0.8)]
    image = pixels(curve_plot(flat, x="x", y="y", x_range=(0, 1), y_range=(0, 1)))[100:]
    rows = [np.median(np.nonzero(near(image, color))[0]) for color in COLORS[:3]]
    assert (rows[1] - rows[2]) / (rows[0] - rows[1]) == pytest.approx(2, abs=0.03)


def test_every_curve_has_its_own_color_and_dashes() -> None:
    curves = [Curve(str(i), FAR, np.full(40, 0.1 + 0.15 * i)) for i in range(6)]
    image = pixels(curve_plot(curves, x="x", y="y", y_range=(0, 1)))
    inked = [near(image, color).sum() for color in COLORS]
    assert min(inked) > 500
    lengths = [near(image, color).any(axis=0).mean() for color in COLORS]
    assert lengths[0] > 0.8  # solid
    assert max(lengths[1:]) < 0.8  # dashed, so also told apart in grey


def test_nobody_s_settings_change_a_plot_nor_a_plot_anybody_s() -> None:
    plain = PLOTS["roc"]()
    with matplotlib.rc_context({"lines.linewidth": 9, "figure.facecolor": "red", "savefig.dpi": 30}):
        before = dict(matplotlib.rcParams)
        assert PLOTS["roc"]() == plain
        assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_loaded() -> None:
    import subprocess

    code = """
import sys, numpy as np
from pocketface.evaluate.plots import Curve, roc_plot
roc_plot([Curve("a", np.array([1e-3, 1]), np.array([0.5, 1]))])
assert "matplotlib.pyplot" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketface\[plots\]'"):
        PLOTS["curve"]()
