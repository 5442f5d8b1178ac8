#!/usr/bin/env python3
"""Checks and measures Rondo on this machine's GPU, and writes the results to OUT/gpu.json.

  machine   card, driver, CUDA toolkit, Vulkan loader, PyTorch
  devices   the devices of each build
  selftest  20 training steps on each device, compared with the CPU
  golden    the reference implementation's states, losses and gradients on each device
  bench     tokens/s of a training step, the trainer's and PyTorch's in turn
  nodes     each operation by itself
  products  each product of a layer with every possible routine of the GPU
  attention attention with its projections at several lengths, the trainer's and PyTorch's in turn
  train     the main run and its two failed predecessors at a GPU's scale, for 35 seconds

Every step has its own time limit. If a step fails or is not possible here, its error is recorded and the next one starts.
Steps for which the budget leaves no time are recorded as such.
"""

import argparse
import json
import lzma
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path

# The executable for each device; cuda-tf32 is cuda with products in TF32.
BUILDS = {"wgpu": "wgpu", "vulkan": "native", "cuda": "native", "cuda-tf32": "native"}
# Seconds that 20 small steps may take, including compilation. On an H100, wgpu took 8 s for them, vulkan 56 s for five
# steps, and cuda 127 s for two.
START = {"cuda": 200, "cuda-tf32": 200, "vulkan": 120, "wgpu": 60}
# Configurations whose step is timed; the first needs the size of its vocabulary, which would otherwise come from its data.
SHAPES = {
    "gpu-main": ["configs/gpu/main.toml", "--set", "model.vocab_size=8192"],
    "bench": ["configs/bench.toml"],
    "gpu": ["configs/bench-gpu.toml"],
}
QUICK_SHAPES = {"smoke": ["configs/bench-small.toml", "--set", "train.batch=2", "--set", "train.seq=16"]}
TRIO = ("main", "bad-run-1", "bad-run-2")
# Seconds between asking a run to end, which makes it save a checkpoint, and killing it.
GRACE = 15


class Check:
    def __init__(self, options):
        self.options = options
        self.kit = options.kit.resolve()
        self.out = options.out.resolve()
        self.out.mkdir(parents=True, exist_ok=True)
        self.work = self.out / "work" if options.keep else Path(os.environ.get("TMPDIR", "/tmp")) / "rondo-gpu"
        self.work.mkdir(parents=True, exist_ok=True)
        self.found = {}
        self.env = dict(os.environ)
        self.started = time.monotonic()

    def left(self):
        return self.options.budget - (time.monotonic() - self.started)

    def run(self, name, command, limit, parse=None):
        """Runs a command, records it under its name and returns what `parse` makes of its output."""
        command = [str(part) for part in command]
        limit = min(limit, self.left())
        if limit < 5:
            self.record(name, {"skipped": "no time is left"})
            return None
        begun = time.monotonic()
        process = subprocess.Popen(
            command, cwd=self.kit, env=self.env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        timed_out = False
        try:
            stdout, stderr = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            process.send_signal(signal.SIGINT)
            try:
                stdout, stderr = process.communicate(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = process.communicate()
        row = {"rc": process.returncode, "seconds": round(time.monotonic() - begun, 2)}
        if timed_out:
            row["limit"] = round(limit, 1)
        result = None
        if parse:
            try:
                result = parse(stdout)
            except (ValueError, KeyError, IndexError, OSError) as error:
                row["unreadable"] = f"{type(error).__name__}: {error}"
        if result is not None:
            row["result"] = result
        if process.returncode != 0 or result is None:
            row["stdout"] = stdout[-1500:]
            row["stderr"] = stderr[-3000:]
        self.record(name, row)
        return result

    def record(self, name, row):
        self.found[name] = row
        shown = row.get("skipped") or f"exit {row.get('rc', 0)} after {row.get('seconds', 0)} s"
        print(f"{time.monotonic() - self.started:6.1f} s  {name}: {shown}", flush=True)
        path = self.out / "gpu.json"
        staged = path.with_suffix(".part")
        staged.write_text(json.dumps(self.found, indent=1) + "\n")
        staged.replace(path)

    # The machine.

    def prepare(self):
        """Unpacks the executables and finds the libraries that they load."""
        begun = time.monotonic()
        self.trainers = {}
        for packed in sorted((self.kit / "bin").glob("trainer-*.xz")):
            build = packed.stem.removeprefix("trainer-")
            target = self.work / packed.stem
            with lzma.open(packed) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink)
            target.chmod(0o755)
            self.trainers[build] = target
        subprocess.run(["tar", "xJf", self.kit / "tokens.tar.xz", "-C", self.work], check=False)
        # Tuning compiles about 25 kernels per shape; the smallest level takes a minute on an H100.
        self.env.setdefault("CUBECL_AUTOTUNE_LEVEL", "minimal")
        libraries = []
        toolkit = next((p for p in map(Path, self.toolkits()) if (p / "include/cuda_bf16.h").exists()), None)
        if toolkit:
            self.env.setdefault("CUDA_PATH", str(toolkit))
            libraries += [str(p) for p in (toolkit / "lib64", toolkit / "lib") if p.is_dir()]
        if "libvulkan.so.1" not in output(["ldconfig", "-p"]):
            root = self.work / "loader"
            for package in (self.kit / "loaders").glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, root], check=False)
            libraries += sorted({str(p.parent) for p in root.rglob("lib*.so.*")})
        icds = [
            *Path("/usr/share/vulkan/icd.d").glob("*.json"), *Path("/etc/vulkan/icd.d").glob("*.json"),
            *Path("/usr/local/nvidia/share/vulkan/icd.d").glob("*.json"),
        ]
        nvidia = [str(p) for p in icds if "nvidia" in p.name]
        if nvidia:
            self.env.setdefault("VK_DRIVER_FILES", nvidia[0])
        known = self.env.get("LD_LIBRARY_PATH")
        self.env["LD_LIBRARY_PATH"] = ":".join(libraries + ([known] if known else []))
        self.record("unpack", {
            "rc": 0, "seconds": round(time.monotonic() - begun, 2),
            "result": {
                "trainers": {build: str(path) for build, path in self.trainers.items()},
                "CUDA_PATH": self.env.get("CUDA_PATH"), "LD_LIBRARY_PATH": self.env["LD_LIBRARY_PATH"],
                "icds": [str(p) for p in icds], "VK_DRIVER_FILES": self.env.get("VK_DRIVER_FILES"),
            },
        })

    def toolkits(self):
        """Folders that may contain the CUDA toolkit: an installed one, else the one of PyTorch."""
        yield from filter(None, [os.environ.get("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda"])
        where = "import nvidia, pathlib; print(*nvidia.__path__, sep='\\n')"
        for line in output([sys.executable, "-c", where]).splitlines():
            yield from sorted(map(str, Path(line).glob("cu1*")), reverse=True)

    def machine(self):
        smi = "name,driver_version,memory.total,clocks.max.sm,power.limit"
        torch = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.get_device_name(0))"
        facts = {
            "platform": platform.platform(), "cores": os.cpu_count(),
            "gpu": output(["nvidia-smi", f"--query-gpu={smi}", "--format=csv,noheader"]).strip(),
            "nvcc": output(["nvcc", "--version"]).strip().rsplit("\n", 1)[-1],
            "torch": output([sys.executable, "-c", torch]).strip(),
        }
        self.record("machine", {"rc": 0, "result": facts})

    # The measurements.

    def on_each_device(self):
        for device in self.options.device:
            trainer = self.trainers.get(BUILDS[device])
            if trainer:
                yield device, trainer

    def devices(self):
        for build, trainer in self.trainers.items():
            self.run(f"devices.{build}", [trainer, "devices", "--json"], 30, json.loads)

    def selftest(self):
        for device, trainer in self.on_each_device():
            command = [trainer, "selftest", *checked(device), "--json"]
            self.run(f"selftest.{device}", command, START[device], json.loads)

    def golden(self):
        for device, trainer in self.on_each_device():
            command = [trainer, "selftest", "--golden", "golden", *checked(device), "--json"]
            self.run(f"golden.{device}", command, START[device], json.loads)

    def bench(self):
        shapes = QUICK_SHAPES if self.options.quick else SHAPES
        for shape, config in shapes.items():
            for pair in range(1, self.options.pairs + 1):
                for device, trainer in self.on_each_device():
                    command = [trainer, "bench", "--config", *config, *trained(device), "--json", *self.rounds()]
                    self.run(f"bench.{shape}.{device}.{pair}", command, 75, json.loads)
                for mode in self.options.torch:
                    command = [sys.executable, "scripts/torch_peer.py", *self.peer_flags(config), "--mode", mode]
                    if mode.startswith("compile"):
                        command += ["--compile", "iteration"]
                    command += ["--device", "cpu" if self.options.quick else "cuda"]
                    self.run(f"bench.{shape}.torch-{mode}.{pair}", command, 90, last_line)

    def rounds(self):
        return ["--warmup", "1", "--steps", "2"] if self.options.quick else ["--warmup", "3", "--steps", "8"]

    def peer_flags(self, config):
        """The sizes of a configuration as flags for the peer."""
        trainer = next(iter(self.trainers.values()))
        command = [trainer, "--config", *config, "--print-config"]
        text = subprocess.run(command, cwd=self.kit, capture_output=True, text=True, check=True).stdout
        config = tomllib.loads(text)
        model, train = config["model"], config["train"]
        depth = model["recurrence"]
        with_grad = min(depth["mean"], depth["backprop_depth"])
        flags = dict(
            d_model=model["d_model"], heads=model["n_heads"], d_ff=model["d_ff"], **model["layers"],
            vocab=model["vocab_size"], seq=train["seq"], batch=train["batch"],
            no_grad=depth["mean"] - with_grad, with_grad=with_grad,
        )
        return [part for name, value in flags.items() for part in ("--" + name.replace("_", "-"), str(value))]

    def nodes(self):
        config = next(iter(QUICK_SHAPES.values())) if self.options.quick else SHAPES["gpu-main"]
        for device, trainer in self.on_each_device():
            command = [trainer, "bench", "--what", "nodes", "--config", *config, *trained(device), "--json"]
            self.run(f"nodes.{device}", command, 60, json.loads)

    def products(self):
        config = next(iter(QUICK_SHAPES.values())) if self.options.quick else SHAPES["gpu-main"]
        for device, trainer in self.on_each_device():
            command = [trainer, "bench", "--what", "products", "--config", *config, *trained(device), "--json"]
            self.run(f"products.{device}", command, 40, json.loads)

    def attention(self):
        """Attention by length, with the same number of tokens per batch."""
        config = next(iter(QUICK_SHAPES.values())) if self.options.quick else SHAPES["gpu-main"]
        tokens, lengths = (128, (32, 64)) if self.options.quick else (8192, (256, 512, 1024, 2048))
        for length in lengths:
            shape = [*config, "--set", f"train.batch={tokens // length}", "--set", f"train.seq={length}"]
            for device, trainer in self.on_each_device():
                command = [trainer, "bench", "--what", "nodes", "--node", "attention", "--config", *shape]
                self.run(f"attention.{length}.{device}", [*command, *trained(device), "--json"], 40, json.loads)
            for mode in self.options.torch:
                command = [sys.executable, "scripts/torch_peer.py", "--what", "attention", *self.peer_flags(shape), "--mode", mode]
                command += ["--warmup", "3", "--steps", "15", "--device", "cpu" if self.options.quick else "cuda"]
                self.run(f"attention.{length}.torch-{mode}", command, 40, last_line)

    def train(self):
        for device, trainer in list(self.on_each_device())[:1]:
            for name in TRIO:
                run = self.work / f"{device}-{name}"
                shutil.rmtree(run, ignore_errors=True)
                tokens = f'data={{kind="prepared",path="{self.work / "tokens"}"}}'
                steps = 4 if self.options.quick else 400
                keys = [tokens, f"train.steps={steps}", f"eval.every={max(steps // 4, 1)}", "checkpoint.every=400"]
                if self.options.quick:
                    keys += ["train.batch=1", "train.seq=32", "model.d_model=32", "model.n_heads=2", "model.d_ff=64"]
                    keys += ["eval.tokens=64", "model.recurrence.mean=4", "model.recurrence.backprop_depth=2"]
                command = [trainer, "--config", f"configs/gpu/{name}.toml", *trained(device), "--out", run]
                command += [part for key in keys for part in ("--set", key)]
                self.run(f"train.{name}.{device}", command, 35, lambda _, run=run: progress(run))


def checked(device):
    """The flags of `trainer selftest` for a device and its precision."""
    kind, _, precision = device.partition("-")
    return ["--device", kind, *(["--precision", precision] if precision else [])]


def trained(device):
    """The flags of `trainer` and `trainer bench` for a device and its precision."""
    kind, _, precision = device.partition("-")
    return ["--device", kind, *(["--set", f"device.precision={precision}"] if precision else [])]


def output(command):
    """Standard output of a command; empty if it does not exist or takes too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def last_line(text):
    return json.loads(text.strip().splitlines()[-1])


def progress(run):
    """The progress of a run: its last step, the median rate, and every evaluation."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = [row for row in rows if row["kind"] == "train"]
    rates = [row["metrics"]["tokens_per_second"] for row in train if "tokens_per_second" in row["metrics"]]
    keep = ("loss", "grad_norm", "hidden_state_corr", "num_steps_no_grad", "num_steps_with_grad")
    thin = train[:: max(len(train) // 40, 1)]
    return {
        "step": train[-1]["step"],
        "tokens_per_second": statistics.median(rates) if rates else None,
        "train": [{"step": row["step"], **{k: row["metrics"][k] for k in keep if k in row["metrics"]}} for row in thin],
        "val": [{"step": row["step"], **row["metrics"]} for row in rows if row["kind"] == "eval"],
    }


def main():
    steps = ("machine", "devices", "selftest", "golden", "bench", "nodes", "products", "attention", "train")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="gpu_check.sh"
    )
    listed = lambda text: [part for part in text.split(",") if part]
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for gpu.json")
    parser.add_argument("--kit", type=Path, default=Path(__file__).resolve().parents[2], help="folder that prepare.sh made")
    parser.add_argument("--only", type=listed, default=list(steps), metavar="STEP,..", help="some of the steps")
    parser.add_argument("--device", type=listed, default=list(BUILDS), metavar="KIND,..", help="wgpu, vulkan, cuda, cuda-tf32")
    parser.add_argument("--torch", type=listed, default=["eager", "compile", "eager-bf16", "compile-bf16"],
                        metavar="MODE,..", help="modes of the peer; empty for none")
    parser.add_argument("--pairs", type=int, default=2, help="how often ours and the peer take turns")
    parser.add_argument("--budget", type=float, default=300, metavar="SECONDS", help="for everything")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, for a software driver")
    parser.add_argument("--keep", action="store_true", help="keep executables and runs in OUT/work")
    options = parser.parse_args()
    for name, given, known in (("--only", options.only, steps), ("--device", options.device, BUILDS)):
        if wrong := [part for part in given if part not in known]:
            parser.error(f"{name}: {', '.join(wrong)}; these are known: {', '.join(known)}")
    if not (options.kit / "bin").is_dir():
        parser.error(f"--kit: {options.kit} has no folder bin; scripts/gpu/prepare.sh makes a kit")
    check = Check(options)
    check.prepare()
    for step in steps:
        if step in options.only:
            getattr(check, step)()
    print(f"{check.out / 'gpu.json'}")


if __name__ == "__main__":
    main()
