"""Reading a network: scores, pruning, symbols, formulas; and a formula as a network."""

from superpose.interpret.attribution import Scores, scores
from superpose.interpret.candidates import Candidate
from superpose.interpret.combine import Combined, combine
from superpose.interpret.compare import Compared, Comparison, compare
from superpose.interpret.compiler import compile_formula
from superpose.interpret.edges import fix, linear, refit, release, remove, replace, suggest
from superpose.interpret.formula import Formula
from superpose.interpret.merge import merge
from superpose.interpret.prune import prune
from superpose.interpret.straighten import straighten
from superpose.interpret.symbolify import symbolify

__all__ = [
    "Candidate",
    "Combined",
    "Compared",
    "Comparison",
    "Formula",
    "Scores",
    "combine",
    "compare",
    "compile_formula",
    "fix",
    "linear",
    "merge",
    "prune",
    "refit",
    "release",
    "remove",
    "replace",
    "scores",
    "straighten",
    "suggest",
    "symbolify",
]
