"""Why do the numbers on the phone differ? Each known fault is made here, and the one that explains them is named."""

from __future__ import annotations

from .diagnose import diagnose
from .faults import FAULTS, HEALTHY, STALE, UNKNOWN, Fault
from .golden import expected_answers, golden_portraits, write_golden
from .observed import Observed, read_observed
from .rehearsal import Rehearsal
from .verdict import Diagnosis, Hypothesis

__all__ = [
    "FAULTS",
    "HEALTHY",
    "STALE",
    "UNKNOWN",
    "Diagnosis",
    "Fault",
    "Hypothesis",
    "Observed",
    "Rehearsal",
    "diagnose",
    "expected_answers",
    "golden_portraits",
    "read_observed",
    "write_golden",
]
