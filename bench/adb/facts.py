"""What a phone is and how it does: chip, cores, clocks' governors, warmth and battery, before and after.

Read in one shell command each time. What a phone keeps to itself, as many do with their sensors, is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..perf import Device
from .client import Adb

#: A phone that got so much warmer while it was measured is slower at the end than at the beginning.
WARMER_C = 5.0
#: Android's own battery saver begins at about this charge, and slows the cores.
LOW_BATTERY_PERCENT = 20
#: Governors that keep clocks low on purpose.
SLOW_GOVERNORS = {"powersave", "conservative"}

_PROPERTIES = (
    *("ro.product.manufacturer", "ro.product.model", "ro.soc.manufacturer", "ro.soc.model", "ro.board.platform"),
    *("ro.build.version.release", "ro.build.version.sdk", "ro.product.cpu.abilist"),
)
_WHO = f"""for p in {" ".join(_PROPERTIES)}; do echo "property|$p|$(getprop $p)"; done
echo "cores|$(nproc)" """
_STATE = """for p in /sys/devices/system/cpu/cpufreq/policy*; do
echo "policy|$(cat $p/related_cpus)|$(cat $p/scaling_governor)|$(cat $p/cpuinfo_max_freq)"; done 2>/dev/null
for z in /sys/class/thermal/thermal_zone*; do echo "zone|$(cat $z/type)|$(cat $z/temp)"; done 2>/dev/null
echo "saver|$(settings get global low_power 2>/dev/null)"
dumpsys battery
dumpsys thermalservice"""

#: `mType` of a thermal HAL's temperatures -> what it is of; others say little about the cores.
_SENSORS = {"0": "cpu", "1": "gpu", "3": "skin", "9": "npu"}
#: `status` of BatteryManager.
_CHARGING = {"1": "unknown", "2": "charging", "3": "discharging", "4": "not charging", "5": "full"}


@dataclass(frozen=True)
class Identity:
    """What does not change.

    Attributes:
        model: manufacturer and model.
        soc: the chip, or the board if the chip is not told.
        android: release.
        sdk: API level, 0 if not known.
        abis: instruction sets that it runs, the best first.
        cores: number of them.
    """

    model: str
    soc: str
    android: str
    sdk: int
    abis: tuple[str, ...]
    cores: int


@dataclass(frozen=True)
class State:
    """What does.

    Attributes:
        temperatures_c: hottest ``cpu``, ``gpu``, ``npu``, ``skin`` and ``battery``, as far as told.
        throttling: Android's thermal status: 0 is none, 6 shuts down; None if not told.
        governors: cores and highest clock -> governor.
        battery_percent: charge; None if not told.
        charging: ``charging``, ``discharging``, ``not charging``, ``full``; empty if not told.
        saver: whether the battery saver is on.
    """

    temperatures_c: dict[str, float] = field(default_factory=dict)
    throttling: int | None = None
    governors: dict[str, str] = field(default_factory=dict)
    battery_percent: int | None = None
    charging: str = ""
    saver: bool = False


def read_identity(adb: Adb) -> Identity:
    """Ask a phone what it is.

    Raises:
        DeviceError: it is gone.
    """
    rows = [line.split("|") for line in adb.shell(_WHO).output.splitlines()]
    told = {row[1]: row[2].strip() for row in rows if row[0] == "property" and len(row) == 3}
    cores = next((row[1] for row in rows if row[0] == "cores" and len(row) == 2), "")
    return Identity(
        model=_named(told, "ro.product.manufacturer", "ro.product.model") or "a phone",
        soc=_named(told, "ro.soc.manufacturer", "ro.soc.model") or told.get("ro.board.platform", ""),
        android=told.get("ro.build.version.release", ""),
        sdk=_integer(told.get("ro.build.version.sdk", "")) or 0,
        abis=tuple(abi for abi in told.get("ro.product.cpu.abilist", "").split(",") if abi),
        cores=_integer(cores) or 0,
    )


def _named(told: dict[str, str], maker: str, model: str) -> str:
    """Maker and model, without the maker where the model begins with it or is missing."""
    first, second = told.get(maker, ""), told.get(model, "")
    if not second or second == "unknown":
        return ""
    return second if second.lower().startswith(first.lower()) else f"{first} {second}"


def read_state(adb: Adb) -> State:
    """Ask a phone how it does.

    Raises:
        DeviceError: it is gone.
    """
    return parse_state(adb.shell(_STATE).output)


def parse_state(text: str) -> State:
    """What `read_state` asked for, from the phone's answer."""
    rows = [line.strip().split("|") for line in text.splitlines()]
    battery = dict(re.findall(r"^ +(level|status|temperature): (-?\d{1,6})$", text, re.M))
    throttling = re.search(r"^Thermal Status: (\d{1,3})$", text, re.M)
    temperatures = _temperatures(text, [row[1:] for row in rows if row[0] == "zone" and len(row) == 3])
    if "temperature" in battery:  # tenths of a degree
        temperatures["battery"] = int(battery["temperature"]) / 10
    return State(
        temperatures_c=temperatures,
        throttling=int(throttling[1]) if throttling else None,
        governors=dict(_policy(*row[1:]) for row in rows if row[0] == "policy" and len(row) == 4 and row[2]),
        battery_percent=int(battery["level"]) if "level" in battery else None,
        charging=_CHARGING.get(battery.get("status", ""), ""),
        saver=["saver", "1"] in rows,
    )


def _policy(cores: str, governor: str, top_khz: str) -> tuple[str, str]:
    """``0 1 2 3``, ``schedutil``, ``1804800`` -> ``cpu 0-3, 1.80 GHz``, ``schedutil``."""
    numbers = cores.split()
    span = numbers[0] if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}" if numbers else "?"
    khz = _integer(top_khz)
    clock = f", {khz / 1e6:.2f} GHz" if khz else ""
    return f"cpu {span}{clock}", governor


def _temperatures(text: str, zones: list[list[str]]) -> dict[str, float]:
    """The hottest of each kind: from the thermal service, or from the kernel's zones where there is none."""
    current = text.rpartition("Current temperatures from HAL:")[2] or text
    found = re.findall(r"Temperature\{mValue=(-?\d{1,6}(?:\.\d*)?), mType=(\d)", current)
    told = [(_SENSORS[kind], float(value)) for value, kind in found if kind in _SENSORS]
    if not any(name == "cpu" for name, _ in told):
        told += [("cpu", (_integer(value) or 0) / 1e3) for kind, value in zones if _of_cores(kind)]
    hottest: dict[str, float] = {}
    for name, value in told:
        if 0 < value < 150:  # a sensor that is not there says 0
            hottest[name] = max(value, hottest.get(name, value))
    return hottest


def _of_cores(zone: str) -> bool:
    return bool(re.search(r"cpu|soc|tsens|big|little", zone, re.I))


def _integer(text: str) -> int | None:
    """A number that a phone tells; None if it is none, or longer than any of them."""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text.strip()) else None


def warnings(before: State, after: State) -> list[str]:
    """Why the times may not be what the phone can do, as sentences."""
    found = []
    for name, was in before.temperatures_c.items():
        if (now := after.temperatures_c.get(name, was)) >= was + WARMER_C:
            found.append(f"its {name} went from {was:.1f} to {now:.1f} °C: let it cool, measure fewer files at a time")
    if worst := max(before.throttling or 0, after.throttling or 0):
        found.append(f"Android slowed it down for its warmth (thermal status {worst})")
    percent = before.battery_percent
    if percent is not None and percent < LOW_BATTERY_PERCENT:
        found.append(f"its battery is at {percent} %: charge it first")
    if before.saver or after.saver:
        found.append("its battery saver is on and slows it: turn it off")
    if before.charging == "charging":
        found.append("its battery was charging, which warms it")
    for cores, governor in before.governors.items():
        if governor in SLOW_GOVERNORS:
            found.append(f"the governor {governor} keeps the clocks of {cores} low")
    return found


def describe(identity: Identity, before: State, after: State) -> Device:
    """The phone, for a ``perf.json``; without its serial number."""
    facts = {
        "soc": identity.soc,
        "governor": "; ".join(f"{cores}: {governor}" for cores, governor in before.governors.items()),
        "temperature_before_c": _degrees(before),
        "temperature_after_c": _degrees(after),
        "thermal_status": " then ".join(str(s.throttling) for s in (before, after) if s.throttling is not None),
        "battery": ", ".join(filter(None, (f"{before.battery_percent} %", before.charging)))
        if before.battery_percent is not None
        else "",
        "warnings": "; ".join(warnings(before, after)),
    }
    return Device(
        kind="adb",
        name=identity.model[:500],
        system=f"Android {identity.android}".strip()[:500],
        machine=(identity.abis[0] if identity.abis else "")[:500],
        cores=identity.cores,
        facts={key: value[:500] for key, value in facts.items() if value},
    )


def _degrees(state: State) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in state.temperatures_c.items())
