#!/usr/bin/env python3
"""Checks that a run under the sparsity controller settles, disturbed or not.

    scripts/sparse_event.py runs/sparse-event
    scripts/sparse_event.py runs/sparse

Only reads metrics.jsonl and summary.json. Prints one line per claim: the claim,
the measured value, and whether it holds. If no disturbance was recorded, the
claims about it are skipped, and the first line says so. Exits 1 if a claim does
not hold, 2 if the run cannot be checked.
"""

import json
import math
import statistics
import sys
from pathlib import Path

from signatures import Run

# The number of evaluations within which the event must be visible.
SOON = 5
# The number of logged steps in a mean, and of evaluations in the median at the end.
NEAR = 10
# The allowed distance of a cross entropy from the target, as a share of the target.
CLOSE = 0.01
# The share of the last evaluations that must be within this distance.
MOST = 0.9
# The largest standard deviation of a settled strength, as a share of its mean.
STEADY = 0.25
# The largest fraction of edges that a settled run may keep.
FEW = 0.01


class Refused(Exception):
    """The reason why a run cannot be checked."""


def open_run(folder):
    """Returns the run and the step of its disturbance, or None if there was none."""
    try:
        run = Run(folder)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").open(encoding="utf-8")]
    except OSError as error:
        raise Refused(f"{Path(error.filename).name}: {error.strerror}; is the run finished?") from error
    except (IndexError, KeyError, ValueError) as error:
        raise Refused("metrics.jsonl or summary.json cannot be read") from error
    steps = [row["step"] for row in rows if row["metrics"].get("event") == "perturb"]
    return run, steps[0] if steps else None


class Curves:
    """The logged sparsity of a run, as pairs of step and number."""

    def __init__(self, run):
        self.kept = run.correlations("sparsity")
        self.strength = run.correlations("regularisation_strength")
        # An evaluation that is not finite is written as null, and counts as far from every target.
        evals = [(step, row.get("val_cross_entropy")) for step, row in run.evals]
        self.losses = [(step, math.inf if x is None else x) for step, x in evals]
        self.target = run.evals[-1][1].get("target_cross_entropy") if run.evals else None
        if not self.kept or not self.strength or self.target is None:
            raise Refused("no gates, or no controller with a known target")
        self.third = run.steps - run.steps // 3


def disturbed(curves, at):
    """Yields (claim, measured, whether it holds) about a disturbance at this step."""
    kept, strength, losses, target = curves.kept, curves.strength, curves.losses, curves.target
    earlier = [x for step, x in kept if step < at]
    soon = [step for step, _ in losses if step >= at][:SOON]
    peaks = [x for step, x in strength if step < at]
    low = [x for step, x in strength if soon and at <= step <= soon[-1]]
    late = [x for step, x in strength if soon and step > soon[-1]]
    if not (earlier and peaks and low and late):
        raise Refused(f"too little was logged around the disturbance at step {at}")
    soon = soon[-1]
    first = statistics.fmean(x for _, x in kept[:NEAR])
    before = statistics.fmean(earlier[-NEAR:])
    end = statistics.fmean(x for _, x in kept[-NEAR:])
    yield "fell by at least 5 before", f"{first:.3f} to {before:.4f}", first >= 5 * before
    worst = max(x for step, x in losses if at <= step <= soon)
    yield "cross entropy over the target", f"{worst:.3f} over {target:.3f}", worst > target
    peak, least, again = max(peaks), min(low), max(late)
    yield "R below 1 % of its peak", f"{least:.4g} of {peak:.4g}", least < 0.01 * peak
    back = [step for step, x in losses if step > soon and x <= target]
    yield "cross entropy back at the target", f"step {back[0]}" if back else "never", bool(back)
    yield "R back at half its peak", f"{again:.4g} of {peak:.4g}", again >= 0.5 * peak
    yield "sparsity within 1.5 of before", f"{end:.4f} of {before:.4f}", end <= 1.5 * before


def settled(curves):
    """Yields (claim, measured, whether it holds) about the last third of a run."""
    target = curves.target

    def last(points):
        chosen = [x for step, x in points if step > curves.third]
        if len(chosen) < NEAR:
            raise Refused(f"only {len(chosen)} of {NEAR} needed readings are in the last third")
        return chosen

    few = statistics.median(last(curves.kept))
    yield "edges kept at most 0.01", f"{few:.4f} in the median", few <= FEW
    strength = last(curves.strength)
    level, spread = statistics.fmean(strength), statistics.pstdev(strength)
    yield "R varies by at most 25 % of its mean", f"{spread:.4g} of {level:.4g}", 0 < level and spread <= STEADY * level
    losses = last(curves.losses)
    close = sum(abs(x - target) <= CLOSE * target for x in losses)
    share = f"{close} of {len(losses)} evaluations"
    yield "9 of 10 within 1 % of the target", share, close / len(losses) >= MOST
    # One evaluation in ten may be off, because a single one says little about the end.
    end = statistics.median(losses[-NEAR:])
    near = abs(end - target) <= CLOSE * target
    yield "cross entropy ends within 1 % of it", f"{end:.3f}, target {target:.3f}", near


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    folder = Path(sys.argv[1])
    try:
        run, at = open_run(folder)
        curves = Curves(run)
        found = [] if at is None else list(disturbed(curves, at))
        found += settled(curves)
    except Refused as why:
        print(f"{folder}: {why}", file=sys.stderr)
        return 2
    if at is None:
        print(f"{folder}, not disturbed: the claims of the last third only")
    else:
        print(f"{folder}, disturbed at step {at}")
    for claim, measured, holds in found:
        print(f"  {'ok' if holds else 'NO':3}{claim:38}{measured}")
    return 0 if all(holds for _, _, holds in found) else 1


if __name__ == "__main__":
    sys.exit(main())
