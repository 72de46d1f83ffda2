"""Threads that share one object get what one thread gets, and so do processes that are forked from a busy one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
import torch

from conftest import assert_same_numbers
from elmo_helpers import BiLM, BiLMConfig, Elmo, Encoder, Scorer, WordVocabulary, batch_to_ids
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from elmo_helpers.integrations.spacy_component import ElmoComponent
from elmo_helpers.interchange import elmo as elmo_module

N_THREADS, N_BATCHES = 8, 12


@pytest.fixture(scope="module")
def words() -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.choice(list("abcdefghij"), rng.integers(2, 9))) for _ in range(20_000)]


@pytest.fixture(scope="module")
def model(words: list[str]) -> BiLM:
    """A small model of the published kind; its softmax knows a few of the words."""
    tiny = BiLMConfig.preset("tiny")
    cnn = replace(tiny.char_cnn, scheme="utf8", max_characters=50)
    config = replace(tiny, char_cnn=cnn, hidden_dim=16, projection_dim=8, cell_clip=3.0, projection_clip=3.0)
    torch.manual_seed(0)
    return BiLM(config, WordVocabulary(sorted(set(words[:500])))).eval()


@pytest.fixture(scope="module")
def batches(words: list[str]) -> list[list[list[str]]]:
    """Batches of sentences; together they have many more words than are kept."""
    rng = np.random.default_rng(1)
    return [[rng.choice(words, n).tolist() for n in rng.integers(1, 12, 10)] for _ in range(N_BATCHES)]


Work = Callable[[list[list[str]]], Sequence[Any]]


def of_elmo(model: BiLM) -> Work:
    elmo = Elmo(None, None, 1, dropout=0.0, module=model).eval()
    return lambda batch: elmo(batch_to_ids(batch))["elmo_representations"]


def of_encoder(model: BiLM) -> Work:
    encoder = Encoder(model)
    return lambda batch: [title.layers for title in encoder.encode_tokens([" ".join(title) for title in batch])]


def of_scorer(model: BiLM) -> Work:
    scorer = Scorer(model)
    return lambda batch: [np.stack([scores.forward, scores.backward]) for scores in scorer.score(batch)]


def of_component(model: BiLM) -> Work:
    nlp = spacy.blank("en")
    component = ElmoComponent(model, max_words=300)
    return lambda batch: [component(spacy.tokens.Doc(nlp.vocab, title)).tensor for title in batch]


def of_vectorizer(model: BiLM) -> Work:
    vectorizer = ElmoVectorizer(model, layers="all").fit(["a"])
    return lambda batch: [vectorizer.transform([" ".join(title) for title in batch])]


@pytest.mark.parametrize("make", [of_elmo, of_encoder, of_scorer, of_component, of_vectorizer])
def test_one_object_in_many_threads(model, batches, make, monkeypatch):
    monkeypatch.setattr(elmo_module, "_MAX_WORDS", 300)
    alone = make(model)
    with torch.no_grad():
        wanted = [alone(batch) for batch in batches]
    work = make(model)

    def compare(seed: int) -> None:
        for i in np.random.default_rng(seed).permutation(len(batches)).tolist():
            with torch.no_grad():  # which is a thread's own
                for found, expected in zip(work(batches[i]), wanted[i], strict=True):
                    assert_same_numbers(found, expected)

    with ThreadPoolExecutor(N_THREADS) as pool:
        list(pool.map(compare, range(N_THREADS)))
    compare(N_THREADS)  # and it is as it was


FORKED = """
    import multiprocessing
    import sys

    import numpy as np
    import spacy
    import torch

    from elmo_helpers import BiLM, Elmo, Encoder, Scorer, batch_to_ids
    from elmo_helpers.integrations.spacy_component import ElmoComponent

    def vectors(i):
        return encoder.encode(titles[i])

    def scores(i):
        return [s.forward for s in scorer.score(titles[i][:50])]

    def representations(i):
        with torch.no_grad():
            return elmo(ids)["elmo_representations"][0].numpy()

    if __name__ == "__main__":
        model = BiLM.load(sys.argv[1])
        encoder, scorer, elmo = Encoder(model), Scorer(model), Elmo(None, None, 1, module=model).eval()
        ids = batch_to_ids([["some", "words"], ["more"]])
        # As many as are cut into tokens by several processes, where the parent's pool is of no use to a child.
        titles = [["a few words of a title", "and other ones"] * n for n in (50, 2600)]
        torch.set_num_threads(2)
        torch.ones(500, 500) @ torch.ones(500, 500)  # the threads are there
        for work in (vectors, scores, representations):
            wanted = [work(i) for i in range(2)]
            with multiprocessing.get_context("fork").Pool(2) as pool:
                for found, expected in zip(pool.map(work, range(2)), wanted, strict=True):
                    for a, b in zip(found, expected, strict=True):
                        np.testing.assert_allclose(a, b, atol=1e-6)
        nlp = spacy.blank("en")
        nlp.add_pipe("elmo", config={"model": sys.argv[1]})
        wanted = [doc.tensor for doc in nlp.pipe(titles[0])]
        for doc, tensor in zip(nlp.pipe(titles[0], n_process=2, batch_size=25), wanted, strict=True):
            np.testing.assert_allclose(doc.tensor, tensor, atol=1e-6)
        print("all the same")
"""


def test_forked_processes(model, tmp_path: Path):
    """In a process of its own, which is ended where it hangs."""
    model.save(tmp_path / "model")
    script = tmp_path / "forked.py"
    script.write_text(textwrap.dedent(FORKED))
    ended = subprocess.run(
        [sys.executable, script, tmp_path / "model"], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.stdout == "all the same\n", ended.stderr
