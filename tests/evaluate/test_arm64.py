"""All of the comparison with an emulated phone that needs no emulator; the real run is ``make arm64``."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import msgspec
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from pocketface.artifact import load_artifact, replace_contract
from pocketface.cli import cli
from pocketface.cli.bench_arm64 import NOT_RUN
from pocketface.evaluate.arm64 import debian, integers, machine
from pocketface.evaluate.arm64.compare import EQUAL, compare, differences
from pocketface.evaluate.arm64.debian import apt_options, sources_for
from pocketface.evaluate.arm64.fetch import Unavailable, fetch
from pocketface.evaluate.arm64.integers import last_integers
from pocketface.evaluate.arm64.machine import Machine, pinned, prepare
from pocketface.evaluate.cache import VARIABLE

STANZAS = """# a comment
Types: deb
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm
Components: main contrib
Signed-By: /keys/debian.gpg
"""


class Here:
    """A guest that is this very machine: what it answers must be the same bytes."""

    def __init__(self, change=lambda answers: answers, fault=""):
        self.change, self.fault, self.ran = change, fault, []

    def run(self, cpu, arguments):
        self.ran.append(cpu)
        if self.fault:
            return self.fault
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        with np.load(arguments[-1]) as made:
            answers = {name: made[name] for name in made.files}
        np.savez(arguments[-1], **self.change(answers))
        return ""


@pytest.fixture(scope="module")
def file(exports):
    return exports["mos_xs", "onnx", "float32"].artifact


@pytest.fixture(scope="module")
def whole(file, tmp_path_factory):
    """The same file, said to be in whole numbers: what is compared is told by the contract."""
    path = tmp_path_factory.mktemp("whole") / file.path.name
    path.write_bytes(file.path.read_bytes())
    return replace_contract(load_artifact(path), msgspec.structs.replace(file.contract, precision="int8"))


def test_a_machine_gives_the_bytes_that_it_gives(file, whole):
    guest = Here()
    exact, near = compare([file, whole], guest, pictures=1, processors=("one", "two"))
    assert [row["equal"] for row in exact.rows] == [True, True]
    assert [row["cpu"] for row in exact.rows] == ["one", "two"] == guest.ran[:2]
    assert EQUAL.key not in near.rows[0]
    assert (near.rows[0]["max_abs"], near.rows[0]["cosine"]) == (0.0, 1.0)
    assert exact.rows[0]["engine"] == "onnxruntime"


def test_a_last_digit_is_told_a_step_of_8_bits_fails_and_so_does_a_crash(file, whole):
    def flip(answers):
        answers["scores"].view(np.uint32)[0, 0] ^= 1
        return answers

    def step(answers):
        answers["landmarks"] += np.abs(answers["landmarks"]).max() / 2550
        return answers

    (exact,) = compare([whole], Here(flip), pictures=1, processors=("one",))
    assert exact.failed == []
    assert exact.rows[0]["bytes"] == "differ"
    assert 0 < exact.rows[0]["max_abs"] < 1e-6
    (exact,) = compare([whole], Here(step), pictures=1, processors=("one",))
    assert exact.failed == [whole.path.name]
    assert exact.rows[0]["relative"] == pytest.approx(1 / 2550, rel=1e-3)
    (crashed,) = compare([file], Here(fault="ended with status -11"), pictures=1, processors=("one",))
    assert crashed.failed == [file.path.name]
    assert "status -11" in crashed.rows[0]["engine"]


def test_without_a_guest_nothing_is_said_to_hold(file, whole):
    sections = compare([file, whole], None, note="no network")
    assert [section.notes for section in sections] == [["no network"]] * 2
    assert sections[0].checks == ["open"]


@pytest.mark.parametrize(
    ("there", "equal", "max_abs", "cosine"),
    [
        ({"a": [[3.0, 4.0]]}, True, 0.0, 1.0),
        ({"a": [[3.0, 4.0 + 2**-16]]}, True, 2**-16, 1.0),
        ({"a": [[3.0, 4.0 + 2**-14]]}, False, 2**-14, 1.0),
        ({"a": [[4.0, 3.0]]}, False, 1.0, 24 / 25),
        ({"a": [[3.0, np.nan]]}, False, np.inf, None),
        ({"a": [[3.0], [4.0]]}, False, np.inf, None),
        ({"b": [[3.0, 4.0]]}, False, np.inf, None),
    ],
)
def test_differences(there, equal, max_abs, cosine):
    ours = {"a": np.array([[3.0, 4.0]], np.float32)}
    found = differences(ours, {name: np.array(value, np.float32) for name, value in there.items()})
    assert (found["equal"], found["max_abs"]) == (equal, max_abs)
    assert found["bytes"] == ("same" if max_abs == 0 else "differ")
    assert found["cosine"] == (cosine if cosine is None else pytest.approx(cosine))


def test_the_same_nan_is_the_same_bytes():
    answers = {"a": np.array([[np.nan]], np.float32)}
    assert differences(answers, {"a": answers["a"].copy()})["bytes"] == "same"
    assert not differences(answers, {"a": -answers["a"]})["equal"]


def test_a_mirror_comes_from_the_machines_own_sources():
    wanted = "Types: deb\nURIs: {}\nSuites: trixie\nComponents: main\n"
    key = "Signed-By: /keys/debian.gpg\n"
    assert sources_for("trixie", ["", STANZAS]) == wanted.format("http://mirror.invalid/debian") + key
    line = "deb [arch=amd64 signed-by=/keys/debian.gpg] https://mirror.invalid/debian/ bookworm main\n"
    assert sources_for("trixie", [line]) == wanted.format("https://mirror.invalid/debian/") + key
    assert sources_for("trixie", [line.replace("[arch=amd64 signed-by=/keys/debian.gpg] ", "")]).endswith("main\n")
    for nothing in (
        "",
        "deb http://mirror.invalid/ubuntu noble main",
        STANZAS.replace("invalid/debian\n", "invalid\n"),
    ):
        with pytest.raises(Unavailable, match="Debian mirror"):
            sources_for("trixie", [nothing])


def test_apt_is_told_to_leave_the_systems_state_alone(tmp_path):
    words = apt_options(tmp_path, "arm64")
    settings = dict(word.partition("=")[::2] for word in words[1::2])
    assert words[::2] == ["-o"] * len(settings)
    assert settings["APT::Architecture"] == settings["APT::Architectures"] == "arm64"
    assert all(str(tmp_path) in value for key, value in settings.items() if key.startswith("Dir::") and value != "-")
    assert settings["Dir::Etc::sourceparts"] == "-"


def test_an_emulator_is_told_where_everything_lies(tmp_path):
    guest = Machine(tmp_path, tmp_path / "ours")
    words = guest.command("cortex-a76", ["-m", "x"])
    assert words[0] == str(tmp_path / "qemu/usr/bin/qemu-aarch64")
    assert words[1:5] == ["-L", str(tmp_path / "system"), "-cpu", "cortex-a76"]
    assert words[5:] == [str(tmp_path / "system/usr/bin/python3.11"), "-m", "x"]
    assert all(str(tmp_path) in path for path in guest.environment()["PYTHONPATH"].split(":"))


def test_what_a_guest_says_last_is_told(tmp_path):
    emulator = tmp_path / "qemu/usr/bin/qemu-aarch64"
    emulator.parent.mkdir(parents=True)
    emulator.write_text("#!/bin/sh\necho first >&2\necho last >&2\nexit 4\n")
    emulator.chmod(0o755)
    assert Machine(tmp_path, tmp_path / "ours").run("any", []) == "last"
    emulator.write_text("#!/bin/sh\nexit 0\n")
    assert Machine(tmp_path, tmp_path / "ours").run("any", []) == ""
    emulator.write_text("#!/bin/sh\nkill -SEGV $$\n")
    assert Machine(tmp_path, tmp_path / "ours").run("any", []) == "ended with status -11"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-client", "update"], "no-such-client cannot be run here"),
        (["sh", "-c", "echo E: none at http://mirror.invalid/x today >&2; exit 9"], "E: none at … today"),
        (["sh", "-c", "exit 9"], "status 9"),
    ],
)
def test_why_nothing_came_is_one_line_without_an_address(words, said, tmp_path):
    with pytest.raises(Unavailable, match=said) as caught:
        fetch(words, tmp_path)
    assert "\n" not in str(caught.value)
    assert "://" not in str(caught.value)


def test_a_machine_is_whole_or_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))

    def unpacked(suite, architecture, packages, target, state):
        target.mkdir(parents=True)
        (target / "packages").write_text(f"{suite} {architecture} {' '.join(packages)}")

    def downloaded(words, folder):
        assert set(pinned()) < set(words)
        with zipfile.ZipFile(folder / "a.whl", "w") as wheel:
            wheel.writestr("a/__init__.py", "")

    monkeypatch.setattr(machine, "unpack", unpacked)
    monkeypatch.setattr(machine, "fetch", lambda words, folder: fetch(["false"], folder))
    with pytest.raises(Unavailable, match="status 1"):
        prepare()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.setattr(machine, "fetch", downloaded)
    made = prepare()
    assert (made.folder / "system/packages").read_text().startswith("bookworm arm64 libc6 ")
    assert (made.folder / "site/a/__init__.py").is_file()
    assert (made.ours / "pocketface/evaluate/arm64/probe.py").is_file()
    monkeypatch.setattr(machine, "fetch", lambda words, folder: pytest.fail("fetched again"))
    assert prepare() == made
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "other" / "evaluate" / "arm64" / "machine.py"))
    other = prepare()
    assert (other.folder, (other.ours / "pocketface").readlink()) == (made.folder, tmp_path / "other")


def test_without_a_mirror_one_line_says_so_and_the_rest_goes_on(whole, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "_ETC", tmp_path / "no-apt")
    done = CliRunner().invoke(cli, ["bench", "arm64", str(whole.path), "--out", str(tmp_path / "out")])
    assert done.exit_code == NOT_RUN
    assert "no emulated arm64: none of apt's sources is a Debian mirror" in done.output
    assert (tmp_path / "out/report.json").is_file()
    assert "not run" in done.output


@pytest.mark.parametrize(("moved", "status"), [(0.0, 0), (0.1, 1)])
def test_what_differs_is_a_status(whole, monkeypatch, moved, status):
    guest = Here(lambda answers: {name: values + np.float32(moved) for name, values in answers.items()})
    monkeypatch.setattr(machine, "prepare", lambda progress: guest)
    words = ["bench", "arm64", str(whole.path), "--pictures", "1", "--cpu", "one", "--json"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == status, done.output
    section = json.loads(done.stdout)["sections"][0]
    assert [row["equal"] for row in section["rows"]] == [not status]


def chain(*kinds):
    """One operation after the other, from ``x`` to ``y``."""
    nodes = [
        helper.make_node(kind, [f"t{i}" if i else "x"], [f"t{i + 1}" if i + 1 < len(kinds) else "y"])
        for i, kind in enumerate(kinds)
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])] for name in "xy"]
    return helper.make_model(helper.make_graph(nodes, "g", *ends))


@pytest.mark.parametrize(
    ("kinds", "last"),
    [
        (("QuantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear", "DequantizeLinear", "Sqrt"), ("t4",)),
        (("Conv", "QuantizeLinear"), ("y",)),
        (("Conv", "Sqrt"), ()),
    ],
)
def test_the_last_integers_are_those_with_only_float_behind_them(kinds, last):
    assert last_integers(chain(*kinds)) == last


def test_integers_inside_are_compared_too(file, whole, monkeypatch):
    """What stands for integers here is a tensor inside: a step of it fails even where the outputs are the same."""
    (name,) = [node.output[0] for node in onnx.load(str(file.path)).graph.node if node.op_type == "Conv"][:1]
    monkeypatch.setattr(integers, "last_integers", lambda model: (name,))

    def step(answers):
        answers[name] += 1
        return answers

    exact, otherwise = compare([whole], Here(), pictures=1, processors=("one",))
    assert exact.rows[0]["whole"] == f"{name}: same"
    assert exact.rows[0]["equal"] is True
    assert [row["cpu"] for row in otherwise.rows] == ["here, as it comes", "here, not optimised"]
    assert otherwise.checks == []
    (exact, _) = compare([whole], Here(step), pictures=1, processors=("one",))
    assert exact.rows[0]["bytes"] == "same"
    assert exact.rows[0]["whole"] == f"{name}: differ"
    assert exact.failed == [whole.path.name]
