#!/usr/bin/env python3
"""Sends thousands of requests of every kind to `trainer serve` and fits a line to the memory of the server.

  scripts/serve_soak.py RUN [--requests 10000] [--trainer target/release/trainer] [--limit 1]

Eight clients send valid requests (scores, texts, events, lists of prompts) and invalid ones (broken JSON, long prompts,
unknown fields, large bodies, other paths), and some leave before their answer. The slope of the resident memory over the
requests after the first third must stay below LIMIT, in MiB per 1,000 requests. Ends the server with SIGTERM. Needs only
Linux and python3. Exits 1 if memory grows faster, an answer has a wrong status, or the server does not end properly.
"""

import argparse
import collections
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time


def body(**fields):
    return json.dumps({"prompt": [1, 2, 3, 4], "temperature": 0, "max_tokens": 4, **fields})


def prompt(rng, length):
    return [rng.randrange(1, 100) for _ in range(length)]


# Each kind of request, with the expected statuses. 429 is always allowed, because eight clients may fill the queue.
def score(rng):
    return body(prompt=[prompt(rng, rng.randrange(2, 100))], max_tokens=1, logprobs=1, echo=True), {200}


def scores(rng):
    rows = [prompt(rng, rng.randrange(2, 100)) for _ in range(4)]
    return body(prompt=rows, max_tokens=0, logprobs=5, echo=True, recurrence=rng.choice([1, 4, 8])), {200}


def text(rng):
    return body(temperature=1, seed=rng.randrange(9), max_tokens=rng.randrange(1, 12), n=2), {200}


def events(rng):
    return body(stream=True, max_tokens=rng.randrange(1, 12), logprobs=1), {200}


def wrong(rng):
    return rng.choice([
        '{"prompt": ',
        "[]",
        body(recurence=4),
        body(prompt=prompt(rng, 3000)),
        body(prompt=[10**9]),
        body(max_tokens=-1),
    ]), {400}


def large(_):
    return "x" * (5 << 20), {413}


KINDS = [score, score, scores, text, events, wrong]


class Clients:
    def __init__(self, port, requests):
        self.port, self.left = port, requests
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.errors = []

    def take(self):
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def run(self, seed):
        rng = random.Random(seed)
        while self.take():
            try:
                self.one(rng)
            except Exception as error:  # noqa: BLE001 - the report names it
                self.errors.append(repr(error))

    def one(self, rng):
        draw = rng.random()
        if draw < 0.02:
            return self.leave(rng)
        if draw < 0.03:
            return self.send("GET", "/nowhere", None, {404})
        kind = large if draw < 0.032 else rng.choice(KINDS)
        text, expected = kind(rng)
        return self.send("POST", "/v1/completions", text, expected)

    def send(self, method, path, text, expected):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        with self.lock:
            self.statuses[answer.status] += 1
        if answer.status not in expected | {429}:
            self.errors.append(f"{answer.status}: {content[:200]!r} to {text[:80] if text else path}")

    def leave(self, rng):
        text = body(max_tokens=60, recurrence=16, stream=rng.random() < 0.5)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            head = f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
            connection.sendall(f"{head}\r\n\r\n{text}".encode())
            time.sleep(rng.random() * 0.05)
        with self.lock:
            self.statuses["left"] += 1


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096 / (1 << 20)


def slope(points):
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return 1000 * over / sum((x - mean_x) ** 2 for x, _ in points)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run")
    arguments.add_argument("--requests", type=int, default=10_000)
    arguments.add_argument("--trainer", default="target/release/trainer")
    arguments.add_argument("--limit", type=float, default=1.0)
    asked = arguments.parse_args()
    server = subprocess.Popen(
        [asked.trainer, "serve", asked.run, "--port", "0", "--device", "flex"], stdout=subprocess.PIPE, text=True
    )
    port = int(server.stdout.readline().strip().rsplit(":", 1)[1])
    clients = Clients(port, asked.requests)
    threads = [threading.Thread(target=clients.run, args=(seed,)) for seed in range(8)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    points, shown = [], 0
    while any(thread.is_alive() for thread in threads):
        done = asked.requests - max(clients.left, 0)
        points.append((done, resident(server.pid)))
        if done >= shown:
            print(f"{done:6} requests  {points[-1][1]:8.1f} MiB", flush=True)
            shown += asked.requests // 10
        time.sleep(0.1)
    seconds = time.monotonic() - begun
    server.send_signal(signal.SIGTERM)
    code = server.wait()
    late = [point for point in points if point[0] > asked.requests / 3]
    grows = slope(late)
    counts = ", ".join(f"{status}: {count}" for status, count in sorted(clients.statuses.items(), key=str))
    print(f"{asked.requests} requests in {seconds:.0f} s ({counts}); exit code {code}")
    print(f"memory: {late[0][1]:.1f} MiB after a third, {late[-1][1]:.1f} at the end, {grows:+.2f} MiB per 1,000 requests")
    for error in clients.errors[:5]:
        print(f"wrong: {error}")
    sys.exit(bool(clients.errors) or code != 0 or grows > asked.limit)


main()
