# %% [markdown]
# # A · The old tutorial, fault by fault
#
# In this notebook you see what an ELMo tutorial of 2018 got wrong, each fault in one small experiment, so that you can
# find the same faults in code of your own.

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview()
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Read the first losses of a training.
# - Test a network for axes that are mixed up, for answers that it can see, and for padding that is counted.
# - Say why a softmax wants no ReLU, and a file of weights no pickle.

# %% [markdown]
# Everything that you may want to change stands in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; if nothing is here, the default corpus
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
PADDING_STEPS = 150  # training steps of the network whose padding is counted
PADDING_WORDS = 2000  # words that it predicts, the most frequent ones
BATCH_SIZE = 64  # B, as in the tutorial
SEED = 0  # of every random choice

# %%
import importlib.metadata
import io
import pickletools
import zipfile
from dataclasses import replace
from pickle import UnpicklingError

import numpy as np
import pandas as pd
import torch
from torch import nn

from elmo_helpers.display.prose import say
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## The tutorial
#
# [tutorial]: https://github.com/QuantumAgent/Paper_Review/blob/e20aab5776/elmo/elmo_torch/README.md
#
# The [“Tutorial of implementing Elmo with PyTorch”][tutorial] is one notebook by Yuri Antonovsky, written for a reading
# group in 2018. It reads 432,006 dated titles, numbers their characters, and builds a character CNN (128 filters), a
# two-layer bidirectional LSTM (H = 64) and a softmax over all 94,297 words. Then it trains on 128 titles, encodes them,
# and ends with “Seems OK, Thank you”.
#
# It is short, and its plan is right: this series follows it. Its faults are worth knowing because none of them raises
# an error.
#
# ## 128 titles and four losses
#
# Two epochs of two batches: the tutorial printed four losses. A model that knows nothing gives each of V words
# the probability 1/V, and its loss is log V. So we look at **loss − log V**: below zero something has been learned. We
# repeat the experiment with `train`: same sizes, same optimizer, first 128 titles of our corpus. A second run has the
# library's default: its softmax starts from the words' frequencies.

# %%
from elmo_helpers import BiLMConfig, TrainingConfig, prepare_corpus, train

corpus = prepare_corpus(TITLES, PROCESSED)
characters = corpus.character_vocabulary
config = BiLMConfig.preset("tutorial")
sizes = {"scheme": characters.scheme, "max_characters": characters.max_characters}
config = replace(config, softmax="full", char_cnn=replace(config.char_cnn, **sizes))
run = TrainingConfig(epochs=2, batch_size=BATCH_SIZE, learning_rate=1e-3, seed=SEED)
run = replace(run, log_every=1, unigram_bias=False)
first_titles = corpus.split("train").select(slice(0, 128))
level = train(first_titles, config, run, progress=False)
informed = train(first_titles, config, replace(run, unigram_bias=True), progress=False)

# %%
log_v = np.log(len(corpus.vocabulary))
printed = np.array([11.4643, 11.4633, 11.4520, 11.4512])  # by the tutorial
gaps = {
    "the tutorial": printed - np.log(94_297),
    "ours": level.steps["loss"].to_numpy() - log_v,
    "ours, from frequencies": informed.steps["loss"].to_numpy() - log_v,
}
table = pd.DataFrame({name: pd.Series(gap) for name, gap in gaps.items()}).T.round(4)
table.columns = [f"step {step}" for step in range(1, table.shape[1] + 1)]
table

# %% [markdown]
# The figure shows the first two rows. The third is far below them.

# %%
from elmo_helpers.display.training_plots import plot_first_steps

title = "Four steps on 128 titles: loss beside knowing nothing"
plot_first_steps({name: gaps[name] for name in ("the tutorial", "ours")}, title=title)
plt.show()
theirs, ours, _ = (gap[0] - gap[-1] for gap in gaps.values())
ahead = gaps["ours"][0] - gaps["ours, from frequencies"][0]
say(
    f"The tutorial's loss fell by **{theirs:.4f}**, ours by **{ours:.4f}**. "
    f"To start from frequencies is worth {ahead:.2f}."
)

# %% [markdown]
# Both began near log V, as a sound model does, and four steps teach next to nothing. They show that the code runs, not
# that it is right. Nor do the two falls mean the same: the tutorial's loss counts padding, its network sees the
# answers, and its targets are shifted. These faults follow.
#
# ## `view` in place of `permute`
#
# The characters of a title lie as (word, character, number), and the convolution wants (number, word, character). The
# tutorial uses `view`. Here each number has a name, such as `h1` for number 1 of the letter h. What is read as number 0
# of the characters of *the*?

# %%
names = np.array([[[f"{c}{e}" for e in (0, 1)] for c in w] for w in ("the", "sun")])
tags = torch.arange(names.size).reshape(names.shape)  # (word, character, number)
swapped = {"permute": tags.permute(2, 0, 1), "view": tags.view(2, 2, 3)}
read = {way: names.ravel()[of[0, 0].numpy()] for way, of in swapped.items()}
pd.DataFrame(read).T

# %% [markdown]
# `view` only draws new borders, so numbers and characters are mixed up. [Notebook 02](02_char_embedding.ipynb) follows
# the letters through a whole title.
#
# ## Targets shifted
#
# The tutorial gives its *word ids* both boundaries, and its *characters* none. So the characters of the first word
# stand where the ids have `<SOS>`. Compare what is read with what is asked for at the same moment.

# %%
words = ["the", "state", "of", "the", "union"]
read = [*words, "", ""]  # no boundaries, then padding
ids = ["<SOS>", *words, "<EOS>"]
shifted = {
    "reads": read,
    "forward is asked for": [*ids[1:], "–"],
    "backward is asked for": ["–", *ids[:-1]],
}
copied = sum(a == b for a, b in zip(read, ids[1:]))
say(f"In {copied} of {len(ids) - 1} places the forward model has just read its answer.")
pd.DataFrame(shifted).T

# %% [markdown]
# To copy a word is not to predict it. The backward model is asked for a word two places away, and has never read the
# one between. Here boundaries are spelled like words, so both stand side by side
# ([notebook 03](03_bilm.ipynb)).
#
# ## Answers that can be seen
#
# `nn.LSTM(bidirectional=True)` with two layers is no pair of language models. Its second layer reads both halves of the
# first. So its forward half knows the words that come, and the very next one is what it is asked for. The test: does
# output t change with input t + 1? If nothing leads there, the derivative is exactly zero.

# %%
torch.manual_seed(SEED)
n, width = 7, 8
seen = {}
for n_layers in (1, 2):
    lstm = nn.LSTM(width, width, n_layers, bidirectional=True, batch_first=True)
    x = torch.randn(1, n, width, requires_grad=True)
    forward_half = lstm(x)[0][0, :, :width]  # (n, P)
    found = []
    for t in range(n - 1):
        (slope,) = torch.autograd.grad(forward_half[t].sum(), x, retain_graph=True)
        found.append(float(slope[0, t + 1].norm()))
    seen[n_layers] = [f"{size:.3f}" if size else "0" for size in found]
pairs = [f"{t}, {t + 1}" for t in range(n - 1)]
table = pd.DataFrame(list(seen.values()), list(seen), pairs)
table.rename_axis(index="layers", columns="output, input")

# %% [markdown]
# With one layer the forward half is clean, with two it is not. The remedy is two separate stacks. Notebook 03 shows
# what a network makes of such a leak, on random words.
#
# ## A row a position
#
# PyTorch's LSTM takes the first axis for time, unless `batch_first=True` is said. The tutorial passes (B, T, D) and
# does not say it. Its LSTM reads the first word of title 0, then the first word of title 1, and so on down the batch.
# We run both on a random batch, change title 0 alone, and look at the other titles.

# %%
batch = torch.randn(5, 9, 16)  # (B, T, D)
changed = batch.clone()
changed[0] += 1  # title 0 alone
rows = {}
for batch_first in (False, True):
    torch.manual_seed(SEED)
    lstm = nn.LSTM(16, 8, num_layers=2, bidirectional=True, batch_first=batch_first)
    with torch.no_grad():
        (before, (h_n, _)), (after, _) = lstm(batch), lstm(changed)
    moved = (after - before)[1:].abs().max().item()
    rows[f"batch_first={batch_first}"] = {
        "goes in": "5 titles, 9 positions",
        "rows that encode returns": h_n.shape[1],
        "other titles move by": f"{moved:.3f}",
    }
pd.DataFrame(rows).T

# %% [markdown]
# So the tutorial's `encode` returned a row for each *position* of a batch, and not one for each title. Its 128 titles,
# in two batches, became at most 80 rows.
#
# ## Padding that is counted
#
# The tutorial takes the mean of its loss over all positions, padding included, and draws its batches at random. Grey is
# padding. On the right titles of similar length go together, as the library does it.

# %%
from elmo_helpers.display.bilm_plots import plot_padding
from elmo_helpers.training.batching import length_buckets

titles = corpus.split("train")
rng = np.random.default_rng(SEED)
order = rng.permutation(len(titles))
shuffled = [order[i : i + BATCH_SIZE] for i in range(0, len(order), BATCH_SIZE)]
bucketed = length_buckets(titles.lengths, BATCH_SIZE, rng)

left, right = figure(2, 10, 3.6)
plot_padding(titles.padded_tokens(shuffled[0]), title="Drawn at random", ax=left)
plot_padding(titles.padded_tokens(bucketed[0]), title="Of similar length", ax=right)
plt.show()

# %% [markdown]
# What does that do to a loss? We measure it. A small forward model is trained as in the tutorial, and at some steps we
# write down two means: the one that is reported, and the one over words alone.


# %%
class NextWord(nn.Module):
    """A small forward language model."""

    def __init__(self, n_words, width=64):
        super().__init__()
        self.embedding = nn.Embedding(n_words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.out = nn.Linear(width, n_words)

    def costs(self, ids):
        """The cost of each next id of (B, T): (B, T - 1)."""
        scores = self.out(self.lstm(self.embedding(ids[:, :-1]))[0]).transpose(1, 2)
        return nn.functional.cross_entropy(scores, ids[:, 1:], reduction="none")


# %%
torch.manual_seed(SEED)
network = NextWord(PADDING_WORDS)
optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
measured = []
for step in range(PADDING_STEPS):
    ids = torch.from_numpy(titles.padded_tokens(shuffled[step % len(shuffled)]))
    ids = ids.where(ids < PADDING_WORDS, 3)  # 3 is the unknown word, 0 padding
    costs, is_word = network.costs(ids), ids[:, 1:] > 0
    optimizer.zero_grad()
    costs.mean().backward()  # padding counts
    optimizer.step()
    costs = costs.detach()
    numbers = costs.mean(), costs[is_word].mean(), 1 - is_word.float().mean()
    measured.append([number.item() for number in numbers])

# %%
log = pd.DataFrame(measured, columns=["reported loss", "loss of words", "padding"])
log.index = pd.RangeIndex(1, len(log) + 1, name="step")
reported, of_words, padding = log.tail(20).mean()
say(
    f"The perplexity, e to the loss, is **{np.exp(reported):.0f}** as reported and "
    f"**{np.exp(of_words):.0f}** over words; {padding:.0%} of positions are padding."
)
log.iloc[[0, len(log) // 4, len(log) // 2, -1]].round(2).T

# %% [markdown]
# After padding comes padding, which is soon learned and then costs little. The reported loss becomes the real one times
# the share of words, and changes with the lengths of the titles. The library counts words and ends alone.
#
# ## A ReLU before the softmax
#
# The tutorial sends the scores through a ReLU first, which makes every score below 0 a 0. So no word can have a smaller
# probability than $e^0 / \sum_v e^{z_v}$, where $z_v$ are the scores after the ReLU. And a score that was cut has the
# derivative zero: the model is not told to lift it.
#
# We fit one score a word, started at random, to the shares of the most frequent words, without and with ReLU. The black
# line is what is wanted.

# %%
counts = np.sort(corpus.vocabulary.counts[4:])[::-1][:1000]
wanted = torch.from_numpy(counts[counts > 0] / counts.sum()).float()  # by falling share


def fit(activation):
    """Fit one score a word to `wanted`: probabilities and scores after 500 steps."""
    generator = torch.Generator().manual_seed(SEED)
    scores = torch.randn(len(wanted), generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([scores], lr=0.05)
    for _ in range(500):
        loss = -(wanted * activation(scores).log_softmax(0)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return activation(scores).softmax(0).detach(), scores.detach()


# %%
from elmo_helpers.display.bilm_plots import plot_word_probabilities

p_plain, _ = fit(lambda scores: scores)
p_relu, scores = fit(torch.relu)
plot_word_probabilities(wanted, {"without ReLU": p_plain, "with ReLU": p_relu})
plt.show()
stuck = (scores < 0).float().mean()
say(
    f"With ReLU **{stuck:.0%}** of {len(wanted):,} words are stuck at one probability. "
    f"The rarest should have {wanted.min():.1e}, and has {p_relu.min():.1e}; "
    f"without ReLU it has {p_plain.min():.1e}."
)

# %% [markdown]
# A softmax needs no positive scores. Leave the ReLU out.
#
# ## Dropout by a flag
#
# In the tutorial dropout happens if `train=True` is passed along. PyTorch has a switch of its own, `train()` and
# `eval()`. With two switches both have to be on, and a flag that is forgotten makes no noise:


# %%
class ByFlag(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x, train=False):
        return self.dropout(x) if train else x


net, ones = ByFlag(), torch.ones(10_000)
answers = {
    "train(), with the flag": net.train()(ones, train=True),
    "train(), flag forgotten": net.train()(ones),
    "eval(), with the flag": net.eval()(ones, train=True),
}
zeros = {name: f"{(x == 0).float().mean():.0%}" for name, x in answers.items()}
pd.Series(zeros, name="set to 0").to_frame()

# %% [markdown]
# ## Equal shares
#
# “Weight vector of every layer not implemented!” says a comment of the tutorial. It takes the mean of the layers. The
# shares $s_l$ and the scale $\gamma$ are learned in [notebook 05](05_what_layers_know.ipynb), by a tagger, and in
# [appendix C](appendix_c_periods.ipynb), from the dates of titles. And its vector is one of a whole title, made of
# final states; the paper's is one of each word ([notebook 04](04_train_encode.ipynb)).
#
# ## Pickles
#
# The tutorial saves with `torch.save(module)`, which pickles. Such a file needs the very code that wrote it. Worse, a
# pickle is a program, and reading it **runs** it. Here is one, with three of its instructions: fetch a function, take
# its argument, call it. This one prints a line; another could delete your files.


# %%
class Surprise:
    def __reduce__(self):
        return print, ("This line is printed when the file is read.",)


file = io.BytesIO()  # a file in memory
torch.save(Surprise(), file)
with zipfile.ZipFile(file) as archive:
    name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
    program = list(pickletools.genops(archive.read(name)))
shown = ("GLOBAL", "BINUNICODE", "REDUCE")
steps = [(op.name, value) for op, value, _ in program if op.name in shown]
pd.DataFrame(steps, columns=["instruction", "with"]).fillna("")

# %% [markdown]
# PyTorch has learned from this: `torch.load` now refuses what is not plain weights, unless it is told otherwise.

# %%
file.seek(0)
try:
    torch.load(file)
except UnpicklingError as error:
    print(str(error).split(".")[0])

# %% [markdown]
# The library writes weights as safetensors and settings as JSON: numbers and text, nothing that runs.
#
# ## 69 characters
#
# The tutorial drops every title with a character outside its table of 69. How many of your titles would that be, and
# how many if quotes and dashes are first written in ASCII, as here?

# %%
from elmo_helpers import clean_titles, read_titles
from elmo_helpers.text.characters import CHARACTERS

frame, _ = read_titles(TITLES)
raw = frame["title"].str.strip().str.lower()
outside = [title for title in raw if set(title) - set(CHARACTERS)]
kept = {scheme: len(clean_titles(frame, scheme)[0]) for scheme in ("tutorial", "utf8")}
dropped = {
    "the tutorial": len(outside),
    "the same table, after `normalize_title`": len(frame) - kept["tutorial"],
    "UTF-8, as published": len(frame) - kept["utf8"],
}
pd.Series(dropped, name=f"dropped, of {len(frame):,} titles").to_frame()

# %% [markdown]
# With `characters=CharacterVocabulary("utf8", 50)` `prepare_corpus` keeps every title. That is what the published
# models read, and the one that ships with the library.
#
# ## Recap
#
# | the tutorial | what it does | here |
# |---|---|---|
# | four losses on 128 titles | shows that code runs | held-out titles, beside models that count (04) |
# | `view` | mixes letters of different words | `permute` (02) |
# | no boundaries in the characters | shifts targets by one | boundaries are spelled (01, 03) |
# | one bidirectional LSTM | shows the answers | two stacks (03) |
# | no `batch_first` | reads across titles; a row a position | rows are independent |
# | padding in the loss | makes it look better | words alone are counted |
# | ReLU before the softmax | bounds probabilities from below | none |
# | dropout by a flag | two switches | `train()`, `eval()` |
# | equal shares | leaves out the paper's mix | learned (05, C) |
# | pickles | run code when read | safetensors, JSON |
# | 69 characters | drop titles | UTF-8 |
#
# Its padded arrays took 4 GB; [appendix B](appendix_b_large_corpora.ipynb) says what takes their place.
#
# ## Exercises
#
# 1. In “Answers that can be seen”, test a transformer: `nn.TransformerEncoder` without and with a causal mask.
# 2. In “A ReLU before the softmax”, replace the ReLU by `nn.functional.softplus`. Is a word stuck? Is the bound gone?
# 3. Train `NextWord` on `bucketed` in place of `shuffled`. How far apart are the two perplexities now?
#
# ## Where to go next
#
# Back to [01 · Preprocess](01_preprocess.ipynb), where the same plan begins again.
#
# ## Versions

# %%
for package in ["elmo_helpers", "torch", "numpy", "pandas", "matplotlib"]:
    print(f"{package} {importlib.metadata.version(package)}")
