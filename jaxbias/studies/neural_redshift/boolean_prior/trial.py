"""One run of the experiment, from networks to evidence."""

import jax
import numpy as np
from jax.sharding import Mesh

from jaxbias import sweeps
from jaxbias.studies.neural_redshift.boolean_prior import networks
from jaxbias.studies.neural_redshift.boolean_prior.config import Config
from jaxbias.studies.neural_redshift.boolean_prior.evidence import Evidence, Found
from jaxbias.studies.neural_redshift.boolean_prior.functions import measure, tally
from jaxbias.terminal import Reporter


def evidence(
    config: Config,
    mesh: Mesh,
    *,
    store: sweeps.ChunkStore | None = None,
    reporter: Reporter | None = None,
) -> Evidence:
    """Draw the networks, count their functions and measure each distinct one.

    Truth tables are kept in the store chunk by chunk; counting and measuring, which take
    a fraction of the time, begin anew in a resumed run.
    """
    reporter = reporter or Reporter(quiet=True)
    blocks = networks.blocks(config, jax.random.key(config.seed), mesh)
    with reporter.progress(f"batches of {networks.BATCH} networks") as progress:
        swept = sweeps.sweep(blocks, mesh, store=store, progress=progress)
    conditions, tallies, degenerate = networks.conditions(config), [], []
    for number in range(len(conditions)):
        packed, finite = networks.tables_of(config, swept, number)
        tallies.append(tally(packed[finite]))
        degenerate.append(int(np.count_nonzero(~finite)))
    with reporter.progress("distinct functions measured") as progress:
        measured = measure(tallies, config.bits, mesh, progress=progress)
    parts = zip(conditions, tallies, measured, degenerate, strict=True)
    return Evidence([Found(*part) for part in parts], config)
