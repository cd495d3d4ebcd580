"""Textbook laws: their forms, what their constants mean, and where they are from; one module for each field."""
