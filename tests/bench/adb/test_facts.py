"""What a phone says of itself is read from recorded answers, and what makes its times doubtful is said."""

from __future__ import annotations

import pytest

from pocketface.bench.adb.client import Adb
from pocketface.bench.adb.facts import Identity, State, describe, parse_state, read_identity, read_state, warnings


def test_a_phone_that_tells_everything(adb_program: str, plug_in) -> None:
    plug_in("A")
    adb = Adb(adb_program, "A")
    identity = read_identity(adb)
    assert identity == Identity("Google Pixel 7", "Google GS201", "14", 34, ("arm64-v8a", "armeabi-v7a", "armeabi"), 8)
    state = read_state(adb)
    assert state.temperatures_c == {"cpu": 34.2, "skin": 28.1, "battery": 27.1}
    assert state.governors == {
        "cpu 0-3, 1.80 GHz": "sched_pixel",
        "cpu 4-5, 2.35 GHz": "sched_pixel",
        "cpu 6-7, 2.85 GHz": "sched_pixel",
    }
    assert (state.battery_percent, state.charging, state.throttling, state.saver) == (78, "discharging", 0, False)
    assert warnings(state, state) == []


def test_a_phone_that_tells_nothing(adb_program: str, plug_in) -> None:
    phone = plug_in("A")
    for program in ("getprop", "nproc", "dumpsys", "settings"):
        phone.program(program, "echo Permission denied >&2; exit 1")
    (phone.root / "sys").rename(phone.root / "no_sys")
    adb = Adb(adb_program, "A")
    assert read_identity(adb) == Identity("a phone", "", "", 0, (), 0)
    assert read_state(adb) == State()


@pytest.mark.parametrize(
    ("maker", "model", "named"),
    [("samsung", "SM-S911B", "samsung SM-S911B"), ("OnePlus", "ONEPLUS A6003", "ONEPLUS A6003"), ("x", "", "a phone")],
)
def test_a_model_is_named_once(adb_program: str, plug_in, maker: str, model: str, named: str) -> None:
    phone = plug_in("A")
    phone.set("getprop", maker, "ro.product.manufacturer")
    phone.set("getprop", model, "ro.product.model")
    assert read_identity(Adb(adb_program, "A")).model == named


def test_the_kernels_zones_stand_in_for_an_old_androids_missing_service() -> None:
    text = "zone|battery|29000\nzone|cpu-0-0-usr|41200\nzone|tsens_tz_sensor3|43500\nzone|cpu-1|-40000\nzone|soc|\n"
    assert parse_state(text).temperatures_c == {"cpu": 43.5}


@pytest.mark.parametrize(
    "text",
    [
        "policy|0 1|schedutil|" + "9" * 5000,
        "zone|cpu|" + "9" * 5000,
        "zone|cpu|²",
        "Temperature{mValue=1.2.3, mType=0, mName=x}\nTemperature{mValue=1e999, mType=0}",
        "  level: " + "9" * 5000 + "\n  temperature: ²\n",
        "Thermal Status: " + "9" * 5000,
        "policy||||\nzone\nsaver\n|||\n\0",
    ],
)
def test_nonsense_is_no_fact(text: str) -> None:
    state = parse_state(text)
    assert (state.temperatures_c, state.throttling, state.battery_percent) == ({}, None, None)
    assert "GHz" not in str(state.governors)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (State({"cpu": 40.0}), State({"cpu": 45.0}), "cpu went from 40.0 to 45.0"),
        (State({"battery": 30.0}), State({"battery": 36.0}), "let it cool"),
        (State(throttling=0), State(throttling=2), "thermal status 2"),
        (State(battery_percent=19), State(), "19 %"),
        (State(charging="charging"), State(), "charging"),
        (State(), State(saver=True), "battery saver"),
        (State(governors={"cpu 0-3": "powersave"}), State(), "powersave"),
    ],
)
def test_what_makes_times_doubtful_is_said(before: State, after: State, said: str) -> None:
    (only,) = warnings(before, after)
    assert said in only
    assert said in describe(Identity("m", "s", "14", 34, (), 8), before, after).facts["warnings"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State({"cpu": 40.0}), State({"cpu": 44.9})),
        (State({"cpu": 40.0}), State()),
        (State(battery_percent=20), State(battery_percent=20)),
        (State(charging="full"), State(charging="not charging")),
        (State(governors={"cpu 0-3": "schedutil"}), State()),
    ],
)
def test_what_is_usual_is_not(before: State, after: State) -> None:
    assert warnings(before, after) == []


def test_a_device_has_no_fact_that_was_not_told() -> None:
    device = describe(Identity("m", "", "", 0, (), 0), State(), State())
    assert (device.kind, device.name, device.facts) == ("adb", "m", {})
