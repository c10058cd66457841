"""What several tests of this study are made small with."""

import pytest

from jaxbias.models import catalogue
from jaxbias.models.plain import SmallCNN
from jaxbias.studies.synthetic_shape_bias.train import readouts


@pytest.fixture(scope="module")
def cnn_tiny():
    """A network of the catalogue by this name."""
    entry = catalogue.Entry(
        make=lambda classes, dtype: SmallCNN(width=4, classes=classes, dtype=dtype),
        size=16,
        source="this test",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalogue.CATALOGUE, "cnn_tiny", entry)
        yield


@pytest.fixture(scope="module")
def few_stimuli():
    """One drawn image of each pair of a shape and a texture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readouts, "INSTANCES", 1)
        yield
