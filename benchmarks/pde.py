"""``bench poisson`` and the other equations: a KAN on the residual against a perceptron on the same residual."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks import pde_pages as pages
from benchmarks.functions import check_names
from benchmarks.pde_cases import Case, case, errors, solve_case
from benchmarks.peers.mlp import shape_for
from benchmarks.settings import Settings
from benchmarks.store import Row, Store, as_csv
from superpose.errors import OptionError
from superpose.nn import KAN
from superpose.plot import render
from superpose.tasks.pde.equations import Term
from superpose.tasks.pde.first_order import FirstOrderSteps
from superpose.tasks.pde.problem import Field
from superpose.tasks.pde.settings import SolveRecord

CASES = {
    "poisson": ("poisson", "poisson-tutorial"),
    "heat": ("heat",),
    "burgers": ("burgers",),
    "helmholtz": ("helmholtz",),
    "disc": ("disc", "lshape"),
}
OURS, PEER = "superpose", "mlp"
# Errors on the way are measured this often at most; their time does not count.
_EVERY = 0.5
# A picture shows at most so many points.
_SHOWN = 7000


class Perceptron(nn.Module):
    """Tanh layers on inputs that are scaled to -1..1, from a start of their own."""

    def __init__(self, low: Tensor, high: Tensor, parameters: int, seed: int) -> None:
        super().__init__()
        self.middle, self.reach = (low + high) / 2, (high - low) / 2
        self.widths = shape_for(len(low), parameters)
        generator = torch.Generator().manual_seed(seed)
        self.tensors = nn.ParameterList()
        for before, after in zip(self.widths[:-1], self.widths[1:], strict=True):
            drawn = torch.randn(after, before, generator=generator, dtype=torch.float64)
            self.tensors.append(nn.Parameter(drawn * math.sqrt(2 / (before + after))))
            self.tensors.append(nn.Parameter(torch.zeros(after, dtype=torch.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, n] -> [B, 1]``."""
        x = (x - self.middle) / self.reach
        tensors = list(self.tensors)
        for weight, bias in zip(tensors[:-2:2], tensors[1:-2:2], strict=True):
            x = torch.tanh(nn.functional.linear(x, weight, bias))
        return nn.functional.linear(x, tensors[-2], tensors[-1])


def run(one: Case, *, time_limit: float = 60.0, seed: int = 0, competitor: str = OURS) -> Row:
    """Solve a case and measure how well.

    Args:
        one: see :func:`benchmarks.pde_cases.case`.
        time_limit: seconds; measuring does not count.
        seed: of the start and the points.
        competitor: ``"superpose"`` or ``"mlp"``.

    Returns:
        squared L2 and H1 errors (integrals over the domain), relative L2 error, seconds, processor seconds (those of
        measuring on the way included), parameters, shape, why it
        stopped, ``history`` as pairs of seconds and relative L2 error, and ``difference`` at a few thousand points.
    """
    history: list[tuple[float, float]] = []

    def measured(seconds: float, model: nn.Module) -> None:
        if not history or seconds > history[-1][0] + _EVERY:
            history.append((round(seconds, 2), errors(one, model).relative_l2))

    def hear(record: SolveRecord, seconds: float, model: KAN) -> None:
        measured(seconds, model)

    model: nn.Module
    worked = time.process_time()
    if competitor == OURS:
        model, reason, seconds = solve_case(one, time_limit=time_limit, seed=seed, listener=hear)
        shape = list(one.widths)
    else:
        model, reason, seconds = _perceptron(one, time_limit, seed, measured)
        shape = list(model.widths)
    worked = time.process_time() - worked
    found = errors(one, model)
    history.append((round(seconds, 2), found.relative_l2))
    return {
        "problem": one.name,
        "seed": seed,
        "competitor": competitor,
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


def shown(one: Case) -> Tensor:
    """The test points that a picture shows."""
    # Every second, third, ... line of the mesh along both axes.
    ranks = torch.stack([torch.unique(column, return_inverse=True)[1] for column in one.test.T], 1)
    step = 1
    while int((ranks % step == 0).all(1).sum()) > _SHOWN:
        step += 1
    return one.test[(ranks % step == 0).all(1)]


@torch.no_grad()
def _difference(one: Case, model: nn.Module) -> Tensor:
    points = shown(one)
    return Field(model, points, one.problem.variables, one.problem.outputs).value - one.exact(points)


def _perceptron(
    one: Case, time_limit: float, seed: int, measured: Callable[[float, nn.Module], None]
) -> tuple[Perceptron, str, float]:
    """The perceptron, by L-BFGS on the same residuals at as many points as the KAN had last."""
    count = _parameters(one)
    model = Perceptron(one.test.amin(0), one.test.amax(0), count, seed)
    factor = one.options.get("points", 3.0) * count / sum(residual.count for residual in one.problem.residuals)
    terms = [
        Term(residual, one.problem.points(residual, seed, round(max(1.0, factor) * residual.count)), residual.weight)
        for residual in one.problem.residuals
    ]
    stepper = FirstOrderSteps(model, one.problem, terms, "lbfgs", None, 1)
    began, spent, best, waited, reason = time.monotonic(), 0.0, math.inf, 0, "the time was over"
    while (seconds := time.monotonic() - began - spent) < time_limit:
        loss = stepper.step().loss
        waited = 0 if loss < best else waited + 1
        best = min(best, loss)
        if waited == 3:
            # Its memory may be what misleads it.
            stepper = FirstOrderSteps(model, one.problem, terms, "lbfgs", None, 1)
        if waited == 6 or not math.isfinite(loss):
            reason = "L-BFGS found no way down"
            break
        now = time.monotonic()
        measured(seconds, model)
        spent += time.monotonic() - now
    return model, reason, time.monotonic() - began - spent


def _parameters(one: Case) -> int:
    """Those of the KAN on its last grid."""
    sizes = [one.grid_size] * (len(one.widths) - 1) if isinstance(one.grid_size, int) else list(one.grid_size)
    last = one.options["grids"][-1] / max(sizes)
    pairs = zip(one.widths[:-1], one.widths[1:], sizes, strict=True)
    return sum(a * b * (round(last * size) + one.degree + (one.base != "none")) for a, b, size in pairs)


def suite(name: str) -> Equations:
    """The benchmark of that name."""
    return Equations(CASES[name])


class Equations:
    """Some cases, each by a KAN and perhaps a perceptron."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def order(self, settings: Settings) -> tuple[str, ...]:
        """See :class:`~benchmarks.suite.Suite`."""
        check_names(settings.only, self.names)
        for peer in settings.peers:
            if peer != PEER:
                raise OptionError(f"--peer: only {PEER} solves equations here, not {peer}")
        return (*self.names, OURS, PEER)

    def _runs(self, settings: Settings) -> Iterator[tuple[str, int, str]]:
        for name in self.names:
            if not settings.only or name in settings.only:
                for seed in settings.seeds:
                    yield from ((name, seed, competitor) for competitor in (OURS, *settings.peers))

    def measure(self, settings: Settings, store: Store, listener: Callable[[str], None]) -> None:
        """See :class:`~benchmarks.suite.Suite`."""
        runs = list(self._runs(settings))
        for place, (name, seed, competitor) in enumerate(runs):
            one = case(name)
            store.problems[name] = {
                "title": one.title,
                "variables": list(one.problem.variables),
                "area": one.size,
                "test_points": len(one.test),
            }
            if store.found(problem=name, seed=seed, competitor=competitor) is None:
                listener(f"{name}, seed {seed}: {competitor} ({place + 1} of {len(runs)})")
                store.add(run(one, time_limit=settings.time_limit, seed=seed, competitor=competitor))

    def pages(self, store: Store) -> dict[str, bytes]:
        """See :class:`~benchmarks.suite.Suite`."""
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
        """See :class:`~benchmarks.suite.Suite`."""
        return pages.lines(store)
