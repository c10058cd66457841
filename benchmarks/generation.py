"""How fast random GPT-2 writes, and beside what.

    python -m benchmarks.generation                       # beside Hugging Face
    python -m benchmarks.generation --batches 64          # one batch size
    python -m benchmarks.generation --no-torch            # ours alone

GPT-2 small (124 million weights, float32), greedy, with a cache of keys and values. Ours
and Hugging Face's `generate` (eager PyTorch) get the same weights and first tokens, and
take turns; a ratio is printed only where both wrote the same: in nine rows of ten or more,
as two tokens within rounding may change places. A second part writes as the study does, new
weights for each sequence: a new model a sequence there, all conditions of a draw together
here. FLOPs are those of the matrix products of blocks and output; the share is that of one
large product. Rows are appended to benchmarks/results/. `pip install '.[benchmark]'`
for the other side. Takes about 10 minutes on two cores; nothing is asserted about time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from benchmarks import machine, training
from benchmarks.other_side import OtherSide
from jaxbias import devices
from jaxbias.models import gpt2
from jaxbias.studies.neural_redshift.transformers import sequences
from jaxbias.studies.neural_redshift.transformers.config import PAPER, Config

BATCHES = (64, 128)

HUGGING_FACE = "benchmarks.hf_generation"
"""The other side."""


ONE = replace(
    *(PAPER,),
    **{"activations": ("jax.nn.gelu",), "gammas": (1.0,), "depths": (12,)},
    **{"tokens": 1, "draws": 1, "prompts": 1},
)
"""One token of GPT-2 small."""


class Ours:
    """Networks of one draw, writing."""

    def __init__(self, model: gpt2.GPT2, tokens: int) -> None:
        self.model, self.tokens = model, tokens
        draw = jax.jit(lambda key: gpt2.draw(key, model))
        self.params = draw(jax.random.key(0))

    def compile(self, batch: int) -> dict[str, float]:
        """Compile for a batch: seconds."""
        self.first = np.arange(batch, dtype=np.int32)
        write = lambda params, first: gpt2.generate(  # noqa: E731
            self.model, params, first[:, None], tokens=self.tokens
        )
        began = time.perf_counter()
        self.program = jax.jit(write).lower(self.params, self.first).compile()
        return {"compile_s": time.perf_counter() - began}

    def run(self) -> float:
        """Seconds of one batch; keeps what was written."""
        began = time.perf_counter()
        written = self.program(self.params, self.first)
        self.written = np.asarray(written)
        return time.perf_counter() - began

    def save(self, path: Path) -> None:
        """Write the weights for the other side, by names such as "block1/qkv_bias"."""
        leaves = jax.tree_util.tree_flatten_with_path(self.params)[0]
        named = {"/".join(str(k.key) for k in keys): leaf for keys, leaf in leaves}
        save_file({name: np.asarray(leaf) for name, leaf in named.items()}, path)


def same_rows(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of sequences that are the same to the last token."""
    return float((ours == theirs).all(axis=1).mean())


def rates(
    ours: Ours, batch: int, seconds: float, peak: float, worker: OtherSide | None
) -> dict[str, Any]:
    """Tokens a second on both sides, in turns.

    Args:
        ours: The network.
        batch: Sequences at once.
        seconds: To spend on each side.
        peak: FLOP/s of a large product.
        worker: The other side, with the same weights loaded; None leaves it out.
    """
    row: dict[str, Any] = {"batch": batch, "tokens": ours.tokens} | ours.compile(batch)
    row["first_call_s"] = ours.run()
    sides: dict[str, Callable[[], float]] = {"ours": ours.run}
    if worker is not None:
        request = {"first": ours.first, "tokens": ours.tokens}
        theirs = worker.ask("generate", **request)
        row["same_rows"] = same_rows(ours.written, theirs["tokens"])
        sides["hugging_face"] = lambda: worker.ask("generate", **request)["seconds"]
    times = training.alternated(sides, seconds)
    for side, spent in times.items():
        row[f"{side}_tokens_per_s"] = batch * ours.tokens / statistics.median(spent)
        row[f"{side}_tokens_per_s_max"] = batch * ours.tokens / min(spent)
    if row.get("same_rows", 0) >= 0.9:
        turns = zip(times["hugging_face"], times["ours"], strict=True)
        row["ratio"] = statistics.median(other / own for other, own in turns)
    row["share_of_matmul"] = (
        row["ours_tokens_per_s"] * sequences.floating_operations(ONE) / peak
    )
    return row


def study(config: Config, seconds: float, worker: OtherSide | None) -> dict[str, Any]:
    """Seconds of a sequence where each has new weights, as in the paper.

    Ours writes all conditions of two draws; the other side one sequence of a new model.
    """
    write = jax.jit(
        lambda keys: jax.lax.map(
            lambda key: sequences.write(config, key, jnp.arange(config.prompts)), keys
        )
    )
    keys = jax.random.split(jax.random.key(1), 2)
    began = time.perf_counter()
    program = write.lower(keys).compile()
    row: dict[str, Any] = {"compile_s": time.perf_counter() - began}
    lines = len(config.activations) * len(config.gammas) * len(config.depths)
    count = 2 * lines * config.prompts

    def ours() -> float:
        began = time.perf_counter()
        jax.block_until_ready(program(keys))
        return (time.perf_counter() - began) / count

    sides: dict[str, Callable[[], float]] = {"ours": ours}
    if worker is not None:
        fresh = lambda: worker.ask("fresh", tokens=config.tokens)["seconds"]  # noqa: E731
        sides["hugging_face"] = fresh
    ours()
    times = training.alternated(sides, seconds)
    for side, spent in times.items():
        row[f"{side}_s_per_sequence"] = statistics.median(spent)
    if worker is not None:
        turns = zip(times["hugging_face"], times["ours"], strict=True)
        row["ratio"] = statistics.median(other / own for other, own in turns)
    return {"conditions": lines, "tokens": config.tokens} | row


def rows(arguments: argparse.Namespace, peak: float) -> Iterator[dict[str, Any]]:
    """A row for each batch size, and one for the study's way."""
    ours = Ours(gpt2.GPT2(), arguments.tokens)
    beside = nullcontext() if arguments.no_torch else OtherSide(HUGGING_FACE)
    with beside as worker, tempfile.TemporaryDirectory() as folder:
        if worker is not None:
            path = Path(folder) / "weights.safetensors"
            ours.save(path)
            model = ours.model
            config = {"n_layer": model.layers, "n_embd": model.width}
            config |= {"n_head": model.heads, "vocab_size": model.vocabulary}
            setting = {"path": str(path), "threads": devices.usable_cpus()}
            found = worker.ask("load", **setting, **config)
            # Two networks that differ have no ratio.
            assert found["parameters"] == gpt2.parameters(model), found
        for batch in arguments.batches:
            yield {"part": "generate"} | rates(
                ours, batch, arguments.seconds, peak, worker
            )
        config = replace(
            *(PAPER,),
            gammas=(0.5, 1.0, 2.0, 5.0),
            depths=(12,),
            tokens=arguments.tokens,
        )
        yield {"part": "new weights"} | study(config, arguments.seconds, worker)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--tokens", type=int, default=50, help="to write, each")
    parser.add_argument("--seconds", type=float, default=20, help="of each side")
    parser.add_argument("--no-torch", action="store_true", help="time ours alone")
    parser.add_argument("--csv", type=Path, help="table that rows are appended to")
    arguments = parser.parse_args()
    # One device with all processors: a batch is one program.
    devices.start(cpu_devices=1)
    mesh = devices.mesh()
    name = f"generation-{jax.default_backend()}-jax{jax.__version__}.csv"
    path = arguments.csv or machine.RESULTS / name
    peak = machine.matmul_rate(mesh)
    labels = machine.describe(mesh) | {"measured": time.strftime("%Y-%m-%d")}
    labels |= {"threads": devices.usable_cpus(), "matmul_gflops": peak / 1e9}
    for row in rows(arguments, peak):
        training.show(row)
        machine.write([labels | row], path)


if __name__ == "__main__":
    main()
