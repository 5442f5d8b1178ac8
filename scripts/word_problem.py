#!/usr/bin/env python3
"""Makes a multiple-choice task of the word problem that configs/depth-s3.toml trains on.

    scripts/word_problem.py runs/depth-s3 > word-problem.jsonl

A query is a word of elements of the symmetric group S_3, written as the letters a to f, and the choices are the six
elements: which one is the product of the word? `letters` is the length of the word. The words are drawn anew, from a
fixed seed, so the same command gives the same task. A run on a task has no tokenizer; a tokenizer for these letters is
written into the run's folder.
"""

import itertools
import json
import random
import sys
from pathlib import Path

LENGTHS = (4, 8, 16, 24)
ITEMS_OF_A_LENGTH = 150
# The elements in lexicographic order, which is their numbering in the run.
ELEMENTS = list(itertools.permutations(range(3)))
LETTERS = "abcdef"


def product(word):
    """Returns x_1 · … · x_n, with (a · b)(i) = a(b(i))."""
    whole = ELEMENTS[0]
    for element in word:
        whole = tuple(whole[i] for i in element)
    return whole


def items():
    """Yields the items, ordered by length."""
    draw = random.Random(28)
    for _ in range(ITEMS_OF_A_LENGTH):
        for length in LENGTHS:
            word = [draw.randrange(len(ELEMENTS)) for _ in range(length)]
            yield {
                "query": "".join(LETTERS[element] for element in word),
                "choices": list(LETTERS),
                "gold": ELEMENTS.index(product([ELEMENTS[element] for element in word])),
                "letters": length,
            }


def put_tokenizer(run):
    """Writes a tokenizer with a token for each letter. No token ends a text, but the file must name one."""
    pieces = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    vocabulary = {letter: number for number, letter in enumerate(LETTERS)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": pieces,
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": LETTERS[0]},
    }
    (run / "tokenizer.json").write_text(json.dumps(tokenizer, indent=1) + "\n")
    (run / "tokenizer_config.json").write_text(json.dumps({"eos_token": LETTERS[0]}) + "\n")


def main():
    put_tokenizer(Path(sys.argv[1]))
    for item in items():
        print(json.dumps(item))


if __name__ == "__main__":
    main()
