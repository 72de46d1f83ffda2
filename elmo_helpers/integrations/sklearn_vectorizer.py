"""A scikit-learn transformer from titles to ELMo vectors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from elmo_helpers.checks import choice, shown, whole_number
from elmo_helpers.encoding.encoder import Encoder
from elmo_helpers.encoding.run_state import fingerprint
from elmo_helpers.encoding.selection import POOLINGS, Selection
from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.integrations.layer_choice import LAYERS, check_layers, selection_of
from elmo_helpers.model.bilm import BiLM, model_of
from elmo_helpers.model.storage import FILES
from elmo_helpers.pretrained.shipped import DEFAULT_MODEL
from elmo_helpers.training.processes import usable_device

_loading = Lock()


class ElmoVectorizer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """One vector a title, from a trained biLM, as a step of a scikit-learn pipeline.

    Nothing is learned from the data: `fit` reads the model. Named by its directory, a model is loaded once in each
    process, and an estimator that is sent to another process or kept in a file holds that name alone; given as an
    object, it goes along whole. Clones share it.

    Args:
        model: A `BiLM`, the directory of one, the name of one that ships, or its name on the Hugging Face Hub.
        pooling: "mean" or "max" over the words, or "states", the LSTMs' final states; see `Encoder.encode_layers`.
        layers: "average": the mean of all layers; "top": the last one; "all": each by itself, side by side; or a list
            of weights, one a layer.
        batch_tokens: Tokens computed together, boundaries included.
        precision: "fp32", or "bf16" for matrix products in bfloat16.
        device: Where to compute: "auto" (a GPU where there is one), "cpu", "cuda" and so on.

    Attributes:
        vector_size_: The width of a vector: 2P, of "states" 2P + 2H; of all layers together where `layers` is "all".
    """

    vector_size_: int

    def __init__(
        self,
        model: BiLM | str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        pooling: str = "mean",
        layers: str | Sequence[float] = "average",
        batch_tokens: int = 8192,
        precision: str = "fp32",
        device: str = "auto",
    ) -> None:
        self.model = model
        self.pooling = pooling
        self.layers = layers
        self.batch_tokens = batch_tokens
        self.precision = precision
        self.device = device

    def fit(self, X: Sequence[str], y: object = None) -> Self:
        """Read the model and check the settings.

        Args:
            X: Titles; only their kind is looked at.
            y: Not used.

        Raises:
            ElmoHelpersError: There is no model, a setting is of the wrong kind, or `X` holds no titles.
        """
        _titles(X)
        encoder, selection, self._digest = self._ready()
        self.vector_size_ = int(np.prod(selection.vector_shape(encoder.model.config)))
        self._kind = self._asked_for()
        return self

    def transform(self, X: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of titles.

        Args:
            X: N titles: a list, a one-dimensional array or a pandas Series of strings; or lists of tokens, which are
                taken as they are.

        Returns:
            (N, vector_size_) float32; or a table, where `set_output` has asked for one.

        Raises:
            NotFittedError: `fit` has not been called.
            ElmoHelpersError: `X` holds something that is no title, the directory has another model than at `fit`, or
                pooling or layers have been set since.
        """
        check_is_fitted(self)
        titles = _titles(X)
        encoder, selection, digest = self._ready()
        if digest != self._digest:
            raise ElmoHelpersError(f"model={self.model!r}: its files hold another model than at fit: fit again.")
        size = int(np.prod(selection.vector_shape(encoder.model.config)))
        if size != self.vector_size_ or self._kind != self._asked_for():
            raise ElmoHelpersError("pooling, layers or model: set anew since fit: fit again.")
        vectors = np.empty((len(titles), self.vector_size_), dtype=np.float32)
        encoded = encoder.encode_windows(encoder.tokenize(titles), selection, encoder.word_vectors())
        for row, title in enumerate(encoded):
            vectors[row] = title.vectors.reshape(-1)
        return vectors

    @property
    def _n_features_out(self) -> int:
        return self.vector_size_

    def _ready(self) -> tuple[Encoder, Selection, str | None]:
        """The encoder, the selection, and of a model that is loaded by name a number that tells it from any other."""
        choice("pooling", self.pooling, POOLINGS)
        whole_number("batch_tokens", self.batch_tokens, 1)
        digest = None
        if isinstance(self.model, BiLM):
            model = model_of(self.model).to(usable_device(self.device))
        elif isinstance(self.model, str | os.PathLike):
            model, digest = _model_of(os.fspath(self.model), str(usable_device(self.device)))
        else:
            raise ElmoHelpersError(f"model={shown(self.model)}: expected a BiLM, or the directory or name of one.")
        selection = selection_of("titles", self.layers, model.config, self.pooling)
        return Encoder(model, batch_tokens=self.batch_tokens, precision=self.precision), selection, digest

    def _asked_for(self) -> tuple[str, str | tuple[float, ...]]:
        """The settings that the vectors depend on, beside the model; equal weights are equal in any container."""
        return self.pooling, check_layers(self.layers, LAYERS)

    def __sklearn_clone__(self) -> Self:
        # scikit-learn would copy the weights for each clone, and nothing here changes them.
        clone = type(self)(**self.get_params(deep=False))
        if hasattr(self, "_sklearn_output_config"):
            clone._sklearn_output_config = dict(self._sklearn_output_config)
        return clone

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.target_tags.required = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _titles(X: Any) -> list[Any]:
    if isinstance(X, str | bytes) or not hasattr(X, "__iter__"):
        raise ElmoHelpersError(f"X={shown(X)}: expected a list of titles; pass one title as [title].")
    if isinstance(X, Iterator | Set | Mapping):  # it could be read only once, or has no order
        raise ElmoHelpersError(f"X: expected a list of titles, and got a {type(X).__name__}: pass a list of them.")
    if hasattr(X, "columns") or getattr(X, "ndim", 1) != 1:
        raise ElmoHelpersError(
            f"X: expected one column of titles, and got a table or array of shape {getattr(X, 'shape', '?')}: pass one "
            'column of it, as in frame["title"] or array[:, 0].'
        )
    return X.tolist() if hasattr(X, "tolist") else list(X)


def _model_of(name: str, device: str) -> tuple[BiLM, str]:
    """The model of that name and its number, loaded where this process has not got it or its files have changed."""
    with _loading:
        return _load(name, device, _signature(Path(name)))


@lru_cache(maxsize=2)
def _load(name: str, device: str, signature: tuple[object, ...]) -> tuple[BiLM, str]:
    model = BiLM.from_pretrained(name)
    return model.to(device), fingerprint(model)


def _signature(directory: Path) -> tuple[object, ...]:
    """What changes when other files take the place of a model's."""
    try:
        directory = directory.resolve()
        stats = [path.stat() for path in (directory / file for file in FILES) if path.is_file()]
    except (OSError, ValueError):  # no name of a directory, which whoever loads it will say
        return (str(directory),)
    return str(directory), *((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats)
