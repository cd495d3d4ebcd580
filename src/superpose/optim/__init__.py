"""Optimisers behind one small interface, used by training and by the refit of symbolic constants."""
