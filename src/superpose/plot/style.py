"""The colours of all pictures, named by what they mark.

The first block is the palette, the second gives each colour its uses: a change of ``SYMBOLIC_EDGE`` changes symbolic
edges and nothing else.
"""

from __future__ import annotations

INK = "#1b2a41"
GREY = "#64707d"
LIGHT_GREY = "#c9d1d9"
# White letters on it have a contrast of 5.2, and WCAG 2.1 (criterion 1.4.3) asks for 4.5. It is told apart from INK by
# the common kinds of colour blindness, since it is far lighter.
ORANGE = "#c2410c"
TEAL = "#0f766e"

TEXT = INK
QUIET_TEXT = GREY
GRID_LINE = LIGHT_GREY

SPLINE_EDGE = INK
SYMBOLIC_EDGE = ORANGE
KNOT = TEAL
HISTOGRAM = LIGHT_GREY

TRAINING_CURVE = INK
VALIDATION_CURVE = ORANGE
PREDICTION = ORANGE

FORMULA = INK
RECOMMENDED_FORMULA = ORANGE

RELATION = TEAL
# Exact relations are formulas without an error, as symbolic edges are functions without knots: one colour for both.
EXACT_RELATION = SYMBOLIC_EDGE
# A map of matplotlib from blue over white to red, which the common kinds of colour blindness tell apart.
SIGNED_VALUES = "RdBu_r"
