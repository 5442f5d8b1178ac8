#!/usr/bin/env python3
"""Checks the signatures of the three published runs (arXiv 2502.05171, section 4.3, figure 5) on full runs.

    scripts/signatures.py RUNS..        RUNS: folders with main, bad-run-1 and bad-run-2 in them

Only reads metrics.jsonl and summary.json. Prints one line per claim: the claim, the measured value, and whether it
holds. Exits 1 if a claim does not hold.
"""

import json
import sys
from pathlib import Path


class Run:
    """The metrics of one run: training rows, evaluations, verdict."""

    def __init__(self, folder):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").open(encoding="utf-8")]
        self.train = [(row["step"], row["metrics"]) for row in rows if row["kind"] == "train"]
        self.evals = [(row["step"], row["metrics"]) for row in rows if row["kind"] == "eval"]
        self.steps = self.train[-1][0]
        self.summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))

    def correlations(self, name="hidden_state_corr"):
        return [(step, row[name]) for step, row in self.train if row.get(name) is not None]

    def perplexities(self, row=None):
        row = self.evals[-1][1] if row is None else row
        prefix = "val_perplexity@"
        return {int(name[len(prefix):]): x for name, x in row.items() if name.startswith(prefix)}

    def loss(self):
        return self.evals[-1][1]["val_cross_entropy"]

    def unigram(self):
        return self.evals[0][1]["val_unigram_cross_entropy"]

    def end(self):
        """Median correlation of the last ten logged steps."""
        return sorted(x for _, x in self.correlations()[-10:])[-5]


def longest_above(readings, threshold):
    """The largest number of consecutive steps at or above a threshold."""
    longest, since = 0, None
    for step, value in readings:
        if value >= threshold:
            since = step if since is None else since
            longest = max(longest, step - since)
        else:
            since = None
    return longest


def claims(main, first, second):
    """Yields (run, claim, measured, whether it holds)."""
    early = first.steps // 20
    late = [x for step, x in first.correlations() if step >= early]
    share = sum(x >= 0.97 for x in late) / len(late)
    yield (
        "bad-run-1",
        f"hidden_state_corr >= 0.97 from step {early} to the end",
        f"{share:.1%} of the steps, lowest {min(late):.3f}",
        min(late) >= 0.97,
    )
    losses = [row["val_cross_entropy"] for step, row in first.evals if step >= first.steps // 4]
    off = [abs(loss / first.unigram() - 1) for loss in losses]
    middle = sorted(off)[len(off) // 2]
    yield (
        "bad-run-1",
        "validation loss ends within 3 % of the unigram's",
        f"{off[-1]:.1%} off",
        off[-1] <= 0.03,
    )
    yield (
        "bad-run-1",
        "and stalls there: the median after a quarter is within 3 %",
        f"{middle:.1%} off in the median, {max(off):.1%} in one evaluation",
        middle <= 0.03 and min(losses) >= 0.97 * first.unigram(),
    )
    spread = max(max(p.values()) / min(p.values()) - 1 for p in (first.perplexities(r) for _, r in first.evals[1:]))
    yield "bad-run-1", "perplexity at every depth within 1 %, every evaluation", f"at most {spread:.2%}", spread <= 0.01
    yield "bad-run-1", "verdict", first.summary["verdict"], first.summary["verdict"] == "hidden-state-collapse"

    peak = max(
        max(x for step, x in second.correlations(name) if step <= second.steps // 4)
        for name in ("hidden_state_corr", "last_hidden_token_corr")
    )
    yield "bad-run-2", "an early peak of correlation >= 0.8", f"{peak:.3f}", peak >= 0.8
    yield "bad-run-2", "then hidden_state_corr under 0.5", f"{second.end():.3f}", second.end() < 0.5
    share = second.loss() / second.unigram()
    yield "bad-run-2", "loss well under the unigram's (under 0.9 of it)", f"{share:.2f} of it", share < 0.9
    depths = second.perplexities()
    ratio = depths[1] / depths[32]
    yield "bad-run-2", "perplexity at 32 within 3 % of that at 1", f"ratio {ratio:.3f}", abs(ratio - 1) <= 0.03
    yield "bad-run-2", "verdict", second.summary["verdict"], second.summary["verdict"] == "ignored-state"

    stays = longest_above(main.correlations(), 0.97)
    yield "main", "hidden_state_corr never stays >= 0.97", f"{stays} steps in a row", stays < 10
    yield "main", "hidden_state_corr ends under 0.5", f"{main.end():.3f}", main.end() < 0.5
    gains = {}
    for name, run in (("main", main), ("bad-run-1", first), ("bad-run-2", second)):
        depths = run.perplexities()
        gains[name] = depths[1] / depths[16]
    yield "main", "perplexity at 1 at least 1.15 times that at 16", f"{gains['main']:.3f}", gains["main"] >= 1.15
    yield "main", "the largest gain from depth of the three", f"{gains['main']:.3f}", gains["main"] == max(gains.values())
    best = min(run.loss() for run in (main, first, second))
    yield "main", "loss at most 1.05 times the best of the three", f"{main.loss() / best:.3f}", main.loss() <= 1.05 * best
    clean = main.summary["verdict"] == "healthy" and not main.summary["findings"]
    yield "main", "healthy, and no finding in its whole length", main.summary["verdict"], clean


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    missing = 0
    for folder in map(Path, sys.argv[1:]):
        print(folder)
        runs = [Run(folder / name) for name in ("main", "bad-run-1", "bad-run-2")]
        for run, claim, measured, holds in claims(*runs):
            missing += not holds
            print(f"  {'ok' if holds else 'NO':3}{run:11}{claim:60}{measured}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
