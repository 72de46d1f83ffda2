"""In which order the shards and batches of an epoch come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elmo_helpers.text.corpus import Corpus
from elmo_helpers.training.batching import MixedBatches, TitleBatches, n_title_batches
from elmo_helpers.training.config import TrainingConfig
from elmo_helpers.training.streams import StreamBatches, n_stream_batches

# Shards whose batches are mixed. A corpus is often in order of time, and read shard by shard a model would at each
# moment know best what it has read last; each shard more is some ten megabytes.
_MIXED_SHARDS = 4

Batches = TitleBatches | MixedBatches | StreamBatches


def shard_groups(n_shards: int, config: TrainingConfig, epoch: int) -> list[list[int]]:
    """The numbers of the shards that are read one after another, those that are mixed together in one list."""
    order = np.arange(n_shards)
    if config.shuffle:
        order = np.random.default_rng([config.seed, epoch]).permutation(n_shards)
    size = _MIXED_SHARDS if config.shuffle and config.feed == "titles" else 1
    return [order[start : start + size].tolist() for start in range(0, n_shards, size)]


def batches_of(corpora: Sequence[Corpus], group: list[int], config: TrainingConfig, epoch: int) -> Batches:
    """The batches of one of the `shard_groups`, in the order of that epoch; reads its shards."""
    c = config
    generators = [np.random.default_rng([c.seed, epoch, i]) if c.shuffle else None for i in group]
    if c.feed == "streams":
        return StreamBatches(corpora[group[0]], c.batch_size, c.unroll_steps, generators[0])
    batches = [
        TitleBatches(corpora[i], c.batch_size, generator, by_length=c.shuffle)
        for i, generator in zip(group, generators, strict=True)
    ]
    if len(batches) == 1:
        return batches[0]
    return MixedBatches(batches, np.random.default_rng([c.seed, epoch, *group]))


def n_batches(n_titles: int, n_words: int, config: TrainingConfig) -> int:
    """How many batches a shard of so many titles and words has."""
    if config.feed == "titles":
        return n_title_batches(n_titles, config.batch_size)
    return n_stream_batches(n_titles + n_words, config.batch_size, config.unroll_steps)
