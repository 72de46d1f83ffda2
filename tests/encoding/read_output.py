"""Reads what encoding has written, with h5py and pyarrow alone."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq


def token_vectors(path: Path) -> list[np.ndarray]:
    """Of each line: (n, dim) or (layers, n, dim)."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        kind, shape = table.schema.field("vectors").type.value_type, ()
        while hasattr(kind, "list_size"):
            kind, shape = kind.value_type, (*shape, kind.list_size)
        # Cell by cell through Python: another way than that of the library.
        cells = table["vectors"].to_pylist()
        rows = [np.array(cell, dtype=kind.to_pandas_dtype()).reshape(-1, *shape) for cell in cells]
        return rows if len(shape) == 1 else [row.transpose(1, 0, 2) for row in rows]
    with h5py.File(path) as file:
        names = set(file) - {"sentence_to_index"}
        assert names == {str(i) for i in range(len(names))}
        return [file[str(i)][()] for i in range(len(names))]


def title_vectors(path: Path) -> np.ndarray:
    """(N, dim) or (N, layers, dim)."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return np.array(table["vector"].to_pylist(), dtype=np.float64)
    with h5py.File(path) as file:
        return file["vectors"][()]


def titles(path: Path) -> list[str]:
    """The text of each row."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        assert table["line"].to_pylist() == list(range(len(table)))
        return table["title"].to_pylist()
    with h5py.File(path) as file:
        return [title.decode() for title in file["titles"]]


def sentence_to_index(path: Path) -> dict[str, str]:
    """As users of AllenNLP's command read it."""
    with h5py.File(path) as file:
        assert file["sentence_to_index"].shape == (1,)
        return json.loads(file.get("sentence_to_index")[0])
