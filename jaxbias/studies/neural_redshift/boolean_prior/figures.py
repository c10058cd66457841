"""Figures of the boolean-prior experiment, from the tables alone."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbias.plotting import save_figures, shades
from jaxbias.runs import RunDirectory
from jaxbias.studies.neural_redshift.boolean_prior.evidence import (
    RARE,
    Evidence,
    Found,
    envelope,
)

GREY = "#999999"
K = "Lempel-Ziv complexity K, bits"


def _grid(evidence: Evidence) -> tuple[Figure, np.ndarray]:
    """A panel for each activation (column) and depth (row)."""
    config = evidence.config
    panels: np.ndarray
    figure, panels = plt.subplots(
        *(len(config.depths), len(config.activations)),
        figsize=(4.2 * len(config.activations), 3.1 * len(config.depths)),
        squeeze=False,
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    for row, depth in zip(panels, config.depths, strict=True):
        for panel, activation in zip(row, config.activations, strict=True):
            panel.set_title(f"{activation}, {depth} hidden layers")
    return figure, panels


def _curves(
    evidence: Evidence, panels: np.ndarray
) -> Iterator[tuple[Axes, list[tuple[Found, tuple]]]]:
    """Each panel with its conditions, of rising sigma_w, and their colours."""
    config = evidence.config
    sigmas = sorted(config.sigma_ws)
    colours = shades(len(sigmas))
    for row, depth in zip(panels, config.depths, strict=True):
        for panel, activation in zip(row, config.activations, strict=True):
            found = {
                one.condition.sigma_w: one
                for one in evidence.found
                if one.networks
                and one.condition.activation == activation
                and one.condition.depth == depth
            }
            yield (
                panel,
                [
                    (found[sigma], colour)
                    for sigma, colour in zip(sigmas, colours, strict=True)
                    if sigma in found
                ],
            )


def _uniform(evidence: Evidence) -> Found:
    (found,) = (one for one in evidence.found if one.condition.source == "uniform")
    return found


def _named(found: Found) -> str:
    return f"σw = {found.condition.sigma_w:g}"


def probability(evidence: Evidence) -> Figure:
    """P against K at the smallest and the largest weight scale, with the bound."""
    figure, panels = _grid(evidence)
    uniform = _uniform(evidence)
    largest = uniform.measured.complexity.max()
    points = 1 << evidence.config.bits
    shown = [
        one.measured.complexity[one.tally.counts > 1]
        for one in evidence.found
        if one.condition.source == "network"
    ]
    right = np.concatenate([*shown, [points.bit_length() * 4.0]]).max()
    for panel, curves in _curves(evidence, panels):
        ends = curves if len(curves) < 2 else [curves[0], curves[-1]]
        for (found, _), colour in zip(ends, ("#1f77b4", "#d62728"), strict=False):
            many = found.tally.counts > 1
            x, y = found.measured.complexity[many], found.tally.counts[many]
            panel.scatter(
                *(x, y / found.networks),
                **{"s": 5, "color": colour, "alpha": 0.35, "lw": 0},
                label=_named(found),
                rasterized=True,
            )
            levels = found.levels()
            fit = envelope(levels["complexity"], levels["most"], found.networks)
            if not np.isnan(fit.slope):
                at = np.asarray([levels["complexity"][0], largest])
                bound = 2.0 ** -(fit.slope * at + fit.offset)
                words = f"$2^{{-({fit.slope:.2f} K {fit.offset:+.1f})}}$"
                panel.plot(at, bound, color=colour, lw=1.2, label=words)
        at = np.asarray([0.0, largest])
        words = f"$2^{{-{points} K / {largest:.0f}}}$"
        panel.plot(at, 2.0 ** (-points * at / largest), "k:", lw=1, label=words)
        panel.set_yscale("log")
        panel.set_ylim(0.7 / uniform.networks, 1.5)
        panel.set_xlim(0, 1.1 * right)
        panel.legend(frameon=False, fontsize=7, markerscale=2)
    figure.supylabel("P(f), functions found at least twice")
    figure.supxlabel(K)
    return figure


def ranks(evidence: Evidence) -> Figure:
    """Frequency over rank, with Zipf's law."""
    figure, panels = _grid(evidence)
    points = 1 << evidence.config.bits
    for panel, curves in _curves(evidence, panels):
        for found, colour in curves:
            at = found.ranks()
            share = at["networks"] / found.networks
            panel.plot(at["rank"], share, color=colour, lw=1.4, label=_named(found))
        far = np.asarray([1.0, evidence.config.n_networks])
        law = 1 / (points * np.log(2) * far)
        panel.plot(far, law, "k:", lw=1, label="Zipf over all functions")
        panel.axhline(RARE / evidence.config.n_networks, color=GREY, lw=0.6, ls="--")
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_ylim(0.7 / evidence.config.n_networks, 1.5)
    panels[0][-1].legend(frameon=False, fontsize=8)
    figure.supylabel("P(f)")
    figure.supxlabel(f"rank (below the dashed line: found fewer than {RARE} times)")
    return figure


def complexities(evidence: Evidence) -> Figure:
    """The distribution of K over networks, beside that of random functions."""
    figure, panels = _grid(evidence)
    uniform = _uniform(evidence).levels()
    total = uniform["networks"].sum()
    for panel, curves in _curves(evidence, panels):
        panel.fill_between(
            *(uniform["complexity"], uniform["networks"] / total),
            **{"color": GREY, "alpha": 0.4, "lw": 0},
            label="random functions",
        )
        for found, colour in curves:
            levels = found.levels()
            share = levels["networks"] / found.networks
            panel.plot(levels["complexity"], share, color=colour, label=_named(found))
        panel.set_yscale("log")
        panel.set_ylim(1e-4, 1)
    panels[0][-1].legend(frameon=False, fontsize=8)
    figure.supylabel("share of networks")
    figure.supxlabel(K)
    return figure


def balance(evidence: Evidence) -> Figure:
    """The distribution of the number of ones."""
    figure, panels = _grid(evidence)
    points = 1 << evidence.config.bits
    for panel, curves in _curves(evidence, panels):
        for found, colour in curves:
            at = found.balance(points)
            panel.plot(
                at["ones"] / points,
                *(at["networks"] / found.networks,),
                color=colour,
                **{"lw": 1.0, "label": _named(found)},
            )
        panel.set_yscale("log")
        panel.set_ylim(3e-5, 1)
    panels[0][-1].legend(frameon=False, fontsize=8)
    figure.supylabel("share of networks")
    figure.supxlabel("share of inputs with label 1")
    return figure


def spectra(evidence: Evidence) -> Figure:
    """Mean Fourier weight by degree."""
    figure, panels = _grid(evidence)
    uniform = _uniform(evidence).spectrum()
    for panel, curves in _curves(evidence, panels):
        panel.plot(
            *(uniform["degree"], uniform["weight"]),
            **{"color": GREY, "lw": 4, "alpha": 0.5, "label": "random functions"},
        )
        for found, colour in curves:
            at = found.spectrum()
            panel.plot(
                at["degree"], at["weight"], ".-", color=colour, label=_named(found)
            )
        panel.set_yscale("log")
    panels[0][-1].legend(frameon=False, fontsize=8)
    figure.supylabel("mean Fourier weight (1 in all)")
    figure.supxlabel("degree")
    return figure


def draw(evidence: Evidence, directory: RunDirectory) -> list[Path]:
    """Draw all figures; returns the files."""
    wanted = {
        "probability": lambda: probability(evidence),
        "ranks": lambda: ranks(evidence),
        "complexities": lambda: complexities(evidence),
        "balance": lambda: balance(evidence),
        "spectra": lambda: spectra(evidence),
    }
    return save_figures(wanted, directory)
