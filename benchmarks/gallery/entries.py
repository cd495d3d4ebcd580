"""The tables of the gallery, and what is learnt of each. Numbers of a run stand in braces and are filled in."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.classic.tables import tables

# Most seconds of a run. Most take fewer; the pages were made on a machine that did other work too.
SECONDS = 120


@dataclass(frozen=True)
class Entry:
    """A table of the gallery.

    Attributes:
        name: of the table, and of its picture.
        title: the heading.
        target: the column to be learnt.
        meaning: what was learnt, in words; ``{V}`` is a constant of the named law; ``{rmse}``, ``{r2}`` and
            ``{spread}``, the standard deviation of the target, are numbers of the run.
        about: what the table is, where it comes from, and its licence; from the list of classic tables if left out.
        path: of the file, from the root of the project.
        options: of ``superpose fit``, beside table and target.
        across: the column that the picture has below; the network is drawn if there is none.
        groups: a column of two values, for each of which a curve is drawn.
        logarithmic: whether the picture has logarithmic axes.
    """

    name: str
    title: str
    target: str
    meaning: str
    about: str = ""
    path: str = ""
    options: tuple[str, ...] = ()
    across: str = ""
    groups: str = ""
    logarithmic: bool = False

    @property
    def file(self) -> str:
        """The path of the table from the root of the project."""
        return self.path or f"benchmarks/classic/data/{self.name}.csv"

    @property
    def arguments(self) -> list[str]:
        """What stands behind ``superpose``."""
        return ["fit", self.file, "--target", self.target, *self.options, "--time-limit", str(SECONDS)]

    @property
    def description(self) -> str:
        """Columns, source and licence in sentences."""
        if self.about:
            return self.about
        known = tables()[self.name]
        return f"{known.what[0].upper()}{known.what[1:]}. Source: {known.source}. Licence: {known.licence}."


ENTRIES = (
    Entry(
        "kepler",
        "The planets: Kepler's third law",
        "period",
        "The square of a planet's period goes as the cube of its distance, and superpose finds it in six rows: the "
        "exponent is a fraction, not a fitted number, and the factor is the length of a year in days, with the errors "
        "of 1619. Six rows leave other forms possible, which the lines below the formula say.",
        across="distance",
        logarithmic=True,
    ),
    Entry(
        "rydberg",
        "Hydrogen: the Rydberg formula",
        "wavelength",
        "One constant gives all 17 lines. The accepted inverse of the Rydberg constant of hydrogen is 911.76 "
        "angstroms; what is left is the rounding of the published wavelengths.",
    ),
    Entry(
        "planck",
        "The cosmic background: Planck's law",
        "brightness",
        "Planck's law with two constants. The one in the exponential is h*c/(k*T), so 1.4388 cm K divided by {B} cm is "
        "the temperature of the sky, 2.725 K. Which unit a constant has, `--units` would say: [units](units.md).",
        across="frequency",
    ),
    Entry(
        "langmuir",
        "Methane on mica: an isotherm, and what a chemist adds",
        "amount",
        "Langmuir's isotherm has two constants. superpose prefers the same curve with a third one, an amount at no "
        "pressure, since it predicts left-out rows far better; the name is that of the form in another field. Yet "
        "without gas nothing is adsorbed: `--at 'pressure=0: 0'` says so, and forms that contradict it are left out: "
        "[what is known beforehand](knowledge.md). What fits best and what can be true are two questions.",
        across="pressure",
    ),
    Entry(
        "leavitt",
        "The Cepheids: a law that is not found",
        "magnitude",
        "Leavitt wrote a straight line in the logarithm of the period. superpose prefers another curve, since the "
        "shortest and the longest periods lie off that line: by leave-one-out it predicts these 25 rows better. It is "
        "a description of the rows, and nothing that a reader should carry beyond them. To compare a form of your own "
        "with it, see [A law of my own](own_law.md).",
        across="period",
    ),
    Entry(
        "puromycin",
        "An enzyme: Michaelis-Menten, with and without a drug",
        "rate",
        "Michaelis-Menten, in which puromycin changes the limiting rate and not the affinity: one K serves both "
        "groups. The next form, a logarithm, is not far, and the output names the measurement that would decide.",
        across="conc",
        groups="treated",
    ),
    Entry(
        "trees",
        "Cherry trees: the volume of timber",
        "Volume",
        "The volume of a cone or a cylinder goes as girth squared times height. superpose finds the exponents 2 and 1, "
        "as a network of one product node.",
    ),
    Entry(
        "mammals",
        "Mammals: brain and body",
        "brain",
        "A power law, with an exponent near 3/4, over six decades of body weight. The error in grams is large because "
        "the elephants have it; the logarithm was fitted, so errors are factors.",
        across="body",
        logarithmic=True,
    ),
    Entry(
        "michelson",
        "The speed of light: nothing to find",
        "speed",
        "The number of a measurement says nothing of its result, and superpose says so: the mean stands alone. Its "
        "answer to a table without a law is a constant, not a curve.",
        across="run",
    ),
    Entry(
        "knots",
        "Hyperbolic knots: a theorem in 12,953 rows",
        "cusp_volume",
        "Two of the five columns matter, and the formula has no error: the volume of a cusp is half the area of its "
        "boundary, a parallelogram. From 500 rows on, some are held out, and the error is on these.",
        about="Invariants of the 12,953 hyperbolic knots with at most 13 crossings. Source: computed by SnapPy 3.3.2, "
        "see `examples/data/README.md`. Licence: facts.",
        path="examples/data/knots.csv",
        options=("--features", "meridian_re,meridian_im,longitude,volume,chern_simons"),
    ),
)
