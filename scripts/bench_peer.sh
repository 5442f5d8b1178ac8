#!/usr/bin/env bash
# Alternates `trainer bench` with a peer and prints tokens/s of each pair and the ratio.
#
#   scripts/bench_peer.sh [-n PAIRS] PEER [ARGUMENT..]
#   scripts/bench_peer.sh ../peer/bin/python scripts/torch_peer.py --mode compile
#
# PEER is any command whose last line of output is JSON with "tokens_per_second". Run it on an idle
# machine: the pairs even out a slow drift, not a neighbour.
set -euo pipefail

pairs=5
if [ "${1:-}" = "-n" ]; then
  pairs=$2
  shift 2
fi
if [ $# -eq 0 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
cd "$(dirname "$0")/.."

rate() { python3 -c 'import json,sys; print(json.loads(sys.stdin.read().strip())["tokens_per_second"])'; }

cargo build --release --quiet
results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%5s %12s %12s %7s\n' pair rondo peer ratio
for pair in $(seq "$pairs"); do
  ours=$(target/release/trainer bench --device flex --json | rate)
  theirs=$("$@" 2>/dev/null | tail -n 1 | rate)
  echo "$ours $theirs" >>"$results"
  awk -v i="$pair" -v a="$ours" -v b="$theirs" 'BEGIN { printf "%5d %12.0f %12.0f %7.3f\n", i, a, b, a / b }'
done
awk '{ print $1 / $2 }' "$results" | sort -n |
  awk '{ v[NR] = $1 } END { printf "median ratio %.3f (%.3f to %.3f)\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
