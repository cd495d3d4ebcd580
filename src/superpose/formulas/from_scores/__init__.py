"""Formulas of the scores of classes."""
