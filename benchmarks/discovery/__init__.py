"""Laws recovered from tables."""
