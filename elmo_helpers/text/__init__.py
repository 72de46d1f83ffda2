"""Titles into tokens, ids and a corpus on disk."""
