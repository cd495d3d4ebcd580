"""The methods that can be compared, and which of them are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from superpose.choices import COMPARED
from superpose.errors import OptionError
from superpose.tasks.comparison import own, peers, perceptron
from superpose.tasks.comparison.fitted import Fit
from superpose.tasks.comparison.gaussian_process import gaussian_process

INSTALL = "pip install 'superpose[compare]'"


@dataclass(frozen=True)
class Method:
    """A method that can be compared.

    Attributes:
        name: as in :data:`superpose.choices.COMPARED`.
        label: its name in a sentence.
        level: how hard it is to read. 0 is a constant, 1 a formula that fits on a line, 2 a sum of curves or a
            network of curves that can be drawn, 3 what cannot be read. Of equally accurate methods the lowest level is
            recommended.
        fit: fits it, and the methods that share the fit.
        module: that it needs of another package; empty if superpose needs the package anyway.
    """

    name: str
    label: str
    level: int
    fit: Fit
    module: str = ""

    @property
    def package(self) -> str:
        """The package of the module."""
        return self.module.partition(".")[0]


METHODS = {
    method.name: method
    for method in (
        Method("mean", "the mean", 0, peers.constant),
        Method("majority", "the majority class", 0, peers.constant),
        Method("line", "the straight line", 1, peers.line, "sklearn.linear_model"),
        Method("ridge", "ridge regression", 1, peers.ridge, "sklearn.linear_model"),
        Method("logistic", "logistic regression", 1, peers.logistic, "sklearn.linear_model"),
        Method("gp", "the Gaussian process", 3, gaussian_process, "sklearn.gaussian_process"),
        Method("boosting", "gradient boosting", 3, peers.boosting, "sklearn.ensemble"),
        Method("forest", "the random forest", 3, peers.forest, "sklearn.ensemble"),
        Method("mlp", "the MLP", 3, perceptron.mlp, "sklearn.neural_network"),
        Method("ebm", "the EBM", 2, peers.ebm, "interpret.glassbox"),
        Method("tabpfn", "TabPFN", 3, peers.tabpfn, "tabpfn"),
        Method("network", "superpose's network", 2, own.network_and_formula),
        Method("formula", "superpose's formula", 1, own.network_and_formula),
    )
}
# What pip calls packages that are imported under another name.
_PIP = {"interpret": "interpret-core"}


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not loaded."""
    return not package or importlib.util.find_spec(package) is not None


def load(methods: Sequence[Method]) -> None:
    """Import what these methods need, so that loading does not count as time of a fit.

    A package that cannot be loaded fails once more when its method is fitted, and is reported there.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in {method.module for method in methods if method.module}:
            with contextlib.suppress(Exception):
                importlib.import_module(module)


def installed_methods(task: str, names: Sequence[str] | None) -> tuple[list[Method], list[Method]]:
    """The methods to compare in a fixed order, and those left out since their package is not installed.

    Args:
        task: regression or classification.
        names: of the methods; all if None.

    Raises:
        OptionError: if a package is missing for a method that was asked for, or scikit-learn is.
    """
    wanted = [METHODS[name] for name in COMPARED[task] if names is None or name in names]
    missing = [method for method in wanted if not installed(method.package)]
    for method in missing:
        if method.package == "sklearn":
            others = ", ".join(name for name in COMPARED[task] if not METHODS[name].package)
            raise OptionError(
                f"{method.label} is fitted by scikit-learn, which is not installed; install it with {INSTALL}, or "
                f"choose the methods {others}"
            )
        if names is not None:
            raise OptionError(
                f"the method {method.name} needs the package {_PIP.get(method.package, method.package)}, which is not "
                f"installed; install it, or leave out {method.name}"
            )
    return [method for method in wanted if method not in missing], missing
