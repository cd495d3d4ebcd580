"""The house stays in order: imports run one way, heavy packages come late, nothing runs text."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers import ROOT, SOURCE, run_python

PACKAGE = SOURCE / "superpose"
MODULES = sorted(PACKAGE.rglob("*.py"))

# A room is a package, or a module that stands by itself. It may import the rooms of earlier floors, and itself; never
# its neighbours on its floor. A file belongs to the longest name that fits.
FLOORS = [
    {
        "choices",
        "deadline",
        "errors",
        "formulas.selection",
        "messages",
        "notebook_html",
        "pareto",
        "short_repr",
        "stopping",
    },
    {"atomic_write", "checks", "formulas.subsets", "partial"},
    {"data", "parallel", "spline"},
    {"nn"},
    {"optim"},
    {"train", "files", "formulas.candidates", "formulas.dictionary", "formulas.expressions"},
    {
        *("checkpoint", "edit", "formulas.forms", "formulas.recommendation", "formulas.discrimination"),
        *("formulas.units", "tasks.result"),
    },
    {"formulas.catalogue", "formulas.from_network", "formulas.from_scores", "formulas.from_table"},
    {"tasks.classification", "tasks.pde", "tasks.regression"},
    {"sklearn", "tasks.comparison", "tasks.relations"},
    {"export", "plot", "tasks.sweeps"},
    {"report"},
    {"studio"},
    {"cli"},
    {"__main__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
# Doors that only say where public names are, and import them when they are asked for.
DOORS = {"superpose", "superpose.formulas", "superpose.tasks"}
LIGHT = {"torch", "numpy", "superpose"}
LATE_EVERYWHERE = {
    "anywidget",
    "traitlets",
    "pandas",
    "pyarrow",
    "matplotlib",
    "sympy",
    "typer",
    "rich",
    "jinja2",
    "scipy",
    "sklearn",
    "kan",
    "pint",
    "onnx",
    "onnxruntime",
    "openpyxl",
    "duckdb",
    "joblib",
    "tqdm",
    "plotly",
    "polars",
    "interpret",
    "tabpfn",
    "threadpoolctl",
    "starlette",
    "uvicorn",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "sympify", "parse_expr", "parse_latex"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
# joblib sends jobs to processes of its own, from one place that reads none of its files; and there each job gets one
# thread, and the process its number of threads back.
PARALLEL = PACKAGE / "parallel.py"
ALLOWED_THERE = {
    "joblib",
    "joblib.externals.loky.get_reusable_executor",
    "ray.util.joblib.register_ray",
    "torch.set_num_threads",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str | None:
    """The room of a dotted name; None for a door and for what no room holds."""
    parts = module.split(".")[1:]
    names = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((name for name in names if name in FLOOR), None)


def imported(tree: ast.AST, path: Path) -> Iterator[tuple[str, int]]:
    """Yield the full name of every import in a tree, relative ones resolved, and its line."""
    root = PACKAGE.parent if path.is_relative_to(PACKAGE) else ROOT
    package = path.relative_to(root).parent.parts
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
    module = module_of(path)
    if module in DOORS:
        return []
    room = room_of(module)
    assert room is not None, f"say in FLOORS where {module} stands"
    wrong = []
    for name, line in imported(ast.parse(source), path):
        if name.split(".")[0] != "superpose" or name == "superpose.__version__":
            continue
        other = room_of(name)
        if other is None:
            wrong.append(f"{path.name}:{line} imports from the package's door: {name}")
        elif other != room and FLOOR[other] >= FLOOR[room]:
            wrong.append(f"{path.name}:{line} {room} imports {other}")
    return wrong


def circles(sources: dict[str, tuple[str, Path]]) -> list[list[str]]:
    """Return groups of modules that import one another, directly or not, wherever the imports stand.

    Tarjan's algorithm: what can be reached from one another is a strongly connected component.

    Args:
        sources: by the names of modules, their text and their paths.
    """
    graph = {}
    for module, (source, path) in sources.items():
        named = {name for name, _ in imported(ast.parse(source), path)}
        both = named | {name.rpartition(".")[0] for name in named}
        # A package's door names its own modules, and they may import one another through it.
        graph[module] = sorted((both & set(sources)) - {module})
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in graph[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in order:
            visit(module)
    return found


def heavy_at_top(source: str, path: Path) -> list[str]:
    allowed = LIGHT | set(sys.stdlib_module_names)
    if path.parent == PACKAGE / "cli":
        allowed = allowed | {"typer"}
    if path.parent == PACKAGE / "sklearn":
        # Its base classes; the room is imported on demand.
        allowed = allowed | {"sklearn"}
    if path.parent == PACKAGE / "studio" / "server":
        # Served by these; the room is imported by the command.
        allowed = allowed | {"starlette", "uvicorn"}
    return [
        f"{path.name}:{line} imports {name} at its top"
        for name, line in imported(at_top(ast.parse(source)), path)
        if name.split(".")[0] not in allowed
    ]


def forbidden(source: str, path: Path) -> list[str]:
    """Return each use of what runs text, reads pickles, hides state or reads the clock past Deadline, as one line."""
    found = []
    tree = ast.parse(source)
    for name, line in imported(tree, path):
        if path == PARALLEL and name in ALLOWED_THERE:
            continue
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
            if path == PARALLEL and called in ALLOWED_THERE:
                continue
            if called in {"torch.load", "torch.save", "torch.manual_seed", "torch.seed",
                          "joblib.load", "joblib.dump", "joblib.Memory",
                          "torch.set_default_dtype", "torch.set_num_threads", "numpy.random.seed",
                          "np.random.seed", "random.seed"}:  # fmt: skip
                found.append(f"{path.name}:{node.lineno} {called}")
            if called == "time.monotonic" and path != PACKAGE / "deadline.py":
                found.append(f"{path.name}:{node.lineno} {called}; use superpose.deadline.Deadline")
    return found


def test_every_module_belongs_to_a_room() -> None:
    homeless = [module_of(path) for path in MODULES if room_of(module_of(path)) is None]
    assert set(homeless) <= DOORS, "say in FLOORS where the new room stands"


def test_no_module_imports_itself_through_others() -> None:
    for root, package in ((PACKAGE, "superpose"), (ROOT / "benchmarks", "benchmarks")):
        sources = {}
        for path in sorted(root.rglob("*.py")):
            parts = [package, *path.relative_to(root).with_suffix("").parts]
            if parts[-1] != "__init__":
                sources[".".join(parts)] = path.read_text(encoding="utf-8"), path
        assert circles(sources) == []


def test_a_circle_is_found_wherever_its_imports_stand() -> None:
    first = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from superpose.nn.b import B"
    second = "def f():\n    from superpose.nn import c"
    third = "from superpose.nn.a import A"
    sources = {
        f"superpose.nn.{name}": (source, PACKAGE / f"nn/{name}.py")
        for name, source in (("a", first), ("b", second), ("c", third), ("d", "from superpose.nn.a import A"))
    }
    assert circles(sources) == [["superpose.nn.a", "superpose.nn.b", "superpose.nn.c"]]
    del sources["superpose.nn.c"]
    assert circles(sources) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_the_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert wrong_directions(source, path) == []
    assert heavy_at_top(source, path) == []
    assert forbidden(source, path) == []


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("data/dataset.py", "from superpose.nn import KAN", wrong_directions),
        (
            "train/fit.py",
            "def f():\n    from superpose.edit import prune",
            wrong_directions,
        ),
        ("nn/layer.py", "from ..train import fit", wrong_directions),
        ("nn/layer.py", "from ..cli import main", wrong_directions),
        ("plot/canvas.py", "import superpose", wrong_directions),
        ("errors.py", "import superpose.data", wrong_directions),
        ("data/dataset.py", "import pandas", heavy_at_top),
        ("plot/canvas.py", "if True:\n    from matplotlib.figure import Figure", heavy_at_top),
        ("tasks/regression/search.py", "import typer", heavy_at_top),
        ("files/container.py", "import pickle", forbidden),
        ("files/container.py", "import torch\nmodel = torch.load('x')", forbidden),
        ("formulas/expressions/formula.py", "import sympy\nsympy.sympify('x')", forbidden),
        ("formulas/expressions/formula.py", "from sympy import sympify", forbidden),
        ("formulas/expressions/formula.py", "eval('1')", forbidden),
        ("formulas/expressions/formula.py", "def f(t):\n    exec(t)", forbidden),
        ("train/fit.py", "def f():\n    global state", forbidden),
        ("train/fit.py", "import torch\ntorch.manual_seed(0)", forbidden),
        ("train/fit.py", "try:\n    pass\nexcept:\n    pass", forbidden),
        ("train/fit.py", "from math import *", forbidden),
        ("train/fit.py", "import time\nbegan = time.monotonic()", forbidden),
        ("train/fit.py", "import joblib", forbidden),
        ("parallel.py", "def f(path):\n    import joblib\n    return joblib.load(path)", forbidden),
    ],
)
def test_each_rule_can_fail(file: str, source: str, rule: Callable[[str, Path], list[str]]) -> None:
    assert len(rule(source, PACKAGE / file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data/dataset.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
        ("data/dataset.py", "def f():\n    import pandas"),
        ("cli/program.py", "import typer\nfrom superpose.tasks.regression.search import discover"),
        ("nn/layer.py", "import re\nfrom superpose.spline import ops\nre.compile('x')"),
        ("train/fit.py", "from ..optim import adam\ndef f(model):\n    model.eval()"),
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
    # Single modules but these two are helpers; the command line and what only tasks call are not public.
    names = {module.name for module in pkgutil.iter_modules([str(PACKAGE)]) if module.ispkg}
    names = (names | {"errors", "partial"}) - {"cli"}
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
    for name in ("plot", "edit", "tasks"):
        finished = run_python("-c", f"import superpose; print(superpose.{name}.__name__)")
        assert finished.stdout == f"superpose.{name}\n", finished.stderr
