#!/bin/bash
# Run any study over several hosts of a SLURM cluster.
#
#   sbatch experiments/slurm.sh neural_redshift --preset paper --out runs/redshift
#   sbatch --nodes=8 --gres=gpu:8 --ntasks-per-node=8 experiments/slurm.sh train --data DIR
#   sbatch --nodes=4 --gres=none --ntasks-per-node=1 experiments/slurm.sh STUDY   # CPUs alone
#
# Submit from the repository's folder, on a disk that all hosts share, as --out should be.
# PYTHON is the interpreter (default: .venv/bin/python).
#
# One process a GPU, or one a host without GPUs. Each sees all GPUs of its host and takes
# the one of its local number: --gpus-per-task would hide the others, and it would find none.
#SBATCH --job-name=jaxbias
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
# Two minutes before its time is up a run is told to stop, and saves. The same line resumes.
#SBATCH --signal=TERM@120
#SBATCH --output=slurm-%j.txt

set -euo pipefail
study="${1:?usage: sbatch experiments/slurm.sh STUDY [EXPERIMENT] [options]}"
shift

# SLURM runs a copy of this script from its own folder.
cd "${SLURM_SUBMIT_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}"

# --distributed alone: JAX reads the coordinator (the first host), the number of processes
# and this process's number from what srun sets. One that fails must not leave the others
# waiting.
exec srun --kill-on-bad-exit=1 \
  "${PYTHON:-.venv/bin/python}" -m "experiments.$study" "$@" --distributed
