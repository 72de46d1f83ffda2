"""The HDF5 file of the published models, and the parameters that its datasets stand for.

There, gates come in the order i, j, f, o (input, candidate, forget, output), matrices are (input, output), input and
state share one matrix, and the cell adds 1 to the forget gate's bias. Here, the order is i, f, g, o, matrices are
(output, input), and the 1 is in the bias.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from elmo_helpers.checks import shown
from elmo_helpers.config import BiLMConfig, CharCNNConfig, WordEmbeddingConfig
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.interchange.official_options import embedding_dim_of
from elmo_helpers.model.sizes import within_memory

CELL = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell"
CNN_PROJECTION = "CNN_proj/W_proj"
LSTM_PROJECTION = f"{CELL.format(0, 0)}/W_P_0"
_OF_THE_MODEL = re.compile(r"(char_embed|embedding|CNN|RNN)")  # how the names begin that must all be known
_DEEPEST = 20  # groups within groups that are looked at
_N_BYTES_AND_MARKS = 261
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError)  # what h5py raises on damaged files


class Dataset(NamedTuple):
    """One dataset, and the parameters that it holds."""

    name: str
    shape: tuple[int, ...]
    parameters: tuple[str, ...]
    read: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], ...]]  # from the dataset to the parameters
    write: Callable[..., NDArray[np.float32]]  # and back


def datasets_of(config: BiLMConfig, n_softmax_words: int | None = None) -> Iterator[Dataset]:
    """The datasets of a model of that configuration.

    Args:
        config: The model's.
        n_softmax_words: Words of its softmax without padding; None: without softmax.
    """
    if isinstance(config.char_cnn, WordEmbeddingConfig):
        words = config.char_cnn
        yield _below_padding("embedding", (words.n_words - 1, words.dim), "char_cnn.weight")
    else:
        yield from _char_cnn_datasets(config.char_cnn)
    h, p = config.hidden_dim, config.output_dim
    for direction, stack in enumerate(("forward_layers", "backward_layers")):
        for layer in range(config.n_layers):
            cell, module = CELL.format(direction, layer), f"{stack}.{layer}"
            ours = (f"{module}.weight_ih", f"{module}.weight_hh")
            yield Dataset(f"{cell}/W_0", (2 * p, 4 * h), ours, _read_gates, _write_gates)
            yield Dataset(f"{cell}/B", (4 * h,), (f"{module}.bias",), _read_gate_bias, _write_gate_bias)
            if config.projection_dim is not None:
                yield _transposed(f"{cell}/W_P_0", (h, p), f"{module}.weight_hr")
    if n_softmax_words is not None:
        yield _below_padding("softmax/W", (n_softmax_words, p), "softmax.weight")
        yield _below_padding("softmax/b", (n_softmax_words,), "softmax.bias")


def _char_cnn_datasets(cnn: CharCNNConfig) -> Iterator[Dataset]:
    dim = embedding_dim_of(cnn)
    yield _below_padding("char_embed", (_N_BYTES_AND_MARKS, dim), "char_cnn.embedding.weight")
    for i, (width, count) in enumerate(cnn.filters):
        yield Dataset(
            f"CNN/W_cnn_{i}",
            (1, width, dim, count),
            (f"char_cnn.convolutions.{i}.weight",),
            lambda w: (w[0].transpose(2, 1, 0),),
            lambda w: w.transpose(2, 1, 0)[None],
        )
        yield _same(f"CNN/b_cnn_{i}", (count,), f"char_cnn.convolutions.{i}.bias")
    f = cnn.n_filters
    for k in range(cnn.n_highway):
        # The published names mislead: "carry" is the gate of the transform.
        for theirs, ours in (("carry", "gate"), ("transform", "transform")):
            module = f"char_cnn.highways.{k}.{ours}"
            yield _transposed(f"CNN_high_{k}/W_{theirs}", (f, f), f"{module}.weight")
            yield _same(f"CNN_high_{k}/b_{theirs}", (f,), f"{module}.bias")
    if cnn.projection_dim is not None:
        yield _transposed(CNN_PROJECTION, (f, cnn.projection_dim), "char_cnn.projection.weight")
        yield _same("CNN_proj/b_proj", (cnn.projection_dim,), "char_cnn.projection.bias")


def _same(name: str, shape: tuple[int, ...], parameter: str) -> Dataset:
    return Dataset(name, shape, (parameter,), lambda w: (w,), lambda w: w)


def _transposed(name: str, shape: tuple[int, ...], parameter: str) -> Dataset:
    return Dataset(name, shape, (parameter,), lambda w: (w.T,), lambda w: w.T)


def _below_padding(name: str, shape: tuple[int, ...], parameter: str) -> Dataset:
    """Row r of the dataset is row r + 1 of the parameter; row 0 is padding's."""
    return Dataset(name, shape, (parameter,), lambda w: (np.concatenate([np.zeros_like(w[:1]), w]),), lambda w: w[1:])


def _read_gates(w: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    i, j, f, o = np.split(w, 4, axis=1)
    from_input, from_state = np.split(np.concatenate([i, f, j, o], axis=1), 2)
    return from_input.T, from_state.T


def _write_gates(weight_ih: NDArray[np.float32], weight_hh: NDArray[np.float32]) -> NDArray[np.float32]:
    i, f, g, o = np.split(np.concatenate([weight_ih, weight_hh], axis=1).T, 4, axis=1)
    return np.concatenate([i, g, f, o], axis=1)


def _read_gate_bias(b: NDArray[np.float32]) -> tuple[NDArray[np.float32]]:
    i, j, f, o = np.split(b, 4)
    return (np.concatenate([i, f + 1, j, o]),)


def _write_gate_bias(bias: NDArray[np.float32]) -> NDArray[np.float32]:
    i, f, g, o = np.split(bias, 4)
    return np.concatenate([i, g, f - 1, o])


class WeightsFile:
    """A published weight file, open for reading; datasets are checked before they are read.

    Links to other files, which HDF5 knows, are refused.
    """

    def __init__(self, file: h5py.File, name: str) -> None:
        self._file, self._name = file, name

    def check_kind(self) -> None:
        """Check that there are LSTMs in the file, which tell the weights of a model from all else in this format.

        Raises:
            ElmoHelpersError: There are none.
        """
        with self._reading("the list of datasets"):
            is_model = self._file.get("RNN_0", getlink=True) is not None
            first = ", ".join(islice(self._file, 3)) or "nothing"
        if not is_model:
            raise ElmoHelpersError(
                f"{self._name} holds {shown(first)} and no LSTMs (RNN_0): expected the weights of a published ELMo, "
                "and no table of token vectors or of encoded text."
            )

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a dataset, or None where there is none of that name.

        Raises:
            ElmoHelpersError: It is no dataset of floating-point numbers in this file.
        """
        dataset = self._dataset(name)
        return None if dataset is None else tuple(dataset.shape)

    def state(self, config: BiLMConfig, n_softmax_words: int | None) -> dict[str, Tensor]:
        """The parameters of a model of that configuration, as in its state_dict.

        Raises:
            ElmoHelpersError: A dataset is missing, misshapen or not finite, or is there though nothing asks for it; or
                all of them need more memory than there is.
        """
        asked = []
        for dataset in datasets_of(config, n_softmax_words):
            asked.append((dataset, self._of_shape(dataset.name, dataset.shape)))  # up to the first that is wrong
        self._check_names({dataset.name for dataset, _ in asked})
        state = {}
        with within_memory(self._name, sum(4 * math.prod(dataset.shape) for dataset, _ in asked)):
            for dataset, stored in asked:
                parts = dataset.read(self._read(dataset.name, stored))
                for parameter, part in zip(dataset.parameters, parts, strict=True):
                    state[parameter] = torch.from_numpy(np.ascontiguousarray(part))
        return state

    def _of_shape(self, name: str, shape: tuple[int, ...]) -> h5py.Dataset:
        dataset = self._dataset(name)
        if dataset is None:
            raise ElmoHelpersError(f"{self._name}: the dataset {name} is missing: expected one of shape {shape}.")
        if tuple(dataset.shape) != shape:
            raise ElmoHelpersError(
                f"{self._name}: the dataset {name} has the shape {tuple(dataset.shape)}: expected {shape}, by the "
                "options and the vocabulary."
            )
        return dataset

    def _check_names(self, datasets: set[str]) -> None:
        """Check that there is nothing beside these datasets and the groups that they are in, as far as it has a part.

        Names that are no model's are passed over, unless they lie so deep that going through them might never end.
        """
        groups = {name[:i] for name in datasets for i, letter in enumerate(name) if letter == "/"}

        def unknown(name: str | bytes) -> str | None:
            # h5py gives names that are no UTF-8 as bytes.
            text = name if isinstance(name, str) else name.decode("utf-8", "replace")
            is_known = text in datasets or text in groups or not _OF_THE_MODEL.match(text)
            return None if is_known and text.count("/") < _DEEPEST else text

        with self._reading("the list of datasets"):
            found = self._file.visit(unknown)
        if found is not None:
            raise ElmoHelpersError(
                f"{self._name}: there is a dataset or a group {found:.100} that the options do not ask for: the two "
                "files do not belong together."
            )

    def _read(self, name: str, dataset: h5py.Dataset) -> NDArray[np.float32]:
        with self._reading(name):
            stored = dataset[()]
        with np.errstate(over="ignore", under="ignore"):
            values: NDArray[np.float32] = stored.astype(np.float32)
        if not np.isfinite(values).all():
            raise ElmoHelpersError(
                f"{self._name}: the dataset {name} holds numbers that are not finite in float32: restore the file."
            )
        return values

    def _dataset(self, name: str) -> h5py.Dataset | None:
        """A dataset by its name, or None; no link out of the file is followed."""
        node: h5py.Group | h5py.Dataset = self._file
        with self._reading(name):
            for part in name.split("/"):
                link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    raise ElmoHelpersError(
                        f"{self._name}: {name} is a link to another place: expected the numbers here."
                    )
                node = node[part]
            if not isinstance(node, h5py.Dataset) or node.dtype.kind != "f" or node.shape is None:
                kind = str(node.dtype) if isinstance(node, h5py.Dataset) else "a group"
                raise ElmoHelpersError(f"{self._name}: {name} is {kind}: expected a dataset of floating-point numbers.")
            if node.external or node.is_virtual:
                raise ElmoHelpersError(f"{self._name}: the numbers of {name} lie elsewhere: expected them here.")
        return node

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except ElmoHelpersError:
            raise
        except _DAMAGED as error:
            raise ElmoHelpersError(
                f"{self._name}: {what} cannot be read ({error}): the file is damaged or cut off; restore it."
            ) from None


def write_weights(file: h5py.File, config: BiLMConfig, state: dict[str, Tensor], n_softmax_words: int | None) -> None:
    """Write the parameters of a model of that configuration as float32 datasets."""
    for dataset in datasets_of(config, n_softmax_words):
        parts = [state[parameter].detach().cpu().float().numpy() for parameter in dataset.parameters]
        file.create_dataset(dataset.name, data=np.ascontiguousarray(dataset.write(*parts), dtype=np.float32))
