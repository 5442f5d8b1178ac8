#!/usr/bin/env bash
# Checks and measures Rondo on this machine's GPU, and writes the results to OUT/gpu.json.
#
#   scripts/gpu_check.sh OUT [--kit DIR] [--only STEP[,STEP..]] [--device KIND[,KIND..]] [--budget SECONDS] [--quick]
#
# Needs python3 and a kit, which scripts/gpu/prepare.sh makes on a machine with cargo; the kit also contains this
# script, so that a bare machine needs nothing else. --help describes the steps and the flags.
exec python3 "$(dirname "$0")/gpu/check.py" "$@"
