"""What a report of quality measures shows beyond its tables: the error-versus-discard curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..report import Picture, Section
from .discard import SHARES
from .plots import Curve, edc_plot
from .quality import Discarding


def discard_section(results: Sequence[Discarding]) -> Section:
    """A plot for each FMR and way to set the threshold, with every measure in it.

    The dotted line is what discarding at random would leave: the FNMR without discarding.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    shown = [result for result in results if np.isfinite(result.curve.fnmr).any()]
    pictures = []
    for fmr, threshold in dict.fromkeys((r.curve.fmr, r.curve.threshold) for r in shown):
        here = [r for r in shown if (r.curve.fmr, r.curve.threshold) == (fmr, threshold)]
        curves = [Curve(result.measure, result.curve.discarded, result.curve.fnmr) for result in here]
        level = np.full(len(SHARES), here[0].curve.fnmr[0])
        curves.append(Curve("at random", SHARES, level, control=True))
        title = f"FNMR at FMR {fmr:g}, threshold {threshold}"
        pictures.append(Picture(title, edc_plot(curves), plot=True))
    notes = ["The faster a curve falls, the more errors are avoided by refusing the pictures that it calls bad."]
    return Section(title="Error versus discard, drawn", notes=notes, pictures=pictures)
