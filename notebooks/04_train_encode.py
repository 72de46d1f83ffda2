# %% [markdown]
# # 04 · Train, encode, mix, explore
#
# In this notebook the model of notebook 03 learns from the whole corpus, and its layers become vectors of titles and
# of words that you can search, map and classify.

# %% [markdown]
# ## What you will be able to do
#
# - Train a biLM, read its two curves, and say whether it beats a model that only counts words.
# - Choose a softmax for a large vocabulary, and go on with a training that was interrupted.
# - Turn titles into vectors, and check by hand what is in them.
# - Find the titles nearest to yours, and see how one word's vector changes with its sentence.
# - Learn on a task how much each layer counts, and save and load a model without running anybody's code.

# %% [markdown]
# Everything that you may want to change stands in the next cell. Change a value and run the notebook again.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # your titles; the default corpus is written here if nothing is
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
MODELS = "../data/models"  # where the trained model is saved
SEED = 0  # of every random choice below
PRESET = "tutorial"  # sizes of the old tutorial's model
CHARACTER_DIM = 16  # E, numbers in a learned character vector; None: one-hot, as the original
SKIP_CONNECTIONS = True  # the second LSTM layer adds its input to its output
DROPOUT = 0.1  # share of the numbers that are set to 0 in training
SOFTMAX = "auto"  # over the words: "full", "sampled" or "adaptive"; "auto" samples where they are many
EPOCHS = 3  # passes over the training titles
FEED = "titles"  # each title by itself; "streams": as running text, which each title continues (as published)
BATCH_SIZE = 64  # B, titles in a batch; of streams, how many are read side by side
OPTIMIZER = "adam"  # or "adamw", "adagrad", "sgd", each with a learning rate of its own
LEARNING_RATE = 8e-3  # the highest one
FINAL_LEARNING_RATE = 8e-5  # the rate falls to this at the end; None: it does not fall
WARMUP_STEPS = 200  # steps over which the rate rises
PRECISION = "fp32"  # of the matrix products in training; "bf16" is faster on processors made for it
SEARCH_TITLES = 20_000  # training titles among which neighbours are sought
OWN_SENTENCE = "We must protect our rivers and forests."  # a title of yours to find neighbours of
NEIGHBOURS = 4  # how many neighbours to show
WORD = "state"  # the word that is looked at in many sentences
OCCURRENCES = 400  # how many of its occurrences
N_PERIODS = 4  # periods, with as many training titles each, that a title's date is put into
PROBE_TITLES = 8_000  # training titles from which the layer weights are learned
MAP_TITLES = 2_000  # titles on the map

# %%
import importlib.metadata
import io
import json
import pickletools
import tempfile
import zipfile
from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from sklearn.decomposition import PCA
from torch import nn

from elmo_helpers.display.flow_plots import plot_flow
from elmo_helpers.display.source import show_source
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", 110)

# %% [markdown]
# Where we are on the way from titles to vectors:

# %%
plot_flow(here=4)
plt.show()

# %% [markdown]
# Some letters stand for the same number everywhere: **B** titles in a batch, **T** tokens of a title with both
# boundaries, **D** numbers in the token vector that the LSTMs read, **H** numbers in an LSTM's cell, **P** numbers in
# the output of one direction (here P = H), **L** LSTM layers, where layer 0 is the token vector below them, and **V**
# words that the model can predict.

# %% [markdown]
# ## The corpus
#
# `prepare_corpus` loads what notebook 01 has made, or makes it in one call. The titles are in three parts, drawn by
# whole documents: the model learns from *train*, *valid* says which epoch was best, and *test* is not looked at
# before the end. Look at the last column: words that are not in the vocabulary can be read, by their spelling, but
# not predicted.

# %%
from elmo_helpers import prepare_corpus
from elmo_helpers.training.evaluation import out_of_vocabulary_rate

corpus = prepare_corpus(TITLES, PROCESSED)
train_titles, valid_titles, test_titles = (corpus.split(name) for name in ("train", "valid", "test"))
parts = {"train": train_titles, "valid": valid_titles, "test": test_titles}
pd.DataFrame(
    {
        "titles": [len(part) for part in parts.values()],
        "words": [part.n_tokens for part in parts.values()],
        "first date": [part.dates.min() for part in parts.values()],
        "last date": [part.dates.max() for part in parts.values()],
        "words not in the vocabulary": [f"{out_of_vocabulary_rate(part):.1%}" for part in parts.values()],
    },
    index=list(parts),
)

# %% [markdown]
# Dates matter below. Titles from a plain text file have none: they get made-up ones, a day for each line of the file,
# so that every cell runs.


# %%
def dates_of(part):
    """The date of each title, datetime64[D]; where there is none, a made-up one by its row."""
    return np.where(np.isnat(part.dates), np.datetime64("2000-01-01") + part.rows, part.dates)


print(f"{np.isnat(corpus.dates).sum():,} of {len(corpus):,} titles are without a date")

# %% [markdown]
# ## 1 · The experiment on 128 titles
#
# The tutorial that this series starts from trained on 128 titles for 2 epochs, in batches of 64: four steps. These
# are the four losses that it printed, the size of its vocabulary, and the time that it took on its author's machine.

# %%
ORIGINAL = {"losses": [11.4643, 11.4633, 11.4520, 11.4512], "V": 94_297, "seconds": 20.6}
pd.DataFrame({"step": range(1, 5), "the original's loss": ORIGINAL["losses"]}).set_index("step")

# %% [markdown]
# A loss means little by itself. A model that knows nothing gives each of V words the probability 1/V, and its loss is
# log V nats per prediction. So we look at **loss − log V**: zero is knowing nothing, and below zero something has
# been learned.
#
# Now the same experiment with `train`: the same sizes, Adam with 1e-3, dropout 0.2, batches of 64, two epochs. It
# takes a moment. `log_every=1` keeps the loss of each single step. `unigram_bias=False` makes all words equally likely at
# the start, as they were in the original. A second run leaves the library's default on: its softmax starts from the
# words' frequencies.

# %%
from elmo_helpers import BiLMConfig, TrainingConfig, train


def spelled(config, embedding_dim):
    """The configuration for this corpus's characters, with character vectors of that width (None: one-hot)."""
    table = corpus.character_vocabulary
    characters = {"scheme": table.scheme, "max_characters": table.max_characters, "embedding_dim": embedding_dim}
    return replace(config, char_cnn=replace(config.char_cnn, **characters))


first_titles = train_titles.select(slice(0, 128))
original_model = replace(spelled(BiLMConfig.preset("tutorial"), None), softmax="full")
original_run = TrainingConfig(epochs=2, batch_size=64, learning_rate=1e-3, unigram_bias=False, log_every=1, seed=SEED)
runs = {
    "ours, words equally likely at first": train(first_titles, original_model, original_run, progress=False),
    "ours, from the words' frequencies": train(
        first_titles, original_model, replace(original_run, unigram_bias=True), progress=False
    ),
}

# %% [markdown]
# The losses side by side, each with its distance from knowing nothing:

# %%
log_v = {"the original": np.log(ORIGINAL["V"])} | dict.fromkeys(runs, np.log(len(corpus.vocabulary)))
losses = {"the original": pd.Series(ORIGINAL["losses"])} | {name: run.steps["loss"] for name, run in runs.items()}
pieces = {name: pd.DataFrame({"loss": x, "loss - log V": x - log_v[name]}) for name, x in losses.items()}
table = pd.concat(pieces, axis=1).round(4)
table.index = pd.RangeIndex(1, len(table) + 1, name="step")
table

# %% [markdown]
# The distances as a figure. Mind the two scales: on the left one, the original's four steps cannot be told from a
# level line.

# %%
from elmo_helpers.display.training_plots import plot_first_steps

gaps = {name: losses[name] - log_v[name] for name in losses}
equal_start = {name: gap for name, gap in gaps.items() if "frequencies" not in name}
left, right = figure(2, width=11.0, height=4.0)
plot_first_steps(gaps, ax=left)
plot_first_steps(equal_start, title="The same without the informed start, enlarged", ax=right)
plt.show()

# %%
fall = {name: x.iloc[0] - x.iloc[-1] for name, x in losses.items()}
ours, informed = runs
head_start = losses[ours].iloc[0] - losses[informed].iloc[0]
display(
    Markdown(
        f"From the first to the last step the original's loss fell by **{fall['the original']:.4f}** nats in "
        f"{ORIGINAL['seconds']} s, and ours by **{fall[ours]:.4f}**. The original began "
        f"{losses['the original'].iloc[0] - log_v['the original']:+.4f} nats from log V, ours "
        f"{losses[ours].iloc[0] - log_v[ours]:+.4f}. Starting from the words' frequencies changes the first loss by "
        f"{-head_start:+.2f} nats before anything is learned."
    )
)

# %% [markdown]
# **What can be compared?** Not the losses themselves: the vocabularies differ, and so do the titles. The distance
# from log V and its fall can be, with care. The original counts padding among its predictions, its network sees the
# word that it predicts, and its inputs and targets are shifted against each other (notebook 03), so a fall of its
# loss does not mean what ours means. Our batches hold titles of similar length, the original's hold any. What the
# experiment does show is that four steps teach next to nothing: for that we need all titles.

# %% [markdown]
# ## 2 · Training on the whole corpus
#
# With the preset `tutorial` the sizes stay the original's. A few settings change, because they help: characters get
# learned vectors in place of one-hot ones, the second LSTM layer adds its input to its output (a skip connection),
# and the learning rate is higher, rises from zero over the first steps, and falls along a cosine. The table shows
# every setting that is not the original's; it is made from the two configurations.

# %%
config = spelled(BiLMConfig.preset(PRESET), CHARACTER_DIM)
config = replace(config, skip_connections=SKIP_CONNECTIONS, dropout=DROPOUT, softmax=SOFTMAX)
config = replace(config, n_negatives=2048)  # words that a step of the sampled softmax draws
training = TrainingConfig(
    epochs=EPOCHS,
    feed=FEED,
    batch_size=BATCH_SIZE,
    optimizer=OPTIMIZER,
    learning_rate=LEARNING_RATE,
    final_learning_rate=FINAL_LEARNING_RATE,
    warmup_steps=WARMUP_STEPS,
    precision=PRECISION,
    seed=SEED,
)


# %%
def settings(model_config, training_config):
    """All settings of both configurations that the result depends on, under each other, as text."""
    flat = asdict(training_config) | asdict(model_config)
    del flat["log_every"]
    characters = {f"char_cnn.{name}": value for name, value in flat.pop("char_cnn").items()}
    return pd.Series({name: str(value) for name, value in (characters | flat).items()})


table = pd.DataFrame({"the original": settings(original_model, original_run), "here": settings(config, training)})
table[table["the original"] != table["here"]]

# %% [markdown]
# The model is measured by its **perplexity** on the validation titles: e to the power of the loss in nats. A perplexity
# of 100 means that on average the model is as unsure as if it had to choose among 100 equally likely words. It is exact
# here, over all V words and without dropout.
#
# When is a perplexity good? A number needs something to stand beside. We take two models that only count:
#
# - **unigram**: each word by its frequency, whatever stands beside it;
# - **interpolated bigram**: how often this word followed the one before, mixed with its frequency. How far a pair is
#   trusted is set on the validation titles, which is a small advantage for it there.
#
# Both predict the same words as our model, and each title's end, in both directions.

# %%
from elmo_helpers import InterpolatedBigramModel, UnigramModel, evaluate

counting = {
    "unigram": UnigramModel(train_titles),
    "interpolated bigram": InterpolatedBigramModel(train_titles, valid_titles),
}
on_valid = {name: counter.evaluate(valid_titles) for name, counter in counting.items()}

# %% [markdown]
# One call trains. After each epoch it measures the perplexity, and the best model so far is saved to `MODELS`. With the
# default corpus and sizes this takes some minutes on two cores of a CPU. While it runs, `LiveCurve` draws what has come
# so far, again and again in the same place:
#
# - on the **left** the training loss. It is quick to have, but it is measured on the titles that the model is learning
#   from, with dropout on, and each point on other titles. It says whether learning goes on, and little more;
# - on the **right** the fair comparison: every model on the same validation titles, and none on what it has learned from.

# %%
from elmo_helpers.display.live import LiveCurve

with LiveCurve({name: e.perplexity for name, e in on_valid.items()}) as live:
    result = train(
        train_titles,
        config,
        training,
        validation=valid_titles,
        directory=f"{MODELS}/bilm",
        overwrite=True,  # the run of an earlier try that was interrupted makes way
        callback=live,
    )
model = result.model

# %% [markdown]
# The run's table of evaluations has a row for each of them. `tokens` were read until then, and `train_loss` is the mean
# since the row before. With many words it is that of a sample of them, and too low to be compared: more below.

# %%
shown = ["epoch", "step", "tokens", "train_loss", "forward", "backward", "perplexity"]
result.history[shown].set_index("epoch").round(3)

# %% [markdown]
# The learning rate has a curve of its own. Hold it beside the training loss above: does the loss still fall while the
# rate does?

# %%
from elmo_helpers.display.training_plots import plot_learning_rate

plot_learning_rate(result.steps)
plt.show()

# %%
best = result.history.loc[result.history["perplexity"].idxmin()]
display(
    Markdown(
        f"The best model is that after {best['epoch']:g} of {EPOCHS} epochs, with a mean perplexity of "
        f"**{best['perplexity']:.1f}** (forward {best['forward']:.1f}, backward {best['backward']:.1f}); the "
        f"bigram has {on_valid['interpolated bigram'].perplexity:.1f} and the unigram {on_valid['unigram'].perplexity:.1f}."
    )
)

# %% [markdown]
# The validation titles have chosen the epoch and set the bigram's weights. So the last word belongs to the **test**
# titles, which nothing has seen.

# %%
on_test = {name: counter.evaluate(test_titles) for name, counter in counting.items()} | {
    "biLM": evaluate(model, test_titles, streams=FEED == "streams")
}
pd.DataFrame(
    {
        "forward": [e.forward for e in on_test.values()],
        "backward": [e.backward for e in on_test.values()],
        "mean": [e.perplexity for e in on_test.values()],
        "words not in the vocabulary": [f"{e.oov_rate:.1%}" for e in on_test.values()],
    },
    index=pd.Index(list(on_test), name="perplexity on test titles"),
).round(1)

# %%
bilm, bigram = on_test["biLM"].perplexity, on_test["interpolated bigram"].perplexity
verdict = "below" if bilm < bigram else "above"
display(
    Markdown(
        f"Over {on_test['biLM'].n_predictions:,} predictions in each direction the biLM's mean perplexity is "
        f"**{bilm:.1f}**, {abs(1 - bilm / bigram):.1%} {verdict} the interpolated bigram's {bigram:.1f}. "
        + (
            "So it has learned something that pairs of words do not hold."
            if bilm < bigram
            else "So it has not yet learned what pairs of words hold: give it more titles or more epochs."
        )
    )
)

# %% [markdown]
# The numbers of this run as a file, to hold beside those of another:

# %% tags=["readme-results"]
from elmo_helpers.files import write_json

results = {
    "titles": {name: len(part) for name, part in parts.items()},
    "epochs": EPOCHS,
    "vocabulary": len(corpus.vocabulary),
    "out_of_vocabulary": round(on_test["biLM"].oov_rate, 4),
    "perplexity": {
        name: {"forward": round(e.forward, 2), "backward": round(e.backward, 2), "mean": round(e.perplexity, 2)}
        for name, e in on_test.items()
    },
}
write_json(Path(MODELS) / "results.json", results)
print(json.dumps(results, indent=2))

# %% [markdown]
# ### What if there are 100,000 words?
#
# The **full** softmax scores all V words for each prediction, and only one of them is right. With a few thousand words
# that is cheap; with more it is most of the work. There are two ways out:
#
# - the **sampled** softmax, as published: in training only, score the right word and some others, the *negatives*, drawn
#   anew at each step;
# - the **adaptive** softmax: score the frequent words and a few classes of rare ones, and the words of a class only where
#   one of them is right. It is exact, but rare words get shorter vectors.
#
# The sampled loss first. Frequent words are drawn more often, so they would be pushed down more often than they should.
# That is made good: with $q_v$, how often word v is to be expected among the negatives S, and the scores z, the loss
# of the right word t is
#
# $$-\log \frac{e^{z_t} / q_t}{e^{z_t} / q_t + \sum_{v \in S,\, v \neq t} e^{z_v} / q_v}$$
#
# By hand, for random vectors in place of an LSTM's outputs, and then by the library with the same draw:

# %%
from elmo_helpers.model.sampled_softmax import SampledSoftmax

torch.manual_seed(SEED)
n_words, width = 2_000, 32
sampled = SampledSoftmax(n_words, width, n_negatives=100)
p = sampled.word_probabilities  # frequent words, with small ids, are drawn more often
targets = torch.from_numpy(np.random.default_rng(SEED).choice(n_words - 1, 400, p=p)) + 1  # (N,); 0 is padding
hidden = torch.randn(len(targets), width)  # (N, P)

sampled.generator = np.random.default_rng(SEED)
negatives, log_q = (torch.from_numpy(x) for x in sampled.draw())
scores = hidden @ sampled.weight.T + sampled.bias - log_q  # (N, V)
right = scores.gather(1, targets[:, None])  # (N, 1)
others = scores[:, negatives].masked_fill(negatives == targets[:, None], -torch.inf)  # (N, negatives)
loss_by_hand = (torch.cat([right, others], 1).logsumexp(1) - right[:, 0]).sum()

sampled.generator = np.random.default_rng(SEED)  # the same draw
assert torch.isclose(sampled(hidden, targets).total, loss_by_hand.float(), rtol=1e-5)

# %% [markdown]
# With *all* words as negatives each is there for certain, all $q_v$ are 1, and it must be the full softmax. With fewer
# the loss is another, often far lower: that is why a sampled loss is not to be compared with a full one.

# %%
every_word = SampledSoftmax(n_words, width, n_negatives=n_words - 1)
every_word.load_state_dict(sampled.state_dict())
full_loss = sampled.exact(hidden, targets).total
assert torch.isclose(every_word(hidden, targets).total, full_loss, rtol=1e-6)
n_targets = len(targets)
print(f"full: {full_loss / n_targets:.3f} nats per prediction, with {len(negatives)} negatives:", end=" ")
print(f"{loss_by_hand / n_targets:.3f}")

# %% [markdown]
# But training does not need the loss. It needs the **gradient**, and of that a sample gives a good estimate: right on
# average, nearly, and off in each draw. We take the mean over more and more draws and look at its direction. The cosine
# of two directions is 1 where they are the same.

# %%
from elmo_helpers.display.training_plots import plot_gradient_cosines

(exact_gradient,) = torch.autograd.grad(sampled.exact(hidden, targets).total, sampled.weight)  # (V, P)
draws, cosines_to_exact = [1, 4, 16, 64], {}
for n_negatives in (20, 100, 500):
    sampled.n_negatives = n_negatives
    total, found = torch.zeros_like(exact_gradient), []
    for draw in range(1, max(draws) + 1):
        total += torch.autograd.grad(sampled(hidden, targets).total, sampled.weight)[0]
        if draw in draws:
            found.append(nn.functional.cosine_similarity(total.flatten(), exact_gradient.flatten(), dim=0).item())
    cosines_to_exact[n_negatives] = found
plot_gradient_cosines(pd.DataFrame(cosines_to_exact, index=draws))
plt.show()

# %% [markdown]
# And what is saved? We count the multiplications that the scores of one prediction take, with the P of the published
# model. The adaptive module is made on PyTorch's "meta" device, where it has shapes and no numbers. What it costs depends
# on how often a rare word is right: as in the toy, the word of rank r is taken to occur about 1/r as often as the first.

# %%
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax


def adaptive_multiplications(n_words, width):
    with torch.device("meta"):
        words = AdaptiveSoftmax(n_words, width).words
    edges = np.log1p(words.cutoffs) / np.log(n_words)  # share of the predictions above each rank
    classes = [sum(part.weight.numel() for part in of_class) for of_class in words.tail]
    return words.head.weight.numel() + np.diff(edges) @ classes


published = BiLMConfig.preset("original")
width = published.output_dim
costs = pd.DataFrame(index=pd.Index([10_000, 100_000, 800_000], name="V"))
costs["full"] = costs.index * width
costs["sampled"] = (np.minimum(published.n_negatives, costs.index - 1) + 1) * width
costs["adaptive"] = [adaptive_multiplications(n_words, width) for n_words in costs.index]
millions = costs.map(lambda n: f"{n / 1e6:.1f} million").rename(index="{:,}".format)
millions.rename_axis(columns="multiplications a prediction")

# %%
full_cost, sampled_cost, adaptive_cost = costs.iloc[-1]
display(
    Markdown(
        f"With {costs.index[-1]:,} words, about as many as the published model has, its sample of "
        f"{published.n_negatives:,} takes "
        f"1/{full_cost / sampled_cost:.0f} of the full one's multiplications and the adaptive one "
        f"1/{full_cost / adaptive_cost:.0f}; with {costs.index[0]:,} words sampling saves only "
        f"{1 - costs['sampled'].iloc[0] / costs['full'].iloc[0]:.0%}. Our corpus has V = {len(corpus.vocabulary):,}, and "
        f"with `SOFTMAX = {SOFTMAX!r}` and {config.n_negatives:,} negatives the model above has the "
        f"**{model.config.softmax}** softmax."
    )
)

# %% [markdown]
# ### A run that is interrupted
#
# Training on a large corpus takes days, and computers stop. With a `directory` the run leaves **checkpoints** there: the
# weights, what the optimiser remembers, the place in the text and the state of all random draws. From the last one
# `resume=True` goes on, *as if nothing had happened*. Is that so? A tiny model on a few titles: once without a break, and
# once with a callback that stops it on its way.
#
# The stop button of the notebook does the same: `train` ends after the current step, writes a checkpoint, and returns what
# it has. So you may stop the training above, and go on another day with `resume=True` in place of `overwrite=True`.


# %%
def stop_on_the_way(loop):
    if loop.progress.step == loop.n_steps // 3:  # in the middle of an epoch
        loop.stop()


few_titles = train_titles.select(slice(0, 200))
tiny = replace(spelled(BiLMConfig.preset("tiny"), 4), dropout=0.2)  # so that there are random draws in each step
run = TrainingConfig(epochs=2, batch_size=20, final_learning_rate=0, log_every=1, seed=SEED)

unbroken = train(few_titles, tiny, run, progress=False)
with tempfile.TemporaryDirectory() as folder:
    stopped = train(few_titles, tiny, run, directory=folder, callback=stop_on_the_way, progress=False)
    resumed = train(few_titles, directory=folder, resume=True, progress=False)  # its settings lie in the directory

# %%
assert not stopped.finished
assert resumed.finished
weights, again = unbroken.model.state_dict(), resumed.model.state_dict()
assert all(torch.equal(weights[name], again[name]) for name in weights)  # bit by bit
assert unbroken.steps["loss"].tolist() == resumed.steps["loss"].tolist()
display(
    Markdown(
        f"Stopped after {len(stopped.steps)} of {len(unbroken.steps)} steps and resumed: all "
        f"{sum(x.numel() for x in weights.values()):,} weights are the same, bit by bit, and so is the loss of every step."
    )
)

# %% [markdown]
# ### Tweak it yourself
#
# Which settings are good is a question to be tried out. Runs can be compared if all else is the same: the titles to learn
# from, the titles to measure on, and how much is read. Here two tiny models read a part of the training titles twice, and
# their configurations differ in the learning rate alone.

# %%
drawn = np.random.default_rng(SEED).permutation(len(train_titles))[:4_000]
some_titles = train_titles.select(np.sort(drawn))
some_valid = valid_titles.select(np.arange(0, len(valid_titles), max(1, len(valid_titles) // 500)))
compared = {
    f"learning rate {rate:g}": train(
        some_titles,
        spelled(BiLMConfig.preset("tiny"), 4),
        TrainingConfig(epochs=2, batch_size=32, learning_rate=rate, evaluate_every=50, seed=SEED),
        validation=some_valid,
        progress=False,
    )
    for rate in (1e-3, 2e-2)
}

# %% [markdown]
# The exact perplexity on validation titles belongs over the tokens that were read: with other batches, or in streams,
# steps and epochs would be others. The unigram's level line is measured on the same titles.

# %%
from elmo_helpers.display.training_plots import plot_runs

level = {"unigram": counting["unigram"].evaluate(some_valid).perplexity}
plot_runs({name: run.history for name, run in compared.items()}, level)
plt.show()

# %%
pd.DataFrame(
    {
        "parameters": [sum(x.numel() for x in run.model.parameters()) for run in compared.values()],
        "best perplexity": [run.history["perplexity"].min() for run in compared.values()],
    },
    index=pd.Index(list(compared), name="run"),
).round(1)

# %% [markdown]
# With a running kernel, the panel below does this for settings of your own, on all training titles. Its fields start with
# the settings of the large training above. Below them stand the number of parameters and an estimate of the time, from a
# few steps that are timed while no cell runs. **Train** starts a run in the background, so that you can go on with other
# cells; one that draws random numbers of PyTorch meanwhile changes them for the run, and gets others itself. **Pause** and
# **Stop** act after the step that is being made. Each run gets a row in the table, and from the second on they share a plot.
#
# Afterwards `panel.model` is the model of the last run, as good as it was when it ended or was stopped: use it as
# `Encoder(panel.model)`, and keep it by `panel.model.save(f"{MODELS}/mine")`. `panel.result` holds its tables. The text at
# the bottom is Python that makes the configurations of a run, for `train(train_titles, …, validation=valid_titles)`.

# %%
from elmo_helpers.display.widgets.training_panel import TrainingPanel

panel = TrainingPanel(
    train_titles,
    valid_titles,
    references={name: e.perplexity for name, e in on_valid.items()},
    model=config,
    training=training,
)
panel

# %% [markdown]
# ## 3 · From a title to a vector
#
# The original's definition of a title's vector is
#
# $$h = \gamma \sum_{l=1}^{L} s_l \, [h_n^l \,;\, c_n^l]$$
#
# - $h_n^l$ is the hidden state of LSTM layer $l$ where it stops reading, with both directions side by side: 2P
#   numbers. The forward direction stops at `</S>`, the backward one at `<S>`.
# - $c_n^l$ is the cell state, the LSTM's memory, at the same places: 2H numbers.
# - $[\,;\,]$ puts vectors side by side.
# - $s_l$ is the share of layer $l$. The shares are positive and their sum is 1. For now they are equal.
# - $\gamma$ is one number that scales the whole. For now it is 1.
#
# By hand, for one title. `Batch.of` gives what the model reads, as in notebook 03.

# %%
from elmo_helpers.training.batching import Batch

example = Batch.of(test_titles, [0])
with torch.no_grad():
    output = model(example.characters, example.tokens, example.lengths, return_states=True)

L, P = config.n_layers, config.output_dim
s, gamma = [1 / L] * L, 1.0
by_hand = torch.zeros(2 * P + 2 * config.hidden_dim)
for layer in range(L):
    h_n, c_n = output.hidden_states[layer, 0], output.cell_states[layer, 0]  # (2P,), (2H,)
    by_hand += gamma * s[layer] * torch.cat([h_n, c_n])  # (2P + 2H,)
by_hand.shape

# %% [markdown]
# Are these states really those at the ends? The first LSTM layer's outputs are its hidden states, so its forward half
# at the last position and its backward half at the first must be what we called $h_n^1$.

# %%
first_layer = output.layers[1, 0]  # (T, 2P)
ends = torch.cat([first_layer[-1, :P], first_layer[0, P:]])  # forward at </S>, backward at <S>
assert torch.allclose(ends, output.hidden_states[0, 0], atol=1e-6)

# %% [markdown]
# The library's `Encoder` does this for any number of titles. Raw titles go in, and are cleaned and cut into words as
# the training text was; or, as here, titles that are lists of words already.

# %%
from elmo_helpers import Encoder

encoder = Encoder(model)
some_titles = test_titles.select(slice(0, 64))
vectors = encoder.encode([some_titles.words(i) for i in range(len(some_titles))])
assert np.allclose(vectors[0], by_hand, atol=1e-5)
show_source(Encoder.encode, docstring=False)

# %%
display(
    Markdown(
        f"{len(vectors)} titles become an array of shape {vectors.shape}: a row a title, with "
        f"2P + 2H = {2 * P} + {2 * config.hidden_dim} numbers. Row 0 equals what we made by hand."
    )
)

# %% [markdown]
# ### A row a title, not a row a position
#
# The original's `encode` returned something else. Its LSTM lacked `batch_first=True`, so it took the first axis of a
# (B, T, D) batch for time: it ran across the titles, and what it called final states are one row per **position**. We
# run such a network, with fresh weights, on a batch of random vectors. Then we change the first title alone, and look
# whether the *other* titles' outputs move.

# %%
B, T, D = 5, 9, 16
torch.manual_seed(SEED)
batch = torch.randn(B, T, D)
changed = batch.clone()
changed[0] += 1  # title 0 alone
rows = []
for batch_first in (False, True):
    lstm = nn.LSTM(D, 8, num_layers=2, bidirectional=True, batch_first=batch_first)
    with torch.no_grad():
        (before, (h_n, _)), (after, _) = lstm(batch), lstm(changed)
    moved = (after - before)[1:].abs().max().item()
    rows.append([batch_first, f"(B, T, D) = {tuple(batch.shape)}", tuple(h_n.shape), h_n.shape[1], f"{moved:.3f}"])
columns = ["batch_first", "what goes in", "shape of h_n", "rows that encode would return", "other titles move by"]
pd.DataFrame(rows, columns=columns).set_index("batch_first")

# %% [markdown]
# The original's way gives a row a position, T in place of B, and each title's outputs depend on the titles beside it.
# With `batch_first=True` there is a row a title, and the others do not move.
#
# Our encoder must not care about neighbours or padding either. The same title alone, and in a batch with others; the
# first numbers of both are shown:

# %%
alone = encoder.encode([some_titles.words(0)])[0]
size = max(1.0, np.abs(alone).max())
assert np.abs(alone - vectors[0]).max() <= 1e-6 * size  # nothing but rounding, relative to the largest number
pd.DataFrame([alone[:6], vectors[0, :6]], index=["alone", "with others"]).round(4)

# %% [markdown]
# ### Mean and max
#
# The states say what is left in memory at the end. Another vector of a title is the **mean** (or the largest value,
# **max**) over its words, for each layer, with layer 0 among them. Boundaries and padding are left out. By hand it is
# a mean over what `encode_tokens` gives, a vector of each word in each layer.

# %%
words = encoder.encode_tokens([some_titles.words(0)])[0]  # .layers: (L + 1, n, 2P)
mean_by_hand = words.layers.mean(axis=1)  # (L + 1, 2P)
assert np.allclose(mean_by_hand, encoder.encode_layers([words.tokens], "mean")[0], atol=1e-5)

rows = []
for pooling in ("states", "mean", "max"):
    layers = encoder.encode_layers([some_titles.words(i) for i in range(len(some_titles))], pooling)
    rows.append([pooling, layers.shape, encoder.encode([words.tokens], pooling).shape])
pd.DataFrame(rows, columns=["pooling", "encode_layers, all these titles", "encode, one title"]).set_index("pooling")

# %% [markdown]
# ## 4 · Nearest titles
#
# If vectors hold what a title is about, near vectors should belong to similar titles. We search training titles for
# the neighbours of test titles, which the model has never seen, and of a sentence of our own. Near means a high
# cosine: the product of two vectors after each is scaled to length 1.

# %%
rng = np.random.default_rng(SEED)
chosen = np.sort(rng.permutation(len(train_titles))[:SEARCH_TITLES])
searched = train_titles.select(chosen)
searched_words = [searched.words(i) for i in range(len(searched))]
layers = {pooling: encoder.encode_layers(searched_words, pooling, progress=True) for pooling in ("states", "mean")}


def scaled(vectors):
    """Each row scaled to length 1; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def nearest(title, pooling="mean", n=NEIGHBOURS):
    """The n training titles with the highest cosine to `title`, a string or a list of words, as a table."""
    query = scaled(encoder.encode([title], pooling))[0]
    cosines = scaled(layers[pooling].mean(1)) @ query  # equal shares: the mean over layers
    best = np.argsort(-cosines, kind="stable")[:n]
    found = searched.select(best)
    return pd.DataFrame({"cosine": cosines[best].round(3), "date": found.dates, "title": found.titles})


# %% [markdown]
# Two test titles, drawn by the seed among those of 8 to 20 words, and our own sentence. Look for what the neighbours
# share: a subject, a form of sentence, or single words?

# %%
fitting = np.flatnonzero((test_titles.lengths >= 8) & (test_titles.lengths <= 20))
queries = test_titles.select(rng.permutation(fitting if len(fitting) else len(test_titles))[:2])
for title, date in [*zip(queries.titles, queries.dates, strict=True), (OWN_SENTENCE, "today")]:
    display(Markdown(f"**{title}** ({date}), by the mean of its words:"), nearest(title))

# %% [markdown]
# The same by the original's final states. They hold what the two directions remember at their ends, so the beginning
# and the end of a title weigh more than its middle.

# %%
for title, date in [*zip(queries.titles, queries.dates, strict=True), (OWN_SENTENCE, "today")]:
    display(Markdown(f"**{title}** ({date}), by the final states:"), nearest(title, "states"))

# %% [markdown]
# A few examples prove little. A number over all test titles: how many years lie between a title and its nearest
# neighbour? Language changes with time, so a vector that holds anything should find neighbours of its own time more
# often than a random draw does.

# %%
test_words = [test_titles.words(i) for i in range(len(test_titles))]
test_layers = {pooling: encoder.encode_layers(test_words, pooling) for pooling in layers}
years = {}
for pooling in layers:
    cosines = scaled(test_layers[pooling].mean(1)) @ scaled(layers[pooling].mean(1)).T  # (test titles, searched titles)
    years[pooling] = np.abs(dates_of(test_titles) - dates_of(searched)[cosines.argmax(1)]).astype(float) / 365.25
random_rows = rng.integers(len(searched), size=len(test_titles))
years["a random title"] = np.abs(dates_of(test_titles) - dates_of(searched)[random_rows]).astype(float) / 365.25
medians = pd.Series({name: np.median(gap) for name, gap in years.items()}, name="median years to the nearest title")
medians.round(1).to_frame()

# %% [markdown]
# And in which years do the titles stand that are nearest to our own sentence? We take the hundred nearest and compare
# with all titles that were searched: where a bar is above the line, the neighbours are from that time more often than
# a random draw would be.

# %%
from elmo_helpers.display.search_plots import plot_dates_of_nearest

plot_dates_of_nearest(nearest(OWN_SENTENCE, n=100)["date"].to_numpy(), searched.dates)
plt.show()

# %% [markdown]
# With a running kernel, type a title of your own here and press Enter. Pooling says how a title's vector is made, and the
# slider how many of its nearest titles the figure counts. It looks through the titles of this section alone.

# %%
from elmo_helpers.display.widgets.title_search import TitleSearch

title_vectors = {pooling: x.mean(1) for pooling, x in layers.items()}  # equal shares
TitleSearch(encoder, searched.titles, searched.dates, vectors=title_vectors, title=OWN_SENTENCE)

# %% [markdown]
# ## 5 · One word in several sentences
#
# A table of word vectors gives a word one vector for ever. Here each occurrence has its own, in each layer. We gather
# occurrences of one word and compare their vectors. A word that the corpus does not have often enough gives way to a
# frequent one.

# %%
ids = np.concatenate([searched.tokens(i) for i in range(len(searched))])
counts = dict(zip(corpus.lexicon, np.bincount(ids, minlength=len(corpus.lexicon)), strict=True))
frequent = max((w for w in counts if w.isalpha() and len(w) > 3), key=counts.get, default=max(counts, key=counts.get))
word = WORD if counts.get(WORD, 0) >= 20 else frequent
word_id = corpus.lexicon.index(word)
places = [(i, at) for i in range(len(searched)) for at in np.flatnonzero(searched.tokens(i) == word_id)]
places = [places[i] for i in np.sort(rng.permutation(len(places))[:OCCURRENCES])]
encoded = encoder.encode_tokens([searched_words[i] for i, _ in places])
word_layers = np.stack([title.layers[:, at] for title, (_, at) in zip(encoded, places, strict=True)], axis=1)
display(
    Markdown(
        f"**{word}** occurs {counts[word]:,} times in the titles that we search. We take {len(places)} occurrences: "
        f"an array of shape (L + 1, occurrences, 2P) = {word_layers.shape}."
    )
)

# %% [markdown]
# Layer 0 comes from the spelling alone, so all its vectors must be the same. In the layers above, they differ.

# %%
assert np.allclose(word_layers[0], word_layers[0, 0], atol=1e-5)
cosines = [scaled(x) @ scaled(x).T for x in word_layers]  # a (occurrences, occurrences) table of each layer
pairs = np.triu_indices(len(places), k=1)
pd.DataFrame(
    {"mean cosine": [x[pairs].mean() for x in cosines], "lowest cosine": [x[pairs].min(initial=1) for x in cosines]},
    index=pd.Index(range(len(cosines)), name="layer"),
).round(3)

# %% [markdown]
# Now we want to see the occurrences that are nearest to a given one in each layer. The lines are cut around the word,
# as in a concordance.


# %%
def line(i, width=27):
    """The i-th occurrence with what stands before and after it, cut to one line."""
    row, at = places[i]
    words = searched_words[row]
    before, after = " ".join(words[:at])[-width:], " ".join(words[at + 1 :])[:width]
    return f"{before:>{width}}  {words[at]}  {after:<{width}} {searched.dates[row]}"


def neighbours_of(i, layer, n=NEIGHBOURS):
    order = np.argsort(-cosines[layer][i].round(5), kind="stable")  # equal up to rounding: in the order of the titles
    return order[order != i][:n]


def show_contexts(i):
    print("the occurrence  ", line(i))
    for layer in range(len(cosines)):
        print(f"\nlayer {layer}, nearest")
        for j in neighbours_of(i, layer):
            print(f"   cosine {cosines[layer][i, j]:.3f} ", line(j))


# %% [markdown]
# First an occurrence that stands after the word that precedes it most often. In layer 0 all cosines are 1, so the
# order says nothing. Look at what the neighbours in the layers above have in common: the words just before, just
# after, or the sense?

# %%
before = [searched_words[row][at - 1] if at else "<S>" for row, at in places]
after = [(searched_words[row] + ["</S>"])[at + 1] for row, at in places]
common = [name for name, _ in Counter(before).most_common(2)]
show_contexts(before.index(common[0]))

# %% [markdown]
# And an occurrence after another word:

# %%
show_contexts(before.index(common[-1]))

# %% [markdown]
# How general is that? For every occurrence we count how many of its nearest ones stand after the same word, and how
# many stand before the same word.


# %%
def agreement(layer, context):
    """The share of nearest occurrences with the same word beside them; layer None: of all occurrences."""
    context = np.array(context, dtype=object)
    same = context[:, None] == context[None, :]
    if layer is None:
        return same[pairs].mean()
    return np.mean([same[i, neighbours_of(i, layer)].mean() for i in range(len(places))])


shares = pd.DataFrame(
    {
        "same word before": [agreement(layer, before) for layer in [None, *range(1, L + 1)]],
        "same word after": [agreement(layer, after) for layer in [None, *range(1, L + 1)]],
    },
    index=["any two occurrences", *(f"nearest in layer {layer}" for layer in range(1, L + 1))],
)
shares.map("{:.0%}".format)

# %%
top, chance = shares.iloc[-1], shares.iloc[0]
display(
    Markdown(
        f"In layer {L} the nearest occurrences of *{word}* stand after the same word in {top.iloc[0]:.0%} of the cases "
        f"({chance.iloc[0]:.0%} for any two), and before the same word in {top.iloc[1]:.0%} ({chance.iloc[1]:.0%})."
    )
)

# %% [markdown]
# The occurrences as points: each layer's 2P numbers, laid flat by a principal component analysis (PCA), which keeps
# the two directions in which the points differ most. The colour is the word before. Layer 0 would be a single point.

# %%
from elmo_helpers.display.encoding_plots import OTHER, plot_groups


def plot_occurrences(layer, colour_by, ax=None):
    """The occurrences in one layer, coloured by a word beside them; the five commonest have colours."""
    beside = before if colour_by == "word before" else after
    names = [name for name, _ in Counter(beside).most_common(5)]
    points = PCA(2, svd_solver="full").fit_transform(word_layers[layer])
    groups = [b if b in names else OTHER for b in beside]
    return plot_groups(points, groups, [*names, OTHER], title=f"“{word}” in layer {layer}, by the {colour_by}", ax=ax)


axes = figure(2, width=11.0, height=3.8)
plot_occurrences(1, "word before", axes[0])
plot_occurrences(L, "word before", axes[1])
plt.show()

# %% [markdown]
# A task reads the layers mixed, $\gamma \sum_l s_l h^l$; how it finds its shares is the next section. Here all layers
# have the same share. Nothing has told this map what the contexts are: k-means puts the vectors, with all of their
# numbers, in four clusters, and each is named by the words beside the occurrence that set it apart from the others. The
# dash stands for the occurrence, the number in brackets is how many there are.

# %%
from elmo_helpers.display.context_map import map_contexts, mix_layers, name_clusters
from elmo_helpers.display.search_plots import plot_contexts

equal_mix = mix_layers(word_layers, np.ones(L + 1))  # the shares become 1 / (L + 1) each
assert np.allclose(equal_mix, word_layers.mean(0), atol=1e-5)
contexts = map_contexts(equal_mix, n_clusters=4, seed=SEED)
cluster_names = name_clusters(contexts.clusters, before, after)
title = f"“{word}”, all layers mixed: PCA ({contexts.explained:.0%} of the variance)"
plot_contexts(contexts.points, contexts.clusters, cluster_names, title=title)
plt.show()

# %% [markdown]
# With a running kernel, drag the share of each layer and watch the clusters part, or fall together as layer 0 takes
# over. $\gamma$ makes the map larger or smaller and changes no cosine. The other sliders say how many clusters there are,
# and of which occurrence the nearest are listed. Or type another word and press Enter.

# %%
from elmo_helpers.display.widgets.context_explorer import ContextExplorer

ContextExplorer(encoder, searched_words, word, dates=searched.dates, seed=SEED)

# %% [markdown]
# ## 6 · How much does each layer count?
#
# Until now all layers had equal shares. The original left it there ("weight vector of every layer not implemented").
# But ELMo's idea is to **learn** the shares on the task that uses the vectors:
#
# $$h = \gamma \sum_l s_l \, h^l, \qquad s_l = \frac{e^{w_l}}{\sum_k e^{w_k}}$$
#
# The $w_l$ and $\gamma$ are numbers that are learned together with the task, while the biLM stays as it is; the
# softmax makes the shares positive, with the sum 1. By hand against the library:

# %%
from elmo_helpers import ScalarMix

w, gamma = torch.tensor([0.5, -1.0, 2.0]), 0.7
toy = torch.arange(6.0).view(3, 2)  # three layers of two numbers
s = w.exp() / w.exp().sum()
toy_by_hand = gamma * (s[0] * toy[0] + s[1] * toy[1] + s[2] * toy[2])

mix = ScalarMix(3, initial_weights=w)
with torch.no_grad():
    mix.gamma.fill_(gamma)
    assert torch.allclose(mix(toy), toy_by_hand)
s, toy_by_hand

# %% [markdown]
# Our task: from which period is a title? The periods are cut so that each holds as many training titles as the
# others. Test titles are of other documents, so no speech is in both.

# %%
days = np.sort(dates_of(train_titles))
edges = days[[len(days) * i // N_PERIODS for i in range(1, N_PERIODS)]]  # first day of each later period
for unit in "YMD":  # years as names; months or days where years are too coarse
    bounds = np.array([days[0], *edges, days[-1]]).astype(f"M8[{unit}]")
    names = [f"{a} to {b}" for a, b in pairwise(bounds)]
    if len(set(names)) == N_PERIODS:
        break
y_searched, y_test = (np.searchsorted(edges, dates_of(part), side="right") for part in (searched, test_titles))
sizes = {"training titles searched": y_searched, "test titles": y_test}
pd.DataFrame(
    {part: np.bincount(y, minlength=N_PERIODS) for part, y in sizes.items()}, index=pd.Index(names, name="period")
)

# %% [markdown]
# `learn_mix` learns w, γ and a linear classifier together, by cross-entropy. Beside the learned mix we try each layer
# alone and equal shares (γ is learned there too), so that we see what the learning gains.

# %%
from elmo_helpers import learn_mix

probe = rng.permutation(len(searched))[:PROBE_TITLES]


def learn(train_layers, held_out_layers):
    """The classifier learned from the probe titles, and whether it is right on each test title, (test titles,)."""
    classifier = learn_mix(train_layers, y_searched[probe], n_classes=N_PERIODS, seed=SEED)
    return classifier, classifier.predict(held_out_layers) == y_test


learned, answers = {}, {}
for pooling, first in (("states", 1), ("mean", 0)):
    x, x_test = layers[pooling][probe], test_layers[pooling]
    answers[pooling] = {f"layer {first + i} alone": learn(x[:, [i]], x_test[:, [i]])[1] for i in range(x.shape[1])}
    answers[pooling]["equal shares"] = learn(x.mean(1, keepdims=True), x_test.mean(1, keepdims=True))[1]
    learned[pooling], answers[pooling]["learned shares"] = learn(x, x_test)

# %% [markdown]
# The accuracies on the test titles. The dashed line is what one would get by always naming the period that is
# commonest among them: an answer below it needs no vector.

# %%
from elmo_helpers.display.encoding_plots import plot_accuracies

majority = float(np.bincount(y_test).max() / len(y_test))
for ax, (pooling, ways) in zip(figure(2, width=11.0, height=3.4), answers.items(), strict=True):
    plot_accuracies(
        {name: hits.mean() for name, hits in ways.items()},
        majority,
        title=f"The period of a title, from “{pooling}”",
        ax=ax,
    )
plt.show()

# %% [markdown]
# And the shares themselves. `states` has a vector of each LSTM layer; `mean` has layer 0, the spelling, as well.

# %%
from elmo_helpers.display.encoding_plots import plot_layer_weights

layer_shares = {pooling: probe_.mix.shares.detach().numpy() for pooling, probe_ in learned.items()}
for ax, (pooling, s_l) in zip(figure(2, width=9.0, height=3.2), layer_shares.items(), strict=True):
    first = L + 1 - len(s_l)
    title = f"Shares learned from “{pooling}”, γ = {learned[pooling].mix.gamma.item():.2f}"
    plot_layer_weights(s_l, [f"layer {first + i}" for i in range(len(s_l))], title=title, ax=ax)
plt.show()

# %% [markdown]
# What has the learning gained? Titles of one speech resemble each other, so a few thousand titles of a few speeches
# are far fewer than a few thousand independent answers. We draw the test *documents* anew, with replacement, a
# thousand times, and see between which bounds the gain lies in 95 % of the draws.

# %%
_, document = np.unique(dates_of(test_titles), return_inverse=True)  # the titles of a day are one document


def bounds_of(gain):
    """Between which bounds the mean gain, (test titles,) float, lies in 95 % of the draws of documents."""
    sums, sizes = np.bincount(document, gain), np.bincount(document)
    drawn = np.random.default_rng(SEED).integers(len(sizes), size=(1000, len(sizes)))
    return np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])


def gain_over(way):
    gain = ways["learned shares"].astype(float) - ways[way]
    low, high = bounds_of(gain)
    return f"{100 * gain.mean():+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


# %%
lines = []
for pooling, ways in answers.items():
    s_l, hits = layer_shares[pooling], ways["learned shares"]
    single = max((name for name in ways if "alone" in name), key=lambda name: ways[name].mean())
    each = np.mean([hits[y_test == y].mean() for y in np.unique(y_test)])
    lines.append(
        f"- **{pooling}**: the learned mix puts {hits.mean():.1%} of the test titles in the right period; always naming "
        f"the commonest would be right for {majority:.1%}. Averaged over the periods, so that each counts alike, it is "
        f"{each:.1%}, where a guess has {1 / N_PERIODS:.0%}. Layer {L + 1 - len(s_l) + s_l.argmax()} has the largest "
        f"share, {s_l.max():.0%}. Against equal shares the learning gains {gain_over('equal shares')}, and against the "
        f"best single layer ({single.removesuffix(' alone')}) {gain_over(single)}."
    )
display(Markdown(f"Over {document.max() + 1} test documents, with 95 % bounds in brackets:\n\n" + "\n".join(lines)))

# %% [markdown]
# Bounds on both sides of zero mean that these documents cannot tell whether there is a gain. Nor does a share by
# itself say how important a layer is: a layer with large numbers counts for more at the same $s_l$.
#
# With a learned mix `encode` gives the vectors made for this task:

# %%
period_encoder = Encoder(model, mix=learned["states"].mix)
period_encoder.encode(queries.titles).shape

# %% [markdown]
# ## 7 · A map of the titles
#
# A vector has many numbers, and a map has two. We draw two maps of the mean over words, with the learned shares and
# each vector scaled to length 1:
#
# - **PCA** keeps the two directions in which the vectors differ most. Titles that are far apart on it are far
#   apart; titles close together on it may still differ in the other directions.
# - **t-SNE** tries to keep each title's nearest neighbours near. Who stands together means something; how far apart
#   the groups stand does not.
#
# The model was never told a date. Each small mark is a title, each large one the middle of its period. Do the periods
# lie apart, and in order?

# %%
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

on_map = rng.permutation(len(searched))[:MAP_TITLES]
map_groups = [names[y] for y in y_searched[on_map]]


def mixed(shares):
    """The titles of the map with these shares of the layers, scaled to length 1, (N, 2P)."""
    return scaled(np.tensordot(layers["mean"][on_map], np.asarray(shares, dtype=np.float32), (1, 0)))


def plot_pca(shares, ax=None):
    flat = PCA(2, svd_solver="full").fit(mixed(shares))
    title = f"Titles by period: PCA ({flat.explained_variance_ratio_.sum():.0%} of the variance)"
    return plot_groups(flat.transform(mixed(shares)), map_groups, names, ordered=True, title=title, ax=ax)


# %% [markdown]
# t-SNE begins with the map of PCA and moves the titles step by step.

# %% tags=["readme-train_encode"]
neighbours = min(30, (len(on_map) - 1) / 3)
with threadpool_limits(1):  # several threads add numbers in another order each time, and the map would differ
    placed = TSNE(2, perplexity=neighbours, init="pca", random_state=SEED).fit_transform(mixed(layer_shares["mean"]))

left, right = figure(2, width=12.0, height=4.6)
plot_pca(layer_shares["mean"], ax=left).get_legend().remove()  # both maps have the same one
plot_groups(placed, map_groups, names, ordered=True, title="The same by t-SNE", axis_name="t-SNE coordinate", ax=right)
plt.show()

# %% [markdown]
# With a running kernel, move the weights of the layers and see the map of PCA change. The numbers are made into
# shares of sum 1.

# %%
from elmo_helpers.display.widgets.fields import Picture

picture = Picture()
sliders = [
    widgets.FloatSlider(float(s_l), min=0, max=1, step=0.05, description=f"Layer {i}")
    for i, s_l in enumerate(layer_shares["mean"])
]


def draw_map(_=None):
    weights = np.array([slider.value for slider in sliders])
    if weights.any():
        picture.show(plot_pca(weights / weights.sum()).figure, "The map of PCA with these shares")


for slider in sliders:
    slider.observe(draw_map, "value")
draw_map()
display(widgets.VBox([*sliders, picture]))

# %% [markdown]
# TensorBoard's *projector* shows the same vectors in three dimensions and searches them by a click. The next cell
# writes what it reads, with the title, date and period of each point, and prints the command that starts it.

# %%
from elmo_helpers.integrations.projector import write_projector

marked = searched.select(on_map)
labels = {"title": marked.titles, "date": marked.dates, "period": map_groups}
write_projector(f"{MODELS}/projector", mixed(layer_shares["mean"]), labels, name="titles")
print(f"tensorboard --logdir {MODELS}/projector")

# %% [markdown]
# ## 8 · Save, load, same vectors
#
# `train` has saved the best model; `save` writes one anywhere. A model is a directory of three files that people and
# other programs can read. (Beside them `train` has left a folder `training`, with the run's tables and checkpoints.)

# %%
from elmo_helpers import BiLM

model.save(f"{MODELS}/bilm_copy")
again = BiLM.load(f"{MODELS}/bilm_copy")
assert np.array_equal(Encoder(again).encode(queries.titles), encoder.encode(queries.titles))
assert np.array_equal(Encoder(f"{MODELS}/bilm").encode(queries.titles), encoder.encode(queries.titles))

holds = {"config.json": "sizes, text settings", "vocabulary.json": "the V words", "model.safetensors": "the weights"}
files = sorted(Path(f"{MODELS}/bilm_copy").iterdir())
pd.DataFrame(
    {"kB": [round(f.stat().st_size / 1000, 1) for f in files], "holds": [holds.get(f.name, "") for f in files]},
    index=pd.Index([f.name for f in files], name="file"),
)

# %% [markdown]
# The original wrote its modules with `torch.save(module)`, which pickles them. Such a file needs the very code that
# wrote it. Worse, a pickle is a program: reading it **runs** it. We write such a file, in memory, and look at its
# program without reading it as Python would. Look at `GLOBAL` and `REDUCE`: fetch a function, and call it. Here it is
# a harmless `print`; it could as well be one that deletes your files.


# %%
class Surprise:
    def __reduce__(self):
        return print, ("This line is printed when the file is read.",)


file = io.BytesIO()  # a file in memory
torch.save(Surprise(), file)
with zipfile.ZipFile(file) as archive:
    program = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
pickletools.dis(program)

# %% [markdown]
# safetensors and JSON hold numbers and text, and nothing that runs. On reading, the names and shapes of the weights
# are checked against the configuration:

# %%
show_source(BiLM.load, docstring=False)

# %% [markdown]
# ## Recap
#
# - Four steps on 128 titles show that the code runs. Whether a model has learned anything is seen on titles that it
#   has not read, beside models that only count.
# - A training loss is measured with dropout and may be sampled; a perplexity on validation titles is exact. The two are
#   not to be compared.
# - With many words the softmax is most of the work. A sample of them gives the direction to learn in, at a small part of
#   the cost. A run that was stopped goes on from its checkpoint, to the same bits.
# - A title's vector is a mix of layers: final states, as in the original, or a mean over words. It depends on that
#   title alone.
# - Layer 0 knows the spelling; the layers above give each occurrence of a word a vector of its own.
# - The shares of the layers and γ are learned on a task. Whether this helps is a measurement, with its bounds.
# - Weights go into safetensors and settings into JSON, because reading a pickle runs code.

# %% [markdown]
# ## Exercises
#
# 1. Set `WORD` to another word with several uses, such as "bank", "interest" or "still". In which layer do its uses
#    lie apart? (A word with fewer than 20 occurrences gives way to a frequent one: raise `SEARCH_TITLES`.)
# 2. First run with `EPOCHS = 1` and the settings as they are. Then change one at a time, each with a `MODELS` of its own:
#    `CHARACTER_DIM = None`, as in the original; `SOFTMAX = "adaptive"`; `FEED = "streams"`, where the model has read the
#    sentences before. Which costs perplexity on the test titles, and which gains some? Why are the counting models no
#    fair rivals to the last?
# 3. A stretch: the nearest titles share function words more than subjects. Subtract from each vector the mean of all
#    searched vectors before the cosine is taken, or weigh each word by how rare it is. Does the median distance in
#    years fall? Do the neighbours look better to you?

# %% [markdown]
# ## Where to go next
#
# - Set `TITLES` in notebook 01 to a file of your own, with the columns `title` and `date`, and run 01 and then the others,
#   which find the corpus that it has made.
# - For millions of titles, make the corpus with `prepare_corpus(..., shards=True)`, which `train` takes as well. The same
#   from the command line: `python -m elmo_helpers train --help`.
# - Every function used here has a docstring with the shapes that it takes and gives: start with `Encoder` and
#   `train`.
# - The paper: Peters et al. (2018), *Deep contextualized word representations*,
#   [arXiv:1802.05365](https://arxiv.org/abs/1802.05365). Its sections 3.1, 3.2 and 3.4 are what you
#   have just built, at a small size.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "pandas", "scikit-learn", "matplotlib", "ipywidgets"):
    print(f"{name} {importlib.metadata.version(name)}")
