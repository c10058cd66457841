"""Commands in processes of their own, for tests that kill, stop or join them."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import jax
import pytest

import jaxbias

ROOT = Path(jaxbias.__file__).resolve().parents[1]
PATIENCE = 120
"""Seconds for what takes a few, on machines that do other things too."""

# Twelve chunks or so, of a few hundredths of a second.
OPTIONS = {
    "neural_redshift": (
        "--preset smoke --parts heatmaps --activations relu tanh --depths 1 2 "
        "--weight-scales 1 4 --resolution 128 --width 8 --measures fourier --n-networks"
    ),
    "generative_augmentation": (
        "gaussian-mixture --preset smoke --m-real 10 20 --gammas 0 1 5 --dims 1 40 "
        "--n-test 2000 --n-trials"
    ),
    "dataset_classification": (
        "name-that-dataset --preset smoke --model mlp --batch 20 --size 8 "
        "--per-source 90 --samples-seen"
    ),
    "generative_augmentation images": (
        "images --preset smoke --size 8 --real 120 --validation 40 --amounts 0 120 "
        "--n-seeds 1 --augmentations none --batch 40 --resamples 100 --measured"
    ),
    "imagenet_biases small-world": (
        "small-world --preset smoke --most-images 256 --clean-images 32 --conflicts 32 "
        "--pgd-steps 1 --batch 32 --images"
    ),
    "imagenet_biases trials": "shape-bias-from-trials --preset smoke --resamples",
    "neural_redshift boolean-prior": (
        "boolean-prior --preset smoke --bits 5 --sigma-ws 1 2 4 8 --n-networks"
    ),
    "synthetic_shape_bias": (
        "train --preset smoke --data coloured-noise --size 16 --images 64 --batch 32 "
        "--transfer-images 100 --resamples"
    ),
    "train": "--preset smoke --batch 20 --size 8 --save-every 5 --epochs",
}
"""Options of a study's command, the last without its value; some studies have several."""


class Command:
    """A command in a process of its own, on one CPU device unless told otherwise."""

    started: ClassVar[list["Command"]] = []

    def __init__(
        self,
        out,
        *options,
        study="neural_redshift",
        networks=80,
        devices=1,
        hash_seed="0",
    ):
        self.out = Path(out)
        argv = [*OPTIONS[study].split(), str(networks)]
        argv += ["--cpu-devices", str(devices), "--out", out, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"experiments.{study.split()[0]}", *argv],
            env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
            | {
                "PYTHONPATH": str(ROOT),
                "PYTHONHASHSEED": hash_seed,
                # Compiled programs are those of the process before.
                "XDG_CACHE_HOME": str(jax.config.jax_compilation_cache_dir),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(self)

    def wait_for(self, condition):
        """Look again and again until something is so, or the process has ended."""
        limit = time.monotonic() + PATIENCE
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < limit, "nothing happens"
            time.sleep(0.002)
        return self.process.poll() is None

    def chunks(self):
        return list((self.out / "chunks").glob("[!.]*.npz"))

    def wait_for_chunks(self, count):
        assert self.wait_for(lambda: len(self.chunks()) >= count), self.result()

    def result(self, seconds=PATIENCE):
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, err


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    yield
    while Command.started:
        command = Command.started.pop()
        command.process.kill()
        command.result()


def digests(out):
    """A hash of each file; the manifest tells when and how often it was begun."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def manifest(out):
    return json.loads((out / "manifest.json").read_text())


def cluster(out, *options, count=2, **settings):
    """The processes of a run."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    argv = ("--distributed", "--num-processes", str(count), "--coordinator")
    argv += (f"localhost:{port}", "--process-id")
    return [Command(out, *options, *argv, str(i), **settings) for i in range(count)]


def said(text):
    """What is left of an output without that of JAX's transport."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("[Gloo]"))
