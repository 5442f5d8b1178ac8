#!/usr/bin/env bash
# Trains the published main run and its two failed predecessors at pocket scale, compares them and draws
# their pictures: three runs and about ten minutes for each seed on two cores.
#
#   scripts/reproduce.sh [--seeds 0,1,2] [--configs configs] [--out runs/reproduce] [TRAINER FLAGS..]
#
# Further flags go to every run, e.g. --device wgpu or --set 'data.paths=["corpus/"]'. Interrupted, the same
# command goes on where it stopped. Writes OUT/seed-N/{main,bad-run-1,bad-run-2} and OUT/seed-N/figures with
# compare.html; with python3 it ends with a table of the published signatures and exits 1 if one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=0 configs=configs out=runs/reproduce flags=()
while (($#)); do
    case $1 in
        --seeds) seeds=$2; shift 2 ;;
        --configs) configs=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) flags+=("$1"); shift ;;
    esac
done

cargo build --release
trainer=${CARGO_TARGET_DIR:-target}/release/trainer

runs=()
for seed in ${seeds//,/ }; do
    folder=$out/seed-$seed
    for name in main bad-run-1 bad-run-2; do
        "$trainer" --config "$configs/$name.toml" --set "run.seed=$seed" --out "$folder/$name" \
            ${flags[@]+"${flags[@]}"}
    done
    "$trainer" compare "$folder"/{main,bad-run-1,bad-run-2} --out "$folder/figures"
    runs+=("$folder")
done
if command -v python3 > /dev/null; then
    python3 scripts/signatures.py "${runs[@]}"
fi
