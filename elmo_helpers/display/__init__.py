"""Figures and source for the notebooks; the library itself needs none of it."""
