"""Stacked networks, shown the same images: in turn (`lax.map`) or at once (`vmap`).

`bias_probes stacked` times these. In a `vmap` convolutions of several weights become one of
several groups. A Python loop, which compiles each network apart, is left out.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from benchmarks.training import alternated
from benchmarks.transforms import pictures
from jaxbias import sweeps
from jaxbias.models import catalogue

CASES = (("resnet8_small", 32, 16), ("resnet18_cifar", 32, 4), ("resnet50", 224, 2))
"""Model, side of images in pixels, networks."""

AT_ONCE = {32: 32, 224: 8}
"""Images that networks are shown at once on a device, by their side; and so many times."""

TIMES = 4


def program(model: str, how: str, mesh: Mesh) -> Callable:
    """Compile what answers (weights, images); images are spread over the devices."""
    network = catalogue.build(model, 1000)

    def answers(params: Any, images: jax.Array) -> jax.Array:
        def few(shown: jax.Array) -> jax.Array:
            def one(own: Any) -> jax.Array:
                return network.apply(own, shown)[0].argmax(-1)  # type: ignore[index]

            return lax.map(one, params) if how == "map" else jax.vmap(one)(params)

        return jnp.moveaxis(lax.map(few, images), 2, 1)

    return sweeps.spread(answers, mesh, replicated=1)


def seconds_of(run: Callable, *given: Any) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    jax.block_until_ready(run(*given))
    return time.perf_counter() - began


def stacked_rows(mesh: Mesh, seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each case; `ratio` is the time of vmap over that of map."""
    for model, side, networks in CASES:
        network, at_once = catalogue.build(model, 1000), AT_ONCE[side]
        blank = jnp.zeros((1, side, side, 3))
        drawn = [
            jax.jit(network.init)(jax.random.key(i), blank) for i in range(networks)
        ]
        params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *drawn)
        params = jax.device_put(params, jax.NamedSharding(mesh, P()))
        count = TIMES * at_once * mesh.size
        shown = pictures(side, count).reshape(-1, at_once, side, side, 3) / 255
        images = sweeps.to_mesh(shown.astype("float32"), mesh)
        row: dict[str, Any] = {"benchmark": "stacked", "model": model, "size": side}
        row |= {"networks": networks, "images": count}
        takes: dict[str, Callable[[], float]] = {}
        for how in ("map", "vmap"):
            run = program(model, how, mesh)
            row[f"{how} first_s"] = seconds_of(run, params, images)
            takes[how] = partial(seconds_of, run, params, images)
        times = alternated(takes, seconds)
        for how, spent in times.items():
            row[f"{how} answers_per_s"] = (
                networks * count / sorted(spent)[len(spent) // 2]
            )
        turns = zip(times["vmap"], times["map"], strict=True)
        ratios = sorted(second / first for second, first in turns)
        yield row | {"ratio": ratios[len(ratios) // 2]}
