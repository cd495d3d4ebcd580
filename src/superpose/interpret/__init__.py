"""Reading a network: scores, pruning, symbols, formulas; and a formula as a network."""

from superpose.interpret.attribution import Scores, scores
from superpose.interpret.candidates import Candidate
from superpose.interpret.compiler import compile_formula
from superpose.interpret.edges import fix, refit, release, suggest
from superpose.interpret.formula import Formula
from superpose.interpret.merge import merge
from superpose.interpret.prune import prune
from superpose.interpret.straighten import straighten
from superpose.interpret.symbolify import symbolify

__all__ = [
    "Candidate",
    "Formula",
    "Scores",
    "compile_formula",
    "fix",
    "merge",
    "prune",
    "refit",
    "release",
    "scores",
    "straighten",
    "suggest",
    "symbolify",
]
