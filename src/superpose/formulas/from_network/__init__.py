"""Formulas read from a trained network."""
