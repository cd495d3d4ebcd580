"""Many fits: over seeds, shapes and other options, and data sets, side by side, kept as they come."""

from superpose.tasks.sweeps.options import SweepOptions
from superpose.tasks.sweeps.result import SweepResult, SweptFit
from superpose.tasks.sweeps.run import read_sweep, sweep

__all__ = ["SweepOptions", "SweepResult", "SweptFit", "read_sweep", "sweep"]
