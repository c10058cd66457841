#!/bin/bash
# Run any study on all hosts of a Cloud TPU pod slice, from a machine with gcloud.
#
#   experiments/tpu_pod.sh my-pod us-central2-b neural_redshift --preset paper --out runs/redshift
#
# Install once on every host:
#
#   gcloud compute tpus tpu-vm ssh my-pod --zone us-central2-b --worker=all --command \
#     "git clone URL jaxbias && cd jaxbias && python3 -m venv .venv && .venv/bin/pip install '.[tpu]'"
#
# FOLDER is the repository's on the hosts (default: jaxbias). Process 0 writes --out; give a
# folder that is mounted on all hosts for a training, whose checkpoints every process reads.

set -euo pipefail
usage="usage: experiments/tpu_pod.sh POD ZONE STUDY [EXPERIMENT] [options]"
pod="${1:?$usage}"
zone="${2:?$usage}"
study="${3:?$usage}"
shift 3

# --distributed alone: on Cloud TPU, jax.distributed finds the coordinator and the number of
# processes by itself. Quoted once more, as each host's shell reads the line again.
line="$(printf '%q ' .venv/bin/python -m "experiments.$study" "$@" --distributed)"
exec gcloud compute tpus tpu-vm ssh "$pod" --zone "$zone" --worker=all \
  --command "cd $(printf '%q' "${FOLDER:-jaxbias}") && $line"
