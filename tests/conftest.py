"""Small corpora and models that many tests use, and how the tests share the cores."""

import itertools
import multiprocessing
import os

import hypothesis
import joblib
import numpy as np
import pandas as pd
import pytest
import torch

from elmo_helpers import BiLM, BiLMConfig, CharacterVocabulary, Corpus, TextConfig, WordVocabulary
from elmo_helpers.model import precision

# Elsewhere each run tries other examples; where a run decides about a change, the same ones every time.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

# Tiny models are computed faster by one thread than by several that wait for each other, which holds also for the
# workers of `make test`, one a core, and for processes that a test starts.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

# What is forked from a process that has loaded all this begins at once. An optimizer would load torch._dynamo.
multiprocessing.set_forkserver_preload(
    ["pytest", "hypothesis", "torch._dynamo", "elmo_helpers.training.trainer", "elmo_helpers.encoding.corpus_encoding"]
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """The cores that this process may use; xdist would count neither threads of a core nor what a container allows."""
    return joblib.cpu_count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


# On another processor bfloat16 is refused, which `without_bf16` shows on every one.
needs_bf16 = pytest.mark.skipif(
    not precision.has_bf16(torch.device("cpu")), reason="this processor has no instructions for bfloat16"
)

TOY_TITLES = [
    "the cat sat on the mat",
    "the dog sat on the cat",
    "a bird sang in the old tree",
    "the old man fed the bird",
    "rain fell on the old mat",
    "a dog saw a bird and ran",
    "the man and the dog ran home",
    "snow fell and the cat ran home",
    "the bird saw snow on the tree",
    "a man sang in the rain",
    "home",
    "the old dog",
]


def corpus_of(
    titles: list[str], *, valid: float = 0.0, test: float = 0.0, scheme: str = "tutorial", **settings
) -> Corpus:
    """A corpus of these titles, split at spaces, each with a date of its own."""
    frame = pd.DataFrame({"title": titles, "date": pd.date_range("2001-01-01", periods=len(titles))})
    tokens = [title.split() for title in titles]
    characters = CharacterVocabulary(scheme, 12)
    return Corpus.build(
        frame, tokens, characters, TextConfig(tokenizer="whitespace"), valid=valid, test=test, **settings
    )


@pytest.fixture
def toy_corpus() -> Corpus:
    return corpus_of(TOY_TITLES)


@pytest.fixture
def toy_model(toy_corpus: Corpus) -> BiLM:
    torch.manual_seed(0)
    return BiLM(BiLMConfig.preset("tiny"), toy_corpus.vocabulary, toy_corpus.text).eval()


def assert_same_numbers(found: torch.Tensor | np.ndarray, wanted: torch.Tensor | np.ndarray) -> None:
    """That they differ only as float32 sums do that were added up in another order: by 4e-6 of the largest number.

    How products are cut into blocks is another matter in a batch of one, with other threads, on another processor.
    """
    found, wanted = np.asarray(found), np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4e-6 * max(np.abs(wanted).max(initial=0), 1e-3))


@pytest.fixture
def without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without instructions for bfloat16."""
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but not drawn, which takes most of a widget's time: each has its number in place of a PNG."""
    numbers = itertools.count()
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda self, file, **settings: file.write(b"%d" % next(numbers))
    )


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def vocabulary_of(n_words: int) -> WordVocabulary:
    """A vocabulary of `n_words` ids, specials included."""
    return WordVocabulary([f"w{i}" for i in range(n_words - 4)], None)
