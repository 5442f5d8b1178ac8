#!/usr/bin/env bash
# Trains a tiny model for thousands of steps, with evaluations and saves, and fits a line to the memory of the process
# over the steps after the first third: the slope must stay below LIMIT. The allocator takes memory in pieces of 2 MiB;
# one more piece in the middle gives a slope of 1.5 over 3,000 steps, and of 0.5 over 9,000 steps.
#
#   scripts/soak.sh [--steps 9000] [--limit 1] [--out DIR] [--trainer FILE] [TRAINER FLAGS..]
#   scripts/soak.sh --steps 600 --device wgpu
#
# Memory means the resident memory of the process, or the size of the device's own memory pools if it has any. LIMIT is
# in MiB per 1,000 steps. Further flags go to the trainer; the default device is flex, where a step takes about five
# milliseconds. Needs python3. Exits 1 if memory grows faster.
set -euo pipefail

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }

steps=9000 limit=1 out= trainer= flags=() device=(--device flex)
while (($#)); do
    case $1 in
        --steps) steps=$2; shift 2 ;;
        --limit) limit=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --trainer) trainer=$(cd "$(dirname "$2")" && pwd)/$(basename "$2"); shift 2 ;;
        --device) device=(--device "$2"); shift 2 ;;
        -h | --help) usage; exit 0 ;;
        *) flags+=("$1"); shift ;;
    esac
done
case $out in '' | /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."
out=${out:-$PWD/runs/soak}
if [ -z "$trainer" ]; then
    cargo build --release
    trainer=${CARGO_TARGET_DIR:-target}/release/trainer
fi

every=$((steps / 60 > 0 ? steps / 60 : 1))
"$trainer" --config configs/smoke.toml "${device[@]}" --set "train.steps=$steps" --set train.log_every=5 \
    --set 'schedule.shape={ kind = "constant" }' --set "eval.every=$every" --set "checkpoint.every=$every" \
    --overwrite --out "$out" ${flags[@]+"${flags[@]}"} > /dev/null

python3 - "$out" "$steps" "$limit" << 'PY'
import json, pathlib, sys
run, steps, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
points, counts = [], {"eval": 0, "checkpoint": 0}
for line in (run / "metrics.jsonl").read_text().splitlines():
    row = json.loads(line)
    metrics = row["metrics"]
    if row["kind"] == "train" and metrics["memory_bytes"] is not None:
        points.append((row["step"], metrics["memory_bytes"] / 2**20))
    event = metrics.get("event", row["kind"])
    if event in counts:
        counts[event] += 1
late = [point for point in points if point[0] > steps / 3]
if len(late) < 10:
    sys.exit(f"{run}: {len(late)} readings of memory after the first third are too few; raise --steps")
mean_x, mean_y = (sum(axis) / len(late) for axis in zip(*late))
slope = sum((x - mean_x) * (y - mean_y) for x, y in late) / sum((x - mean_x) ** 2 for x, _ in late)
lowest, highest = min(y for _, y in late), max(y for _, y in late)
print(f"steps      {steps}, with {counts['eval']} evaluations and {counts['checkpoint']} saves")
print(f"memory     {points[0][1]:.1f} MiB at step {points[0][0]}; {lowest:.1f} to {highest:.1f} after the first third")
print(f"slope      {1000 * slope:+.3f} MiB per 1,000 steps, limit {limit:g}")
sys.exit(1000 * slope >= limit)
PY
