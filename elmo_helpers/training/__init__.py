"""Batches, the training loop, and how well a model predicts."""
