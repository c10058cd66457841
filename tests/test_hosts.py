"""The scripts for several hosts, with stand-ins for what starts processes there."""

import importlib
import os
import shlex
import subprocess
import sys

import jax
import pytest
from processes import ROOT, manifest, said

from jaxbias import cli

# Two networks a process.
TINY = (
    "--preset smoke --parts heatmaps --activations relu --depths 1 --weight-scales 1 "
    "--resolution 16 --width 8 --measures fourier --n-networks 4 --cpu-devices 1"
)

SCRIPTS = sorted((ROOT / "experiments").glob("*.sh"))

# Two tasks on this machine; real ones get the same variables.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
export SLURM_JOB_ID=$$ SLURM_STEP_NODELIST=localhost SLURM_NTASKS=2 SLURM_STEP_NUM_NODES=1
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" & first=$!
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & second=$!
wait $first && wait $second
"""

GCLOUD = """#!/bin/bash
printf '%s\\0' "$@"
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Gives a function that puts a script on the PATH under a name."""

    def put(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    return put


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_and_say_what_they_need(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert script.stat().st_mode & 0o111
    bare = subprocess.run(["bash", script], capture_output=True, text=True)
    assert bare.returncode != 0 and "usage: " in bare.stderr


def test_the_slurm_script_runs_a_study_as_two_processes(tmp_path, stand_in):
    stand_in("srun", SRUN)
    out = tmp_path / "run"
    script = ROOT / "experiments" / "slurm.sh"
    ran = subprocess.run(
        ["bash", script, "neural_redshift", *TINY.split(), "--out", out],
        env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
        | {
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(jax.config.jax_compilation_cache_dir),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, said(ran.stderr)) == (0, ""), ran.stderr
    device = manifest(out)["environment"]["device"]
    assert (device["processes"], device["devices"]) == (2, 2)


def test_the_tpu_script_sends_one_line_to_all_hosts(stand_in):
    stand_in("gcloud", GCLOUD)
    script = ROOT / "experiments" / "tpu_pod.sh"
    options = ["--preset", "paper", "--out", "runs/two words"]
    argv = ["bash", script, "pod", "zone", "neural_redshift", *options]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    *given, line = text.removesuffix("\0").split("\0")
    start = "compute tpus tpu-vm ssh pod --zone zone --worker=all --command"
    assert given == start.split()
    python = [".venv/bin/python", "-m", "experiments.neural_redshift"]
    words = shlex.split(line)
    assert words == ["cd", "jaxbias", "&&", *python, *options, "--distributed"]
    module = importlib.import_module(
        "jaxbias.studies.neural_redshift.random_networks.experiment"
    )
    found, _ = cli.parse(module, [*options, "--distributed"], "")
    assert found.distributed and str(found.out) == "runs/two words"
