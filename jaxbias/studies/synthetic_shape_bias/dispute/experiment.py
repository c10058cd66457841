"""Metric dispute: the same networks, asked for their shape bias in five ways.

The study asks nearest neighbours among features; others ask a classifier's decisions,
whether an image is nearer to one of its shape or to one of its texture (triplets), how many
dimensions follow each cue, or how well a linear classifier reads it. All of these are here
ratios from 0, texture, to 1, shape, taken of the same trained networks on the same stimuli:
those that are drawn here, and the official ones if given. Do they order networks alike, and
do they fall on the same side of one half?

    python -m experiments.synthetic_shape_bias metric-dispute --cue-conflict DIR

Published by several (cited, tables not read): measures order networks differently, and
by triplets networks prefer shape. smoke takes a minute and a half; quick trains 24
small networks on images of six generators, in a quarter of an hour on two cores; paper,
of 94,500 images a set, wants a GPU.
"""

from jaxbias.runs import RunDirectory
from jaxbias.studies.synthetic_shape_bias.dispute.config import (
    PRESETS,
    Config,
    check_values,
    trainings,
)
from jaxbias.terminal import Reporter

__all__ = ["PRESETS", "Config", "check", "check_values", "run", "show"]


def check(config: Config) -> None:
    """Raise `UsageError`, in one line, if a run could not succeed."""
    from jaxbias.studies.synthetic_shape_bias.cases import check_all

    check_values(config)
    check_all(trainings(config))


def run(config: Config, directory: RunDirectory, reporter: Reporter) -> None:
    """Train, ask, compare, judge and draw; resumes what is already there."""
    from jaxbias import devices
    from jaxbias.studies.synthetic_shape_bias.cases import read
    from jaxbias.studies.synthetic_shape_bias.dispute import (
        analysis,
        figures,
        published,
    )

    found = read(trainings(config), directory, reporter)
    if found is None or not devices.is_writer():
        return
    directory.write_table(found.rows)
    directory.write_table(analysis.readings(found.rows), "readings.parquet")
    evidence = published.Evidence(found.rows, analysis.agreement(found.rows, config))
    directory.write_table(evidence.agreement, "agreement.parquet")
    directory.write_verdicts(published.judge(evidence))
    with reporter.status("drawing the figures"):
        figures.draw(found, evidence, directory)
    show(directory, reporter)


def show(directory: RunDirectory, reporter: Reporter) -> None:
    """Print what each measure says, untrained and trained, and how it agrees."""
    import numpy as np

    from jaxbias.studies.synthetic_shape_bias.dispute import analysis

    columns = directory.read_table("readings.parquet")
    pairs = directory.read_table("agreement.parquet")
    rows = []
    for name in dict.fromkeys(pairs["first"].tolist()):
        stimuli, how = name.split(": ")
        own = (columns["stimuli"] == stimuli) & (columns["measure"] == how)
        cells = []
        for chosen in (columns["step"] == 0, columns["step"] > 0):
            values = columns["value"][own & chosen]
            if not np.isfinite(values).any():
                cells.append("")
                continue
            low, middle, high = np.nanquantile(values, [0, 0.5, 1])
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        mine = (pairs["first"] == name) | (pairs["second"] == name)
        beside = pairs["spearman"][mine & (pairs["same_stimuli"] == 1)]
        known = beside[np.isfinite(beside)]
        cells.append(f"{np.median(known):+.2f}" if len(known) else "")
        transfer = pairs["spearman"][mine & (pairs["second"] == analysis.TRANSFER)]
        cells += [f"{value:+.2f}" for value in transfer]
        rows.append([name, *cells])
    headings = ["measure", "untrained", "trained", "agrees with others", "transfer"]
    reporter.table(headings, rows)
