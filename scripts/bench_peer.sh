#!/usr/bin/env bash
# Runs `trainer bench` and a peer in turn, and prints tokens/s and peak memory of each pair, and the ratio.
#
#   scripts/bench_peer.sh [OPTION..] PEER [ARGUMENT..]
#   scripts/bench_peer.sh ../peer/bin/python scripts/torch_peer.py --mode compile
#   scripts/bench_peer.sh --shape all ../peer/bin/python scripts/torch_peer.py --mode compile
#
# PEER is any command whose last line of output is JSON with "tokens_per_second", and with "peak_mib" and
# "idle_mib" if it knows its memory. Run it on an idle machine: the pairs even out a slow drift, but not the
# load of other programs.
#
#   -n PAIRS         number of pairs; 5 by default
#   --shape NAME     bench, wide, deep, small or gpu, a file in configs/; or all, the four for a CPU. May be
#                    repeated. The peer gets the sizes as --d-model, --seq, --no-grad and so on; without
#                    this option the trainer runs bench and the peer its own default.
#   --device KIND    device of the trainer; flex by default
#   --features LIST  cargo features with which the trainer is built, for example for --device cuda
set -euo pipefail

usage() {
  sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

pairs=5
device=flex
features=default
shapes=()
while [ $# -gt 0 ]; do
  case $1 in -*) [ $# -ge 2 ] || usage ;; *) break ;; esac
  case $1-$2 in
    -n-*) pairs=$2 ;;
    --device-*) device=$2 ;;
    --features-*) features=$2 ;;
    --shape-all) shapes+=(bench wide deep small) ;;
    --shape-bench | --shape-wide | --shape-deep | --shape-small | --shape-gpu) shapes+=("$2") ;;
    *) usage ;;
  esac
  shift 2
done
[ $# -gt 0 ] || usage
cd "$(dirname "$0")/.."

# Tokens/s, peak and idle MiB of one JSON object of the trainer or of a peer; n/a for missing numbers.
read_result() {
  python3 -c '
import json, sys
found = json.loads(sys.stdin.read())
def mib(name):
    size = found.get(name + "_memory_bytes")
    return found.get(name + "_mib", "n/a") if size is None else size // 2**20
print(found["tokens_per_second"], mib("peak"), mib("idle"))'
}

# The sizes of a configuration as flags for a peer, one per line.
peer_flags() {
  "$trainer" --config "$1" --print-config | python3 -c '
import sys, tomllib
config = tomllib.loads(sys.stdin.read())
model, train = config["model"], config["train"]
depth = model["recurrence"]
assert depth["sampler"] == "fixed", "a peer takes the same depth in every step"
with_grad = min(depth["mean"], depth["backprop_depth"])
flags = dict(
    d_model=model["d_model"], heads=model["n_heads"], d_ff=model["d_ff"], **model["layers"],
    vocab=model["vocab_size"], seq=train["seq"], batch=train["batch"],
    no_grad=depth["mean"] - with_grad, with_grad=with_grad,
)
for name, value in flags.items():
    print("--" + name.replace("_", "-"), value, sep="\n")'
}

# compare CONFIG PEER [ARGUMENT..]
compare() {
  local config=$1
  shift
  : >"$results"
  printf '%5s %12s %12s %7s %10s %10s\n' pair rondo peer ratio 'rondo MiB' 'peer MiB'
  for pair in $(seq "$pairs"); do
    ours=$("$trainer" bench --config "$config" --device "$device" --json | read_result)
    theirs=$("$@" 2>/dev/null | tail -n 1 | read_result)
    echo "$ours $theirs" >>"$results"
    echo "$pair $ours $theirs" |
      awk '{ printf "%5d %12.0f %12.0f %7.3f %10s %10s\n", $1, $2, $5, $2 / $5, $3, $6 }'
  done
  awk '{ print $1 / $4 }' "$results" | sort -n |
    awk '{ v[NR] = $1 } END { printf "median ratio %.3f (%.3f to %.3f)\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
  # The largest peak of all pairs, and its part above the idle process with its code loaded.
  awk '
    function net(peak, idle) { return peak == "n/a" || idle == "n/a" ? "n/a" : peak - idle }
    function most(old, new) { return new == "n/a" || old != "" && old + 0 > new + 0 ? old : new }
    { ours = most(ours, $2); ours_net = most(ours_net, net($2, $3))
      theirs = most(theirs, $5); theirs_net = most(theirs_net, net($5, $6)) }
    function shown(size) { return size == "" ? "n/a" : size }
    END { printf "peak MiB: rondo %s, net of the idle process %s; peer %s, net %s\n",
      shown(ours), shown(ours_net), shown(theirs), shown(theirs_net) }' "$results"
}

cargo build --release --quiet --features "$features"
trainer=${CARGO_TARGET_DIR:-target}/release/trainer
results=$(mktemp)
trap 'rm -f "$results"' EXIT
if [ ${#shapes[@]} -eq 0 ]; then
  compare configs/bench.toml "$@"
  exit
fi
for shape in "${shapes[@]}"; do
  config=configs/bench-$shape.toml
  [ "$shape" = bench ] && config=configs/bench.toml
  sizes=$(peer_flags "$config")
  flags=()
  while read -r flag; do flags+=("$flag"); done <<<"$sizes"
  echo "$shape: ${flags[*]}"
  compare "$config" "$@" "${flags[@]}"
done
