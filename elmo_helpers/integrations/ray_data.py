"""RayEncoder: encoding as a step of Ray Data, which reads, splits, tries again and writes."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa

from elmo_helpers.checks import choice, flag, whole_number
from elmo_helpers.encoding.encoded_shards import DTYPES, vector_column
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.encoding.selection import Selection
from elmo_helpers.encoding.word_vectors import MAX_WORDS
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.scalar_mix import ScalarMix
from elmo_helpers.training.processes import usable_device


class RayEncoder:
    """The class for `Dataset.map_batches`: each actor holds one model, and adds a column of vectors to each batch.

        ray.data.read_parquet("titles/").map_batches(
            RayEncoder, fn_constructor_args=["english-titles"], batch_size=2048, batch_format="pyarrow", num_cpus=1
        ).write_parquet("vectors/")

    Batches are Arrow tables or pandas data frames, and come back as such, with all of their columns.
    """

    def __init__(
        self,
        model: BiLM | str | os.PathLike[str],
        *,
        titles: str = "title",
        vectors: str | None = None,
        level: str = "titles",
        layers: str = "mix",
        pooling: str = "states",
        mix: ScalarMix | None = None,
        dtype: str = "float32",
        precision: str = "fp32",
        pretokenized: bool = False,
        batch_tokens: int = 8192,
        max_words: int = MAX_WORDS,
        device: str = "auto",
    ) -> None:
        """What an actor works with; `encode_file` says more of the arguments that it has, too.

        Args:
            model: The directory or name of a model, which each node has to have; or a model, which Ray sends along.
            titles: The column to read: titles, or lists of tokens, which are taken as they are.
            vectors: The column to add; None: "vector" of level "titles", "vectors" of level "tokens".
            level, layers, pooling, mix, dtype, precision, pretokenized, batch_tokens, max_words: See `encode_file`.
            device: "auto" (the GPU that Ray gives the actor, where it gives one), "cpu", "cuda" and so on.

        Raises:
            ElmoHelpersError: There is no such model, or an argument is not as expected.
        """
        self.selection = Selection(level, layers, pooling, mix)
        self.titles, self.vectors = titles, vectors or ("vector" if level == "titles" else "vectors")
        self.dtype, self.pretokenized = dtype, flag("pretokenized", pretokenized)
        choice("dtype", dtype, tuple(DTYPES))
        model = model_of(model).to(usable_device(device))
        self.selection.check(model.config)
        self.shape = self.selection.vector_shape(model.config)
        batch_tokens = whole_number("batch_tokens", batch_tokens, 1)
        self.encoder = Encoder(model, batch_tokens=batch_tokens, precision=precision)
        # Kept from batch to batch, since an actor's weights stand still.
        self.words = self.encoder.word_vectors(whole_number("max_words", max_words, 1))

    def __call__(self, batch: Any) -> Any:
        """The batch with its vectors: fixed-size lists (dim,) or (layers, dim), of "tokens" a list of one a token.

        Raises:
            ElmoHelpersError: There is no column of titles, a title is none, or a number is beyond float16.
        """
        if not isinstance(batch, pa.Table) and not hasattr(batch, "assign"):
            raise ElmoHelpersError('RayEncoder: pass batch_format="pyarrow" or "pandas" to map_batches.')
        columns = batch.column_names if isinstance(batch, pa.Table) else [str(name) for name in batch.columns]
        if self.titles not in columns:
            raise ElmoHelpersError(f"titles={self.titles!r}: no such column; there are {', '.join(columns)}.")
        titles = batch[self.titles].to_pylist() if isinstance(batch, pa.Table) else batch[self.titles].tolist()
        if self.pretokenized:
            titles = [title.split() if isinstance(title, str) else title for title in titles]
        if titles and isinstance(titles[0], str):
            tokens = list(self.encoder.tokenize_iter(titles, processes=1))  # the other cores are those of other actors
        else:
            tokens = self.encoder.tokenize(titles)
        encoded = self.encoder.encode_windows(tokens, self.selection, self.words)
        rows = [f"row {i} of a batch" for i in range(len(titles))]
        arrays = [title.vectors for title in encoded]
        column = vector_column(arrays, self.selection.level, self.shape, self.dtype, rows)
        if isinstance(batch, pa.Table):
            return batch.append_column(pa.field(self.vectors, column.type, nullable=False), column)
        return batch.assign(**{self.vectors: [vectors.astype(self.dtype) for vectors in arrays]})
