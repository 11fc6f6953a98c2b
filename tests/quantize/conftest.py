"""Quantized files of the default models, calibrated on two thirds of the bundled portraits, judged by the others."""

from __future__ import annotations

import pytest

from pocketface.evaluate.faces import bundled_portraits, inputs_for
from pocketface.quantize.job import Job
from pocketface.quantize.pictures import Pictures, digest_of
from pocketface.quantize.pipeline import quantize_artifact
from pocketface.quantize.recipe import parse_recipe


def pictures(contract, portraits, name="pictures"):
    digests = tuple(digest_of(portrait.image) for portrait in portraits)
    return Pictures(name, inputs_for(contract, portraits), digests)


@pytest.fixture(scope="session")
def pictures_of():
    """Contract, portraits -> pictures."""
    return pictures


def job(parent, recipe, **options):
    contract, faces = parent.contract, bundled_portraits()
    how = parse_recipe(recipe) if isinstance(recipe, str) else recipe
    calibration = pictures(contract, faces[:32], "the first 32")
    return Job(parent, how, calibration, pictures(contract, faces[32:], "the last 16"), **options)


@pytest.fixture(scope="session")
def job_of():
    """Float file, recipe -> a job."""
    return job


@pytest.fixture(scope="session")
def job_for(exports):
    """(model, format, recipe) -> a job; w8a8 starts from float16, all others from float32."""

    def make(model, format, recipe, **options):
        return job(exports[model, format, "float16" if recipe == "w8a8" else "float32"].artifact, recipe, **options)

    return make


@pytest.fixture(scope="session")
def quantized(job_for, once):
    """(model, format, recipe) -> a quantized file, made once."""
    made = {}

    def get(*key):
        if key not in made:
            made[key] = once("-".join(("quantized", *key)), lambda folder: quantize_artifact(job_for(*key), folder))
        return made[key]

    return get
