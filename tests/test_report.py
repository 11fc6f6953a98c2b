"""A report says what was found, unrounded in JSON and readable elsewhere, and never passes what was not checked."""

from __future__ import annotations

import base64
import getpass
import hashlib
import io
import json
import math
import os
import platform
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from pocketface.artifact import Artifact
from pocketface.contract import InputSpec, ModelContract, Recognition
from pocketface.environment import current_environment
from pocketface.errors import MissingExtra, OutputError
from pocketface.render import print_report, save_report, to_html, to_markdown
from pocketface.report import Column, Picture, Report, Row, Section, artifact_section

COLUMNS = (
    Column(key="file", name="file"),
    Column(key="latency_ms", name="latency", unit="ms", kind="number", spec=".2f", bar=True),
    Column(key="size_bytes", name="size", kind="bytes"),
    Column(key="sha256", name="SHA-256", kind="sha256"),
    Column(key="passed", name="verdict", kind="verdict"),
)
SHA = hashlib.sha256(b"a model").hexdigest()
ROW: Row = {"file": "a.onnx", "latency_ms": 1.23456789, "size_bytes": 4_370_123, "sha256": SHA, "passed": True}


def report(*rows: Row) -> Report:
    return Report(title="A trial", summary="Two files.", sections=[Section(title="Parity", columns=COLUMNS, rows=rows)])


def png(size: tuple[int, int] = (3, 2)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return buffer.getvalue()


class Page(HTMLParser):
    """The tags, addresses and text of a page; complains of tags that are not closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "wbr", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def test_json_holds_numbers_unrounded_under_keys_with_units() -> None:
    data = json.loads(report(ROW).to_json())
    assert data["sections"][0]["rows"] == [ROW]
    assert data["sections"][0]["columns"][1]["unit"] == "ms"
    assert data["verdict"] == "pass"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", data["created"])


def test_json_has_null_for_what_is_not_finite_and_a_hash_for_a_picture() -> None:
    section = Section(
        title="s", columns=COLUMNS, rows=[{"latency_ms": math.nan}], pictures=[Picture("a face", b"\xff\xd8")]
    )
    data = json.loads(Report(title="t", sections=[section]).to_json(), parse_constant=pytest.fail)
    assert data["sections"][0]["rows"] == [{"latency_ms": None}]
    assert data["sections"][0]["pictures"] == [{"title": "a face", "sha256": hashlib.sha256(b"\xff\xd8").hexdigest()}]


@pytest.mark.parametrize(
    ("verdicts", "state", "words"),
    [
        ([True, True], "pass", "2 checks passed"),
        ([True, False, None], "fail", "1 of 2 checks failed, 1 not run"),
        ([True, None], "open", "1 check passed, 1 not run"),
        ([None], "open", "0 checks passed, 1 not run"),
        ([], "open", "Measurements only, nothing was to be checked"),
    ],
)
def test_a_report_passes_only_if_every_check_was_made_and_held(
    verdicts: list[bool | None], state: str, words: str
) -> None:
    made = report(*({**ROW, "passed": passed} for passed in verdicts))
    assert (made.state, made.verdict) == (state, words)


def test_a_row_without_its_verdict_is_not_a_pass() -> None:
    assert report({"file": "a.onnx"}).state == "open"


def test_the_page_leads_with_the_rows_that_failed() -> None:
    made = report(ROW, {**ROW, "file": "b.tflite", "passed": False}, {**ROW, "file": "b.tflite", "passed": False})
    assert made.sections[0].failed == ["b.tflite"]
    head = to_html(made).split("</header>")[0]
    assert "2 of 3 checks failed" in head
    assert "b.tflite" in head
    assert "a.onnx" not in head


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (Column(key="k", name="k", kind="number", spec=".2f"), 1.23456, "1.23"),
        (Column(key="k", name="k", kind="number"), 1234567, "1,234,567"),
        (Column(key="k", name="k", kind="number"), 0.000012345, "1.234e-05"),
        (Column(key="k", name="k", kind="number", spec=".2f"), math.nan, "–"),
        (Column(key="k", name="k", kind="number", spec=".2f"), None, "–"),
        (Column(key="k", name="k", kind="bytes"), 4_370_123, "4.37 MB"),
        (Column(key="k", name="k", kind="bytes"), 999_949, "999.9 kB"),
        (Column(key="k", name="k", kind="count"), 88_300_800, "88.3 M"),
        (Column(key="k", name="k", kind="count"), 2_969_552, "2.97 M"),
        (Column(key="k", name="k", kind="count"), 999_499, "999 k"),
        (Column(key="k", name="k", kind="count"), 999_600, "1.00 M"),
        (Column(key="k", name="k", kind="count"), 12_345_678_901, "12.3 G"),
        (Column(key="k", name="k", kind="count"), 512, "512"),
        (Column(key="k", name="k", kind="sha256"), SHA, SHA[:12]),
        (Column(key="k", name="k", kind="verdict"), True, "✓ pass"),
        (Column(key="k", name="k", kind="verdict"), False, "✗ fail"),
        (Column(key="k", name="k", kind="verdict"), None, "– not run"),
    ],
)
def test_tables_show_values_rounded_and_verdicts_in_words(column: Column, value: float | str, shown: str) -> None:
    assert column.show(value) == shown


def test_a_row_must_fit_its_columns() -> None:
    with pytest.raises(ValueError, match=r"no column for \['latency_s'\]"):
        report({"file": "a.onnx", "latency_s": 1.0})
    with pytest.raises(TypeError, match="latency_ms is a list"):
        report({"latency_ms": [1.0]})  # type: ignore[dict-item]


def test_the_page_needs_nothing_else_and_is_well_formed() -> None:
    section = Section(title="Faces", pictures=[Picture("a face", png())])
    page = Page(to_html(Report(title="t", sections=[*report(ROW).sections, section])))
    assert page.open == []
    addresses = [attrs[name] for _, attrs in page.tags for name in ("src", "href", "srcset") if attrs.get(name)]
    assert addresses
    assert all(address and address.startswith(("data:", "#")) for address in addresses)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert ("code", {"title": SHA}) in page.tags
    assert "@import" not in to_html(report(ROW))
    assert "url(" not in to_html(report(ROW))


def test_a_picture_survives_the_page() -> None:
    page = Page(to_html(Report(title="t", sections=[Section(title="s", pictures=[Picture("p", png((5, 7)))])])))
    source = next(attrs["src"] for tag, attrs in page.tags if tag == "img")
    assert source
    with Image.open(io.BytesIO(base64.b64decode(source.partition("base64,")[2]))) as image:
        assert image.size == (5, 7)


def test_markup_in_values_is_text() -> None:
    evil = "<script>alert(1)</script>"
    section = Section(
        title=evil,
        columns=[Column(key="a_b", name=evil), Column(key="n", name=evil, unit=evil)],
        rows=[{"a_b": evil + "a_b", "n": '"><img src=x>'}],
        notes=[evil],
        pictures=[Picture(evil, png())],
    )
    page = Page(to_html(Report(title=evil, summary=evil, sections=[section])))
    assert "script" not in {tag for tag, _ in page.tags}
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == [evil]
    assert evil in "".join(page.text)


def test_bars_share_one_scale() -> None:
    rows: list[Row] = [{"latency_ms": v} for v in (4.0, 1.0, 0.0, None, math.nan)]
    assert re.findall(r"--share: ([\d.]+)%", to_html(report(*rows))) == ["100.0", "25.0", "0.0", "0.0"]
    assert "--share: 0.0%" in to_html(report({"latency_ms": 0.0}))


def test_save_writes_both_files(tmp_path: Path) -> None:
    data, page = save_report(report(ROW), tmp_path / "new" / "folder")
    assert json.loads(data.read_text("utf-8"))["title"] == "A trial"
    assert "✓ pass" in page.read_text("utf-8")
    assert {p.name for p in data.parent.iterdir()} == {"report.json", "report.html"}


def test_without_jinja2_the_results_are_still_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketface\[export\]'"):
        save_report(report(ROW), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        save_report(report(ROW), tmp_path / "file" / "folder")


@pytest.mark.parametrize("width", [60, 80, 160])
def test_the_terminal_never_cuts_a_figure(width: int) -> None:
    out = io.StringIO()
    row: Row = {**ROW, "file": "a_rather_long_name_of_a_model_112_fp32.mlpackage [bold]"}
    print_report(report(row), Console(file=out, width=width))
    assert all(text in out.getvalue() for text in ("1.23", "4.37 MB", SHA[:12], "✓ pass", "1 check passed"))
    assert "[bold]" in re.sub(r"\s", "", out.getvalue())


def test_markdown_is_a_table_with_its_notes() -> None:
    section = Section(title="A | B", columns=COLUMNS, rows=[{**ROW, "file": "a|b.onnx"}], notes=["Both were run."])
    title, _, head, rule, row, _, note = to_markdown(section).splitlines()
    assert (title, note) == ("**A | B**", "Both were run.")
    assert head == "| file | latency (ms) | size | SHA-256 | verdict |"
    assert rule == "| --- | --: | --: | --- | --- |"
    assert row == f"| a\\|b.onnx | 1.23 | 4.37 MB | {SHA[:12]} | ✓ pass |"


def test_files_are_listed_with_their_hashes_and_a_warning_if_untrained(tmp_path: Path) -> None:
    contract = ModelContract(
        model="mos_xs",
        task=Recognition(embedding_size=4),
        input=InputSpec(name="image", layout="NCHW", height=112, width=112),
        outputs={"embedding": "embedding"},
        fingerprint=SHA,
        weights="seeded:0",
        trained=False,
    )
    section = artifact_section([Artifact(tmp_path / "a.onnx", contract, SHA, 7)])
    assert section.rows[0]["sha256"] == SHA
    assert section.rows[0]["file"] == "a.onnx"
    assert "Not trained" in section.notes[0]


def test_the_environment_tells_versions_and_nothing_about_the_person() -> None:
    environment = current_environment()
    assert environment.packages["numpy"] == __import__("numpy").__version__
    assert environment.python == platform.python_version()
    assert 1 <= environment.cores <= (os.cpu_count() or 1)
    text = report().to_json()
    assert platform.node() not in text or len(platform.node()) < 3
    assert str(Path.home()) not in text
    assert f'"{getpass.getuser()}"' not in text


def test_the_page_begins_with_the_command_and_turns_plots_over_on_dark() -> None:
    section = Section(title="s", pictures=[Picture("a curve", png(), plot=True), Picture("a face", png())])
    made = Report(title="t", command="pocketface evaluate <x> --json", sections=[section])
    page = to_html(made)
    assert "pocketface evaluate &lt;x&gt; --json" in page.split("</header>")[0]
    assert [attrs.get("class") for tag, attrs in Page(page).tags if tag == "figure"] == ["plot", None]
    data = json.loads(made.to_json())
    assert data["command"] == made.command
    assert [picture.get("plot", False) for picture in data["sections"][0]["pictures"]] == [True, False]
