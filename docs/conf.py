"""Settings of the documentation. `make test` builds it with warnings as errors and every reference checked."""

from __future__ import annotations

import superpose

project = "superpose"
author = "The superpose authors"
copyright = "2026, the superpose authors, MIT licence"
version = release = superpose.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "superpose"

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Values that depend on the machine or are long stay as they are written in the source.
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True

# Other projects' pages are not looked up: the build needs no network. Names of superpose are all checked.
nitpick_ignore_regex = [
    # Half of a type: the signature of a dataclass with a factory is cut at its comma.
    (r"py:.*", r"(dict|Mapping)\[float"),
    (
        r"py:.*",
        r"(?!superpose)(torch|numpy|np|pandas|sympy|matplotlib|collections|fractions|pathlib|os|typing|time)\..*",
    ),
    (r"py:.*", r"(int|float|str|bool|bytes|object|list|tuple|dict|set|None|Any|Ellipsis)"),
    (r"py:.*", r"(Callable|Sequence|Mapping|Iterable|Iterator|Literal|PathLike|Tensor|Figure|Path)"),
    (r"py:exc", r"(ValueError|OSError|Exception|KeyboardInterrupt)"),
    (r"py:class", r"(ValueError|OSError|Exception)"),
    # Modules that docstrings name for readers of the source.
    (r"py:mod", r"superpose\..*"),
    # Aliases, and a class that is met only inside a formula.
    (
        r"py:class",
        r"(Split|RowOptions|TorchFunction|Kind|Listener|(constants\.)?Sensible|superpose\.nn\.layer\.(Layer|Tensor)Options|(superpose\.formulas\.expressions\.splines\.)?SplineEdge|"
        r"(superpose\.data\.preparation\.columns\.)?RawColumn|(superpose\.data\.screening\.)?ScreeningRules|superpose\.deadline\.Deadline|superpose\.train\.anova\.average\.AnovaAverage|"
        r"superpose\.nn\.(local_scale\.LocalScale|support\.Support))",
    ),
]
