"""Forms that a user gives: text with unknown constants, parsed, and the constants fitted to a table."""
