"""Expressions: the Formula class, rewriting, constants, and the way to networks and code."""
