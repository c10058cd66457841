"""Records, the tables made of them, and the command."""

import csv
import json
import signal

import pytest
from made_runs import VERDICTS, made

from jaxbias import report
from jaxbias.cli import _main, guarded
from jaxbias.report import records, tables
from jaxbias.runs import UsageError


def argv_of(folder, *argv):
    """Give a run the arguments of a process."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sessions"][-1]["argv"] = list(argv)
    path.write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    "argv, line",
    [
        (["/x/experiments/s.py"], "e"),
        (["/x/experiments/s.py", "e", "--seed", "1", "--out", "o/p"], "e --seed 1"),
        (["/x/experiments/s.py", "--out=o", "--quiet", "--n", "2"], "e --n 2"),
        (["/x/bin/jaxbias", "s", "e", "--data", "a b"], "e --data 'a b'"),
        (["s.py", "e", "--overwrite", "--output", "o"], "e --output o"),
    ],
)
def test_a_command_is_the_line_to_type_anywhere(argv, line):
    command = records.command("s", "e", argv)
    assert command == f"python -m experiments.s {line}"
    assert records.command("s", "e", command.split(" ")) == command.replace(
        "'a b'", "''\"'\"'a' 'b'\"'\"''"
    )


def test_no_arguments_no_command():
    assert records.command("s", "e", []) == ""


def test_a_report_of_records_is_that_of_the_runs_without_figures(tmp_path):
    run = argv_of(
        made(tmp_path / "run"), "/home/me/s.py", "random-networks", "--n", "2"
    )
    kept = tmp_path / "kept"
    report.write([run], tmp_path / "first", kept=kept)
    assert [path.name for path in kept.iterdir()] == ["neural_redshift-run.json"]
    text = (kept / "neural_redshift-run.json").read_text()
    assert "/home/me" not in text and str(tmp_path) not in text
    for private in ("hostname", '"pid"'):
        assert private not in text
    report.write([kept], tmp_path / "second")
    first, second = (
        (tmp_path / name / "results.md").read_text() for name in ("first", "second")
    )
    assert first == second
    assert "`python -m experiments.neural_redshift random-networks --n 2`" in first
    (found,) = report.gather([kept])
    assert found.finished and found.verdicts == VERDICTS and not found.figures
    # Once more through a record: nothing is lost on the way.
    report.write([kept], tmp_path / "third", kept=tmp_path / "again")
    again = tmp_path / "again" / "neural_redshift-neural_redshift-run.json"
    assert again.read_text() == text


def test_only_finished_runs_are_kept(tmp_path):
    made(tmp_path / "runs" / "whole")
    made(tmp_path / "runs" / "cut", finish=False)
    report.write([tmp_path / "runs"], tmp_path / "out", kept=tmp_path / "kept")
    assert [p.name for p in (tmp_path / "kept").iterdir()] == [
        "neural_redshift-whole.json"
    ]


@pytest.mark.parametrize("damage", ["verdicts", "outcome", "study"])
def test_a_damaged_record_is_refused_in_one_line(tmp_path, damage):
    report.write([made(tmp_path / "run")], tmp_path / "out", kept=tmp_path / "kept")
    path = tmp_path / "kept" / "neural_redshift-run.json"
    kept = json.loads(path.read_text())
    if damage == "outcome":
        kept["verdicts"][1]["outcome"] = "perhaps"
    else:
        kept[damage] = None
    path.write_text(json.dumps(kept))
    with pytest.raises(UsageError, match=f"{path}: damaged record") as raised:
        report.gather([tmp_path / "kept"])
    assert "\n" not in str(raised.value)


def test_the_csv_has_a_row_a_verdict(tmp_path):
    runs = [made(tmp_path / "one"), made(tmp_path / "two", "modulo-addition")]
    report.write(runs, tmp_path / "out")
    text = (tmp_path / "out" / "verdicts.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == tables.COLUMNS
    assert [(row["experiment"], row["run"]) for row in rows] == [
        ("random-networks", "one")
    ] * 3 + [("modulo-addition", "two")] * 3
    for row, verdict in zip(rows, VERDICTS * 2, strict=True):
        assert row["study"] == "neural_redshift"
        for name in ("id", "claim", "source", "expected", "here", "outcome"):
            assert row[name] == verdict[name]


@pytest.fixture
def kept(tmp_path):
    """Records of three runs of two studies."""
    runs = tmp_path / "runs"
    made(runs / "b", "gaussian-mixture", study="generative_augmentation")
    made(runs / "a", "modulo-addition")
    odd = [VERDICTS[0] | {"claim": "a | b * <c> \\", "here": "two\nlines"}]
    made(runs / "c", verdicts=odd)
    report.write([runs], tmp_path / "out", kept=tmp_path / "kept")
    return tmp_path / "kept"


def test_the_markdown_table_goes_by_study_and_experiment(kept):
    lines = tables.markdown(report.gather([kept])).splitlines()
    assert lines[:2] == ["| published | here | verdict |", "|---|---|---|"]
    firsts = [line.split(" | ")[0] for line in lines if "`" in line or "**" in line[:4]]
    assert [f.split(" ")[-1].strip("`*|") for f in firsts] == [
        "prefer",  # Neural Redshift
        "random-networks",
        "modulo-addition",
        "help",
        "gaussian-mixture",
    ]
    assert "3 <card>s" not in "".join(lines)  # No markup of a device's name.
    (odd,) = (line for line in lines if "two lines" in line)
    assert odd == (
        "| a \\| b \\* &lt;c> \\\\ (Fig. 4 & Table 1) | two lines | reproduced |"
    )
    assert sum("1 of 2 reproduced" in line for line in lines) == 2
    assert sum("1 of 1 reproduced" in line for line in lines) == 1


def test_headlines_choose_and_order(kept):
    names = {"neural_redshift-a": ["second", "first"], "neural_redshift-c": []}
    (kept / tables.HEADLINES).write_text(json.dumps(names))
    lines = tables.markdown(report.gather([kept])).splitlines()[2:]
    assert len(lines) == 2 + 3 + 2
    assert "modulo-addition" in lines[1] and "random-networks" in lines[4]
    assert [line.endswith("**not reproduced** |") for line in lines[2:4]] == [
        True,
        False,
    ]
    (kept / tables.HEADLINES).write_text('{"neural_redshift-a": ["absent"]}')
    with pytest.raises(UsageError, match="no claim absent"):
        tables.markdown(report.gather([kept]))
    (kept / tables.HEADLINES).write_text("[]")
    with pytest.raises(UsageError, match="damaged"):
        tables.markdown(report.gather([kept]))


def test_a_readme_gets_the_table_between_its_lines(tmp_path, kept):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- results -->\nold \\1\n<!-- /results -->\nafter\n")
    report.write([kept], tmp_path / "out", readme=readme)
    table = (tmp_path / "out" / "results.md").read_text()
    text = readme.read_text()
    assert text == f"before\n<!-- results -->\n{table}<!-- /results -->\nafter\n"
    assert "old" not in text and "\\\\" in text
    for wrong in ("no such lines", None):
        readme.unlink() if wrong is None else readme.write_text(wrong)
        with pytest.raises(UsageError, match="--readme"):
            report.write([kept], tmp_path / "out", readme=readme)


@pytest.fixture
def terminate():
    """`guarded` takes over the process's signal; give it back."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_the_command_writes_a_report(tmp_path, capsys, terminate):
    runs = tmp_path / "runs"
    made(runs / "one")
    made(runs / "two", seed=1)
    made(runs / "three", finish=False)
    out = tmp_path / "out"
    argv = ["report", str(runs), "--out", str(out), "--records", str(out / "kept")]
    assert guarded(lambda: _main(argv)) == 0
    text, err = capsys.readouterr()
    assert err == ""
    assert text.splitlines() == [
        f"{runs / 'three'}: interrupted: left before it was finished",
        f"2 of 3 runs in {out / 'index.html'}",
    ]
    assert len(list((out / "kept").iterdir())) == 2
    assert guarded(lambda: _main(["report", str(tmp_path / "no"), "--out", "x"])) == 2
    text, err = capsys.readouterr()
    assert text == "" and err.startswith("error: ") and err.count("\n") == 1
