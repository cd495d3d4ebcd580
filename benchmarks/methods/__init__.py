"""The methods: superpose and its peers, each in a module of its own.

A method of regression has a function ``fit`` like that of :mod:`benchmarks.methods.superpose_network`. A peer that
searches for formulas has a function ``propose(symbols, x, y, *, time_limit, seed)``, see
:mod:`benchmarks.methods.symbolic_regression`.

Every peer gets the same points, scaled the same way, the same validation rows and the same time. This module loads
none of them: the command line reads its names.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.catalogue import Benchmark, install
from superpose.errors import OptionError


@dataclass(frozen=True)
class Peer:
    """A method beside superpose: where it is, and which package it needs.

    Attributes:
        summary: a few words for tables' legends.
        module: in this package.
        imports: the package that has to be there, empty if superpose needs it anyway.
        install: what pip calls it.
    """

    summary: str
    module: str
    imports: str = ""
    install: str = ""


SUPERPOSE = "superpose"
DISCOVER = "discover"

REGRESSION_PEERS = {
    DISCOVER: Peer("superpose.discover, which reads a law where it finds one", "discover"),
    "pykan": Peer("pykan with the KAN paper's protocol", "pykan", "kan", "pykan==0.2.8"),
    "mlp": Peer("a torch MLP of as many parameters, L-BFGS", "mlp"),
    "gp": Peer("scikit-learn's Gaussian process", "gp", "sklearn.gaussian_process", "scikit-learn"),
    "rbf": Peer("SciPy's RBFInterpolator, quintic, 100 neighbours", "rbf", "scipy.interpolate", "scipy"),
}

FORMULA_PEERS = {
    "operon": Peer(
        "Operon, genetic programming with fitted constants", "operon", "pyoperon.sklearn", "pyoperon==0.6.2"
    ),
    "gplearn": Peer("gplearn, genetic programming", "gplearn", "gplearn.genetic", "gplearn==0.4.3"),
    "pykan": Peer("pykan's automatic symbols", "pykan_symbols", "kan", "pykan==0.2.8"),
}
"""The peers that search for formulas."""


def of(benchmark: Benchmark) -> Mapping[str, Peer]:
    """The peers that a benchmark can run."""
    return FORMULA_PEERS if benchmark.formulas else REGRESSION_PEERS


def load(names: Sequence[str], known: Mapping[str, Peer] = REGRESSION_PEERS) -> None:
    """Import what these peers need, so that loading it does not count as time of any method.

    Raises:
        OptionError: if something is missing.
    """
    for name in names:
        peer = known[name]
        if not peer.imports:
            continue
        try:
            # Packages that print or warn when they are loaded would spoil the output of the benchmark.
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                importlib.import_module(peer.imports)
        except ImportError as error:
            missing = error.name or peer.imports
            raise OptionError(
                f"--peer {name} needs the package {missing!r}, which is not installed; install it with pip install -c "
                f"constraints.txt '{peer.install}', or all peers with {install(formulas=known is FORMULA_PEERS)}"
            ) from None
