#!/usr/bin/env python3
"""Checks what a disturbance does to a run under the sparsity controller, and what comes back after it.

    scripts/sparse_event.py runs/sparse-event

Reads metrics.jsonl and summary.json only. One line for each claim, what was measured, and whether it holds;
exits 1 if one does not.
"""

import json
import sys
from pathlib import Path

from signatures import Run

# Evaluations in which the event must show.
SOON = 5
# Logged steps that make a mean.
NEAR = 10


def mean(values):
    return sum(values) / len(values)


def event_step(folder):
    rows = (json.loads(line) for line in (folder / "metrics.jsonl").open(encoding="utf-8"))
    steps = [row["step"] for row in rows if row["metrics"].get("event") == "perturb"]
    if not steps:
        sys.exit(f"{folder}: no perturbation was recorded")
    return steps[0]


def claims(run, at):
    """Yields (claim, measured, whether it holds)."""
    kept, strength = run.correlations("sparsity"), run.correlations("regularisation_strength")
    target = run.evals[-1][1]["target_cross_entropy"]
    losses = [(step, row["val_cross_entropy"]) for step, row in run.evals]
    first = mean([x for _, x in kept[:NEAR]])
    before = mean([x for step, x in kept if step < at][-NEAR:])
    end = mean([x for _, x in kept[-NEAR:]])
    soon = [step for step, _ in losses if step >= at][:SOON][-1]
    yield "fell by at least 5 before", f"{first:.3f} to {before:.4f}: {first / before:.1f}", first >= 5 * before
    worst = max(x for step, x in losses if at <= step <= soon)
    yield "cross entropy over the target", f"{worst:.3f} over {target:.3f}", worst > target
    peak = max(x for step, x in strength if step < at)
    least = min(x for step, x in strength if at <= step <= soon)
    yield "R below 1 % of its peak", f"{least:.3g} of {peak:.3g}", least < 0.01 * peak
    back = [step for step, x in losses if step > soon and x <= target]
    yield "cross entropy back at the target", f"step {back[0]}" if back else "never", bool(back)
    again = max(x for step, x in strength if step > soon)
    yield "R back at half its peak", f"{again:.3g} of {peak:.3g}", again >= 0.5 * peak
    yield "sparsity within 1.5 of before", f"{end:.4f} of {before:.4f}", end <= 1.5 * before
    last = losses[-1][1]
    yield "cross entropy at the end", f"{last:.3f}, target {target:.3f}", last <= target


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    folder = Path(sys.argv[1])
    at = event_step(folder)
    print(f"{folder}, disturbed at step {at}")
    missing = 0
    for claim, measured, holds in claims(Run(folder), at):
        missing += not holds
        print(f"  {'ok' if holds else 'NO':3}{claim:36}{measured}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
