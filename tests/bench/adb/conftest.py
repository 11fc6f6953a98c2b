"""Phones for the tests: what they were recorded to say of themselves, and a server that the real adb client asks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketface.artifact import Artifact, write_sidecar
from pocketface.bench.adb.client import find_adb
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.errors import MissingExtra

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package
from fake_adb import FakePhone, FakeServer

#: What `dumpsys battery` prints on Android 14.
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4213
  temperature: {tenths}
  technology: Li-ion
"""
#: What `dumpsys thermalservice` prints on Android 12: what it keeps, what it measures now, and limits.
THERMAL = """IsStatusOverride: false
ThermalStatusListeners:
\tcallbacks: 4
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=99.0, mType=0, mName=AP, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue={cpu}, mType=0, mName=AP, mStatus=0}}
\tTemperature{{mValue=30.5, mType=0, mName=LITTLE, mStatus=0}}
\tTemperature{{mValue=23.8, mType=2, mName=BAT, mStatus=0}}
\tTemperature{{mValue=28.1, mType=3, mName=SKIN, mStatus=0}}
\tTemperature{{mValue=0.0, mType=1, mName=GPU, mStatus=0}}
\tTemperature{{mValue=NaN, mType=9, mName=NPU, mStatus=0}}
Temperature static thresholds from HAL:
\tTemperatureThreshold{{mType=0, mName=AP, mHotThrottlingThresholds=[NaN, 88.0]}}
"""
PROPERTIES = {
    "ro.product.manufacturer": "Google",
    "ro.product.model": "Pixel 7",
    "ro.soc.manufacturer": "Google",
    "ro.soc.model": "GS201",
    "ro.board.platform": "gs201",
    "ro.build.version.release": "14",
    "ro.build.version.sdk": "34",
    "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
}


@pytest.fixture
def recorded() -> tuple[str, str]:
    """Forms of `dumpsys battery` and `dumpsys thermalservice`, to be filled in."""
    return BATTERY, THERMAL


@pytest.fixture
def plug_in(adb_server: FakeServer, tmp_path: Path) -> Callable[..., FakePhone]:
    """Connects a phone to the server: eight cores, warm, at 78 %, discharging."""

    def plug(serial: str, **options: object) -> FakePhone:
        phone = FakePhone(serial, tmp_path / "phones" / serial, **options)
        for name, value in PROPERTIES.items():
            phone.set("getprop", value, name)
        phone.set("nproc", "8")
        phone.set("settings", "0")
        phone.set("dumpsys", BATTERY.format(status=3, level=78, tenths=271), "battery")
        phone.set("dumpsys", THERMAL.format(status=0, cpu=34.2), "thermalservice")
        for cores, khz in (("0 1 2 3", 1803000), ("4 5", 2348000), ("6 7", 2850000)):
            policy = f"/sys/devices/system/cpu/cpufreq/policy{cores[0]}"
            phone.file(f"{policy}/related_cpus", cores + "\n")
            phone.file(f"{policy}/scaling_governor", "sched_pixel\n")
            phone.file(f"{policy}/cpuinfo_max_freq", f"{khz}\n")
        adb_server.phones[serial] = phone
        return phone

    return plug


@pytest.fixture
def artifact(tmp_path: Path) -> Callable[[str], Artifact]:
    """Makes a model file with a contract; no program of these tests looks inside."""
    contract = ModelContract(
        model="tiny",
        task=Recognition(embedding_size=4),
        input=InputSpec(name="image", layout="NHWC", height=112, width=112),
        outputs={"embedding": "embedding"},
        fingerprint="ab" * 32,
        weights="seeded:0",
        trained=False,
        macs=1000,
    )

    def make(name: str) -> Artifact:
        path = tmp_path / name
        path.write_bytes(b"\x10\0\0\0TFL3" + bytes(range(200)) if path.suffix == ".tflite" else b"")
        return write_sidecar(path, contract)

    return make


@pytest.fixture(scope="session")
def adb_program() -> str:
    """The real adb client: the one on PATH, or the one that adbutils carries."""
    try:
        return find_adb()
    except MissingExtra as e:
        pytest.skip(str(e))


@pytest.fixture
def adb_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that the client finds by its environment, without any phone."""
    with FakeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.server_address[1]))
        yield server
        server.shutdown()
