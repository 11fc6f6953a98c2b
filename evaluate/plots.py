"""Plots for reports: arrays in, the bytes of a PNG out.

Each is drawn on its own figure, never through pyplot, which keeps state for the whole process. The same arrays give
the same bytes: matplotlib's own style, whatever the user's is, and no date inside. Colours are those of Okabe and Ito
(Color Universal Design, 2008) that stand out on white, and every curve has its own dashes as well, so that nobody must
tell colours apart. The ground is white; a report turns a :class:`~pocketface.report.Picture` that is a plot over to
light on dark where its reader's page is dark.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.floating[Any]]

COLORS = ("#0072b2", "#d55e00", "#009e73", "#a0508a", "#15181e", "#8a6d00")
DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2), (2, 1.5), (8, 2, 2, 2), (4, 1, 1, 1, 1, 1), (10, 3))
GREY_DASHES: tuple[tuple[float, ...], ...] = ((1, 2), (5, 2, 1, 2))
INK, SOFT, LINE = "#15181e", "#59616f", "#e2e5ea"
INCHES, DPI = (6.4, 4.2), 160

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelpad": 7.0,
    "axes.labelsize": 10.0,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.family": ["DejaVu Sans"],
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.9,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
}


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of a plot.

    Attributes:
        name: for the legend.
        x: ``(K,)``.
        y: ``(K,)``; NaN leaves a gap.
        low: ``(K,)`` lower end of an interval around y, drawn as a band; None for no band.
        high: ``(K,)`` upper end.
        control: something to compare with, drawn thin, grey and behind.
        steps: y keeps its value up to the next x, as an empirical rate does.
    """

    name: str
    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None
    control: bool = False
    steps: bool = False


def require_matplotlib() -> None:
    """Raise MissingExtra if plots cannot be drawn: to be asked before a long run, not after it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as e:
        raise MissingExtra("matplotlib", "plots", "draw plots") from e


def curve_plot(
    curves: Sequence[Curve],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: bool = False,
) -> bytes:
    """Curves over one pair of axes.

    Args:
        curves: at least one.
        x: name of the axis, with its unit.
        y: name of the axis, with its unit.
        log_x: logarithmic axis; values of 0 and less fall outside.
        log_y: the same for y.
        x_range: first and last value shown; None to fit the curves.
        y_range: the same for y.
        marks: whether each point is marked, for curves of few points.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with _figure() as figure:
        axes = figure.add_subplot(xlabel=x, ylabel=y)
        _scale(axes, log_x, log_y, x_range, y_range)
        _draw(axes, curves, marks)
        return _png(figure)


def roc_plot(curves: Sequence[Curve], *, lowest_far: float = 1e-5) -> bytes:
    """Receiver operating characteristic: x is the FAR, logarithmic, y the TAR, both 0..1."""
    shown = np.concatenate([c.y[c.x >= lowest_far] for c in curves] or [np.zeros(1)])
    floor = max(0.0, float(np.floor(10 * np.nanmin(shown, initial=1.0)) / 10))
    ranges: dict[str, Any] = {"x_range": (lowest_far, 1.0), "y_range": (floor, 1.005)}
    return curve_plot(curves, x="false accept rate", y="true accept rate", log_x=True, **ranges)


def det_plot(curves: Sequence[Curve], *, lowest: float = 1e-5) -> bytes:
    """Detection error trade-off: x is the FMR, y the FNMR, both logarithmic; they are equal on the dotted line."""
    with _figure() as figure:
        axes = figure.add_subplot(xlabel="false match rate", ylabel="false non-match rate")
        fnmr = np.concatenate([c.y[c.y > 0] for c in curves] or [np.ones(1)])
        floor = 10 ** np.floor(np.log10(fnmr.min())) if len(fnmr) else 1e-3
        _scale(axes, True, True, (lowest, 1.0), (max(float(floor), lowest), 1.0))
        axes.plot([lowest, 1.0], [lowest, 1.0], color=SOFT, linewidth=1.0, dashes=(1, 2.5), zorder=1)
        _draw(axes, curves)
        return _png(figure)


def edc_plot(curves: Sequence[Curve], *, y: str = "false non-match rate") -> bytes:
    """Error versus discard: x is the share of pairs discarded for low quality, 0..1, y the error of those left."""
    top = max(float(np.nanmax(c.y, initial=0.0)) for c in curves)
    right = max(float(c.x.max()) for c in curves)
    x = "share of pairs discarded, lowest quality first"
    return curve_plot(curves, x=x, y=y, x_range=(0.0, right), y_range=(0.0, 1.1 * top or 1.0))


def score_histograms(
    edges: Floats, genuine: Floats, impostor: Floats, *, threshold: float | None = None, name: str = "score"
) -> bytes:
    """How the scores of genuine and of impostor pairs are spread, each as shares of its own kind.

    Args:
        edges: ``(K + 1,)`` of the bins.
        genuine: ``(K,)`` counts.
        impostor: ``(K,)`` counts.
        threshold: where the decision falls, if it is to be shown.
        name: of the score.
    """
    with _figure() as figure:
        axes = figure.add_subplot(xlabel=name, ylabel="share of pairs per bin")
        for i, (kind, counts) in enumerate((("genuine", genuine), ("impostor", impostor))):
            shares, label = counts / max(counts.sum(), 1), f"{kind} ({int(counts.sum()):,})"
            axes.stairs(shares, edges, fill=True, color=COLORS[i], alpha=0.2, linewidth=0)
            axes.stairs(shares, edges, color=COLORS[i], linewidth=1.6, linestyle=("-", "--")[i], label=label)
        if threshold is not None:
            axes.axvline(threshold, color=INK, linewidth=1.2, dashes=(4, 2), label=f"threshold {threshold:.3f}")
        shown = np.flatnonzero(genuine + impostor)
        if len(shown):
            axes.set_xlim(edges[shown[0]], edges[shown[-1] + 1])
        axes.set_ylim(bottom=0)
        axes.grid(axis="x", visible=False)
        _legend(figure, axes)
        return _png(figure)


def interval_plot(names: Sequence[str], values: Floats, low: Floats, high: Floats, *, x: str) -> bytes:
    """One value with its interval per row, first at the top; NaN leaves a row empty.

    Args:
        names: of the N rows.
        values: ``(N,)``.
        low: ``(N,)`` lower ends.
        high: ``(N,)`` upper ends.
        x: name of the axis.
    """
    with _figure(height=1.1 + 0.32 * len(names)) as figure:
        axes = figure.add_subplot(xlabel=x)
        rows = np.arange(len(names))
        axes.hlines(rows, low, high, color=COLORS[0], linewidth=2.2, alpha=0.45)
        axes.plot(values, rows, "o", color=COLORS[0], markersize=5.5)
        _rows(axes, names)
        return _png(figure)


def percentile_plot(names: Sequence[str], percentiles: Floats, *, x: str) -> bytes:
    """How a latency is spread, one row per name, first at the top; the axis is logarithmic.

    Args:
        names: of the N rows; each may have several lines.
        percentiles: ``(N, 3)``, above 0: half of the runs took less, 90 % of them, 99 %.
        x: name of the axis.
    """
    with _figure(height=1.3 + 0.15 * len(names) + 0.17 * sum(name.count("\n") + 1 for name in names)) as figure:
        from matplotlib.ticker import LogFormatter

        axes = figure.add_subplot(xlabel=x, xscale="log")
        rows, (p50, p90, p99) = np.arange(len(names)), percentiles.T
        axes.hlines(rows, p50, p99, color=COLORS[0], linewidth=1.2, label="to 99 %")
        axes.hlines(rows, p50, p90, color=COLORS[0], linewidth=4.0, alpha=0.45, label="to 90 %")
        axes.plot(p50, rows, "o", color=COLORS[0], markersize=5.5, label="median")
        _rows(axes, names)
        axes.xaxis.set_major_formatter(LogFormatter())
        axes.xaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.6)))
        axes.tick_params(axis="x", which="minor", length=0, labelsize=8.0)
        _legend(figure, axes)
        return _png(figure)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """A row per name, without the line and the ticks of an axis."""
    axes.set_yticks(np.arange(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)


def _draw(axes: Axes, curves: Sequence[Curve], marks: bool = False) -> None:
    drawn = {False: 0, True: 0}
    for curve in curves:
        i, drawn[curve.control] = drawn[curve.control], drawn[curve.control] + 1
        color = SOFT if curve.control else COLORS[i % len(COLORS)]
        dashes = (GREY_DASHES if curve.control else DASHES)[i % 2 if curve.control else i % len(DASHES)]
        axes.plot(
            curve.x,
            curve.y,
            color=color,
            dashes=dashes or (None, None),
            drawstyle="steps-post" if curve.steps else "default",
            label=curve.name,
            linewidth=1.2 if curve.control else 1.9,
            marker="o" if marks and not curve.control else "",
            markersize=4,
            clip_on=not marks,
            zorder=2 if curve.control else 3,
        )
        if curve.low is not None and curve.high is not None:
            look: dict[str, Any] = {"color": color, "alpha": 0.15, "linewidth": 0}
            axes.fill_between(curve.x, curve.low, curve.high, step="post" if curve.steps else None, **look)
    _legend(axes.figure, axes)


def _scale(
    axes: Axes, log_x: bool, log_y: bool, x_range: tuple[float, float] | None, y_range: tuple[float, float] | None
) -> None:
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    if x_range:
        axes.set_xlim(*x_range)
    if y_range:
        axes.set_ylim(*y_range)
    axes.tick_params(which="minor", length=0)


def _legend(figure: Any, axes: Axes) -> None:
    """Above the axes, where it covers no curve."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = len(labels) if sum(len(label) + 7 for label in labels) <= 84 else 2
        figure.legend(handles, labels, loc="outside upper left", ncols=columns)


@contextmanager
def _figure(height: float = INCHES[1]) -> Iterator[Figure]:
    require_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with style.context(["default", _STYLE]):
        layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12)
        yield Figure(figsize=(INCHES[0], height), dpi=DPI, layout=layout, facecolor="white")


def _png(figure: Figure) -> bytes:
    """With a palette of at most 128 colours, which is a third of the size and looks the same."""
    full, small = io.BytesIO(), io.BytesIO()
    figure.savefig(full, format="png", metadata={"Software": None})
    Image.open(full).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
