"""The competitors, each in a module with a function ``train`` like that of :mod:`benchmarks.ours`.

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

from benchmarks import Benchmark
from superpose.errors import OptionError


@dataclass(frozen=True)
class Peer:
    """A competitor: what it needs besides superpose's own packages.

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


DISCOVER = "discover"

PEERS = {
    DISCOVER: Peer("superpose.discover, which reads a law where it finds one", "discover"),
    "pykan": Peer("pykan with the KAN paper's protocol", "pykan", "kan", "pykan==0.2.8"),
    "mlp": Peer("a torch MLP of as many parameters, L-BFGS", "mlp"),
    "gp": Peer("scikit-learn's Gaussian process", "gp", "sklearn.gaussian_process", "scikit-learn"),
    "rbf": Peer("SciPy's RBFInterpolator, quintic, 100 neighbours", "rbf", "scipy.interpolate", "scipy"),
}

SEEKERS = {
    "operon": Peer(
        "Operon, genetic programming with fitted constants", "operon", "pyoperon.sklearn", "pyoperon==0.6.2"
    ),
    "gplearn": Peer("gplearn, genetic programming", "gplearn", "gplearn.genetic", "gplearn==0.4.3"),
    "pykan": Peer("pykan's automatic symbols", "pykan_symbols", "kan", "pykan==0.2.8"),
}
"""The peers that look for formulas; their modules have a function ``seek``, see :mod:`benchmarks.seekers`."""


def of(benchmark: Benchmark) -> Mapping[str, Peer]:
    """Those who can take part in a benchmark."""
    return SEEKERS if benchmark.formulas else PEERS


def load(names: Sequence[str], known: Mapping[str, Peer] = PEERS) -> None:
    """Import what these peers need, so that loading it costs no competitor its time.

    Raises:
        OptionError: if something is missing.
    """
    for name in names:
        peer = known[name]
        if not peer.imports:
            continue
        try:
            # Packages that print or warn when they are loaded are not the user's affair.
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                importlib.import_module(peer.imports)
        except ImportError as error:
            missing = error.name or peer.imports
            raise OptionError(
                f"--peer {name} needs the package {missing!r}, which is not installed; pip install '{peer.install}', "
                f"or pip install 'superpose[{'discovery' if known is SEEKERS else 'bench'}]' for all peers"
            ) from None
