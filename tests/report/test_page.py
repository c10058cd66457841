"""The page: everything of finished runs in one file, and what is not whole by name."""

import base64
import contextlib
import io

import matplotlib.image
import pytest
from made_runs import PICTURES, VERDICTS, Page, begun, made

from jaxbias import report
from jaxbias.runs import UsageError


def page(folder):
    return Page((folder / "index.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = [made(folder / "one"), made(folder / "two", "modulo-addition", seed=4)]
    out = folder / "deep" / "report"
    assert [run.path for run in report.write(runs, out)] == runs
    return out


def test_the_page_holds_every_verdict(written):
    found = page(written)
    for part in (
        "neural_redshift random-networks",
        "neural_redshift modulo-addition",
        "Neural Redshift: the complexity",
        "relu: <b>low</b>, at any scale",
        "Fig. 4 & Table 1",
        "expected: below 0.25 (read)",
        "0.20 <u>under</u> 0.25, é",
        "smoke, 3 <card>s, 2 processes, 12 s",
        "a <i>& b",
        "nested.deep",
        "2 finished runs of 2 experiments",
        "2 reproduced, 2 not reproduced, 2 not judged",
    ):
        assert part in found.text, part
    # What runs say is text: it makes no tags.
    assert [found.of(tag) for tag in "biu"] == [[], [], []]
    classes = [cell["class"] for cell in found.of("td") if "class" in cell]
    assert classes == ["reproduced", "not-reproduced", "not-judged"] * 2
    assert "side by side" not in found.text and "Settings" not in found.text


def test_figures_are_in_the_page_itself(written):
    images = page(written).of("img")
    assert [i["alt"] for i in images] == ["curves", "heatmaps lz76"] * 2
    for image, data in zip(images, [*PICTURES.values()] * 2, strict=True):
        kind, text = image["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(text, validate=True) == data
        assert matplotlib.image.imread(io.BytesIO(data), format="png").ndim == 3


def test_nothing_is_fetched_and_nothing_can_be(written):
    found = page(written)
    for tag in ("script", "iframe", "base", "object"):
        assert found.of(tag) == []
    assert [link["href"] for link in found.of("link")] == ["data:,"]
    assert "://" not in (written / "index.html").read_text(encoding="utf-8")
    policy = {meta.get("http-equiv"): meta.get("content") for meta in found.of("meta")}
    assert policy["Content-Security-Policy"].startswith("default-src 'none'")


def test_links_lead_to_sections(written):
    found = page(written)
    sections = {section.get("id") for section in found.of("section")}
    links = [link["href"].removeprefix("#") for link in found.of("a")]
    assert len(links) == 2 and set(links) <= sections


def test_a_report_is_replaced_and_the_same_for_the_same_runs(tmp_path):
    runs = [made(tmp_path / "one"), made(tmp_path / "two", "modulo-addition")]
    out = tmp_path / "report"
    report.write(runs, out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert set(before) == {"index.html", "verdicts.csv", "results.md"}
    report.write(runs, out)
    assert before == {p.name: p.read_bytes() for p in out.iterdir()}
    report.write(runs[1:], out)
    assert "random-networks" not in (out / "index.html").read_text(encoding="utf-8")


def test_runs_are_only_read(tmp_path):
    folder = made(tmp_path / "one")
    made(tmp_path / "cut", finish=False)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    report.write([tmp_path], tmp_path.with_name("again"))
    after = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    assert before == after and folder in after


def test_runs_of_one_experiment_stand_side_by_side(tmp_path):
    other = [dict(row) for row in VERDICTS]
    other[0]["outcome"], other[0]["here"] = "not reproduced", "0.31"
    other[2]["id"] = "fourth"
    made(tmp_path / "one")
    made(tmp_path / "two", verdicts=other, seed=7, extra=[1, 2])
    report.write([tmp_path], tmp_path / "report")
    found = page(tmp_path / "report")
    # One section for both, and only the settings that differ in its table.
    assert [s.get("id") for s in found.of("section")] == [
        None,
        "neural_redshift-random-networks",
    ]
    labels = [cell.get("data-label") for cell in found.of("td")]
    assert labels.count("setting") == 2
    assert "Settings that differ" in found.text
    for heading in ("here: one", "verdict: one", "here: two", "verdict: two"):
        assert labels.count(heading) == 4
    # A claim is marked where the runs do not agree, or one does not have it.
    kinds = [row.get("class") for row in found.of("tr") if row.get("class")]
    assert kinds == ["differs"] * 3
    assert [i["alt"] for i in found.of("img")] == [
        "curves: one",
        "curves: two",
        "heatmaps lz76: one",
        "heatmaps lz76: two",
    ]


def test_the_same_run_twice_differs_in_nothing(tmp_path):
    made(tmp_path / "one")
    made(tmp_path / "two")
    report.write([tmp_path], tmp_path / "report")
    found = page(tmp_path / "report")
    assert "All settings are the same." in found.text
    assert not any(row.get("class") for row in found.of("tr"))


def test_what_is_not_whole_is_named_and_the_rest_shown(tmp_path):
    runs = tmp_path / "runs"
    made(runs / "a-good")
    made(runs / "b-cut", finish=False)
    (made(runs / "c-table") / "results.parquet").write_bytes(b"PAR1 and no more")
    (made(runs / "d-verdicts") / "verdicts.json").write_text('[{"id": "first"}]')
    (made(runs / "e-manifest") / "manifest.json").write_text('{"format": "jaxb')
    figure = made(runs / "f-figure") / "figures" / "curves.png"
    figure.write_bytes(figure.read_bytes()[:-20])
    with contextlib.suppress(ValueError), begun(runs / "g-failed"):
        raise ValueError("<b>no</b>")
    found = {run.name: run for run in report.write([runs], tmp_path / "out")}
    assert {name: run.state for name, run in found.items()} == {
        "a-good": "done",
        "b-cut": "interrupted",
        "c-table": "damaged",
        "d-verdicts": "damaged",
        "e-manifest": "damaged",
        "f-figure": "damaged",
        "g-failed": "failed",
    }
    shown = page(tmp_path / "out")
    assert "6 runs not shown." in shown.text
    assert all("\n" not in run.problem for run in found.values())
    for run in found.values():
        assert (str(run.path) in shown.text) and run.problem in shown.text
    assert len(shown.of("img")) == 2


def test_a_run_that_works_is_told_from_one_that_was_killed(tmp_path):
    run = begun(tmp_path / "run")
    assert [found.state for found in report.gather([tmp_path])] == ["running"]
    run.release()
    assert [found.state for found in report.gather([tmp_path])] == ["killed"]


@pytest.mark.parametrize("kind", ["absent", "foreign", "empty"])
def test_what_holds_no_run_is_refused_and_nothing_written(tmp_path, kind):
    folder = tmp_path / kind
    if kind != "absent":
        folder.mkdir()
    if kind == "foreign":
        (folder / "manifest.json").write_text('{"format": "another program"}')
        (folder / "other.json").write_text("[1, 2]")
    with pytest.raises(UsageError, match=kind) as raised:
        report.write([made(tmp_path / "good"), folder], tmp_path / "out")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    run = made(tmp_path / "run")
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match=f"--out {out}"):
            report.write([run], out)
    with pytest.raises(UsageError, match="--records"):
        report.write([run], tmp_path / "out", kept=tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_without_figures_and_verdicts_is_still_a_section(tmp_path):
    with begun(tmp_path / "run", "e", study="s") as run:
        run.update_manifest(environment={}, sessions=[])
        run.finish()
    report.write([tmp_path / "run"], tmp_path / "out")
    found = page(tmp_path / "out")
    assert "s e" in found.text and "? unknown devices, ? s" in found.text
    assert found.of("img") == []
    assert (tmp_path / "out" / "verdicts.csv").read_text().count("\n") == 1
