#!/usr/bin/env python3
"""The model of configs/bench.toml, or of other sizes, as a PyTorch training step, for scripts/bench_peer.sh.

Sandwich blocks, learned RMSNorm, linear injection, QK bias, RoPE on adjacent pairs, gated SiLU, tied head,
AdamW, global clipping at 1. Prints one JSON line: tokens_per_second (median), peak_mib and idle_mib. The latter is the
memory before the model is made: on a CPU the process with its libraries, on a GPU nothing. With --what attention it
times one layer's attention with its projections and norms instead: forward_seconds and backward_seconds (medians).

    python3 -m venv ../peer && ../peer/bin/pip install torch numpy
    ../peer/bin/python scripts/torch_peer.py --mode compile
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn


class Rotary:
    """cos and sin of pos * base^(-2j / d_head)."""

    def __init__(self, seq, d_head, device, base=50000.0):
        frequencies = base ** (-torch.arange(0, d_head, 2, device=device).float() / d_head)
        angles = torch.arange(seq, device=device).float()[:, None] * frequencies
        self.cos, self.sin = angles.cos(), angles.sin()

    def __call__(self, x):
        even, odd = x[..., 0::2], x[..., 1::2]
        rotated = (even * self.cos - odd * self.sin, odd * self.cos + even * self.sin)
        return torch.stack(rotated, dim=-1).flatten(-2)


class Layer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads, self.d_head = heads, width // heads
        self.attn_in, self.attn_out = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.ffn_in, self.ffn_out = nn.RMSNorm(width, 1e-6), nn.RMSNorm(width, 1e-6)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.bias = nn.Parameter(torch.zeros(2, heads, 1, self.d_head))
        self.proj = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def attend(self, x, rotary):
        batch, seq, width = x.shape
        heads = self.qkv(self.attn_in(x)).view(batch, seq, 3, self.heads, self.d_head)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        q, k = rotary(q + self.bias[0]), rotary(k + self.bias[1])
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attn_out(x + self.proj(y.transpose(1, 2).reshape(batch, seq, width)))

    def forward(self, x, rotary):
        x = self.attend(x, rotary)
        a, b = self.up(self.ffn_in(x)).chunk(2, dim=-1)
        return self.ffn_out(x + self.down(F.silu(a) * b))


class Looped(nn.Module):
    def __init__(self, o):
        super().__init__()
        layers = lambda n: nn.ModuleList(Layer(o.d_model, o.heads, o.d_ff) for _ in range(n))
        self.tokens = nn.Embedding(o.vocab, o.d_model)
        nn.init.trunc_normal_(self.tokens.weight, std=(2 / (5 * o.d_model)) ** 0.5)
        self.prelude, self.core, self.coda = layers(o.prelude), layers(o.core), layers(o.coda)
        self.adapter = nn.Linear(2 * o.d_model, o.d_model, bias=False)
        self.norm = nn.RMSNorm(o.d_model, 1e-6)
        self.rotary, self.o = Rotary(o.seq, o.d_model // o.heads, o.device), o

    def iterate(self, state, embedded):
        x = self.adapter(torch.cat((state, embedded), dim=-1))
        for layer in self.core:
            x = layer(x, self.rotary)
        return x

    def forward(self, ids):
        x = self.tokens(ids) * self.o.d_model**0.5
        for layer in self.prelude:
            x = layer(x, self.rotary)
        embedded, state = x, torch.randn_like(x) * 0.4**0.5
        with torch.no_grad():
            for _ in range(self.o.no_grad):
                state = self.iterate(state, embedded)
        for _ in range(self.o.with_grad):
            state = self.iterate(state, embedded)
        x = self.norm(state)
        for layer in self.coda:
            x = layer(x, self.rotary)
        return self.norm(x) @ self.tokens.weight.T


def peak_mib(device):
    """The peak memory of the process, or of the device for it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() // 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def time_attention(o):
    """Returns the median seconds of the forward and the backward pass of one layer's attention."""
    layer = Layer(o.d_model, o.heads, o.d_ff).to(o.device)
    rotary = Rotary(o.seq, o.d_model // o.heads, o.device)
    attend = torch.compile(layer.attend) if o.mode.startswith("compile") else layer.attend
    x = torch.randn(o.batch, o.seq, o.d_model, device=o.device, requires_grad=True)
    passes = []
    for _ in range(o.warmup + o.steps):
        synchronize(o.device)
        started = time.perf_counter()
        with torch.autocast(o.device.type, torch.bfloat16, enabled=o.mode.endswith("bf16")):
            y = attend(x, rotary)
        synchronize(o.device)
        between = time.perf_counter()
        y.backward(torch.ones_like(y))
        synchronize(o.device)
        passes.append((between - started, time.perf_counter() - between))
        x.grad = None
        layer.zero_grad(set_to_none=True)
    forward, backward = map(statistics.median, zip(*passes[o.warmup:]))
    return {"forward_seconds": forward, "backward_seconds": backward}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = dict(d_model=256, heads=4, d_ff=1024, prelude=1, core=2, coda=1, vocab=4096, seq=256, batch=8)
    for name, default in (sizes | dict(no_grad=0, with_grad=4, warmup=2, steps=6)).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    parser.add_argument("--what", choices=("step", "attention"), default="step", help="a training step, or attention alone")
    parser.add_argument("--mode", choices=("eager", "compile", "eager-bf16", "compile-bf16"), default="compile")
    parser.add_argument("--compile", choices=("model", "iteration"), default="model",
                        help="what compile compiles: the model with its loop unrolled, or one iteration of the core")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int, help="all cores by default")
    o = parser.parse_args()
    if o.threads:
        torch.set_num_threads(o.threads)
    idle = peak_mib(o.device)
    torch.manual_seed(0)
    about = {"mode": o.mode, "torch": torch.__version__}
    if o.what == "attention":
        print(json.dumps(about | time_attention(o) | {"peak_mib": peak_mib(o.device), "idle_mib": idle}))
        return
    model = Looped(o).to(o.device)
    forward = model
    if o.mode.startswith("compile"):
        if o.compile == "model":
            forward = torch.compile(model)
        else:
            model.iterate = torch.compile(model.iterate)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.95), fused=True)
    ids, targets = (torch.randint(o.vocab, (o.batch, o.seq), device=o.device) for _ in range(2))
    seconds = []
    for _ in range(o.warmup + o.steps):
        started = time.perf_counter()
        with torch.autocast(o.device.type, torch.bfloat16, enabled=o.mode.endswith("bf16")):
            logits = forward(ids)
        F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronize(o.device)
        seconds.append(time.perf_counter() - started)
    rate = o.batch * o.seq / statistics.median(seconds[o.warmup:])
    tf32 = o.device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32
    result = about | {"tf32": tf32, "tokens_per_second": rate}
    print(json.dumps(result | {"peak_mib": peak_mib(o.device), "idle_mib": idle}))


if __name__ == "__main__":
    main()
