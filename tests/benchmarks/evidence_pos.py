"""Parts of speech (UPOS) on UD English EWT, by a linear probe of each layer, over the number of labelled sentences.

Sentences are drawn from the training file, so that all its kinds of text are among them, the smaller samples within
the larger ones. The probe's weight decay is the one that is best on dev; the test is read once.
"""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from evidence_measures import COUNTED, Record, share
from evidence_vectors import Model, with_neighbours
from numpy.typing import NDArray
from sklearn.feature_extraction import DictVectorizer
from sklearn.svm import LinearSVC

from elmo_helpers import ElmoHelpersError
from elmo_helpers.analysis.probe import MixClassifier

SEED = 0
WEIGHT_DECAYS = (0.01, 0.3, 1.0)
CS = (0.03, 0.1, 0.3, 1.0)  # of the rival that counts
LEARNING_RATE, MIX_LEARNING_RATE = 0.01, 0.05  # at first; both fall to 0 along a line
STEPS = {50: 400, 200: 800, 1000: 1500, 4000: 3000}  # by the number of sentences
BATCH_SIZE = 256
N_SENTENCES = tuple(STEPS)

VectorsOf = Callable[[Sequence[str]], NDArray[np.float32]]  # of words, (words, width)


class Tagged(NamedTuple):
    """Sentences with the tag of each word."""

    sentences: list[list[str]]
    tags: NDArray[np.int64]  # of all words, sentences one behind the other

    @property
    def words(self) -> list[str]:
        return [word for sentence in self.sentences for word in sentence]

    def first(self, n: int) -> Tagged:
        """The first n sentences."""
        return Tagged(self.sentences[:n], self.tags[: sum(map(len, self.sentences[:n]))])


class Probed(NamedTuple):
    """What a probe says of the test words, and what was chosen on dev."""

    predicted: NDArray[np.int64]
    weight_decay: float
    dev: float
    shares: list[float]


def parts_of_speech(models: Sequence[Model], ewt: Path, rivals: Mapping[str, VectorsOf]) -> Iterator[Record]:
    """Accuracy of every layer of every model, and of the rivals, the last one also with neighbours."""
    parts = train, dev, test = read_ewt(ewt)
    n_tags = int(max(part.tags.max() for part in parts)) + 1
    owner = np.repeat(np.arange(len(test.sentences)), [len(sentence) for sentence in test.sentences])
    total = np.bincount(owner)

    def record(model: str, features: str, n: int, predicted: NDArray, **details: object) -> Record:
        measured = share(np.bincount(owner, weights=predicted == test.tags), total)
        return Record("pos", "parts of speech", model, features, n, measured, details)

    def probed(model: str, features: str, layers: Sequence[NDArray]) -> Iterator[Record]:
        """The curve of (words, L, width) of train, dev and test."""
        for n in N_SENTENCES:
            some = train.first(n)
            found = probe((layers[0][: len(some.tags)], some.tags), (layers[1], dev.tags), layers[2], n_tags, STEPS[n])
            details = {"weight_decay": found.weight_decay, "dev": found.dev}
            if layers[0].shape[1] > 1:
                details["shares"] = found.shares
            yield record(model, features, n, found.predicted, **details)

    for n in N_SENTENCES:
        yield record("", "commonest tag", n, commonest_tag(train.first(n), test))
    for n in N_SENTENCES:
        predicted, c, right = counted_tags(train.first(n), dev, test)
        yield record("", COUNTED, n, predicted, C=c, dev=right)
    for name, vectors_of in rivals.items():
        vectors = [vectors_of(part.words) for part in parts]
        yield from probed("", name, [x[:, None] for x in vectors])
        if name == list(rivals)[-1]:
            lengths = [[len(sentence) for sentence in part.sentences] for part in parts]
            near = [with_neighbours(x, n)[:, None] for x, n in zip(vectors, lengths, strict=True)]
            yield from probed("", f"{name} of 3 words", near)
    for model in models:
        layers = [model.words([model.as_read(sentence) for sentence in part.sentences]) for part in parts]
        for layer in range(model.n_layers):
            yield from probed(model.name, f"layer {layer}", [x[:, [layer]] for x in layers])
        yield from probed(model.name, "all layers", [x.reshape(len(x), 1, -1) for x in layers])
        yield from probed(model.name, "learned mix", layers)


def read_ewt(folder: Path) -> list[Tagged]:
    """Training sentences that were drawn, dev and test.

    Raises:
        ElmoHelpersError: The folder lacks one of the three files.
    """
    parts = []
    for part in ("train", "dev", "test"):
        paths = sorted(folder.glob(f"*-{part}.conllu*"))
        if not paths:
            raise ElmoHelpersError(f"{folder} has no file that ends in -{part}.conllu or -{part}.conllu.gz.")
        parts.append(read_conllu(paths[0]))
    order = np.random.default_rng(SEED).permutation(len(parts[0]))[: max(N_SENTENCES)]
    parts[0] = [parts[0][i] for i in order]
    numbers = {tag: number for number, tag in enumerate(sorted({t for part in parts for s in part for _, t in s}))}
    return [
        Tagged(
            [[word for word, _ in sentence] for sentence in part],
            np.array([numbers[tag] for sentence in part for _, tag in sentence], dtype=np.int64),
        )
        for part in parts
    ]


def read_conllu(path: Path) -> list[list[tuple[str, str]]]:
    """The words of each sentence with their UPOS, without multiword ranges (1-2) and empty nodes (1.1)."""
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as stream:
        blocks = stream.read().split("\n\n")
    rows = ([line.split("\t") for line in block.split("\n") if line and line[0] != "#"] for block in blocks)
    sentences = [[(row[1], row[3]) for row in block if row[0].isdigit()] for block in rows]
    return [sentence for sentence in sentences if sentence]


def commonest_tag(train: Tagged, test: Tagged) -> NDArray[np.int64]:
    """Of each test word the tag that it mostly has in training; of a new one that of the words met once."""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for word, tag in zip(train.words, train.tags.tolist(), strict=True):
        counts[word][tag] += 1
    tags = {word: of_word.most_common(1)[0][0] for word, of_word in counts.items()}
    rare = Counter(tags[word] for word, of_word in counts.items() if of_word.total() == 1)
    unknown = rare.most_common(1)[0][0]
    return np.array([tags.get(word, unknown) for word in test.words])


def counted_tags(train: Tagged, dev: Tagged, test: Tagged) -> tuple[NDArray[np.int64], float, float]:
    """What a linear classifier says that counts each word, its endings, and the two words on each side.

    Returns:
        - The tag of each test word.
        - C, of `CS`, the one that is best on dev.
        - The share of right answers there.
    """
    counts = DictVectorizer()
    of_words = [
        [of_word for sentence in part.sentences for of_word in features(sentence)] for part in (train, dev, test)
    ]
    x, x_dev, x_test = counts.fit_transform(of_words[0]), *map(counts.transform, of_words[1:])
    for matrix in (x, x_dev, x_test):  # liblinear reads no others
        matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    classifiers = {c: LinearSVC(C=c, random_state=SEED).fit(x, train.tags) for c in CS}
    right = {c: float(classifier.score(x_dev, dev.tags)) for c, classifier in classifiers.items()}
    best = max(right, key=lambda c: right[c])
    predicted: NDArray[np.int64] = classifiers[best].predict(x_test)
    return predicted, best, right[best]


def features(sentence: Sequence[str]) -> Iterator[dict[str, int]]:
    """Of each word: which it is, in lower case, its last one to four letters, its shape, and the words at −2 to 2."""
    lower = ["", "", *(word.lower() for word in sentence), "", ""]
    for at, word in enumerate(sentence, start=2):
        counted = {f"{place}:{lower[at + place]}": 1 for place in range(-2, 3)}
        counted |= {f"-{lower[at][-n:]}": 1 for n in range(1, 5)}
        yield counted | {f"shape:{word.istitle()}{word.isupper()}{word.isalpha()}{word.isdigit()}": 1}


def probe(
    train: tuple[NDArray, NDArray], dev: tuple[NDArray, NDArray], test: NDArray, n_tags: int, n_steps: int
) -> Probed:
    """A linear classifier over a mix of layers, learned on train, its weight decay chosen on dev.

    Args:
        train, dev: (N, L, width) float32, and the tag of each word (N,).
        test: (N, L, width) float32.
        n_tags: How many tags there are.
        n_steps: Of the optimisation, with AdamW.
    """
    mean, deviation = train[0].mean(0), train[0].std(0) + 1e-6
    x, x_dev, x_test = (torch.from_numpy((part - mean) / deviation) for part in (train[0], dev[0], test))
    y = torch.from_numpy(train[1])
    best: Probed | None = None
    for weight_decay in WEIGHT_DECAYS:
        classifier = learn(x, y, n_tags, weight_decay, n_steps)
        right = float((predictions(classifier, x_dev) == dev[1]).mean())
        if best is None or right > best.dev:
            best = Probed(predictions(classifier, x_test), weight_decay, right, classifier.mix.shares.tolist())
    assert best is not None
    return best


def learn(x: torch.Tensor, y: torch.Tensor, n_tags: int, weight_decay: float, n_steps: int) -> MixClassifier:
    """A classifier of standardised layers (N, L, width), learned by cross-entropy."""
    torch.manual_seed(SEED)
    classifier = MixClassifier(*x.shape[1:], n_tags)
    classifier.mix.requires_grad_(x.shape[1] > 1)
    groups = [
        {"params": classifier.linear.parameters(), "weight_decay": weight_decay},
        {"params": classifier.mix.parameters(), "lr": MIX_LEARNING_RATE, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
    epochs = (rows for _ in count() for rows in torch.randperm(len(y)).split(BATCH_SIZE))
    for rows in islice(epochs, n_steps):
        optimizer.zero_grad()
        F.cross_entropy(classifier(x[rows]), y[rows]).backward()
        optimizer.step()
        falling.step()
    return classifier


@torch.inference_mode()
def predictions(classifier: MixClassifier, layers: torch.Tensor) -> NDArray[np.int64]:
    """The most likely tag of each word."""
    return torch.cat([classifier(some).argmax(1) for some in layers.split(8192)]).numpy()
