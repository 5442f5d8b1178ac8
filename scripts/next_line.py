#!/usr/bin/env python3
"""Makes a multiple-choice task of source code: which line comes next?

    scripts/next_line.py crates > data/next-line.jsonl

The query is a few lines of a Rust file, the right choice is the next line, and the wrong choices are lines of other
files with a similar length. `lines` is the number of lines in the query, and `repeats` says whether the longest word of
the right line occurs in the query. The order of files and every draw are fixed, so the same sources give the same task.
"""

import json
import random
import re
import sys
from pathlib import Path

ITEMS = 400
CHOICES = 4


def lines_of(file):
    """Returns the lines of a file that can be distinguished by their content."""
    return [line for line in file.read_text().splitlines() if line.strip()]


def is_worth_asking(line):
    """Returns whether a line is more than a comment or punctuation."""
    return 20 <= len(line.strip()) <= 80 and not line.strip().startswith("//")


def main():
    draw = random.Random(27)
    files = sorted(Path(sys.argv[1]).rglob("*.rs"))
    sources = {str(file): lines_of(file) for file in files}
    pool = [(name, line) for name, lines in sources.items() for line in lines if is_worth_asking(line)]
    places = [
        (name, at)
        for name, lines in sources.items()
        for at in range(8, len(lines))
        if is_worth_asking(lines[at])
    ]
    draw.shuffle(places)
    made = 0
    for name, at in places:
        count = (2, 4, 8)[made % 3]
        before, right = sources[name][at - count : at], sources[name][at]
        near = [
            line
            for other, line in draw.sample(pool, 200)
            if other != name and abs(len(line) - len(right)) <= 8 and line != right
        ]
        near = list(dict.fromkeys(near))
        if len(near) < CHOICES - 1:
            continue
        choices = near[: CHOICES - 1] + [right]
        draw.shuffle(choices)
        longest = max(re.findall(r"\w+", right), key=len)
        item = {
            "query": "\n".join(before) + "\n",
            "choices": choices,
            "gold": choices.index(right),
            "lines": count,
            "repeats": "yes" if re.search(rf"\b{longest}\b", "\n".join(before)) else "no",
        }
        print(json.dumps(item, ensure_ascii=False))
        made += 1
        if made == ITEMS:
            return


if __name__ == "__main__":
    main()
