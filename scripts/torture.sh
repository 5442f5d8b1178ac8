#!/usr/bin/env bash
# Kills training at random moments, damages checkpoints, restarts, and compares the result with that of an undisturbed
# run: the same parameters, moments and metrics, bit for bit.
#
#   scripts/torture.sh [-n RUNS] [--seed S] [--out DIR] [TRAINER]
#   scripts/torture.sh --ranks 2 [-n RUNS] …      on several ranks, see torture_ranks.py
#
# Each of the 100 runs is killed by SIGKILL after a random part of its duration, one time in four inside the next
# save, and restarted until it ends by itself. In every other run, the newest checkpoint is damaged between a kill and a
# restart (a flipped bit, a cut end or a missing file), and the restart must report it. The same SEED gives the same
# delays, but what they interrupt depends on the machine. Runs on the CPU, one or two seconds per run; needs bash 5 and
# python3. Exits 1 if anything was lost; the failed run is then under DIR (runs/torture).
set -euo pipefail

for argument; do
    case $argument in
        --ranks | --ranks=*) exec python3 "$(dirname "$0")/torture_ranks.py" "$@" ;;
    esac
done

runs=100 seed=1 out= trainer=
while (($#)); do
    case $1 in
        -n) runs=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
        *) trainer=$(cd "$(dirname "$1")" && pwd)/$(basename "$1"); shift ;;
    esac
done
case $out in '' | /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."
out=${out:-$PWD/runs/torture}
if [ -z "$trainer" ]; then
    cargo build --release
    trainer=${CARGO_TARGET_DIR:-target}/release/trainer
fi

steps=24
mkdir -p "$out"
log=$out/log
# Nothing writes into it, so reading with a time limit is a pause that starts no process.
rm -f "$out/never"
mkfifo "$out/never"
exec {never}<> "$out/never"

# start DIR: starts or resumes training in the background; its process is $pid, its output is in $log.
start() {
    # A child that is killed before it opens the log must not be judged by the output of an earlier one.
    : > "$log"
    "$trainer" --config configs/smoke.toml --device flex --set device.threads=1 --set "train.steps=$steps" \
        --set eval.every=8 --set checkpoint.every=2 --set checkpoint.keep_last=3 --set "data.cache=$out/cache" \
        --resume auto --out "$1" > /dev/null 2> "$log" &
    pid=$!
}

# Waits for $pid; its exit code is $code.
ended() {
    code=0
    # The shell's own message about a killed child is suppressed.
    { wait "$pid" || code=$?; } 2> /dev/null
    pid=
}

# The time in milliseconds, in $now.
clock() {
    now=${EPOCHREALTIME/[.,]/}
    now=$((now / 1000))
}

# until TIME: waits while $pid lives, two milliseconds at a time.
until_time() {
    while clock && ((now < $1)) && kill -0 "$pid" 2> /dev/null; do
        read -r -t 0.002 <&"$never" || true
    done
}

# pick N: a number below N in $picked. (In a subshell the generator would not advance.)
pick() { picked=$((RANDOM * $1 / 32768)); }

# The folders of unfinished saves, with data that distinguishes them from earlier ones.
unfinished() { ls -di "$1"/checkpoints/.tmp-* "$1"/checkpoints/.old-* 2> /dev/null || true; }

# hurt DIR KIND PLACE: damages the newest of at least two checkpoints and prints its step.
hurt() {
    python3 - "$@" << 'PY'
import pathlib, sys
run, kind, place = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
found = sorted((run / "checkpoints").glob("step-*"))
if len(found) < 2:
    sys.exit()
files = sorted(found[-1].iterdir())
file = files[place % len(files)]
content = bytearray(file.read_bytes())
if kind == 0:
    place = place * 7919 % (len(content) - 1)  # The last byte of a manifest is a newline without meaning.
    content[place] ^= 1 << place % 8
    file.write_bytes(content)
elif kind == 1:
    file.write_bytes(content[: place * 7919 % (len(content) - 1)])
else:
    file.unlink()
print(int(found[-1].name.removeprefix("step-")))
PY
}

# same DIR: compares with the undisturbed run; prints the differences.
same() {
    python3 - "$out/peace" "$1" "$steps" << 'PY'
import hashlib, json, pathlib, sys
peace, run, steps = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
TIMINGS = {"tokens_per_second", "step_seconds", "mfu", "memory_bytes"}

def final(run):
    folder = run / f"checkpoints/step-{steps:08}"
    names = ["model.safetensors", "optimizer.safetensors", "progress.json"]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}

def rows(run):
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] in ("train", "eval"):
            row.pop("time", None)
            row["metrics"] = {k: v for k, v in row["metrics"].items() if k not in TIMINGS}
            yield row

differ = [name for name, digest in final(peace).items() if final(run)[name] != digest]
expected, found = list(rows(peace)), list(rows(run))
assert [row["step"] for row in expected if row["kind"] == "train"] == list(range(1, steps + 1))
if found != expected:
    where = next((i for i, pair in enumerate(zip(expected, found)) if pair[0] != pair[1]), "the end")
    differ.append(f"metrics ({len(expected)} rows, found {len(found)}; the first difference is at row {where})")
if differ:
    sys.exit("differs from the run left in peace: " + ", ".join(differ))
PY
}

# lost MESSAGE: keeps the run of this round with its last output.
lost() {
    losses=$((losses + 1))
    printf '\nlost: run %s: %s\n' "$round" "$1" >&2
    cp "$log" "$run/lost.log"
    sed 's/^/    /' "$log" >&2
}

progress() {
    local line="$round of $runs runs: $kills kills ($inside inside a save), $damages damages, $losses losses"
    if [ -t 2 ]; then
        printf '\r%s' "$line" >&2
    elif ((round % 10 == 0)); then
        echo "$line" >&2
    fi
}

pid=
trap '[ -z "$pid" ] || kill -KILL "$pid"' EXIT

# peace DIR: an undisturbed run; its duration is in $life.
peace() {
    rm -rf "$1"
    clock
    local began=$now
    start "$1"
    ended
    clock
    life=$((now - began))
    if ((code)); then
        cat "$log" >&2
        exit "$code"
    fi
}

# The first start of a program is the slowest; and two undisturbed runs must be equal before others can be compared.
peace "$out/peace"
peace "$out/again"
same "$out/again"
rm -rf "$out/again"
echo "left in peace: $steps steps in $life ms" >&2

RANDOM=$seed
kills=0 inside=0 damages=0 losses=0
for ((round = 1; round <= runs; round++)); do
    run=$out/run-$round
    rm -rf "$run"
    pick 2
    to_hurt=$picked unsaid='' starts=0
    while :; do
        if ((++starts > 60)); then
            lost "not finished after $starts starts"
            break
        fi
        before=$(unfinished "$run")
        # The rest of a run takes less time than a whole run, unless the machine is busier.
        pick $((starts == 1 ? life : life * (8 + starts) / 16)) && delay=$picked
        pick 4 && aimed=$((picked == 0))
        pick 4 && deep=$picked
        start "$run"
        clock
        began=$now
        until_time $((began + delay))
        if ((aimed)); then
            # Does not wait if no save comes.
            while clock && ((now < began + delay + life)) && kill -0 "$pid" 2> /dev/null &&
                ! compgen -G "$run/checkpoints/.tmp-*" > /dev/null; do :; done
            clock
            until_time $((now + deep))
        fi
        kill -KILL "$pid" 2> /dev/null || true
        ended

        # Warnings are printed before the description of the model.
        if [ -n "$unsaid" ] && grep -q '^model ' "$log"; then
            if ! grep -q "skipped a damaged checkpoint: step $unsaid:" "$log"; then
                lost "nothing was said of the damage at step $unsaid"
                break
            fi
            unsaid=
        fi
        if ((code == 0)); then
            clock
            # The machine may have been busier during the undisturbed runs.
            if ((starts == 1 && now - began < life)); then life=$((now - began)); fi
            if [ ! -f "$run/summary.json" ]; then
                lost "finished without a summary"
            elif problem=$(same "$run" 2>&1); then
                rm -rf "$run"
            else
                lost "$problem"
            fi
            break
        elif ((code != 137)); then
            lost "a restart failed with exit code $code"
            break
        fi
        kills=$((kills + 1))
        after=$(unfinished "$run")
        if [ -n "$after" ] && [ "$after" != "$before" ]; then
            inside=$((inside + 1))
        fi
        if ((to_hurt)); then
            pick 3 && kind=$picked
            unsaid=$(hurt "$run" "$kind" "$RANDOM")
            if [ -n "$unsaid" ]; then
                damages=$((damages + 1)) to_hurt=0
            fi
        fi
    done
    progress
done
[ ! -t 2 ] || echo >&2

cat << REPORT
runs                $runs
kills               $kills
  inside a save     $inside
damaged checkpoints $damages
losses              $losses
REPORT
((losses == 0))
