"""Formulas of class scores: of one score, of several scores together, and with wrong labels."""
