"""MMPMR worked out by hand, and rows that say nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pocketface.cli import cli
from pocketface.errors import InvalidData
from pocketface.evaluate.morphing import morph_rate, passing, read_morphs

TABLE = """morph;subject;sample;score
m1;ann;1;0.6
m1;ann;2;0.2
m1;bob;1;0.5
m1;bob;2;0.7
m2;ann;1;0.4
m2;cat;1;0.9
m3;bob;1;0.3
m3;cat;1;0.9
m3;cat;2;0.1
m3;dan;1;0.8
"""


@pytest.fixture
def table(tmp_path):
    def write(text=TABLE):
        path = tmp_path / "morphs.csv"
        path.write_text(text)
        return path

    return write


def test_by_hand(table):
    morphs = read_morphs(table())
    # above 0.35: m1 ann 1/2, bob 2/2; m2 both; m3 bob not
    best, chance = passing(morphs, 0.35)
    assert best.tolist() == [1, 1, 0]
    assert chance.tolist() == [0.5, 1, 0]
    rate = morph_rate(morphs, 0.35, fnmr=0.1)
    assert (rate.min_max, rate.prod_avg) == (pytest.approx(2 / 3), pytest.approx(0.5))
    assert rate.rmmr_min_max == pytest.approx(1 + 2 / 3 - 0.9)
    assert rate.rmmr_prod_avg == pytest.approx(0.5 + 0.1)
    assert rate.min_max_interval.low < 2 / 3 < rate.min_max_interval.high
    # at 0.25, three subjects: m1 0.5 * 1, m3 1 * 0.5 * 1
    assert passing(morphs, 0.25)[1].tolist() == [0.5, 1, 0.5]


def test_a_score_at_the_threshold_does_not_pass(table):
    morphs = read_morphs(table())
    assert passing(morphs, 0.4)[0].tolist() == [1, 0, 0]
    assert passing(morphs, np.nextafter(0.4, 0))[0].tolist() == [1, 1, 0]


def test_one_sample_each_makes_the_variants_one(table):
    rng = np.random.default_rng(0)
    rows = [f"m{m},s{s},x,{rng.uniform():.6f}" for m in range(50) for s in range(2)]
    morphs = read_morphs(table("\n".join(["morph,subject,sample,score", *rows])))
    assert morphs.single
    for threshold in (0.1, 0.5, 0.9):
        rate = morph_rate(morphs, threshold)
        assert rate.min_max == rate.prod_avg
        assert rate.rmmr_min_max is None


BAD = """m4;ann;1;high
m4;;1;0.5
m4;bob;1;nan
m4;bob;1
m1;ann;1;0.9
m5;ann;1;0.5
"""


def test_bad_rows_are_named_and_left_out(table):
    morphs = read_morphs(table(TABLE + BAD))
    assert list(morphs.scores) == ["m1", "m2", "m3"]
    said = "; ".join(morphs.problems)
    for words in (
        "line 12: expected a number for score, got 'high'",
        "line 13: no subject",
        "line 14: a score of nan",
        "line 15: 3 values for 4 columns",
        "line 16: m1 against sample 1 of ann was there before",
        "1 morphs have fewer than two subjects: m5",
        "1 morphs have a subject without any score: m4",
    ):
        assert words in said
    assert morphs.scores["m1"]["ann"].tolist() == [0.6, 0.2]
    with pytest.raises(InvalidData, match="line 12"):
        read_morphs(table(TABLE + BAD), strict=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column morph, subject, sample, score"),
        ("morph;subject;score\n", "no column sample"),
        ("morph;subject;sample;score\nm;a;1;0.5\n", "no morph with scores against two subjects"),
    ],
)
def test_a_file_without_morphs(table, text, said):
    with pytest.raises(InvalidData, match=said):
        read_morphs(table(text))


def test_the_command(table, tmp_path):
    arguments = ["morph", str(table(TABLE + BAD)), "--threshold", "0.35", "--fnmr", "0.1"]
    told = json.loads(CliRunner().invoke(cli.commands["evaluate"], [*arguments, "--json"]).stdout)["results"]
    assert told["rates"][0]["prod_avg"] == pytest.approx(0.5)
    assert len(told["problems"]) == 7
    done = CliRunner().invoke(cli.commands["evaluate"], [*arguments, "--out", str(tmp_path / "report")])
    assert done.exit_code == 0, done.output
    assert "Left out: line 12" in " ".join(done.stdout.split())
    assert (tmp_path / "report" / "report.html").is_file()
    wrong = CliRunner().invoke(cli.commands["evaluate"], [*arguments, "--fnmr", "0.2"])
    assert (wrong.exit_code, "give one for each" in wrong.output) == (2, True)
