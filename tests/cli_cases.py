"""What the tests of the command line share: a table's model, and the program in this process."""

from __future__ import annotations

from typing import Any

import superpose
from superpose.cli import main

FILES = {
    "model.safetensors",
    "formula.txt",
    "formula.tex",
    "formula.py",
    "metrics.json",
    "history.csv",
    "front.svg",
    "network.svg",
    "network.png",
    "report.html",
}
FIT = "fit table.csv --target f"


def symbolic_model(**names: Any) -> superpose.KAN:
    """The network of f = 2*x + y^2."""
    names = {"feature_names": ["x", "y"], "target_names": ["f"]} | names
    model = superpose.KAN([2, 1], grid_size=3, **names)
    model.layer(0).set_symbolic({(0, 0): ("x", (1.0, 0.0, 2.0, 0.0)), (1, 0): ("x^2", (1.0, 0.0, 1.0, 0.0))})
    return model


def run(line: str, *more: str) -> int:
    return main([*line.split(), *more])
