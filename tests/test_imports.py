"""The house stays in order: imports run one way, heavy packages come late, nothing runs text."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import SOURCE, run_python

PACKAGE = SOURCE / "superpose"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room may import the rooms of earlier floors, and itself; never its neighbours on its floor.
FLOORS = [
    {"_clock", "_errors", "_repr"},
    {"_console", "_options", "_tables", "spline"},
    {"_arrays", "_reading", "datasets"},
    {"data"},
    {"nn"},
    {"optim"},
    {"train", "interpret", "pde"},
    {"files", "discovery"},
    {"plot", "findings", "discover_options"},
    {"workflow", "classification"},
    {"related"},
    {"report", "bench"},
    {"cli_fit"},
    {"cli_bench", "cli_relations", "cli_classify", "cli_models"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
LIGHT = {"torch", "numpy", "superpose"}
LATE_EVERYWHERE = {"pandas", "pyarrow", "matplotlib", "sympy", "typer", "rich", "jinja2", "scipy", "sklearn", "kan"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "sympify", "parse_expr", "parse_latex"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST, path: Path) -> Iterator[tuple[str, int]]:
    """Yield the full name of every import in a tree, relative ones resolved, and its line."""
    package = ("superpose", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def at_top(tree: ast.Module) -> ast.Module:
    """Return what runs on import: neither function bodies nor what type checkers read."""

    class Top(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

        def visit_If(self, node: ast.If) -> ast.AST:
            if "TYPE_CHECKING" in ast.unparse(node.test):
                return ast.Module(body=node.orelse, type_ignores=[])
            return self.generic_visit(node)

    return Top().visit(tree)


def wrong_directions(source: str, path: Path) -> list[str]:
    """Return each import that runs against the direction, as one line."""
    room = room_of(path)
    wrong = []
    for name, line in imported(ast.parse(source), path):
        parts = name.split(".")
        if parts[0] != "superpose" or path == PACKAGE / "__init__.py":
            continue
        if name == "superpose.__version__" and room in {"report", "cli", "bench"}:
            continue
        if len(parts) == 1 or parts[1] not in FLOOR:
            wrong.append(f"{path.name}:{line} imports from the package's door: {name}")
        elif parts[1] != room and FLOOR[parts[1]] >= FLOOR[room]:
            wrong.append(f"{path.name}:{line} {room} imports {parts[1]}")
    return wrong


def heavy_at_top(source: str, path: Path) -> list[str]:
    allowed = LIGHT | set(sys.stdlib_module_names)
    if path.parent == PACKAGE and path.stem.startswith("cli"):
        allowed = allowed | {"typer"}
    return [
        f"{path.name}:{line} imports {name} at its top"
        for name, line in imported(at_top(ast.parse(source)), path)
        if name.split(".")[0] not in allowed
    ]


def forbidden(source: str, path: Path) -> list[str]:
    """Return each use of what runs text, reads pickles or hides state, as one line."""
    found = []
    tree = ast.parse(source)
    for name, line in imported(tree, path):
        if FORBIDDEN_MODULES & set(name.split(".")) or FORBIDDEN_CALLS & set(name.split(".")):
            found.append(f"{path.name}:{line} imports {name}")
        if name.endswith(".*"):
            found.append(f"{path.name}:{line} imports everything of {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found.append(f"{path.name}:{node.lineno} global")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{path.name}:{node.lineno} bare except")
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            owner, _, name = called.rpartition(".")
            # re.compile and model.eval() are other things than the built-in functions.
            if name in FORBIDDEN_CALLS and (not owner or name not in {"compile", "eval"}):
                found.append(f"{path.name}:{node.lineno} {called}")
            if called in {"torch.load", "torch.save", "torch.manual_seed", "torch.seed",
                          "torch.set_default_dtype", "torch.set_num_threads", "numpy.random.seed",
                          "np.random.seed", "random.seed"}:  # fmt: skip
                found.append(f"{path.name}:{node.lineno} {called}")
    return found


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms <= set(FLOOR), "say in FLOORS where the new room stands"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_the_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert wrong_directions(source, path) == []
    assert heavy_at_top(source, path) == []
    assert forbidden(source, path) == []


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("data.py", "from superpose.nn import KAN", wrong_directions),
        (
            "train/fit.py",
            "def f():\n    from superpose.interpret import prune",
            wrong_directions,
        ),
        ("nn/layer.py", "from ..train import fit", wrong_directions),
        ("nn/layer.py", "from .. import cli", wrong_directions),
        ("plot.py", "import superpose", wrong_directions),
        ("_errors.py", "import superpose.data", wrong_directions),
        ("data.py", "import pandas", heavy_at_top),
        ("plot.py", "if True:\n    from matplotlib.figure import Figure", heavy_at_top),
        ("workflow.py", "import typer", heavy_at_top),
        ("save.py", "import pickle", forbidden),
        ("save.py", "import torch\nmodel = torch.load('x')", forbidden),
        ("interpret/formula.py", "import sympy\nsympy.sympify('x')", forbidden),
        ("interpret/formula.py", "from sympy import sympify", forbidden),
        ("interpret/formula.py", "eval('1')", forbidden),
        ("interpret/formula.py", "def f(t):\n    exec(t)", forbidden),
        ("train/fit.py", "def f():\n    global state", forbidden),
        ("train/fit.py", "import torch\ntorch.manual_seed(0)", forbidden),
        ("train/fit.py", "try:\n    pass\nexcept:\n    pass", forbidden),
        ("train/fit.py", "from math import *", forbidden),
    ],
)
def test_each_rule_can_fail(file: str, source: str, rule: Callable[[str, Path], list[str]]) -> None:
    assert len(rule(source, PACKAGE / file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
        ("data.py", "def f():\n    import pandas"),
        ("cli.py", "import typer\nfrom superpose.workflow import discover"),
        ("nn/layer.py", "import re\nfrom superpose.spline import ops\nre.compile('x')"),
        ("train/fit.py", "from .optim import adam\ndef f(model):\n    model.eval()"),
    ],
)
def test_the_rules_let_good_code_pass(file: str, source: str) -> None:
    for rule in (wrong_directions, heavy_at_top, forbidden):
        assert rule(source, PACKAGE / file) == []


def test_importing_superpose_loads_no_heavy_package() -> None:
    """What torch itself loads is torch's affair."""
    script = (
        "import sys, torch; before = set(sys.modules); import superpose;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    finished = run_python("-c", script)
    assert finished.returncode == 0, finished.stderr
    added = set(finished.stdout.split())
    assert "superpose" in added
    assert not added & LATE_EVERYWHERE, f"import superpose loads {added & LATE_EVERYWHERE}"


def test_every_public_submodule_is_an_attribute() -> None:
    """`import superpose; superpose.plot` was an AttributeError until something else had imported it."""
    names = {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}
    names = {name for name in names if not name.startswith(("_", "cli"))}
    script = (
        "import superpose, sys\n"
        "for name in sys.argv[1:]:\n"
        "    assert name in dir(superpose), name\n"
        "    assert getattr(superpose, name).__name__ == f'superpose.{name}'\n"
        "print(hasattr(superpose, 'nothing'), hasattr(superpose, 'cli'))"
    )
    finished = run_python("-c", script, *sorted(names))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "False False\n"
    # In an order in which no submodule imports another beforehand.
    for name in ("plot", "datasets", "pde"):
        finished = run_python("-c", f"import superpose; print(superpose.{name}.__name__)")
        assert finished.stdout == f"superpose.{name}\n", finished.stderr
