"""Measures the kernels: superpose beside other KAN libraries and MLPs, in one process, interleaved.

    python -m benchmarks kernels --efficient-kan FOLDER --fastkan FOLDER        everything
    python -m benchmarks kernels --shapes 256x784x64 --grids 5,20 --rounds 5    a look
    python -m benchmarks kernels --help                                         all options

Writes ``kernels.json`` (machine, versions, threads, every time, and what was skipped and why) and ``kernels.svg`` to
``--out`` and prints the targets beside the figures. ``benchmarks/requirements.txt`` names the peers that are on PyPI;
those that are not installed are skipped. efficient-kan and FastKAN are used from a folder with their source.

A block is as many calls of one contender in a row as take 2 ms or more. A round times one block of each contender,
in an order that changes from round to round. Figures are medians over the rounds, and ratios are medians of the ratios
of a round, so that what disturbs the machine disturbs both sides. Compilation is not counted. The loss is an inner
product with a fixed random tensor, so it costs nothing; inputs are uniform in [-1, 1], where the grids lie.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks.harness import machine as about
from benchmarks.kernels import jax_layers, torch_layers
from benchmarks.kernels.cases import GRIDS, MEASURES, SHAPES, Contender, LayerCase, Shape
from benchmarks.kernels.layers import Limits, measure_case, measure_growth
from benchmarks.kernels.memory import in_fresh_process, measure_step, memory_cases, memory_measures
from benchmarks.kernels.picture import draw
from benchmarks.kernels.targets import Target, targets
from benchmarks.kernels.tiny import measure_tiny
from superpose.cli.running import execute

PARTS = ("memory", "tiny", "growth", "layers")
PACKAGE_OF = {"inkan": "inkan", "flashkan": "flashkan", "pykan": "kan", "jaxkan": "jaxkan"}
GROWTH_SHAPE, GROWTH_GRIDS = (1000, 2, 5), (10, 1000)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()
Folder = Annotated[Path | None, typer.Option(exists=True, file_okay=False)]


@dataclass(frozen=True)
class Plan:
    """The options of a run, checked."""

    contenders: list[Contender]
    shapes: list[Shape]
    grids: list[int]
    measures: list[str]
    parts: list[str]
    degree: int
    dtype: str
    rounds: int
    threads: int
    seconds: float
    gib: float
    arguments: list[str]

    def cells(self) -> list[tuple[LayerCase, str]]:
        """Grids from coarse to fine, so that the times on the fine ones can be estimated."""
        return [
            (LayerCase(*shape, grid, self.degree, self.dtype), measure)
            for shape in self.shapes
            for grid in sorted(self.grids)
            for measure in self.measures
        ]


def available(efficient_kan: Path | None, fast_kan: Path | None) -> tuple[list[Contender], dict[str, str]]:
    """Contenders that can run here, and why the others cannot."""
    known = [*torch_layers.contenders(efficient_kan, fast_kan), jax_layers.contender()]
    absent = {name: "not installed" for name, package in PACKAGE_OF.items() if not importlib.util.find_spec(package)}
    for name, folder, option, file in (
        ("efficient-kan", efficient_kan, "--efficient-kan", torch_layers.EFFICIENT_KAN),
        ("FastKAN", fast_kan, "--fastkan", torch_layers.FAST_KAN),
    ):
        if folder is None:
            absent[name] = f"no folder given with {option}"
        elif not (folder / file).is_file():
            raise typer.BadParameter(f"{folder} is no checkout of {name}: {file} is not there", param_hint=option)
    return [contender for contender in known if contender.name not in absent], absent


def listed(text: str, known: tuple[str, ...], option: str) -> list[str]:
    """A list as it is typed, every word of it known."""
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is none of: {', '.join(known)}", param_hint=option)
    return words


def shapes_of(text: str) -> list[Shape]:
    found = []
    for word in text.split(","):
        sizes = re.fullmatch(r"(\d+)x(\d+)x(\d+)", word.strip())
        if not sizes:
            raise typer.BadParameter(f"{word!r} is not BATCHxINxOUT", param_hint="--shapes")
        found.append((int(sizes[1]), int(sizes[2]), int(sizes[3])))
    return found


def backends() -> str:
    """The kernels that superpose uses here."""
    if torch_layers.backend_module() is None:
        return "reference path only: this superpose has no compiled kernels"
    import superpose

    return repr(superpose.backends())


def set_threads(threads: int) -> None:
    """As many for XLA as for torch, and no compilers at work beside what is timed."""
    jax_layers.limit_threads(threads)
    torch.set_num_threads(threads)
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")


def run_parts(plan: Plan, result: dict[str, Any]) -> None:
    """Every part of the plan. Memory comes first, while this process is small: see :mod:`benchmarks.kernels.memory`."""
    names = [contender.name for contender in plan.contenders]
    if "memory" in plan.parts:
        result["memory"] = run_memory(plan)
    set_threads(plan.threads)
    if "tiny" in plan.parts:
        result["tiny"] = [measure_tiny(dtype, plan.rounds, names) for dtype in ("float32", "float64")]
    if "growth" in plan.parts:
        some = [c for c in plan.contenders if c.name in ("superpose", "superpose reference", "inkan", "flashkan")]
        result["growth"] = measure_growth(some, GROWTH_SHAPE, GROWTH_GRIDS, plan.dtype, plan.rounds)
    if "layers" in plan.parts:
        run_layers(plan, result)


def run_memory(plan: Plan) -> list[dict[str, Any]]:
    cases = [
        (contender, case, measure)
        for case in memory_cases(plan.dtype)
        for measure in memory_measures()
        for contender in plan.contenders
    ]
    done = []
    with bar() as progress:
        task = progress.add_task("memory", total=len(cases))
        for contender, case, measure in cases:
            progress.update(task, description=f"memory: {contender.name}, {case}, {measure}")
            done.append(in_fresh_process(plan.arguments, contender.name, case, measure))
            progress.advance(task)
    return done


def run_layers(plan: Plan, result: dict[str, Any]) -> None:
    limits = Limits(plan.seconds, plan.gib)
    cells = plan.cells()
    result["layers"] = []
    with bar() as progress:
        task = progress.add_task("layers", total=len(cells))
        for case, measure in cells:
            progress.update(task, description=f"{case}, {measure}")
            cell = measure_case(plan.contenders, case, measure, plan.rounds, limits)
            result["layers"].append(cell)
            times = ", ".join(f"{name} {1e3 * one['median']:.3g}" for name, one in cell["contenders"].items())
            progress.console.print(f"{case}, {measure}, ms: {times}", highlight=False)
            progress.advance(task)


def bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total}"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True)


def show(rows: list[Target]) -> None:
    table = Table(title="Targets", title_justify="left")
    for heading in ("what", "target", "measured", "met"):
        table.add_column(heading)
    for row in rows:
        table.add_row(*row.cells(), style="red" if row.met is False else None)
    console.print(table)


def compact(result: dict[str, Any]) -> str:
    """JSON with one line for each list of numbers."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    return re.sub(
        r"\[[\s\d.,e+-]+\]", lambda found: re.sub(r"\s+", " ", found[0]).replace("[ ", "[").replace(" ]", "]"), text
    )


def write(result: dict[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "kernels.json").write_text(compact(result) + "\n", encoding="utf-8")
    if result.get("layers"):
        draw(result, out / "kernels.svg")


def memory_of(job: str, known: list[Contender], threads: int) -> None:
    """One case of the memory part, in this process alone; prints JSON."""
    asked = json.loads(job)
    set_threads(threads)
    found = {contender.name: contender for contender in known}
    print(json.dumps(measure_step(found[asked["contender"]], LayerCase(**asked["case"]), asked["measure"])))


@app.command()
def run(
    efficient_kan: Folder = None,
    fastkan: Folder = None,
    out: Path = Path("out/kernels"),
    rounds: Annotated[int, typer.Option(min=1, help="An odd number has a round in its middle.")] = 15,
    threads: Annotated[int, typer.Option(min=1)] = os.cpu_count() or 1,
    dtype: str = "float32",
    degree: Annotated[int, typer.Option(min=1, max=5)] = 3,
    shapes: Annotated[str, typer.Option(help="BATCHxINxOUT, ...")] = ",".join("x".join(map(str, s)) for s in SHAPES),
    grids: str = ",".join(map(str, GRIDS)),
    measures: str = ",".join(MEASURES),
    contenders: Annotated[str, typer.Option(help="Names; all if left out.")] = "",
    parts: str = ",".join(PARTS),
    time_limit: Annotated[float, typer.Option(help="Leave out what takes more seconds for a call.")] = 2.0,
    memory_limit: Annotated[float | None, typer.Option(help="GiB for a case; 70% of what is free if left out.")] = None,
    memory_job: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure, write JSON and picture, print the targets."""
    known, absent = available(efficient_kan, fastkan)
    if memory_job is not None:
        memory_of(memory_job, known, threads)
        return
    names = tuple(contender.name for contender in known)
    wanted = listed(contenders, names, "--contenders") if contenders else list(names)
    folders = (("--efficient-kan", efficient_kan), ("--fastkan", fastkan))
    arguments = [text for option, folder in folders if folder for text in (option, str(folder))]
    plan = Plan(
        contenders=[contender for contender in known if contender.name in wanted],
        shapes=shapes_of(shapes),
        grids=[int(grid) for grid in grids.split(",")],
        measures=listed(measures, tuple(MEASURES), "--measures"),
        parts=listed(parts, PARTS, "--parts"),
        degree=degree,
        dtype=listed(dtype, ("float32", "float64"), "--dtype")[0],
        rounds=rounds,
        threads=threads,
        seconds=time_limit,
        gib=memory_limit or 0.7 * about.memory_gib("MemAvailable"),
        arguments=[*arguments, "--threads", str(threads)],
    )
    result = {
        "started": about.now(),
        "load_before": about.load(),
        "machine": about.machine(),
        "versions": about.versions(),
        "superpose": backends(),
        "settings": {
            "threads": threads,
            "rounds": rounds,
            "time_limit": time_limit,
            "memory_limit": round(plan.gib, 1),
        },
        "measures": MEASURES,
        "absent": absent,
    }
    console.print(f"superpose: {result['superpose']}\nabsent: {absent or 'none'}", highlight=False)
    try:
        run_parts(plan, result)
    finally:
        # Cut short, it leaves what was measured.
        rows = targets(result, {contender.name for contender in plan.contenders if contender.kind == "peer"})
        result["verdict"] = [dict(zip(("what", "target", "measured", "met"), row.cells(), strict=True)) for row in rows]
        result |= {"ended": about.now(), "load_after": about.load()}
        write(result, out)
    show(rows)


def main(arguments: Sequence[str]) -> int:
    """Run with these arguments and return the exit code."""
    return execute(app, "python -m benchmarks kernels", arguments or ["--out", str(Path("out/kernels"))])
