"""Names that options choose from, in a module that imports nothing: the command line checks them before torch loads."""

from __future__ import annotations

# How networks are trained; see superpose.train.fit.
OPTIMIZERS = ("lm", "lbfgs", "adamw")
# How the scores of a classifier are read; see superpose.nn.Head.
HEADS = ("sigmoid", "gaussian", "softmax", "ordinal")
# What is done with missing cells of a table; see superpose.data.RowOptions.
MISSING = ("error", "drop", "median", "indicator")
# Whether the logarithm of a target is fitted; see superpose.DiscoverOptions.log_target.
LOG_TARGET = {"auto": None, "yes": True, "no": False}
# What superpose.compare judges, in the order in which it fits them; see superpose.tasks.comparison.methods.
COMPARED = {
    "regression": (
        *("mean", "line", "ridge", "gp", "boosting", "forest", "mlp", "ebm", "tabpfn"),
        *("network", "formula"),
    ),
    "classification": (
        *("majority", "logistic", "gp", "boosting", "forest", "mlp", "ebm", "tabpfn"),
        *("network", "formula"),
    ),
}
# What one fit of superpose.sweep is; see superpose.tasks.sweeps.kinds.
SWEPT = ("fit", "search", "discover", "classify", "compare")
# What superpose export writes, and the languages of formulas; see superpose.export.
EXPORTS = ("onnx", "numpy", "c", "hub", "formula")
LANGUAGES = ("text", "latex", "sympy", "numpy", "torch", "python", "c", "javascript", "julia", "matlab", "excel", "sql")
