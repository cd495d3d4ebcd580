"""Whether textbook laws are named: tables of each law of the catalogue, and tables without any law.

    OMP_NUM_THREADS=1 python -m benchmarks catalogue --seed 2 --trial
    OMP_NUM_THREADS=1 python -m benchmarks catalogue --seed 2 --every 5 --time-limit 5

Each law gives a table of 15 rows with columns and constants within its usual ranges and normal errors of 2% of the
target's spread. With ``--trial`` only the laws are tried, without ``discover``. Counted is where the law comes first,
and where it is at least among those that the rows are said not to tell from the first. The tables without a law are
noise, sums of random smooth curves, outputs of random forests, steps, and draws of Gaussian processes, of 15 to 60 rows
and one to three columns;
``discover`` should name a law in at most one of 20. Laws were developed with seeds 1, 3 and 7.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from superpose import DiscoverOptions, discover
from superpose.data import Dataset
from superpose.formulas.catalogue.all import FIELDS, LAWS
from superpose.formulas.catalogue.law import LawColumn, TextbookLaw
from superpose.formulas.catalogue.trial import not_told_from, recognise
from superpose.formulas.forms.parsing import parse_form

Array = Any
ROWS, NOISE, LAWLESS = 15, 0.02, 20
# Measured as the text says. Laws were developed with seeds 1, 3 and 7; seed 23 was used once, for this alone.
RESULT = """From 15 rows with errors of 2% of the target's spread several laws often fit equally. With seed 23, which
was looked at once, every third law was tried: of 49, 38 came first (78%), and 47 were first or among
those that the rows are said not to tell from the first (96%), which 1.1 others are on average (listed
are laws within 6 nats of the first; within 2 before). Missed were two exponentials (a logistic of the
dose in their place) and Steinhart-Hart (a power law with an offset). Of 20 tables without a law none was
given one (`python -m benchmarks catalogue --seed 23 --every 3 --trial --time-limit 8`). On three seeds
of development (1, 3 and 7), when 80% of the variance was enough for a name, 3 of 60 tables without a law
were given one: a straight line and a proportionality by outputs of random forests, which have a trend,
and Briere's law by a smooth curve.

All of this was measured before a law became as probable as it has names (Michaelis-Menten has seven, Elovich one),
which usual tables profit from and this list of every third law does not: with seed 7 44 of 50 come first and 48 are
first or listed (45 and 50 before), with seed 1 40 and 48 of 50 (41 and 48 before), and a law was named in 1 of 20
tables
without one."""


def made(law: TextbookLaw, seed: int, rows: int = ROWS, noise: float = NOISE) -> Dataset:
    """A table of a law."""
    random = np.random.default_rng([seed, *map(ord, law.name)])
    form = parse_form(law.form, list(law.columns))
    # Constants are drawn again where the law has no value on some row.
    for _ in range(100):
        x = np.stack([_column(one, random, rows, alone=len(law.columns) == 1) for one in law.columns.values()], 1)
        values = [_drawn(law.constants[name].low, law.constants[name].high, random) for name in form.constants]
        columns = list(torch.tensor(x).T)
        y = form.values(columns, torch.tensor([values], dtype=torch.float64))[0].numpy()
        if np.isfinite(y).all() and y.std() > 0:
            break
    return Dataset.from_arrays(x, y + noise * y.std() * random.normal(size=rows), test=0.0)


def _column(column: LawColumn, random: np.random.Generator, rows: int, *, alone: bool) -> Array:
    low, high = column.low, column.high
    if column.whole:
        every = np.arange(low, high + 1)
        return np.resize(every, rows) if alone else random.choice(every, rows)
    if alone:
        return np.geomspace(low, high, rows) if column.logarithmic else np.linspace(low, high, rows)
    if column.logarithmic:
        return np.exp(random.uniform(math.log(low), math.log(high), rows))
    return random.uniform(low, high, rows)


def _drawn(low: float, high: float, random: np.random.Generator) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high))) if low > 0 else random.uniform(low, high)


def lawless(seed: int) -> Dataset:
    """A table without a law: one of five kinds."""
    random = np.random.default_rng([seed, 7])
    rows, count = int(random.integers(15, 61)), int(random.integers(1, 4))
    x = random.uniform(0.5, 10, (rows, count))
    y = (_noise, _splines, _forest, _steps, _smooth)[seed % 5](x, random)
    return Dataset.from_arrays(x, y, test=0.0)


def _noise(x: Array, random: np.random.Generator) -> Array:
    return random.normal(size=len(x))


def _splines(x: Array, random: np.random.Generator) -> Array:
    """Cubic splines through random heights, and errors of a tenth."""
    from scipy.interpolate import CubicSpline

    y = sum(CubicSpline(np.linspace(0.5, 10, 7), random.normal(size=7))(column) for column in x.T)
    return y + 0.1 * y.std() * random.normal(size=len(x))


def _forest(x: Array, random: np.random.Generator) -> Array:
    """What a random forest made of noise and a trend."""
    from sklearn.ensemble import RandomForestRegressor

    heights = random.normal(size=len(x)) + x @ random.normal(size=x.shape[1]) / 3
    return RandomForestRegressor(20, random_state=int(random.integers(1000))).fit(x, heights).predict(x)


def _steps(x: Array, random: np.random.Generator) -> Array:
    """Five steps of random heights in each column, and errors of a tenth."""
    y = sum(random.normal(size=5)[np.digitize(column, np.sort(random.uniform(0.5, 10, 4)))] for column in x.T)
    return y + 0.1 * y.std() * random.normal(size=len(x))


def _smooth(x: Array, random: np.random.Generator) -> Array:
    """A draw of a Gaussian process with a length of a fifth of the range, and errors of a fiftieth."""
    apart = np.square(x[:, None] - x[None]).sum(-1)
    y = np.linalg.cholesky(np.exp(-apart / (2 * 1.9**2)) + 1e-8 * np.eye(len(x))) @ random.normal(size=len(x))
    return y + 0.02 * y.std() * random.normal(size=len(x))


def named(data: Dataset, seconds: float, seed: int) -> tuple[str | None, list[str]]:
    """The law that ``discover`` names, and those that it says the rows do not tell from it."""
    law = discover(data, DiscoverOptions(time_limit=seconds, seed=seed)).metrics.get("law")
    return (law["name"], law["not_told_from"]) if law else (None, [])


PAGE = """# Textbook laws

On every table with one target, `superpose fit` and `discover` try {count} textbook laws of one to three columns,
beside what they search for. Where the recommended formula is one of them, the answer names it:

```text
Michaelis-Menten, V*S/(K + S): V = 212.7 ± 6.9, K = 0.06412 ± 0.0083
```

`metrics["law"]` has its name, the columns in its roles, and for each constant the value, the standard error and the
meaning. `not_told_from` lists the laws that the rows do not tell from it: those that the best one does not surpass by
odds of 20 to 1, and other names of the same curve.

A law is named only if

- its constants are determined,
- it predicts left-out rows about as well as the best sum of smooth functions,
- it explains 85% of the variance of left-out rows, and
- what it leaves is no more alike in neighbouring rows than chance makes it, or less than 3% of the target's spread.

What is tried is a number of start values and steps, so that the answer does not depend on the machine's speed unless
the time limit ends it: on a slow core it takes 2 to 3 s. Of a formula that gives every row, laws of the same functions
are tried. Where a column has exactly two values, such as treated or not, the most probable laws of one column are tried
with each of their constants different in the two groups of rows; laws of more groups are not tried.
`superpose.formulas.recognise(data)` tries the laws alone.

{result}

The forms are written as for `superpose.fit_formula`; a form has several names where fields share it.
"""


def page() -> str:
    """The page of the documentation that lists the laws."""
    lines = [PAGE.format(count=len(LAWS), result=RESULT)]
    for field, laws in FIELDS.items():
        lines += [f"## {field[0].upper()}{field[1:]}", "", "| law | form | constants | source |", "|---|---|---|---|"]
        for law in laws:
            constants = ", ".join(f"{name}: {one.meaning}" for name, one in law.constants.items())
            lines.append(f"| {law.title} | `{law.target} = {law.form}` | {constants} | {law.source} |")
        lines.append("")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks catalogue", description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="only every so many laws")
    parser.add_argument("--time-limit", type=float, default=5.0, help="seconds of each discover")
    parser.add_argument("--trial", action="store_true", help="try the laws alone, without discover")
    parser.add_argument("--lawless", type=int, default=LAWLESS, help="tables without a law, by discover")
    parser.add_argument("--page", action="store_true", help="print docs/catalogue.md")
    given = parser.parse_args(arguments)
    if given.page:
        print(page(), end="")
        return 0
    laws, first, among = LAWS[given.seed % given.every :: given.every], 0, 0
    listed = 0
    for law in laws:
        data = made(law, given.seed)
        if given.trial:
            found = [one for one in recognise(data, seed=given.seed) if one.supported]
            name = found[0].law.name if found else None
            others = [*dict.fromkeys(one.law.name for one in not_told_from(found[0], found))] if found else []
        else:
            name, others = named(data, given.time_limit, given.seed)
        first, among = first + (name == law.name), among + (law.name in (name, *others))
        listed += len(others)
        if name != law.name:
            print(f"{law.name}: {name}{', not told from ' + ', '.join(others) if others else ''}", flush=True)
    print(
        f"seed {given.seed}: {first} of {len(laws)} laws first, {among} first or not told from the first, which "
        f"{listed / len(laws):.1f} others are on average",
        flush=True,
    )
    claimed = 0
    for number in range(given.lawless):
        name, _ = named(lawless(1000 * given.seed + number), given.time_limit, given.seed)
        claimed += name is not None
        if name is not None:
            print(f"table {number} without a law: {name}", flush=True)
    print(f"seed {given.seed}: a law was named in {claimed} of {given.lawless} tables without one")
    return 0
