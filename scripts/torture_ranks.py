#!/usr/bin/env python3
"""Disturbs the ranks of runs at random moments, restarts the runs on other numbers of ranks, and compares the result with that of
one undisturbed process: the same parameters, moments and metrics, bit for bit.

  scripts/torture.sh --ranks 2 [-n RUNS] [--seed S] [--out DIR] [TRAINER]

Each of the 100 runs is started under mpirun and disturbed once per start, until it ends by itself. A random rank is killed
(SIGKILL), stopped (SIGSTOP), or asked to end (SIGUSR1). A start has half, all or twice as many ranks; half of 2 is one process
without mpirun. Checks: the result has the same bits; after a rank is killed or stopped, all others end within the deadline of
5 s plus 2 s, and a stopped rank is named; after a signal all end with exit code 75; no process is left. Runs on the CPU. Needs
mpirun and a trainer built with --features mpi; if no trainer is given, it is built. Exits 1 if anything was lost; the failed run
is then under DIR (runs/torture-ranks).
"""

import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

STEPS = 48
ACCUMULATION = 4
# Seconds that a rank waits for the others, and seconds that all may take to end afterwards.
DEADLINE, END = 5, 2
# Seconds that mpirun may take after its last rank has ended.
TIDY = 10
# The values that differ between two equal runs.
TIMES = {"tokens_per_second", "step_seconds", "mfu", "memory_bytes"}
OF_RANKS = {"world_size", "reduce_seconds", "wait_seconds"}
# Exit codes of the trainer.
MISSING, INTERRUPTED = 7, 75
MARK = "RONDO_TORTURE"


class Lost(Exception):
    """A failed check."""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("-n", type=int, default=100, dest="runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("trainer", nargs="?", type=pathlib.Path)
    args = parser.parse_args()
    if args.trainer:
        args.trainer = args.trainer.resolve()
    if args.out:
        args.out = args.out.resolve()
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    args.out = args.out or pathlib.Path("runs/torture-ranks").resolve()
    if not args.trainer:
        subprocess.run(["cargo", "build", "--release", "--features", "mpi"], check=True)
        args.trainer = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release/trainer").resolve()
    if not shutil.which("mpirun"):
        sys.exit("torture: there is no mpirun; Debian has it in openmpi-bin")
    return args


def marked():
    """The processes of this torture, found by a variable in their environment."""
    mark = f"{MARK}={os.getpid()}".encode()
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                is_zombie = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if mark in environment and not is_zombie:
                ranks = [entry[21:] for entry in environment if entry.startswith(b"OMPI_COMM_WORLD_RANK=")]
                found.append((int(folder.name), int(ranks[0]) if ranks else None))
    return found


class Start:
    """A run, started or continued on some ranks."""

    def __init__(self, args, run, ranks):
        self.ranks, self.ended = ranks, None
        self.log = args.out / "log"
        command = [args.trainer, "--config", "configs/smoke.toml", "--device", "flex", "--resume", "auto", "--out", run]
        for key in [
            f"train.steps={STEPS}",
            f"train.accumulation={ACCUMULATION}",
            "train.batch=1",
            "device.threads=1",
            "eval.every=8",
            "checkpoint.every=2",
            "checkpoint.keep_last=3",
            f"distributed.timeout={DEADLINE}",
            f"distributed.start_timeout={DEADLINE}",
            f"data.cache={args.out}/cache",
        ]:
            command += ["--set", key]
        if ranks > 1:
            command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] + command
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        environment[MARK] = str(os.getpid())
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=environment
            )

    def said(self):
        return self.log.read_text(errors="replace")

    def knows_its_ranks(self, patience):
        """Waits until rank 0 describes the model: then the ranks know each other and the deadline. False: the run ended earlier."""
        end = time.monotonic() + patience
        while "\nmodel " not in self.said():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise Lost(f"nothing was trained after {patience:.0f} s")
            time.sleep(0.005)
        return True

    def rank(self, rank):
        """The process of a rank, if it exists."""
        if self.ranks == 1:
            return self.process.pid if self.process.poll() is None else None
        return next((pid for pid, number in marked() if number == rank), None)

    def ends(self, patience, stopped=None):
        """Waits for the end of all ranks, and then of mpirun, which cleans up for a few seconds if it has killed ranks."""
        end = time.monotonic() + patience
        while self.process.poll() is None:
            left = [pid for pid, rank in marked() if rank is not None or self.ranks == 1]
            if not left:
                break
            if time.monotonic() > end:
                if left != [stopped]:
                    raise Lost(f"still there after {patience:.1f} s: {marked()}")
                # It had left MPI before it was stopped: all others have ended, and mpirun only waits for this one.
                os.kill(stopped, signal.SIGCONT)
                end += patience
            time.sleep(0.02)
        self.ended = time.monotonic()
        try:
            return self.process.wait(TIDY)
        except subprocess.TimeoutExpired as late:
            raise Lost(f"all ranks have ended, and mpirun has not {TIDY} s later") from late


def end_all():
    for pid, _ in marked():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def final(run):
    folder = run / f"checkpoints/step-{STEPS:08}"
    names = ["model.safetensors", "optimizer.safetensors", "progress.json"]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def rows(run):
    found = []
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] in ("train", "eval"):
            row.pop("time", None)
            row["metrics"] = {k: v for k, v in row["metrics"].items() if k not in TIMES | OF_RANKS}
            found.append(row)
    return found


def compare(peace, run):
    differ = [name for name, digest in final(peace).items() if final(run)[name] != digest]
    expected, found = rows(peace), rows(run)
    if [row["step"] for row in expected if row["kind"] == "train"] != list(range(1, STEPS + 1)):
        raise Lost("the run left in peace has not every step")
    if found != expected:
        where = next((i for i, pair in enumerate(zip(expected, found)) if pair[0] != pair[1]), "the end")
        differ.append(f"metrics ({len(expected)} rows, found {len(found)}; the first difference is at row {where})")
    if differ:
        raise Lost("differs from the run left in peace: " + ", ".join(differ))


def no_process_is_left():
    """mpirun ends shortly before its ranks do; one second is allowed."""
    end = time.monotonic() + 1
    while left := marked():
        if time.monotonic() > end:
            raise Lost(f"processes are left: {left}")
        time.sleep(0.01)


def hurt(start, kind, rank, delay, life, seen):
    """Disturbs one rank after a while, and checks how all ranks end. Returns whether the run had already ended by itself."""
    pid = start.rank(rank)
    time.sleep(delay)
    began = time.monotonic()
    try:
        if pid is None:
            raise ProcessLookupError
        os.kill(pid, {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "ask": signal.SIGUSR1}[kind])
    except ProcessLookupError:
        start.ends(60)
        return True
    if kind == "ask":
        # The ranks finish their step, and save.
        code = start.ends(DEADLINE + END + 2 * life)
    else:
        code = start.ends(DEADLINE + END, stopped=pid if kind == "stop" else None)
    took = start.ended - began
    if code == 0:
        # The disturbance came after the last collective.
        return True
    if kind == "ask" and code != INTERRUPTED:
        raise Lost(f"SIGUSR1 ended rank {rank} of {start.ranks} with exit code {code}")
    if kind == "kill" and code not in (137, -signal.SIGKILL):
        raise Lost(f"SIGKILL of rank {rank} of {start.ranks} ended with exit code {code}")
    if kind == "stop":
        if code != MISSING:
            raise Lost(f"SIGSTOP of rank {rank} of {start.ranks} ended with exit code {code}")
        # While the ranks leave MPI they do not know which ranks have come.
        said = start.said()
        if f"without rank {rank} (" not in said and "MPI_Finalize" not in said:
            raise Lost(f"rank {rank} of {start.ranks} was stopped, and not named")
    seen.hurts[kind] += 1
    seen.longest[kind] = max(seen.longest[kind], took)
    return False


class Seen:
    def __init__(self):
        self.hurts, self.starts = collections.Counter(), collections.Counter()
        self.longest = collections.defaultdict(float)
        self.losses = 0


def torture(args, number, peace, lives, seen):
    """One run, from its first start to its end."""
    run = args.out / f"run-{number}"
    shutil.rmtree(run, ignore_errors=True)
    for attempt in range(1, 61):
        ranks = args.ranks if attempt == 1 else random.choice(sorted(lives))
        life = lives[ranks]
        # The rest of a run takes less time than a whole run, unless the machine is busier.
        delay = random.random() * life * (1 if attempt == 1 else (8 + attempt) / 16)
        kind = random.choice(["kill", "stop", "ask"] if ranks > 1 else ["kill", "ask"])
        rank = random.randrange(ranks)
        start = Start(args, run, ranks)
        seen.starts[ranks] += 1
        over = not start.knows_its_ranks(60)
        if not over:
            over = hurt(start, kind, rank, delay, life, seen)
        no_process_is_left()
        if over and start.ends(0) != 0:
            raise Lost(f"a start on {ranks} ranks failed with exit code {start.ends(0)}")
        if over:
            if not (run / "summary.json").is_file():
                raise Lost("finished without a summary")
            compare(peace, run)
            shutil.rmtree(run)
            return
    raise Lost("not finished after 60 starts")


def left_in_peace(args, run, ranks):
    """Trains undisturbed, and returns the seconds from the first line about the model to the end."""
    shutil.rmtree(run, ignore_errors=True)
    start = Start(args, run, ranks)
    start.knows_its_ranks(300)
    began = time.monotonic()
    if start.ends(600) != 0:
        sys.exit(f"torture: a run left in peace on {ranks} ranks has failed:\n{start.said()}")
    no_process_is_left()
    return time.monotonic() - began


def main():
    args = arguments()
    if ACCUMULATION % args.ranks:
        sys.exit(f"torture: {ACCUMULATION} micro-batches cannot be shared by {args.ranks} ranks: 1, 2 or {ACCUMULATION}")
    # This way the running processes are ended on exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    random.seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    peace, seen = args.out / "peace", Seen()
    try:
        left_in_peace(args, peace, 1)
        lives = {}
        for ranks in {args.ranks // 2, args.ranks, 2 * args.ranks}:
            if ranks and ACCUMULATION % ranks == 0:
                lives[ranks] = left_in_peace(args, args.out / "again", ranks)
                compare(peace, args.out / "again")
                took = f"{STEPS} steps on {ranks} ranks in {lives[ranks]:.1f} s"
                print(f"left in peace: {took}, the bits of one process", file=sys.stderr)
        for number in range(1, args.runs + 1):
            try:
                torture(args, number, peace, lives, seen)
            except Lost as lost:
                seen.losses += 1
                said = f"lost: run {number}: {lost}\n{(args.out / 'log').read_text(errors='replace')}"
                print(said, file=sys.stderr)
                (args.out / f"lost-{number}.log").write_text(said)
                end_all()
            if number % 10 == 0 or number == args.runs:
                hurts = ", ".join(f"{count} {kind}" for kind, count in sorted(seen.hurts.items()))
                print(f"{number} of {args.runs} runs: {hurts}; {seen.losses} losses", file=sys.stderr)
    finally:
        end_all()
    words = {"kill": "SIGKILL", "stop": "SIGSTOP", "ask": "SIGUSR1"}
    print(f"runs              {args.runs}")
    print("starts            " + ", ".join(f"{count} on {ranks}" for ranks, count in sorted(seen.starts.items())) + " ranks")
    for kind, word in words.items():
        print(f"{word:<18}{seen.hurts[kind]}, all ended at most {seen.longest[kind]:.1f} s later")
    print(f"losses            {seen.losses}")
    sys.exit(1 if seen.losses else 0)


if __name__ == "__main__":
    main()
