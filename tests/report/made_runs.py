"""Run directories as experiments leave them, and pages taken apart."""

import html.parser
import io

import matplotlib.pyplot as plt
import numpy as np

from jaxbias.runs import RunDirectory, write_atomic

VERDICTS = [
    {
        "id": name,
        "source": "Fig. 4 & Table 1",
        "claim": "relu: <b>low</b>, at any scale",
        "expected": "below 0.25",
        "tolerance": "none",
        "certainty": "read",
        "outcome": outcome,
        "here": "0.20 <u>under</u> 0.25, é",
    }
    for name, outcome in (
        ("first", "reproduced"),
        ("second", "not reproduced"),
        ("third", "not judged"),
    )
]


def picture(shade, height=4, width=5):
    buffer = io.BytesIO()
    pixels = np.full((height, width), shade)
    plt.imsave(buffer, pixels, vmin=0, vmax=1, cmap="gray", format="png")
    return buffer.getvalue()


PICTURES = {"curves": picture(0.8), "heatmaps_lz76": picture(0.2, 400, 2_000)}


def begun(folder, experiment="random-networks", study="neural_redshift", **config):
    """A run that is at work: a context to leave."""
    config = {"seed": 0, "note": "a <i>& b", "nested": {"deep": 1}} | config
    run = RunDirectory.open(folder, study=study, experiment=experiment, config=config)
    device = {"platform": "gpu", "devices": 3, "kind": "<card>", "processes": 2}
    session = run.manifest["sessions"][-1] | {"argv": [f"{study}.py", experiment]}
    run.update_manifest(
        environment={"device": device}, preset="smoke", sessions=[session]
    )
    return run


def made(folder, experiment="random-networks", verdicts=VERDICTS, finish=True, **more):
    """A run directory, as an experiment leaves it."""
    with begun(folder, experiment, **more) as run:
        run.write_verdicts(verdicts)
        run.write_table({"value": np.arange(3.0)})
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
