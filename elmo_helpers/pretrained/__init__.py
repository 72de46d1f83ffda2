"""The models that ship with the library: each a folder of its own, with its card."""
