"""Measures what bfloat16 autocast costs in accuracy: KAN layers beside an MLP, and float32 beside float32.

    python -m benchmarks half                  10 seeds
    python -m benchmarks half --seeds 3        less time, less certain

Each network is trained by AdamW in batches, with a learning rate that falls to zero along a cosine: in float32, under
``torch.autocast`` in bfloat16, and in float32 with the rows in another order, from the same initial values. The last
shows how much two runs differ that should be alike. The loss is that of all rows after training, computed as in
training, and also the mean over the last fiftieth of the steps of a run whose learning rate stays, which is what a loop
without a schedule prints. Differences are in percent of the loss in float32.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from superpose import KANLayer

ROWS, COLUMNS, BATCH, STEPS, RATE = 2048, 8, 128, 1500, 0.01
# Noise below which no training comes for long: its share of the target's standard deviation is about a fifth.
NOISE = 0.2


def _table() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(ROWS, COLUMNS, generator=generator) * 2 - 1
    y = torch.sin(3 * x[:, 0]) + x[:, 1] ** 2 * x[:, 2] + torch.exp(-(x[:, 3] ** 2) - x[:, 4])
    return x, (y + NOISE * torch.randn(ROWS, generator=generator))[:, None]


def _kan() -> nn.Module:
    return nn.Sequential(KANLayer(COLUMNS, 8), KANLayer(8, 1))


def _mixed() -> nn.Module:
    return nn.Sequential(nn.Linear(COLUMNS, 12), KANLayer(12, 6), nn.Linear(6, 1))


def _mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(COLUMNS, 24), nn.SiLU(), nn.Linear(24, 18), nn.SiLU(), nn.Linear(18, 1))


# About 700 parameters each.
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "two KAN layers": _kan,
    "a KAN layer between linear ones": _mixed,
    "MLP": _mlp,
}


def trained(make: Callable[[], nn.Module], seed: int, *, half: bool, order: int, falls: bool) -> float:
    """The loss of a network after training.

    Args:
        seed: of the initial values.
        half: whether it is trained and measured under autocast in bfloat16.
        order: seed of the order of the rows.
        falls: whether the learning rate falls to zero; the loss is then that of all rows, else the mean over the last
            fiftieth of the steps.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    x, y = _table()
    generator = torch.Generator().manual_seed(order)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS) if falls else None
    losses = []
    for _ in range(STEPS):
        rows = torch.randint(ROWS, (BATCH,), generator=generator)
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = nn.functional.mse_loss(model(x[rows]).float(), y[rows])
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(float(loss.detach()))
    if schedule is None:
        return statistics.fmean(losses[-STEPS // 50 :])
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        return float(nn.functional.mse_loss(model(x).float(), y))


def main(arguments: Sequence[str]) -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks half", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="of each network (10 if left out)")
    seeds = range(parser.parse_args(arguments).seeds)
    torch.set_num_threads(1)
    print("| network | learning rate | loss in float32 | bfloat16, % | other order, % |\n|---|---|---|---|---|")
    for name, make in NETWORKS.items():
        for falls in (True, False):
            single = [trained(make, seed, half=False, order=seed, falls=falls) for seed in seeds]
            half = [trained(make, seed, half=True, order=seed, falls=falls) for seed in seeds]
            other = [trained(make, seed, half=False, order=1000 + seed, falls=falls) for seed in seeds]
            told = (", ".join(f"{100 * (b / a - 1):+.1f}" for a, b in zip(single, runs, strict=True))
                    for runs in (half, other))  # fmt: skip
            kind = "falls" if falls else "constant"
            print(f"| {name} | {kind} | {statistics.fmean(single):.4f} | {' | '.join(told)} |", flush=True)
    return 0
