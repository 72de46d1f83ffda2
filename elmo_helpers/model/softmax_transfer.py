"""A model that is to predict the words of another vocabulary: its softmax is made anew, and keeps what it knows."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax
from elmo_helpers.model.bilm import BiLM
from elmo_helpers.model.full_softmax import FullSoftmax, log_frequencies
from elmo_helpers.text.vocabulary import PAD, SPECIALS, UNK, WordVocabulary

Softmax = FullSoftmax | AdaptiveSoftmax


@torch.no_grad()
def with_vocabulary(model: BiLM, vocabulary: WordVocabulary) -> BiLM:
    """A copy of `model` that predicts the words of `vocabulary`; its layers stay as they are.

    A word of both vocabularies keeps its vector, and its bias changes as the log of its frequency does. A new word
    begins with its frequency alone; in an adaptive softmax as a mean word of its class. There a word may also come to
    another class, whose vectors are shorter: it gets the one that is nearest by least squares.

    Args:
        model: It has a character CNN, which has no vocabulary.
        vocabulary: With the counts of its words.

    Raises:
        ElmoHelpersError: The softmax needs the words by falling count, and they are not.
    """
    with torch.inference_mode(False), torch.random.fork_rng(devices=[]), torch.device("cpu"):
        changed = BiLM(model.config, vocabulary, model.text)
    layers = {name: weight for name, weight in model.state_dict().items() if not name.startswith("softmax.")}
    changed.load_state_dict(changed.state_dict() | layers)
    if model.softmax is not None:
        counts, before = (torch.from_numpy(words.counts.copy()) for words in (vocabulary, model.vocabulary))
        ids = torch.from_numpy(model.vocabulary.ids(vocabulary.words))
        ids[: len(SPECIALS)] = torch.arange(len(SPECIALS))
        known = ids != UNK
        known[PAD], known[UNK] = False, True
        changed.predictor.start_from_counts(counts)
        _hand_over(copy.deepcopy(model.softmax).cpu(), changed.predictor, ids.where(known, 0), known, before, counts)
    return changed.to(model.device).eval()


def _hand_over(old: Softmax, new: Softmax, ids: Tensor, known: Tensor, before: Tensor, counts: Tensor) -> None:
    """Give a softmax that has started from counts what another one knows.

    Args:
        old, new: Two softmaxes of one kind.
        ids: (V,) for each word of `new` its id in `old`.
        known: (V,) bool, whether it has one.
        before: The counts that `old` started from; all zero where they are not known, as of a published model: words
            are then taken to have been as frequent as they are now.
        counts: (V,) those that `new` has started from.
    """
    log_f = log_frequencies(counts)
    log_f_before = log_frequencies(before) if before.any() else None
    vectors, biases = _rows(old)
    vectors, biases = vectors[ids], biases[ids]
    # What the bias has learned beyond the frequency from which it began.
    learned = biases - (log_f if log_f_before is None else log_f_before[ids])
    if isinstance(new, FullSoftmax):
        new.weight.copy_(vectors.where(known[:, None], 0))
        new.bias[known] += learned[known].to(new.bias)
        return
    head, n_head = new.words.head, new.words.cutoffs[0]
    of_head = known[1 : n_head + 1, None]
    head.weight[:n_head] = vectors[1 : n_head + 1].where(of_head, 0).to(head.weight)
    head.bias[:n_head] += learned[1 : n_head + 1].where(of_head[:, 0], 0).to(head.bias)
    olds = _classes(cast("AdaptiveSoftmax", old))
    for i, c in enumerate(_classes(new)):
        of_class = torch.zeros((), dtype=torch.float64)
        if i < len(olds):
            c.narrow.weight.copy_(olds[i].narrow.weight)
            row, row_before = head.weight[c.row], cast("AdaptiveSoftmax", old).words.head
            row.copy_(row_before.weight[olds[i].row])
            share = log_f[c.ids] if log_f_before is None else log_f_before[olds[i].ids]
            of_class = row_before.bias[olds[i].row] - share.logsumexp(0)
            head.bias[c.row] += of_class.to(head.bias)
        inside = vectors[c.ids] - head.weight[c.row].double()
        nearest = inside @ torch.linalg.pinv(c.narrow.weight.double())
        here = known[c.ids]
        c.scores.weight.copy_(nearest.where(here[:, None], 0))
        c.scores.bias[here] += (learned[c.ids] - of_class)[here].to(c.scores.bias)


class _Class(NamedTuple):
    """A class of rarer words of an adaptive softmax."""

    ids: slice  # its words
    row: int  # its own row in the head
    narrow: nn.Linear  # from P numbers to d, without a bias
    scores: nn.Linear  # from d numbers to the words' scores


def _classes(softmax: AdaptiveSoftmax) -> list[_Class]:
    edges = softmax.words.cutoffs
    pairs = [cast("tuple[nn.Linear, nn.Linear]", tuple(tail.children())) for tail in softmax.words.tail]
    return [
        _Class(slice(first + 1, end + 1), edges[0] + i, *pair)  # id 0 is padding
        for i, (pair, (first, end)) in enumerate(zip(pairs, pairwise(edges), strict=True))
    ]


def _rows(softmax: Softmax) -> tuple[Tensor, Tensor]:
    """v and b of each word, (V, P) and (V,) float64, so that its score is v·h + b, up to what its class has in common.

    That of a rarer word is its class's and its own in the class, added up.
    """
    if isinstance(softmax, FullSoftmax):
        return softmax.weight.double(), softmax.bias.double()
    head, n_head = softmax.words.head, softmax.words.cutoffs[0]
    vectors, biases = [torch.zeros(1, head.in_features), head.weight[:n_head]], [torch.zeros(1), head.bias[:n_head]]
    for c in _classes(softmax):
        vectors.append(head.weight[c.row] + c.scores.weight @ c.narrow.weight)
        biases.append(head.bias[c.row] + c.scores.bias)
    return torch.cat(vectors).double(), torch.cat(biases).double()
