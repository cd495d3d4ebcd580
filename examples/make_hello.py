"""Writes examples/data/hello.csv: 1,000 rows of f = exp(sin(pi*x) + y^2) on the square [-1, 1]^2.

Run it with ``python examples/make_hello.py``; it gives the same file every time.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy

ROWS = 1000
SEED = 0
PATH = Path(__file__).parent / "data" / "hello.csv"


def main() -> None:
    x, y = numpy.random.default_rng(SEED).uniform(-1.0, 1.0, size=(2, ROWS))
    f = numpy.exp(numpy.sin(numpy.pi * x) + y**2)
    with PATH.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["x", "y", "f"])
        # A Python float is written with the fewest digits that give it back exactly.
        writer.writerows(zip(x.tolist(), y.tolist(), f.tolist(), strict=True))


if __name__ == "__main__":
    main()
