"""Reports: finished runs as one page that needs no other file, and one table."""

import base64
import csv
import html.parser
import io
import signal

import matplotlib.image
import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxbias import report
from jaxbias.cli import _main, guarded
from jaxbias.runs import RunDirectory, UsageError, write_atomic

VERDICTS = [
    {
        "id": "first",
        "source": "Fig. 4 & Table 1",
        "claim": "relu: <b>low</b>, at any scale",
        "expected": "below 0.25",
        "tolerance": "none",
        "certainty": "read",
        "outcome": outcome,
        "here": "0.20 <u>under</u> 0.25, é",
    }
    for outcome in ("reproduced", "not reproduced", "not judged")
]


def picture(shade):
    buffer = io.BytesIO()
    plt.imsave(
        buffer, np.full((4, 5), shade), vmin=0, vmax=1, cmap="gray", format="png"
    )
    return buffer.getvalue()


PICTURES = {"heatmaps_lz76": picture(0.2), "curves": picture(0.8)}


def made(folder, experiment="random-networks", finish=True, **config):
    """A run directory, as an experiment leaves it."""
    config = {"seed": 0, "note": "a <i>& b"} | config
    with RunDirectory.open(
        folder, study="neural_redshift", experiment=experiment, config=config
    ) as run:
        run.update_manifest(environment={"device": {"devices": 3, "kind": "<cpu>"}})
        run.write_verdicts(VERDICTS)
        for name, data in PICTURES.items():
            write_atomic(run.figure_path(name), data)
        if finish:
            run.finish(timings={"total_seconds": 12.5})
    return folder


class Page(html.parser.HTMLParser):
    """The parts of a page: its tags with attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def written(tmp_path):
    runs = [made(tmp_path / "one"), made(tmp_path / "two", "other", seed=4)]
    path = report.write(runs, tmp_path / "deep" / "report")
    assert path == tmp_path / "deep" / "report" / "index.html"
    return path


def test_the_page_holds_every_verdict(written):
    page = Page(written.read_text(encoding="utf-8"))
    for part in (
        "neural_redshift: random-networks",
        "neural_redshift: other",
        "relu: <b>low</b>, at any scale",
        "Fig. 4 & Table 1",
        "expected: below 0.25 (read)",
        "0.20 <u>under</u> 0.25, é",
        "3 <cpu> devices, 12.5 s",
        "seed=4",
        "a <i>& b",
    ):
        assert part in page.text
    # What runs say is text: it makes no tags.
    assert [page.of(tag) for tag in "biu"] == [[], [], []]
    classes = [cell["class"] for cell in page.of("td") if "class" in cell]
    assert classes == ["reproduced", "not-reproduced", "not-judged"] * 2
    assert page.of("meta") == [{"charset": "utf-8"}]


def test_figures_are_in_the_page_itself(written):
    page = Page(written.read_text(encoding="utf-8"))
    images = page.of("img")
    assert [i["alt"] for i in images] == ["curves", "heatmaps lz76"] * 2
    for image, data in zip(images, [*PICTURES.values()][::-1] * 2, strict=True):
        kind, text = image["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(text, validate=True) == data
        found = matplotlib.image.imread(io.BytesIO(data), format="png")
        assert found.shape[:2] == (4, 5)
    # Nothing is fetched from anywhere.
    for tag in ("script", "link", "iframe"):
        assert page.of(tag) == []
    assert "http" not in written.read_text(encoding="utf-8")


def test_the_table_has_a_row_a_verdict(written):
    text = (written.parent / "verdicts.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == report.COLUMNS
    assert [row["experiment"] for row in rows] == ["random-networks"] * 3 + [
        "other"
    ] * 3
    for row, verdict in zip(rows, VERDICTS * 2, strict=True):
        assert row["study"] == "neural_redshift"
        for name in ("id", "claim", "source", "expected", "here", "outcome"):
            assert row[name] == verdict[name]


def test_a_report_is_replaced_and_the_same_for_the_same_runs(tmp_path, written):
    before = {p.name: p.read_bytes() for p in written.parent.iterdir()}
    assert set(before) == {"index.html", "verdicts.csv"}
    report.write([tmp_path / "one", tmp_path / "two"], written.parent)
    assert before == {p.name: p.read_bytes() for p in written.parent.iterdir()}
    report.write([tmp_path / "two"], written.parent)
    assert "random-networks" not in written.read_text(encoding="utf-8")


def test_runs_are_only_read(tmp_path, written):
    folder = tmp_path / "one"
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}
    report.write([folder], tmp_path / "again")
    after = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}
    assert before == after


@pytest.mark.parametrize("kind", ["unfinished", "absent", "foreign", "no manifest"])
def test_what_is_no_finished_run_is_refused_and_nothing_written(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "unfinished":
        made(folder, finish=False)
    elif kind != "absent":
        folder.mkdir()
        name = "manifest.json" if kind == "foreign" else "notes.txt"
        (folder / name).write_text('{"format": "another program"}')
    with pytest.raises(UsageError, match=kind) as raised:
        report.write([made(tmp_path / "good"), folder], tmp_path / "out")
    assert "\n" not in str(raised.value)
    if kind == "unfinished":
        assert "not finished: interrupted" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    run = made(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=f"--out {out}"):
            report.write([run], out)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.fixture
def terminate():
    """`guarded` takes over the process's signal; give it back."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_the_command_writes_a_report(tmp_path, capsys, terminate):
    runs = [str(made(tmp_path / "one")), str(made(tmp_path / "two", seed=1))]
    argv = ["report", *runs, "--out", str(tmp_path / "out")]
    assert guarded(lambda: _main(argv)) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (f"wrote {tmp_path / 'out' / 'index.html'}\n", "")
    assert Page((tmp_path / "out" / "index.html").read_text()).text.count("seed=") == 2
    unfinished = str(made(tmp_path / "three", finish=False))
    argv = ["report", unfinished, "--out", str(tmp_path / "other")]
    assert guarded(lambda: _main(argv)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"error: {unfinished}") and err.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_a_run_without_figures_and_verdicts_is_still_a_section(tmp_path):
    with RunDirectory.open(
        tmp_path / "run", study="s", experiment="e", config={"a": 1}
    ) as run:
        run.finish()
    path = report.write([tmp_path / "run"], tmp_path / "out")
    page = Page(path.read_text())
    assert "s: e" in page.text and "? unknown devices, ? s." in page.text
    assert page.of("img") == []
    assert (tmp_path / "out" / "verdicts.csv").read_text().count("\n") == 1
