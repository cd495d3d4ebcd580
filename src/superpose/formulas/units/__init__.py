"""Units of columns: read from text, checked in formulas, and combined into dimensionless groups."""
