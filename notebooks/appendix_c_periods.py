# %% [markdown]
# # C · Shares learned on dates
#
# In this appendix the shares of the layers are learned on whole titles and their dates, and you find out when a
# learned mix can win, and why it does not here.

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview()
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Say what a learned mix can gain, and what it cannot.
# - Compare ways to use the layers over whole documents, with bounds.
# - Find out whether a task needs the context of its words at all.
# - Say what a map with learned shares proves, and what not.

# %% [markdown]
# Everything that you may want to change stands in the next cell. Change a value and run the notebook again.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours, with dates; or the default corpus
PROCESSED = "../data/processed_utf8"  # the corpus of these titles, in natural case
MODEL = "english-titles"  # a model that ships; or the directory of yours
POOLING = "mean"  # a title's vector: over its words; or "states", the LSTMs' last ones
SEED = 0  # of every random choice below
N_PERIODS = 4  # periods of about as many titles each
PROBE_TITLES = 8_000  # titles to learn from and to test on
FOLDS = 5  # parts of the documents, each held out once
MAP_TITLES = 2_000  # titles on the map

# %%
import importlib.metadata
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import torch
from IPython.display import display
from sklearn.decomposition import PCA
from torch import nn

from elmo_helpers.display.prose import say
from elmo_helpers.display.style import figure

rng = np.random.default_rng(SEED)

# %% [markdown]
# ## 1 · When can a mix win?
#
# ELMo's mix of layers has shares $s_l$ that are positive and have the sum 1, and a scale $\gamma$:
#
# $$h = \gamma \sum_l s_l \, h^l, \qquad s_l = \frac{e^{w_l}}{\sum_k e^{w_k}}$$
#
# The numbers $w_l$ and $\gamma$ are learned together with a classifier, and the layers stay as they are. What can
# that gain? Three toys show it. Each example has three layers of eight numbers, and the answer, 0 or 1, moves the
# first number of some layers. The rest is noise.

# %%
answer = rng.integers(2, size=4_000)  # 0 or 1 for each example
signal = 2 * answer - 1.0


def noise(layers):
    return rng.standard_normal((len(answer), layers, 8))


one_knows = noise(3)
one_knows[:, 1, 0] += signal  # layer 1 alone
copies = np.repeat(noise(1), 3, axis=1)  # the same noise in all layers
copies[:, :, 0] += signal[:, None]
own_noise = noise(3)  # each layer has noise of its own
own_noise[:, :, 0] += signal[:, None]

# %% [markdown]
# First the learning by hand, on the toy in which layer 1 alone knows the answer:


# %%
def shares_by_hand(layers, answer, epochs=100):
    """The shares that are learned; layers: (examples, layers, numbers)."""
    x = torch.tensor(layers, dtype=torch.float32)
    torch.manual_seed(SEED)
    classifier = nn.Linear(x.shape[2], 2)
    w, gamma = nn.Parameter(torch.zeros(x.shape[1])), nn.Parameter(torch.ones(()))
    learned = [w, gamma, *classifier.parameters()]
    optimizer = torch.optim.AdamW(learned, lr=0.01, weight_decay=1e-4)
    for _ in range(epochs):
        mixed = gamma * torch.einsum("l,nld->nd", w.softmax(0), x)
        loss = nn.functional.cross_entropy(classifier(mixed), torch.tensor(answer))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return w.softmax(0).detach().numpy()


# %% [markdown]
# The library's `learn_mix` does the same. Here it gets all examples at each step, as the loop above did.

# %%
from elmo_helpers import learn_mix

by_hand = shares_by_hand(one_knows, answer)
all_at_once = {"epochs": 100, "batch_size": len(answer), "seed": SEED}
by_library = learn_mix(one_knows, answer, **all_at_once).mix.shares.detach().numpy()
print("shares by hand", by_hand.round(3))
print(f"largest difference to the library's: {abs(by_hand - by_library).max():.0e}")

# %% [markdown]
# The share of layer 1 has grown. Now all three toys. The classifier learns from one half of the examples and
# answers for the other, from the best single layer, from equal shares and from learned ones.


# %%
def score(layers):
    """The share of right answers on the second half."""
    half = len(answer) // 2
    learned = learn_mix(layers[:half], answer[:half], seed=SEED)
    return np.mean(learned.predict(layers[half:]) == answer[half:])


# %%
def three_ways(x):
    return {
        "best layer alone": max(score(x[:, [i]]) for i in range(3)),
        "equal shares": score(x.mean(1, keepdims=True)),
        "learned shares": score(x),
    }


toys = {
    "one layer knows": three_ways(one_knows),
    "copies of one layer": three_ways(copies),
    "all know, each with its own noise": three_ways(own_noise),
}
pd.DataFrame(toys).T.map("{:.1%}".format)

# %% [markdown]
# - Where **one layer knows**, learning the shares beats equal ones. At best it comes to the right layer alone, but
#   you need not know which layer that is.
# - Where the layers are **copies**, no mix gains anything.
# - Where **all know** and their errors differ, a mix is better than any layer: the errors cancel. Equal shares do
#   that as well.
#
# Keep these three cases in mind. Which one are dates?

# %% [markdown]
# ## 2 · Titles and their periods
#
# The task: from which period is a title? Each period holds about as many titles as the others. Titles without a
# date are left out.

# %%
from elmo_helpers import CharacterVocabulary, TextConfig, prepare_corpus

characters, natural = CharacterVocabulary("utf8", 50), TextConfig(lowercase=False)
corpus = prepare_corpus(TITLES, PROCESSED, characters=characters, text=natural)
dated = corpus.select(np.flatnonzero(~np.isnat(corpus.dates)))
titles = dated.select(np.sort(rng.permutation(len(dated))[:PROBE_TITLES]))
days = titles.dates
cuts = np.sort(days)[[len(days) * i // N_PERIODS for i in range(1, N_PERIODS)]]
period = np.searchsorted(cuts, days, side="right")  # 0 to N_PERIODS - 1
for unit in "YMD":  # years as names; months or days where years are too coarse
    edges = np.array([days.min(), *cuts, days.max()]).astype(f"M8[{unit}]")
    names = [f"{start} to {end}" for start, end in pairwise(edges)]
    if len(set(names)) == N_PERIODS:
        break

# %% [markdown]
# Titles of one speech resemble each other. So whole documents are held out: they are put into folds, and each fold
# is answered by a classifier that has learned from the others. All titles of one day count as one document. The
# model itself has read most of these titles, but no date.

# %%
_, document = np.unique(days, return_inverse=True)
fold = rng.permutation(document.max() + 1)[document] % FOLDS
of_period = [document[period == p] for p in range(N_PERIODS)]
counts = [[len(x), len(set(x))] for x in of_period]
pd.DataFrame(counts, index=names, columns=["titles", "documents"])

# %% [markdown]
# ## 3 · Learned on dates
#
# A title's vector is the mean over its words, in each layer.

# %%
from elmo_helpers import Encoder

encoder = Encoder(MODEL)
tokens = encoder.tokenize(titles.titles)
layers = encoder.encode_layers(tokens, POOLING)
first = 1 if POOLING == "states" else 0  # "states" has no layer 0
layer_names = [f"layer {first + i}" for i in range(layers.shape[1])]
print("(titles, layers, numbers) =", layers.shape)

# %% [markdown]
# Each way to use the layers gets the same linear classifier. Two more are here for comparison: **all side by side**
# is a classifier over the numbers of all layers, and **counted words** never sees a vector.


# %%
def answers(layers):
    """The period named for each title, by what was learned from other documents."""
    named = np.empty(len(layers), dtype=int)
    for k in range(FOLDS):
        x, y = layers[fold != k], period[fold != k]
        learned = learn_mix(x, y, n_classes=N_PERIODS, seed=SEED)
        named[fold == k] = learned.predict(layers[fold == k])
    return named


ways = {f"{name} alone": layers[:, [i]] for i, name in enumerate(layer_names)}
alone = list(ways)
ways["equal shares"] = layers.mean(1, keepdims=True)
ways["learned shares"] = layers
ways["all side by side"] = layers.reshape(len(layers), 1, -1)
right = {way: answers(x) == period for way, x in ways.items()}

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline

linear = LogisticRegression(C=10, max_iter=1000)
counting = make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
parts = PredefinedSplit(fold)
counted = cross_val_predict(counting, titles.titles, period, cv=parts)
right["counted words"] = counted == period

# %% [markdown]
# How sure is such a number? We draw the documents anew, with replacement, a thousand times. In 95 % of the draws
# the number lies between the two bounds, which the figure shows as a pale bar.


# %%
def bounds_of(values):
    """The 95 % bounds of a mean over titles, where whole documents are drawn."""
    sums, sizes = np.bincount(document, values), np.bincount(document)
    draws = np.random.default_rng(SEED).integers(len(sizes), size=(1000, len(sizes)))
    return np.percentile(sums[draws].sum(1) / sizes[draws].sum(1), [2.5, 97.5])


# %%
from elmo_helpers.display.encoding_plots import plot_accuracies

plot_accuracies(
    {way: hits.mean() for way, hits in right.items()},
    np.bincount(period).max() / len(period),
    bounds={way: bounds_of(hits) for way, hits in right.items()},
    title="The period of a title, from documents not learned from",
)
plt.show()

# %% [markdown]
# The bars overlap, but all ways answered for the same titles. So compare them title by title: what does the learned
# mix gain over each of the others, in points of right answers?

# %%
gains = {}
for way in right:
    if way != "learned shares":
        gain = 100.0 * right["learned shares"] - 100.0 * right[way]
        gains[way] = [gain.mean(), *bounds_of(gain)]
table = pd.DataFrame(gains, index=["points", "from", "to"]).T.round(1)
display(table.rename_axis("gain of learned shares over"))
best = max(alone, key=lambda way: right[way].mean())
gain, low, high = gains[best]
verdict = "wins" if low > 0 else "loses" if high < 0 else "neither wins nor loses"
say(
    f"Against the best single layer ({best}) the learned mix **{verdict}**: "
    f"{gain:+.1f} points, between {low:+.1f} and {high:+.1f}."
)

# %% [markdown]
# ## 4 · Why does the mix not win?
#
# **Do the layers err on the same titles?** If they do, they are like the copies of section 1. The table shows how
# many titles two layers both get wrong, and how many that would be if the one knew nothing of the other. The last
# row is the toy whose layers had noise of their own.


# %%
def common_errors(a, b):
    return np.mean(a & b), np.mean(a) * np.mean(b)


rows = {}
for a, b in combinations(range(len(alone)), 2):
    wrong = ~right[alone[a]], ~right[alone[b]]
    rows[f"{layer_names[a]} and {layer_names[b]}"] = common_errors(*wrong)
wrong = [np.sign(own_noise[:, i, 0]) != signal for i in range(2)]
rows["two layers of the toy"] = common_errors(*wrong)
columns = ["both wrong", "if independent"]
pd.DataFrame(rows, index=columns).T.map("{:.1%}".format)

# %% [markdown]
# The layers fail on the same titles far more often than independent layers would. And look back at **all side by
# side**: with weights of its own for each layer it could learn any mix, and it finds no more either.
#
# **Does a date need context at all?** We shuffle the words of each title. Layer 0 stays the same, since the mean of
# the spellings does not know their order. The layers above now read nonsense. Learn and test on that:

# %%
shuffled = [list(rng.permutation(words)) if words else [] for words in tokens]
nonsense = encoder.encode_layers(shuffled, POOLING)
by_order = pd.DataFrame(index=layer_names)
by_order["titles as they are"] = [right[way].mean() for way in alone]
named = [answers(nonsense[:, [i]]) for i in range(len(alone))]
by_order["words shuffled"] = [np.mean(found == period) for found in named]
display(by_order.map("{:.1%}".format))
lost = 100 * (by_order["titles as they are"] - by_order["words shuffled"])
say(f"Without the order, {lost.idxmax()} loses the most: {lost.max():.1f} points.")

# %% [markdown]
# So the order of the words is worth a few points. Without it the upper layers fall back towards layer 0. The rest is
# *which* words stand in the title. All layers hold that, and counting holds it best: there each word has a weight of
# its own, while in a mean all words share the same numbers.
#
# That is why the mix does not win. Layers 1 and 2 know the same few things that layer 0 does not, so they are nearly
# copies: mostly they fail together, and no share is better than another. Against layer 0 alone the mix does win.
#
# In [notebook 05](05_what_layers_know.ipynb) the answer depends on the word's place, and layer 2 knows more of it than the
# others. There learned shares beat equal ones, and the mix comes near the best layer without a trial of each.

# %% [markdown]
# ## 5 · What a share says, and what not
#
# The shares, learned once more from all of these titles:

# %%
from elmo_helpers.display.encoding_plots import plot_layer_weights

on_all = learn_mix(layers, period, n_classes=N_PERIODS, seed=SEED)
shares = on_all.mix.shares.detach().numpy()
plot_layer_weights(shares, layer_names, title="Shares learned on dates")
plt.show()

# %% [markdown]
# It is tempting to read the largest share as the most important layer. But a layer of long vectors counts for more
# at the same share, and the classifier behind the mix can undo any scale. What enters the sum is the share times
# the length:

# %%
lengths = np.linalg.norm(layers, axis=2).mean(0)
table = {
    "right answers alone, %": [100 * right[way].mean() for way in alone],
    "share": shares,
    "mean length": lengths,
    "share × length": shares * lengths,
}
pd.DataFrame(table, index=layer_names).round(2)

# %% [markdown]
# ## 6 · A map, and what it proves
#
# A map by PCA keeps the two directions in which the vectors differ most. On the left the layers have equal shares,
# on the right those learned on dates. Small marks are titles, large ones the middle of a period. Do the periods lie
# apart, and in order?

# %%
from elmo_helpers.analysis.nearest import unit_rows
from elmo_helpers.display.encoding_plots import plot_groups

on_map = np.sort(rng.permutation(len(titles))[:MAP_TITLES])
groups = [names[p] for p in period[on_map]]


def mixed(shares):
    """The titles of the map, mixed, each scaled to length 1."""
    return unit_rows(np.tensordot(layers[on_map], np.float32(shares), (1, 0)))


def plot_map(shares, title, **look):
    flat = PCA(2, svd_solver="full").fit(mixed(shares))
    title = f"{title}: {flat.explained_variance_ratio_.sum():.0%} of the variance"
    points = flat.transform(mixed(shares))
    return plot_groups(points, groups, names, ordered=True, title=title, **look)


# %%
equal = np.full(len(shares), 1 / len(shares))
left, right_hand = figure(2, width=10.0, height=4.2)
plot_map(equal, "Equal shares", ax=left, legend=False)  # that of the other
plot_map(shares, "Learned shares", ax=right_hand)
plt.show()

# %% [markdown]
# Two directions hold a small part of what is in the vectors, so count with all of their numbers: how often is a
# title's nearest neighbour, among other documents, of the same period?


# %%
of_map = period[on_map]
same_document = document[on_map, None] == document[on_map]


def same_period(x):
    """How often the nearest title of another document is of the same period."""
    cosines = np.where(same_document, -np.inf, x @ x.T)
    return np.mean(of_map == of_map[cosines.argmax(1)])


row = {
    "equal shares": same_period(mixed(equal)),
    "learned shares": same_period(mixed(shares)),
    "a random title": same_period(rng.standard_normal((len(on_map), 64))),
}
pd.Series(row, name="nearest of the same period").map("{:.1%}".format).to_frame()

# %% [markdown]
# And the order: where do the middles lie along the first component? In order, they rise or fall all the way.

# %%
middles = {}
for kind, s in {"equal shares": equal, "learned shares": shares}.items():
    across = PCA(2, svd_solver="full").fit_transform(mixed(s))[:, 0]
    middles[kind] = [across[of_map == p].mean() for p in range(N_PERIODS)]
display(pd.DataFrame(middles, index=names).round(2))
steps = np.sign(np.diff(middles["equal shares"]))
found = "in order" if abs(steps.sum()) == len(steps) else "not in order"
say(f"With equal shares the middles are **{found}**.")

# %% [markdown]
# The periods do not lie apart: they overlap, and only their middles do. Of the two maps the left one shows this by
# itself, since its shares know nothing of dates. The shares on the right were chosen to tell these very titles
# apart, so a map with them would be no evidence, even if it were clearer. Here it hardly differs.
#
# With a running kernel, move the shares and watch the map. The numbers are made into shares of sum 1.

# %%
from ipywidgets import FloatSlider, VBox

from elmo_helpers.display.widgets.fields import Picture
from elmo_helpers.display.widgets.turns import in_turn

picture = Picture()
sliders = [FloatSlider(float(s), min=0, max=1, step=0.05) for s in shares]


@in_turn  # one drawing after the other
def draw_map(_=None):
    s = np.array([slider.value for slider in sliders])
    if s.any():
        map_ = plot_map(s / s.sum(), "These shares").figure
        picture.show(map_, "The map with these shares")


# %%
for slider, name in zip(sliders, layer_names):
    slider.description = name.capitalize()
    slider.observe(draw_map, "value")
draw_map()
VBox([*sliders, picture])

# %% [markdown]
# In use it looks like this:
#
# ![A slider for each layer, and below them the map of titles with these shares](pictures/appendix_c_periods_map.png)

# %% [markdown]
# ## Recap
#
# - A mix helps where layers err on different titles; learned shares help where one layer knows more than the others.
#   Between copies there is nothing to choose.
# - The period of a whole title is mostly a matter of its words, wherever they stand. All layers hold these and fail
#   on the same titles, and counted words do better.
# - A share is not the importance of a layer: lengths count, too.
# - A map with shares that were learned from its own labels proves nothing about them.

# %% [markdown]
# ## Exercises
#
# 1. Set `POOLING = "states"`, the last states of the LSTMs. Do the layers still err on the same titles? Does the
#    mix win?
# 2. Set `N_PERIODS = 12`. Who loses less, counted words or the layers?
# 3. Set `PROBE_TITLES = 500`. With so few labels, which way is best, and do the bounds still tell?

# %% [markdown]
# ## Where to go next
#
# - [Notebook 05](05_what_layers_know.ipynb) learns a mix for a tagger, where the context of a word counts.
# - `Encoder(MODEL, mix=on_all.mix)` gives vectors with shares that you have learned, and `write_projector` shows
#   them in TensorBoard, in three dimensions: see the [library's README](../elmo_helpers/README.md).
# - The paper: Peters et al. (2018), sections 3.2 and 5.1, [arXiv:1802.05365](https://arxiv.org/abs/1802.05365).

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "pandas", "scikit-learn", "matplotlib"):
    print(f"{name} {importlib.metadata.version(name)}")
