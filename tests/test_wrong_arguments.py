"""What no call can use is refused in one sentence, whatever it is and wherever it is handed over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import TOY_TITLES, corpus_of
from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharacterVocabulary,
    Corpus,
    CorpusShards,
    ElmoHelpersError,
    Encoder,
    Generator,
    InterpolatedBigramModel,
    KneserNeyModel,
    Scorer,
    Tokenizer,
    TrainingConfig,
    UnigramModel,
    clean_titles,
    default_titles,
    encode_file,
    evaluate,
    fine_tune,
    learn_mix,
    normalize_title,
    prepare_corpus,
    read_titles,
    train,
)
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from elmo_helpers.integrations.spacy_component import ElmoComponent

VALUES = {
    "None": None,
    "a number": 3,
    "a fraction": 3.5,
    "not a number": float("nan"),
    "True": True,
    "pandas' missing value": pd.NA,
    "an object": object(),
    "bytes": b"a",
    "no text": "",
    "a zero byte": "x\0y",
    "a long name": "x" * 5000,
    "half a character": "a\ud800",
    "a list of bytes": [b"a"],
    "a list of None": [None],
    "a list of numbers": [1],
    "a list of a missing value": [pd.NA],
    "a list of no text": [""],
    "a list with a list of None": [["a", None]],
    "a dictionary": {"a": 1},
    "a set": {"a", "b"},
    "an array without axes": np.array("a"),
    "an array of two axes": np.array([["a", "b"]]),
    "a tensor": torch.ones(2),
    "a table": pd.DataFrame({"title": ["a"]}),
}

CORPUS = corpus_of(TOY_TITLES)
TINY, STEP = BiLMConfig.preset("tiny"), TrainingConfig(epochs=None, steps=1)
CHARACTERS = CharacterVocabulary("tutorial", 12)
FRAME = pd.DataFrame({"title": ["a"], "date": [pd.NaT]})
torch.manual_seed(0)
MODEL = BiLM(TINY, CORPUS.vocabulary, CORPUS.text).eval()
ENCODER, SCORER = Encoder(MODEL), Scorer(MODEL)

CALLS: dict[str, Callable] = {
    "Encoder(model)": Encoder,
    "Encoder(mix)": lambda x: Encoder(MODEL, x),
    "Encoder(batch_size)": lambda x: Encoder(MODEL, batch_size=x),
    "Encoder(precision)": lambda x: Encoder(MODEL, precision=x),
    "Encoder.encode": ENCODER.encode,
    "Encoder.encode(pooling)": lambda x: ENCODER.encode(["a"], x),
    "Encoder.encode_tokens": ENCODER.encode_tokens,
    "Encoder.encode_iter": lambda x: list(ENCODER.encode_iter(x)),
    "Encoder.encode_iter(level)": lambda x: list(ENCODER.encode_iter(["a"], x)),
    "Encoder.tokenize": ENCODER.tokenize,
    "Encoder.tokenize_iter": lambda x: list(ENCODER.tokenize_iter(x)),
    "Scorer(model)": Scorer,
    "Scorer.score": SCORER.score,
    "Scorer.perplexity": SCORER.perplexity,
    "Scorer.fill": SCORER.fill,
    "Scorer.fill(n)": lambda x: SCORER.fill("a ___ b", x),
    "Scorer.fill(gap)": lambda x: SCORER.fill("a ___ b", gap=x),
    "BiLM(config)": lambda x: BiLM(x, CORPUS.vocabulary),
    "BiLM(vocabulary)": lambda x: BiLM(TINY, x),
    "BiLM(text)": lambda x: BiLM(TINY, CORPUS.vocabulary, x),
    "BiLM.load": BiLM.load,
    "BiLM.save": MODEL.save,
    "evaluate(model)": lambda x: evaluate(x, CORPUS),
    "evaluate(corpus)": lambda x: evaluate(MODEL, x),
    "train(corpus)": lambda x: train(x, TINY, STEP, progress=False),
    "train(model)": lambda x: train(CORPUS, x, STEP, progress=False),
    "train(config)": lambda x: train(CORPUS, TINY, STEP if x is None else x, progress=False),
    "train(validation)": lambda x: train(CORPUS, TINY, STEP, validation=x, progress=False),
    "train(directory)": lambda x: train(CORPUS, TINY, STEP, directory=x, progress=False),
    "train(device)": lambda x: train(CORPUS, TINY, STEP, device=x, progress=False),
    "fine_tune(model)": lambda x: fine_tune(x, CORPUS, STEP, progress=False),
    "fine_tune(corpus)": lambda x: fine_tune(MODEL, x, STEP, progress=False),
    "fine_tune(vocabulary)": lambda x: fine_tune(MODEL, CORPUS, STEP, vocabulary=x, progress=False),
    "Generator(model)": Generator,
    "Generator.generate(n)": lambda x: Generator(MODEL).generate(x, max_words=3),
    "Generator.generate(beginning)": lambda x: Generator(MODEL).generate(beginning=x, max_words=3),
    "Generator.generate(temperature)": lambda x: Generator(MODEL).generate(temperature=x, max_words=3),
    "Generator.generate(top_k)": lambda x: Generator(MODEL).generate(top_k=x, max_words=3),
    "Generator.generate(seed)": lambda x: Generator(MODEL).generate(seed=x, max_words=3),
    "Generator.fill_between": lambda x: Generator(MODEL).fill_between(x, "home", 2, rounds=1),
    "UnigramModel": UnigramModel,
    "InterpolatedBigramModel(train)": lambda x: InterpolatedBigramModel(x, CORPUS),
    "InterpolatedBigramModel(held_out)": lambda x: InterpolatedBigramModel(CORPUS, x),
    "KneserNeyModel(train)": KneserNeyModel,
    "KneserNeyModel(order)": lambda x: KneserNeyModel(CORPUS, x),
    "read_titles": read_titles,
    "default_titles": default_titles,
    "normalize_title": normalize_title,
    "clean_titles": clean_titles,
    "clean_titles(lowercase)": lambda x: clean_titles(FRAME, lowercase=x),
    "prepare_corpus(titles)": lambda x: prepare_corpus(x, "corpus"),
    "prepare_corpus(directory)": lambda x: prepare_corpus("titles.txt", x),
    "encode_file(model)": lambda x: encode_file(x, "titles.txt", "out.h5", progress=False),
    "encode_file(source)": lambda x: encode_file(MODEL, x, "out.h5", progress=False),
    "encode_file(output)": lambda x: encode_file(MODEL, "titles.txt", x, progress=False),
    "Tokenizer(name)": Tokenizer,
    "Tokenizer(titles)": lambda x: list(Tokenizer()(x)),
    "Corpus.load": Corpus.load,
    "CorpusShards.load": CorpusShards.load,
    "Corpus.build(frame)": lambda x: Corpus.build(x, [["a"]], CHARACTERS),
    "Corpus.build(tokens)": lambda x: Corpus.build(FRAME, x, CHARACTERS),
    "Corpus.select": CORPUS.select,
    "Corpus.split": CORPUS.split,
    "Corpus.with_vocabulary": CORPUS.with_vocabulary,
    "learn_mix(layers)": lambda x: learn_mix(x, np.array([0])),
    "learn_mix(labels)": lambda x: learn_mix(np.ones((1, 2, 3), np.float32), x),
    "ElmoVectorizer(model)": lambda x: ElmoVectorizer(x).fit(["a"]),
    "ElmoVectorizer(device)": lambda x: ElmoVectorizer(MODEL, device=x).fit(["a"]),
    "ElmoVectorizer.fit": ElmoVectorizer(MODEL).fit,
    "ElmoComponent(model)": lambda x: ElmoComponent(x).initialize(list),
    "ElmoComponent(layers)": lambda x: ElmoComponent(MODEL, layers=x),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_other_exception(call: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the values some of the calls can use; the others end in our own error, and in no other."""
    monkeypatch.chdir(tmp_path)
    Path("titles.txt").write_text("a b\nc\n")
    for value in VALUES.values():
        with contextlib.suppress(ElmoHelpersError):
            call(value)
