"""Runs as one HTML page that needs no other file, no network and no script.

It is read in light and in dark, on a wide screen and on a telephone, where a row of a
table becomes a card.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from itertools import groupby
from typing import Any

from jaxbias.ledger import OUTCOMES
from jaxbias.manifest import leaves_of
from jaxbias.report.gathered import Found
from jaxbias.report.tables import in_order, title_of

_ABSENT = "-"


def html(found: Sequence[Found]) -> str:
    """The whole page; the same for the same runs."""
    style = resources.files("jaxbias.report").joinpath("page.css").read_text()
    finished = in_order(run for run in found if run.finished)
    groups = [list(runs) for _, runs in groupby(finished, _identity)]
    broken = [run for run in found if not run.finished]
    body = [
        "<header><h1>jaxbias report</h1>",
        f"<p>{_summary(finished, broken)}</p>",
        _bar(finished),
        "</header><main>",
        _overview(groups) if groups else "",
        _broken(broken) if broken else "",
        *map(_section, groups),
        "</main>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        '<link rel="icon" href="data:,"><title>jaxbias report</title>'
        f"<style>{style}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _identity(run: Found) -> tuple[str, str]:
    return run.study, run.experiment


def _anchor(run: Found) -> str:
    return escape(f"{run.study}-{run.experiment}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _outcomes(runs: Iterable[Found]) -> dict[str, int]:
    totals = dict.fromkeys(OUTCOMES, 0)
    for run in runs:
        for outcome, number in run.counts().items():
            totals[outcome] += number
    return totals


def _summary(finished: Sequence[Found], broken: Sequence[Found]) -> str:
    experiments = len({_identity(run) for run in finished})
    totals = [f"{n} {outcome}" for outcome, n in _outcomes(finished).items()]
    text = (
        f"{_count(len(finished), 'finished run')} of "
        f"{_count(experiments, 'experiment')}; of what is published {', '.join(totals)}."
    )
    if broken:
        text += f' <a href="#broken">{_count(len(broken), "run")} not shown.</a>'
    return text


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _bar(runs: Iterable[Found]) -> str:
    """How many claims came out, as widths."""
    totals = _outcomes(runs)
    if not sum(totals.values()):
        return ""
    parts = "".join(
        f'<span class="{_class(outcome)}" style="flex-grow:{n}" '
        f'title="{n} {outcome}"></span>'
        for outcome, n in totals.items()
        if n
    )
    return f'<div class="bar">{parts}</div>'


def _table(headings: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    return (
        f'<div class="scrolled"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(heading: str, inside: str, kind: str = "") -> str:
    """A cell that says on a narrow screen which column it is of."""
    kind = f' class="{kind}"' if kind else ""
    return f'<td{kind} data-label="{escape(heading)}">{inside}</td>'


def _overview(groups: Sequence[Sequence[Found]]) -> str:
    headings = ("experiment", "run", *OUTCOMES, "device", "time", "begun")
    rows = []
    for run in (run for group in groups for run in group):
        link = (
            f'<a href="#{_anchor(run)}">{escape(f"{run.study} {run.experiment}")}</a>'
        )
        name = escape(run.name + (f", {run.preset}" if run.preset else ""))
        counts = [str(number) for number in run.counts().values()]
        last = (escape(run.device), escape(run.duration), escape(run.begun))
        cells = zip(headings, (link, name, *counts, *last), strict=True)
        rows.append(f"<tr>{''.join(_cell(*cell) for cell in cells)}</tr>")
    return (
        "<section><h2>Runs</h2>"
        + _table(headings, rows, "cards overview")
        + "</section>"
    )


def _broken(runs: Sequence[Found]) -> str:
    headings = ("run", "experiment", "state", "why")
    rows = [
        "<tr>"
        + _cell("run", f"<code>{escape(str(run.path))}</code>")
        + _cell(
            "experiment", escape(f"{run.study} {run.experiment}".strip() or _ABSENT)
        )
        + _cell("state", escape(run.state), escape(run.state))
        + _cell("why", escape(run.problem))
        + "</tr>"
        for run in runs
    ]
    return (
        '<section id="broken"><h2>Not finished, or damaged</h2>'
        + _table(headings, rows, "cards")
        + "</section>"
    )


def _section(runs: Sequence[Found]) -> str:
    """The runs of one experiment, side by side if there are several."""
    first = runs[0]
    parts = [
        f'<section id="{_anchor(first)}"><h2>{escape(first.experiment)}</h2>',
        f'<p class="quiet">{escape(title_of(first.study))}</p>',
        *map(_how, runs),
    ]
    if len(runs) > 1:
        parts.append(_differences(runs))
    parts += [_ledger(runs), _figures(runs), "</section>"]
    return "".join(parts)


def _how(run: Found) -> str:
    """How a run was made, the configuration folded away."""
    versions = run.manifest.get("environment", {}).get("versions", {})
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    about = (run.preset, run.device, run.duration, run.begun)
    about = ", ".join(part for part in about if part)
    config = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_text(value))}</td></tr>"
        for name, value in leaves_of(run.manifest["config"]).items()
    )
    command = f"<p><code>{escape(run.command)}</code></p>" if run.command else ""
    return (
        f"<h3>{escape(run.name)}</h3>{command}<p>{escape(about)}</p>"
        f"<details><summary>configuration and versions</summary>"
        f'<p class="quiet">{escape(str(run.path))}; {escape(software)}</p>'
        f'<table class="config settings"><tbody>{config}</tbody></table></details>'
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 300 else text[:300] + " ..."


def _differences(runs: Sequence[Found]) -> str:
    """The settings that are not the same in all runs."""
    configs = [leaves_of(run.manifest["config"]) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config)
    rows = []
    for name in names:
        values = [
            _text(config[name]) if name in config else _ABSENT for config in configs
        ]
        if len(set(values)) > 1:
            cells = [_cell("setting", escape(name))]
            cells += [
                _cell(run.name, escape(value))
                for run, value in zip(runs, values, strict=True)
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
    if not rows:
        return "<p>All settings are the same.</p>"
    headings = ("setting", *(run.name for run in runs))
    return "<h3>Settings that differ</h3>" + _table(headings, rows, "cards settings")


def _ledger(runs: Sequence[Found]) -> str:
    """The table "published | here | verdict", with a pair of columns for each run."""
    ledgers = [{verdict["id"]: verdict for verdict in run.verdicts} for run in runs]
    claims: dict[str, dict[str, str]] = {}
    for ledger in ledgers:
        claims = ledger | claims
    if not claims:
        return ""
    several = len(runs) > 1
    headings, rows = ["published"], []
    for run in runs:
        headings += (
            [f"here: {run.name}", f"verdict: {run.name}"]
            if several
            else ["here", "verdict"]
        )
    for name, claim in claims.items():
        cells = [_cell("published", _published(claim))]
        found = [ledger.get(name) for ledger in ledgers]
        for number, verdict in enumerate(found):
            here, outcome = headings[1 + 2 * number : 3 + 2 * number]
            if verdict is None:
                cells += [_cell(here, _ABSENT), _cell(outcome, _ABSENT)]
            else:
                cells.append(_cell(here, escape(verdict["here"])))
                kind = verdict["outcome"]
                cells.append(_cell(outcome, escape(kind), _class(kind)))
        outcomes = {verdict["outcome"] if verdict else _ABSENT for verdict in found}
        kind = ' class="differs"' if len(outcomes) > 1 else ""
        rows.append(f"<tr{kind}>{''.join(cells)}</tr>")
    return _table(headings, rows, "cards ledger")


def _published(verdict: dict[str, str]) -> str:
    return (
        f"{escape(verdict['claim'])}<br><small>{escape(verdict['source'])}; "
        f"expected: {escape(verdict['expected'])} ({escape(verdict['certainty'])})"
        "</small>"
    )


def _figures(runs: Sequence[Found]) -> str:
    names = dict.fromkeys(name for run in runs for name in run.figures)
    rows = []
    for name in names:
        pictures = [
            _figure(name, run.figures[name], run.name if len(runs) > 1 else "")
            for run in runs
            if name in run.figures
        ]
        rows.append(f'<div class="figures">{"".join(pictures)}</div>')
    return "".join(rows)


def _figure(name: str, data: bytes, run: str) -> str:
    caption = name.replace("_", " ") + (f": {run}" if run else "")
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure><div class="scrolled"><img alt="{escape(caption)}" '
        f'src="data:image/png;base64,{encoded}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
