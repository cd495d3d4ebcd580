"""Problems whose answers are known: functions, where to sample them, and the errors that were published.

>>> from benchmarks import problems
>>> problem = problems.feynman()["I.12.11"]
>>> [variable.name for variable in problem.variables], problem.best_kan
(['a', 'theta'], 0.000913)
>>> x, y = problem.sample(1000, seed=0)
>>> x.shape, y.shape
((1000, 2), (1000,))

The published errors are those of *KAN: Kolmogorov-Arnold Networks* (Liu et al., arXiv:2404.19756), its tables of
special functions and of Feynman equations. The paper gives no ranges; the ranges here were chosen for these benchmarks.
"""

from benchmarks.problems.compositions import toy
from benchmarks.problems.feynman_equations import feynman
from benchmarks.problems.known_function import KnownFunction, Variable
from benchmarks.problems.known_laws import KnownLaw, equations, laws
from benchmarks.problems.special_functions import special

__all__ = ["KnownFunction", "KnownLaw", "Variable", "equations", "feynman", "laws", "special", "toy"]
