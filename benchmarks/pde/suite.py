"""Differential equations: a KAN on the residual beside a perceptron on the same residual."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.harness.settings import Settings
from benchmarks.harness.store import Row, Store, as_csv
from benchmarks.harness.suite import check_names
from benchmarks.methods import SUPERPOSE
from benchmarks.pde import pages
from benchmarks.pde.cases import EquationCase, case, errors, solve_case
from benchmarks.pde.perceptron import solve_by_perceptron
from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.plot import render
from superpose.tasks.pde.problem import Field
from superpose.tasks.pde.settings import SolveRecord

CASES = {
    "poisson": ("poisson", "poisson-tutorial"),
    "heat": ("heat",),
    "burgers": ("burgers",),
    "helmholtz": ("helmholtz",),
    "disc": ("disc", "lshape"),
}
PEER = "mlp"
# Seconds between two measurements of the error during a run, at least; their own time does not count.
_INTERVAL = 0.5
# Points in a picture, at most: the JSON holds the error at each of them.
_MAX_SHOWN = 7000


def run(one: EquationCase, *, time_limit: float = 60.0, seed: int = 0, method: str = SUPERPOSE) -> Row:
    """Solve a case and measure how well.

    Args:
        one: see :func:`benchmarks.pde.cases.case`.
        time_limit: seconds; measuring does not count.
        seed: of the start and the points.
        method: ``"superpose"`` or ``"mlp"``.

    Returns:
        squared L2 and H1 errors (integrals over the domain), relative L2 error, seconds, processor seconds (those of
        measuring on the way included), parameters, shape, why the run stopped,
        ``history`` as pairs of seconds and relative L2 error, and ``difference`` at a few thousand points.
    """
    history: list[tuple[float, float]] = []

    def measured(seconds: float, model: nn.Module) -> None:
        if not history or seconds > history[-1][0] + _INTERVAL:
            history.append((round(seconds, 2), errors(one, model).relative_l2))

    def hear(record: SolveRecord, seconds: float, model: KAN) -> None:
        measured(seconds, model)

    model: nn.Module
    worked = time.process_time()
    if method == SUPERPOSE:
        model, reason, seconds = solve_case(one, time_limit=time_limit, seed=seed, listener=hear)
        shape = list(one.widths)
    else:
        model, reason, seconds = solve_by_perceptron(one, time_limit, seed, measured)
        shape = list(model.widths)
    worked = time.process_time() - worked
    found = errors(one, model)
    history.append((round(seconds, 2), found.relative_l2))
    return {
        "problem": one.name,
        "seed": seed,
        "method": method,
        "shape": shape,
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": seconds,
        "processor_seconds": worked,
        "squared_l2": found.squared_l2,
        "squared_h1": found.squared_h1,
        "relative_l2": found.relative_l2,
        "reason": reason,
        "history": [list(pair) for pair in history],
        "difference": [float(f"{value:.3g}") for value in _difference(one, model).tolist()],
    }


def shown(one: EquationCase) -> Tensor:
    """The test points that a picture shows."""
    # Every second, third, ... line of the mesh along both axes.
    ranks = torch.stack([torch.unique(column, return_inverse=True)[1] for column in one.test.T], 1)
    step = 1
    while int((ranks % step == 0).all(1).sum()) > _MAX_SHOWN:
        step += 1
    return one.test[(ranks % step == 0).all(1)]


@torch.no_grad()
def _difference(one: EquationCase, model: nn.Module) -> Tensor:
    points = shown(one)
    return Field(model, points, one.problem.variables, one.problem.outputs).value - one.exact(points)


def suite(name: str) -> Equations:
    """The benchmark of that name."""
    return Equations(CASES[name])


class Equations:
    """Some cases, each by a KAN and perhaps a perceptron."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def order(self, settings: Settings) -> tuple[str, ...]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        check_names(settings.only, self.names)
        for peer in settings.peers:
            if peer != PEER:
                raise OptionError(f"--peer: only {PEER} solves equations here, not {peer}")
        return (*self.names, SUPERPOSE, PEER)

    def _runs(self, settings: Settings) -> Iterator[tuple[str, int, str]]:
        for name in self.names:
            if not settings.only or name in settings.only:
                for seed in settings.seeds:
                    yield from ((name, seed, method) for method in (SUPERPOSE, *settings.peers))

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        runs = list(self._runs(settings))
        for place, (name, seed, method) in enumerate(runs):
            one = case(name)
            store.problems[name] = {
                "title": one.title,
                "variables": list(one.problem.variables),
                "area": one.size,
                "test_points": len(one.test),
            }
            if store.found(problem=name, seed=seed, method=method) is None:
                listener(f"{name}, seed {seed}: {method} ({place + 1} of {len(runs)})")
                store.add(run(one, time_limit=settings.time_limit, seed=seed, method=method))

    def pages(self, store: Store) -> dict[str, bytes]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        long = ("history", "difference")
        rows = [{name: value for name, value in row.items() if name not in long} for row in store.rows()]
        made = {"results.csv": as_csv(rows), "results.md": pages.table(store).encode()}
        for name in dict.fromkeys(row["problem"] for row in store.rows()):
            one = case(name)
            points = shown(one)
            rows = [row for row in store.rows() if row["problem"] == name]
            picture = pages.picture(one.title, one.problem.variables, points.numpy(), one.exact(points).numpy(), rows)
            made[f"{name}.svg"] = render(picture, "svg")
        return made

    def lines(self, store: Store) -> list[str]:
        """See :class:`~benchmarks.harness.suite.Suite`."""
        return pages.lines(store)
