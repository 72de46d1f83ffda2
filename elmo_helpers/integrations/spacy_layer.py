"""The layer `elmo_helpers.DocTensor.v1`: a tok2vec for spaCy's components that reads the vectors in `doc.tensor`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.util import registry
from thinc.api import Model
from thinc.types import Floats2d

from elmo_helpers.checks import whole_number
from elmo_helpers.errors import ElmoHelpersError


def doc_tensor(width: int) -> Model[list[Doc], list[Floats2d]]:
    """A layer without weights from documents to their `doc.tensor`; no gradient goes further.

    In a component's model it stands where a tok2vec does:
    `{"@architectures": "elmo_helpers.DocTensor.v1", "width": 128}`.

    Args:
        width: 2P, the width of the component "elmo"'s vectors, which must stand before in the pipeline.
    """
    # A component is initialised with documents that no other component has seen. Until it has been trained, a document
    # without vectors therefore counts as zeros; from then on it is an error.
    return Model("doc_tensor", _forward, dims={"nO": whole_number("width", width, 1)}, attrs={"trained": False})


registry.architectures.register("elmo_helpers.DocTensor.v1", func=doc_tensor)


def _forward(
    model: Model[list[Doc], list[Floats2d]], docs: Sequence[Doc], is_train: bool
) -> tuple[list[Floats2d], Callable[[list[Floats2d]], list[Doc]]]:
    width = model.get_dim("nO")
    vectors = []
    for doc in docs:
        tensor: Any = doc.tensor  # an array of NumPy, which is none of thinc's own types
        if tensor.shape != (len(doc), width):
            if tensor.size and tensor.ndim == 2 and len(tensor) == len(doc):
                raise ElmoHelpersError(
                    f"elmo_helpers.DocTensor.v1: doc.tensor is {tensor.shape[1]} wide, and the layer was made with "
                    f"width={width}: expected the width of the component 'elmo', 2P of its model."
                )
            if len(doc) and (is_train or model.attrs["trained"]):
                raise ElmoHelpersError(
                    "elmo_helpers.DocTensor.v1: a document has no vectors in doc.tensor: expected the component 'elmo' "
                    "before this one in the pipeline, and neither disabled nor frozen (or, where it is frozen, among "
                    "the annotating_components)."
                )
            tensor = np.zeros((len(doc), width), dtype=np.float32)
        vectors.append(model.ops.asarray2f(tensor))
    if is_train:
        model.attrs["trained"] = True
    return vectors, lambda gradients: []
