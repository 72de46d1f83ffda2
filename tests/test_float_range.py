"""Numbers that leave the range of a float, whatever NumPy has been told to do about them."""

import numpy as np
import pytest
import torch

from conftest import TOY_TITLES
from elmo_helpers import BiLM, Corpus, ElmoHelpersError, InterpolatedBigramModel, ScalarMix, Scorer, evaluate, learn_mix
from elmo_helpers.analysis.nearest import nearest_rows, unit_rows
from elmo_helpers.model.sampled_softmax import SampledSoftmax


def test_numbers_that_leave_the_range_of_a_float(toy_corpus: Corpus):
    """They become 0 or infinite, or are refused by a sentence, whatever NumPy has been told to do about them."""
    tiny = np.array([[1e-30, 2e-30], [1e-300, 0]])

    def found() -> list[np.ndarray]:
        units = unit_rows(tiny)
        softmax = SampledSoftmax(200, 4, 198)
        softmax.generator = np.random.default_rng(0)
        bigrams = InterpolatedBigramModel(toy_corpus, toy_corpus, iterations=5000)
        return [
            units,
            *nearest_rows(units, tiny[0], 2),
            softmax.draw()[0],
            np.array(bigrams.evaluate(toy_corpus).forward),
        ]

    with np.errstate(all="ignore"):
        wanted = found()
    with np.errstate(all="raise"):
        for array, other in zip(wanted, found(), strict=True):
            np.testing.assert_array_equal(other, array)
        with pytest.raises(ElmoHelpersError, match="finite"):
            learn_mix(np.full((2, 1, 2), 1e300), np.array([0, 1]))
        with pytest.raises(ElmoHelpersError, match="finite"):
            ScalarMix(2, [1e300, 0])
        assert ScalarMix(2, [1e-300, 0]).weights.tolist() == [0, 0]


def test_a_model_that_has_diverged_has_an_infinite_perplexity(toy_model: BiLM, toy_corpus: Corpus):
    with torch.no_grad():
        toy_model.softmax.bias[:8] += 1e6
    with np.errstate(all="raise"):
        assert Scorer(toy_model).perplexity(TOY_TITLES).perplexity == np.inf
        assert evaluate(toy_model, toy_corpus).perplexity == np.inf
