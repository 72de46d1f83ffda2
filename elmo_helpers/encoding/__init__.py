"""Vectors from a trained model."""
