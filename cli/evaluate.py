"""The verbs of whoever validates accuracy: one subcommand per protocol, each in a file ``evaluate_<protocol>.py``."""

from __future__ import annotations

import click

from . import (
    evaluate_attack,
    evaluate_detection,
    evaluate_morph,
    evaluate_pose,
    evaluate_quality,
    evaluate_robustness,
    evaluate_templates,
    evaluate_verification,
)
from .output import InOrder

#: In the order of `--help`; a protocol is one file and one entry here.
PROTOCOLS: tuple[click.Command, ...] = (
    evaluate_verification.verification,
    evaluate_templates.templates,
    evaluate_detection.detection,
    evaluate_pose.pose,
    evaluate_quality.quality,
    evaluate_robustness.robustness,
    evaluate_attack.attack,
    evaluate_morph.morph,
)


@click.group(cls=InOrder)
def evaluate() -> None:
    """Run a protocol of the field on exported files: accuracy in decisions, with intervals and counts."""


for protocol in PROTOCOLS:
    evaluate.add_command(protocol)

COMMANDS = (evaluate,)
