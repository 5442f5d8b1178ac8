#!/usr/bin/env python3
"""Renders a gpu.json of scripts/gpu_check.sh as Markdown.

    scripts/gpu/table.py OUT/gpu.json
"""

import json
import statistics
import sys
from pathlib import Path


def rows_of(found, step):
    """The results of a step, by the rest of their names; with the reason if there are none."""
    for name, row in found.items():
        if name.split(".")[0] == step:
            yield name.partition(".")[2], row


def failure(row):
    if "skipped" in row:
        return row["skipped"]
    if "limit" in row:
        return f"not done within {row['limit']:.0f} s"
    lines = (row.get("stderr") or row.get("stdout") or "").strip().splitlines()
    error = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "no output")
    return f"exit {row['rc']}: {error[:100]}"


def table(head, rows):
    rows = list(rows)
    if not rows:
        return
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join("---" if i == 0 else "---:" for i in range(len(head))) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    print()


def agreement(found):
    for device, row in rows_of(found, "selftest"):
        result = row.get("result")
        if result is None:
            yield device, "20 training steps beside flex", failure(row), "", ""
            continue
        difference = f"{result['largest_difference']:.1e}"
        yield device, "20 training steps beside flex", difference, f"{result['tolerance']:.0e}", verdict(result)
    for device, row in rows_of(found, "golden"):
        result = row.get("result")
        if result is None:
            yield device, "golden values", failure(row), "", ""
            continue
        for what, checks in grouped(result["checks"]).items():
            # Among several, the one that is closest to its tolerance or furthest beyond it.
            worst = max(checks, key=share)
            difference = "not finite" if worst["difference"] is None else f"{worst['difference']:.1e}"
            passed = all(check["passed"] for check in checks)
            yield device, what, difference, f"{worst['tolerance']:.0e}", verdict({"passed": passed})


def grouped(checks):
    """Golden checks, grouped by the compared quantity."""
    groups = {}
    for check in checks:
        name = check["name"]
        kind = name.split("_r")[0] if "_r" in name and not name.startswith(("grad.", "exit.")) else name
        what = {
            "state": "states, hidden states, logits", "hidden": "states, hidden states, logits",
            "logits": "states, hidden states, logits", "loss": "losses",
        }.get(kind)
        if name.startswith("loss"):
            what = "losses"
        elif name.startswith("grad."):
            what = "gradients"
        elif name.startswith("exit."):
            what = "exit iterations" if name.endswith(".step") else "exit values"
        groups.setdefault(what or "correlations", []).append(check)
    return groups


def share(check):
    if check["difference"] is None:
        return float("inf")
    return check["difference"] / check["tolerance"] if check["tolerance"] else float(check["difference"] > 0) * 1e9


def verdict(check):
    return "agrees" if check["passed"] else "**differs**"


def speed(found):
    """Medians over the pairs."""
    rates, failures = {}, {}
    for name, row in rows_of(found, "bench"):
        shape, who, _ = name.rsplit(".", 2)
        key = (shape, who)
        result = row.get("result")
        if result is None:
            failures[key] = failure(row)
        else:
            rates.setdefault(key, []).append(result)
    for key in dict.fromkeys([*rates, *failures]):
        if key not in rates:
            yield *key, failures[key], "", ""
            continue
        tokens = statistics.median(r["tokens_per_second"] for r in rates[key])
        first = rates[key][0]
        peak = first.get("peak_mib") or (first.get("peak_memory_bytes") or 0) // 2**20
        flops = first.get("flops_per_second")
        yield *key, f"{tokens:,.0f}", f"{flops / 1e12:.1f}" if flops else "", f"{peak:,}"


def attention(found):
    for name, row in rows_of(found, "attention"):
        length, who = name.split(".", 1)
        result = row.get("result")
        if result is None:
            yield length, who, failure(row), "", ""
            continue
        passes = result["nodes"][0] if "nodes" in result else result
        forward, backward = (1e3 * passes[key] for key in ("forward_seconds", "backward_seconds"))
        yield length, who, f"{forward:.3f}", f"{backward:.3f}", result.get("peak_mib", "")


def training(found):
    for name, row in rows_of(found, "train"):
        result = row.get("result")
        if result is None:
            yield name, failure(row), "", "", ""
            continue
        last = result["train"][-1]
        corr = last.get("hidden_state_corr")
        yield (
            name, result["step"], f"{result['tokens_per_second'] or 0:,.0f}", f"{last['loss']:.3f}",
            "" if corr is None else f"{corr:.2f}",
        )


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = json.loads(Path(sys.argv[1]).read_text())
    machine = found.get("machine", {}).get("result", {})
    print(f"{machine.get('gpu', 'unknown GPU')}; {machine.get('cores')} cores; PyTorch {machine.get('torch')}\n")
    table(["device", "check", "largest difference", "tolerance", ""], agreement(found))
    table(["shape", "who", "tokens/s", "TFLOP/s", "peak MiB"], speed(found))
    table(["length", "who", "forward ms", "backward ms", "peak MiB"], attention(found))
    table(["run", "steps", "tokens/s", "loss", "hidden_state_corr"], training(found))


if __name__ == "__main__":
    main()
