"""Differential equations with known solutions."""
