"""The command line, `python -m elmo_helpers`."""
