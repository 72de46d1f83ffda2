"""Vectors in other programs: each integration loads its library only when it is used."""
