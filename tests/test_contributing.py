"""What README.md says of contributing: its blocks run, and its lines have their effect."""

import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from processes import ROOT

from jaxbias.data import sources
from jaxbias.models import catalogue
from jaxbias.numerics.activations import resolve
from jaxbias.numerics.grids import grid
from jaxbias.probes.complexity import measure
from jaxbias.studies.neural_redshift import checks
from jaxbias.studies.neural_redshift.random_networks import published
from jaxbias.studies.neural_redshift.random_networks.config import PRESETS
from jaxbias.studies.neural_redshift.random_networks.evidence import Evidence

README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## Contributing\n")[1].split("\n## ")[0]
TITLES = re.findall(r"^\*\*(.+?)\*\*", SECTION, re.MULTILINE)
PARTS = dict(
    zip(TITLES, re.split(r"^\*\*.+?\*\*", SECTION, flags=re.MULTILINE)[1:], strict=True)
)
ADDED = r"add\s+`([^`]+,)`\s+to\s+`(\w+)`\s+in\s+`([\w/]+)\.py`"


def block(title: str) -> str:
    (found,) = re.findall(r"```python\n(.*?)```", PARTS[title], re.DOTALL)
    return found


@pytest.fixture
def contributed(tmp_path, monkeypatch):
    """Gives a function that runs a part's block and adds its line; gives its names."""

    def contribute(title):
        names: dict = {}
        exec(compile(block(title), title, "exec"), names)
        for line, table, path in re.findall(ADDED, PARTS[title]):
            module = importlib.import_module(path.replace("/", "."))
            old = getattr(module, table)
            if isinstance(old, tuple):
                monkeypatch.setattr(module, table, (*old, *eval(f"({line})", names)))
                continue
            # What the file itself imports is there for its line.
            for key, value in eval(f"{{{line}}}", vars(module) | names).items():
                assert key not in old
                monkeypatch.setitem(old, key, value)
        return names

    monkeypatch.chdir(tmp_path)
    return contribute


def test_every_part_is_short_and_names_its_line():
    assert TITLES == [
        *("An activation", "A probe", "A dataset source", "A model", "A ledger entry")
    ]
    for title in TITLES:
        lines = [x for x in block(title).splitlines() if x and not x.startswith("#")]
        assert len(lines) <= 10
        assert len(re.findall(ADDED, PARTS[title])) == 1


def test_an_activation(contributed, tmp_path, monkeypatch):
    (tmp_path / "bent.py").write_text(block("An activation"))
    monkeypatch.syspath_prepend(tmp_path)
    assert "--activations relu bent.identity`" in PARTS["An activation"]
    checks.activations("activations", ["relu", "bent.identity"])
    names = contributed("An activation")
    assert resolve("bent") is names["identity"]
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    expected = (np.sqrt(x**2 + 1) - 1) / 2 + x
    for name in ("bent", "bent.identity"):
        np.testing.assert_allclose(resolve(name)(jnp.asarray(x)), expected, rtol=1e-5)


def test_a_probe(contributed):
    oddness = jax.jit(contributed("A probe")["oddness"], static_argnums=0)
    points = grid(8).reshape(-1, 2)

    def apply(share, points):
        x = points.sum(axis=1)
        return share * x**3 + (1 - share) * x**2

    assert oddness(apply, 1.0, points).value == pytest.approx(1)
    assert oddness(apply, 0.0, points).value == pytest.approx(0, abs=1e-6)
    assert 0.1 < oddness(apply, 0.5, points).value < 0.9
    assert np.isnan(oddness(apply, np.inf, points).value)
    found = measure(apply, jnp.asarray([0.0, 1.0]), grid(8), measures=("spread",))
    assert found["spread"].shape == (2,) and (found["spread"] > 0).all()


def test_a_dataset_source(contributed):
    with pytest.raises(sources.SourceError):
        sources.open_splits("tints:8")
    contributed("A dataset source")
    train, test = sources.open_splits("tints:8")
    assert (len(train), len(test)) == (81, 9)
    assert isinstance(train, sources.Source) and train.classes[0] == "red"
    pixels, label = test[0]
    assert pixels.dtype == np.uint8 and pixels.shape == (8, 8, 3)
    assert pixels.mean((0, 1)).argmax() == label


def test_a_model(contributed):
    with pytest.raises(catalogue.UnknownModelError):
        catalogue.build("patches", 3)
    contributed("A model")
    catalogue.check("patches")
    model = catalogue.build("patches", 3, jnp.bfloat16)
    images = jnp.ones((2, 32, 32, 3))
    params = jax.eval_shape(model.init, jax.random.key(0), images)
    logits, layers = jax.eval_shape(model.apply, params, images)
    assert logits.shape == (2, 3) and layers["features"].shape == (2, 64)
    leaves = [*jax.tree.leaves(params), logits, layers["features"]]
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float32")}


def evidence(**means) -> Evidence:
    """A run's table with four networks of each activation."""
    config = PRESETS["paper"]["smoke"]
    labels = {
        "prior": config.prior,
        "width": config.width,
        "resolution": config.resolution,
        "bias_range": 1.0,
        "variant": "plain",
        "degenerate": False,
    }
    columns = {k: np.asarray([v] * 4 * len(means)) for k, v in labels.items()}
    columns["network"] = np.arange(4 * len(means))
    columns["activation"] = np.repeat(list(means), 4)
    columns["fourier"] = np.repeat(list(means.values()), 4)
    return Evidence(columns, config)


@pytest.mark.parametrize(
    ("means", "outcome", "here"),
    [
        ({"relu": 0.15, "tanh": 0.4}, "reproduced", "relu 0.150, tanh 0.400"),
        ({"relu": 0.4, "tanh": 0.15}, "not reproduced", "relu 0.400, tanh 0.150"),
        ({"relu": 0.4}, "not judged", "no networks with tanh"),
    ],
)
def test_a_ledger_entry(contributed, means, outcome, here):
    entry = contributed("A ledger entry")["RELU_BELOW_TANH"]
    assert published.ENTRIES[-1] is entry
    assert len({e.id for e in published.ENTRIES}) == len(published.ENTRIES)
    (row,) = published.judge_all(published.ENTRIES[-1:], evidence(**means))
    assert (row["id"], row["outcome"]) == ("relu-below-tanh", outcome)
    assert here == row["here"]
