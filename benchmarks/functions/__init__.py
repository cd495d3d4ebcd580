"""Functions learnt from samples: special functions, Feynman equations, and error against grid size."""
