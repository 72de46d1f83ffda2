"""What the integrations add: spaCy's component and ElmoVectorizer beside `Encoder`, on the same tokens.

    python tests/benchmarks/bench_integrations.py [TITLES] [--limit N] [--rounds N]

TITLES is a CSV with a column title or one title a line, plain or gzipped; without it, the default corpus. The model
has the tutorial's size and random weights, which cost what learned ones cost.

- spaCy: both sides begin from tokens that are there already, docs on one side and lists of words on the other, and
  end with (words, 2P) vectors of each title: in `doc.tensor` with spaCy's hooks set, or in a list. Both write an array
  of its own for each title. The component gets docs as `nlp.pipe` gives them, and `Encoder` its titles at once. Once
  the component's table of words is empty, as `Encoder`'s is at each call; and once ("again") it has what it has kept
  from earlier calls.
- scikit-learn: both sides begin from lists of tokens, and end with one (N, 2P) array. Clone, fit and transform are all
  in the time.

Each round runs all sides, one after another; the ratio is the median over the rounds of the ratio in a round.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import spacy
import torch
from bench_encode_corpus import write_model
from sklearn.base import clone
from spacy.tokens import Doc

from elmo_helpers import Encoder, default_titles
from elmo_helpers.encoding.input_rows import InputRows
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer

BATCH_TOKENS = 8192


def seconds(run: Callable[[], object]) -> float:
    """How long `run` takes; what it gives is let go of afterwards."""
    gc.collect()
    start = time.perf_counter()
    result = run()
    took = time.perf_counter() - start
    del result
    return took


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="?", type=Path, help="a file of titles; default: the default corpus")
    parser.add_argument("--limit", type=int, default=20_000, help="only the first N titles")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = arguments.titles or default_titles(folder / "titles.csv")
        write_model(folder / "model", "tutorial")
        encoder = Encoder(folder / "model", batch_tokens=BATCH_TOKENS)
        rows = [row.title for row in islice(InputRows(source), arguments.limit)]
        tokens = encoder.tokenize(rows)
        n_words = sum(map(len, tokens))
        print(f"{len(tokens):,} titles, {n_words:,} words, tutorial size, {torch.get_num_threads()} threads")

        nlp = spacy.blank("en")
        component = nlp.add_pipe("elmo", config={"model": str(folder / "model"), "batch_tokens": BATCH_TOKENS})
        vectorizer = ElmoVectorizer(folder / "model", batch_tokens=BATCH_TOKENS)

        def docs() -> list[Doc]:
            return [Doc(nlp.vocab, words=title) for title in tokens]

        def by_spacy() -> list[Doc]:
            component.model = component.model  # which forgets what was made from it
            return by_spacy_again()

        def by_spacy_again() -> list[Doc]:
            return list(component.pipe(made, batch_size=nlp.batch_size))

        def by_encoder() -> list[np.ndarray]:
            return [title.vectors for title in encoder.encode_iter(tokens, level="tokens", layers="average")]

        def by_sklearn() -> np.ndarray:
            return clone(vectorizer).fit_transform(tokens)

        def by_encoder_pooled() -> np.ndarray:
            return encoder.encode(tokens, pooling="mean")

        made = docs()
        for side in (by_spacy, by_encoder, by_sklearn, by_encoder_pooled):
            side()  # once for what is made at first use
        sides = {
            "spaCy": by_spacy,
            "spaCy, again": by_spacy_again,
            "Encoder, words": by_encoder,
            "sklearn": by_sklearn,
            "Encoder, titles": by_encoder_pooled,
        }
        took: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(arguments.rounds):
            for side, run in sides.items():
                made = docs()
                took[side].append(seconds(run))
        for side, times in took.items():
            print(f"{side:>16}: {n_words / median(times):10,.0f} words/s")
        for side in ("spaCy", "spaCy, again", "sklearn"):
            other = "Encoder, titles" if side == "sklearn" else "Encoder, words"
            ratios = [b / a for a, b in zip(took[side], took[other], strict=True)]
            print(f"{side} against {other}: {median(ratios):.0%} ({min(ratios):.0%} to {max(ratios):.0%})")


if __name__ == "__main__":
    main()
