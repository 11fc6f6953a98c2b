"""``pocketface bench serve``: models in a phone's browser, timed there and judged here."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import PATH, as_json, console, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..bench.perf import Perf
    from ..bench.serve.engines import Setting
    from ..bench.serve.server import Serving
    from ..bench.serve.tls import Tls

#: Those of ``bench.serve.engines``, which takes longer to import.
SETTINGS = ("wasm", "wasm threads", "webgpu")


@click.command()
@click.argument("models", nargs=-1, required=True, type=PATH)
@click.option("--host", help="Address to listen at. Default: this machine's in its network.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="any that is free")
@click.option("--tls", is_flag=True, help="https with a certificate made now: threads and WebGPU need it on a phone.")
@click.option("--devices", type=click.IntRange(1, 100), default=1, show_default=True, help="Reports to wait for.")
@click.option("--timeout", type=click.FloatRange(1), default=1800, show_default=True, help="Seconds to wait for them.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=10, show_default=True, help="Most for one setting.")
@click.option("--setting", "settings", type=click.Choice(SETTINGS), multiple=True, help="Repeatable. Default: all.")
@click.option(
    "--pictures", type=click.IntRange(1, 48), default=8, show_default=True, help="Whose outputs are compared."
)
@click.option("--engines", type=PATH, help="A node_modules with onnxruntime-web or @litertjs/core.")
@click.option("--out", type=PATH, help="Folder for perf.json and the report; of several devices, for one each.")
@as_json
def serve(
    models: Sequence[Path],
    host: str | None,
    port: int,
    tls: bool,
    devices: int,
    timeout: float,
    seconds: float,
    settings: Sequence[Setting],
    pictures: int,
    engines: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Time .onnx and .tflite MODELS in the browser of a phone, and check what they answer there.

    Prints an address and a QR code. The page behind it runs every model with one thread, with several and on WebGPU,
    as far as its browser offers them, and posts times and outputs; they are judged here, by the same file in Python.
    The command ends when the reports have come: status 0 if every answer was right, 1 if not.

    \b
    pocketface bench serve detector.onnx recogniser.tflite --tls --out out/pixel
    pocketface bench serve detector.onnx --host 127.0.0.1 --port 8000   with `adb reverse tcp:8000 tcp:8000`

    Anybody on the network who has the address can load the models. With `#auto&name=NAME` behind the address the
    page begins by itself, which serves browsers without a person.
    """  # noqa: D301 - click reads the escape as "keep these lines"
    from ..bench.serve.address import lan_address
    from ..bench.serve.desk import Desk, Limits
    from ..bench.serve.exam import set_exam
    from ..bench.serve.server import serving
    from ..bench.serve.tls import self_signed

    screen, address = console(), host or lan_address()
    with screen.status("computing the right answers"):
        exams = [set_exam(model, pictures=pictures, engines=engines) for model in models]
    secure = self_signed(address) if tls else None
    names = " ".join(model.name for model in models)
    desk = Desk(
        exams,
        devices=devices,
        limits=Limits(seconds=seconds),
        settings=settings,
        command=f"pocketface bench serve {names}",
    )
    perfs: list[Perf] = []
    try:
        with serving(desk, address, port, secure) as running:
            _invite(screen, running, secure)
            for perf in _collected(screen, running, timeout):
                perfs.append(perf)
                _keep(perf, out if devices == 1 or not out else out / f"device-{len(perfs)}", as_json)
    finally:  # what came is told, even if it could not be written
        if as_json:
            print_json(perfs)
    if told := _complaint(perfs, devices, timeout):
        _say(screen, told)
        raise click.exceptions.Exit(1)


def _complaint(perfs: Sequence[Perf], devices: int, timeout: float) -> str | None:
    """Why the status is not 0."""
    runs = [one for perf in perfs for one in perf.measurements]
    wrong = sum(one.parity is not None and not one.parity.passed for one in runs)
    if not perfs:
        return _none(timeout)
    if wrong:
        return f"{wrong} of {len(runs)} answered wrongly; the report says how"
    if len(perfs) < devices:
        return f"only {len(perfs)} of {devices} reports came within {timeout:g} s"
    if not all(any(one.times_ms for one in perf.measurements) for perf in perfs):
        return "a device could run nothing; the report says why"
    return None


def _none(timeout: float) -> str:
    return (
        f"no report came within {timeout:g} s: is the phone in the same network, and does a firewall let it through? "
        "--timeout waits longer"
    )


def _say(screen: Console, text: str) -> None:
    screen.print(f"pocketface: {text}", markup=False, highlight=False, soft_wrap=True)


def _invite(screen: Console, running: Serving, secure: Tls | None) -> None:
    """The address, and a code for a camera."""
    from ..bench.serve.address import qr_code

    code = qr_code(running.url)
    print(code or "pip install 'pocketface[serve]' for a QR code", file=screen.file)
    screen.print(f"Open on the device: {running.url}", markup=False, highlight=False, soft_wrap=True)
    if secure:
        say = f"Its browser warns of the certificate, which is its own. SHA-256: {secure.fingerprint}"
        screen.print(say, markup=False, highlight=False, soft_wrap=True)
    elif not running.is_local:
        say = "Over plain http browsers give one thread and no WebGPU; --tls gives both."
        screen.print(say, markup=False, highlight=False)


def _collected(screen: Console, running: Serving, timeout: float) -> Iterator[Perf]:
    """Reports as they come, until all are there or the time is up."""
    end = time.monotonic() + timeout
    for place in range(running.desk.devices):
        try:
            with screen.status(f"waiting for report {place + 1} of {running.desk.devices}"):
                yield running.desk.results.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            return


def _keep(perf: Perf, folder: Path | None, as_json: bool) -> None:
    """Show a device's results, and write them."""
    from ..bench.serve.table import perf_report
    from ..render import print_report, save_report

    report = perf_report(perf)
    if not as_json:
        print_report(report)
    if folder:
        perf.save(folder / "perf.json")
        save_report(report, folder)
