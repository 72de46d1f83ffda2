# %% [markdown]
# # 02 · From spelling to vector: the character CNN
#
# In this notebook you compute the vector of a word from its letters, by hand, and see that a word that was never seen
# has a vector, too.

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="02")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Compute filters, maximum and highway by hand, and find the same numbers in the library.
# - Show that `view` is no transposition, and what it does to a title.
# - Say why each distinct word of a batch is computed once.
# - Find neighbours of any word, invented ones among them.

# %% [markdown]
# Everything that you may want to change stands in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; if nothing is here, the default corpus
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
WORDS = ["commerce", "nations", "1898", "goverment", "railroadification"]
EMBEDDING_DIM = 16  # E: numbers for each character
FREQUENT_WORDS = 5000  # so many words, the most frequent ones, can be neighbours
QUICK_TITLES = 10000  # titles to train on, drawn at random
BATCH_SIZE = 32  # B: titles in a training step
LEARNING_RATE = 8e-3  # at the start of this training; it falls
SHIPPED = "english-titles"  # a model that was trained for longer, to compare with
SEED = 0  # of every random choice

# %%
import copy
import dataclasses
from collections import Counter
from importlib.metadata import version

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA

import elmo_helpers.display.character_plots as plots
from elmo_helpers.display.prose import say
from elmo_helpers.display.source import show_source
from elmo_helpers.display.spelling_plots import plot_neighbours, plot_spelling
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# Letters stand for sizes, in all notebooks: **B** titles in a batch, **T** tokens of a title, **C** characters of a
# token, **E** numbers for a character, **F** filters, **D** numbers for a word (here D = F).
#
# ## A word is a row of ids
#
# A network computes with numbers, so each character gets one. Our table has 69 characters, numbered from 1. Id 0 is
# padding, which fills the row behind a word's end, and two more ids mark the beginning and the end of a title: 72 in
# all. By hand it takes a dictionary.

# %%
from elmo_helpers import CharacterVocabulary
from elmo_helpers.text.characters import CHARACTERS

word, n_places = WORDS[0], 30
id_of = {character: i for i, character in enumerate(CHARACTERS, start=1)}
spelling = [id_of[character] for character in word if character in id_of][:n_places]
by_hand = np.array(spelling + [0] * (n_places - len(spelling)))
table = CharacterVocabulary("tutorial", max_characters=n_places)
plot_spelling(spelling, [CHARACTERS[i - 1] for i in spelling], title=f"“{word}” as ids")
plt.show()
different = int((table.encode([word], errors="skip")[0] != by_hand).sum())
print(f"by hand and by the library: {different} of {n_places} ids differ")

# %% [markdown]
# The corpus of notebook 01 holds such a row for each distinct word.

# %%
from elmo_helpers import prepare_corpus

corpus = prepare_corpus(TITLES, PROCESSED)
characters = corpus.character_vocabulary


def encode(words, table=characters):
    """The character ids of words, (n, C); a character outside the table is left out."""
    return torch.from_numpy(table.encode(words, errors="skip").astype(np.int64))


ids = encode([word])  # (1, C)
labels = plots.character_labels(ids[0], characters)
n_used = int((ids[0] != characters.padding_id).sum())
n_distinct = len(corpus.lexicon) - 3  # without padding and the two boundaries
say(f"{n_distinct:,} distinct words, each a row of C = {ids.shape[1]} ids")

# %% [markdown]
# An id is only a name: character 20 is not twice character 10. So each becomes a vector. The simplest is **one-hot**:
# zeros, and a 1 at the place of the id. ELMo **learns** a short one: the one-hot row times a matrix, which is one row
# of that matrix.

# %%
from elmo_helpers import CharacterCNN, CharCNNConfig

torch.manual_seed(SEED)
sizes = {"scheme": characters.scheme, "max_characters": characters.max_characters}
cnn = CharacterCNN(CharCNNConfig(**sizes, embedding_dim=EMBEDDING_DIM))
cnn.requires_grad_(False)

one_hot = torch.eye(characters.size)[ids[0]]  # (C, number of ids)
x = (one_hot @ cnn.embedding.weight).T  # (E, C)
difference = (x - cnn.embed(ids)[0]).abs().max()
print(f"largest difference from the library: {difference:.0e}")

# %% [markdown]
# Each column is one character. The last two are padding, whose vector stays zero. The vectors on the right are still
# random.

# %%
shown = labels[: n_used + 2]
one_hot[ids[0] == 0] = 0  # one-hot, padding is a vector of zeros, too
axes = figure(2, height=3.6)
for ax, (name, values) in zip(axes, {"One-hot": one_hot.T, "To be learned": x}.items()):
    title = f"{name}: {len(values)} numbers a character"
    values = values[:, : len(shown)].numpy()
    plots.plot_character_vectors(values, shown, title=title, ax=ax)
plt.show()

# %% [markdown]
# ## One filter by hand
#
# A **filter** looks at a window of a few characters and answers with one number, its **response**. Then the window
# moves on by one. A toy: with one-hot characters, a filter that holds the letters `ing` counts how many letters are
# right.

# %%
toy, wanted = "thinking", "ing"
windows = [toy[p : p + len(wanted)] for p in range(len(toy) - len(wanted) + 1)]
counted = [sum(a == b for a, b in zip(window, wanted)) for window in windows]

alphabet = sorted(set(toy))
toy_x = torch.tensor([[float(c == a) for c in toy] for a in alphabet])  # (E, C)
toy_filter = torch.tensor([[float(c == a) for c in wanted] for a in alphabet])  # (E, 3)
convolved = F.conv1d(toy_x[None], toy_filter[None])[0, 0]  # what PyTorch says
pd.DataFrame({"by hand": counted, "conv1d": convolved.int()}, index=windows).T

# %% [markdown]
# `ing` gets 3, and `ink` gets 2: that is a convolution. With learned character vectors a filter holds E numbers for
# each place of the window, and a **bias** $b$:
#
# $$r_p = b + \sum_{j=0}^{k-1} \sum_{e=1}^{E} W_{e,j}\; x_{e,\,p+j}$$
#
# $r_p$ is the response at place $p$, $k$ the width of the window, $x_{e,p}$ number $e$ of the character at place $p$.
# `unfold` cuts out all windows, `einsum` multiplies and adds. We take the first filter that is three wide.

# %%
bank, number = 1, 0  # which width, and which of its filters: try others
weight = cnn.convolutions[bank].weight[number]  # (E, width)
bias, width = cnn.convolutions[bank].bias[number], weight.shape[1]
cut = x.unfold(1, width, 1)  # (E, positions, width)
contributions = torch.einsum("epw,ew->pw", cut, weight)  # what each character adds
responses = contributions.sum(1) + bias  # (positions,)
library = cnn.filter_responses(x[None], bank)[0, number]
print(f"largest difference from the library: {(responses - library).abs().max():.0e}")

# %% [markdown]
# On the left each row is one window, and its cells are what each character adds. On the right they are summed; orange
# marks the greatest sum. The last windows reach into the padding, `·`, so a filter can tell the end of a word.

# %%
n_windows = min(n_used + 1, len(responses))
texts = ["".join(labels[p : p + width]) for p in range(n_windows)]
axes = figure(2, height=4.0)
parts = contributions[:n_windows].numpy()
plots.plot_filter_slide(parts, labels[: n_windows + width - 1], ax=axes[0])
plots.plot_window_responses(responses[:n_windows].numpy(), texts, ax=axes[1])
plt.show()

# %% [markdown]
# ## The maximum: any length in, one width out
#
# A long word gives more responses than a short one, but the LSTMs of notebook 03 want equal widths. So of each filter
# only the **maximum** is kept: 3 for `ing` in *thinking*. Where it stood is forgotten. Then a ReLU sets negative
# numbers to 0. With 32 filters of each width from 2 to 5, a word of any length becomes F numbers:


# %%
def maxima(net, rows):
    """Characters (n, C) to the ReLU of each filter's maximum, (n, F)."""
    x = net.embed(rows)  # (n, E, C)
    # Of each width k: (n, filters of that width, C − k + 1)
    banks = [net.filter_responses(x, i) for i in range(len(net.convolutions))]
    return torch.cat([responses.amax(-1) for responses in banks], dim=1).relu()


print("characters in:", *[len(w) for w in WORDS])
print("numbers out:  ", *[len(numbers) for numbers in maxima(cnn, encode(WORDS))])

# %% [markdown]
# ## The highway by hand
#
# One layer follows that can combine filters: with `tion` *and* a last `s`, the word is a plural noun. It is a
# **highway** layer:
#
# $$g = \sigma(W_g x + b_g) \qquad y = g \odot \mathrm{relu}(W_t x + b_t) + (1 - g) \odot x$$
#
# $x$ are the F maxima, $W_g$ and $W_t$ are F × F matrices, $\sigma$ squeezes a number into 0 … 1, and $\odot$
# multiplies number by number. The **gate** $g$ says how much of each new value is taken; the rest is the old one. $y$
# is the word's vector. (The published models add one matrix, so that D is smaller than F.)


# %%
def highway_by_hand(layer, x):
    """(n, F) to the gates, the new values and the result, each (n, F)."""
    gate = torch.sigmoid(x @ layer.gate.weight.T + layer.gate.bias)
    new = torch.relu(x @ layer.transform.weight.T + layer.transform.bias)
    return gate, new, gate * new + (1 - gate) * x


old = maxima(cnn, encode(WORDS))  # (n, F)
gate, new, vectors = highway_by_hand(cnn.highways[0], old)
difference = float((vectors - cnn(encode(WORDS))).abs().max())
g, n, o, v = (float(values[0, 0]) for values in (gate, new, old, vectors))
print(f"largest difference from the library, over all words: {difference:.0e}")
say(f"First of F numbers: {g:.3f} · {n:.3f} + (1 − {g:.3f}) · {o:.3f} = **{v:.3f}**")

# %% [markdown]
# You have computed a whole character CNN by hand. In the library it looks like this. Words are taken in groups of like
# length, so that short ones cost less; you know the rest.

# %%
show_source(CharacterCNN._vectors, docstring=False)
show_source(CharacterCNN._strongest, docstring=False)
show_source(type(cnn.highways[0]).forward, docstring=False)

# %% [markdown]
# ## The letters that `view` scrambles
#
# The tutorial that this series grew from ([appendix A](appendix_a_old_tutorial.ipynb)) has characters as (B, T, C, E),
# and the convolution wants (B, E, T, C). It writes `x.view(b, e, w, c)`. The shape is right, so nothing fails. But
# **`view` moves no axis**: it keeps all numbers in their order and draws new borders between them. To swap axes takes
# `permute`.
#
# Give every number of one title a tag that says where it comes from. Each picture is what the convolution takes for one
# word, and the colour says to which word a number belongs.

# %%
title = int(np.abs(corpus.lengths - 6).argmin())  # the first of six words, or near it
words = corpus.words(title)
n_words, n_chars, n_numbers = len(words), characters.max_characters, characters.size
tags = torch.arange(n_words * n_chars * n_numbers)
tags = tags.reshape(n_words, n_chars, n_numbers)

after = {
    "view": tags.view(n_numbers, n_words, n_chars),  # the tutorial
    "permute": tags.permute(2, 0, 1),  # what was meant
}
longest = max(range(n_words), key=lambda i: len(words[i]))
for ax, (name, arranged) in zip(figure(2, height=3.6), after.items(), strict=True):
    origin = arranged[:, longest] // (n_chars * n_numbers)  # the word of each tag
    heading = f"What is read as “{words[longest]}” after {name}"
    plots.plot_origins(origin.numpy(), words, title=heading, ax=ax)
plt.show()

# %% [markdown]
# After `view` it is slices of the whole title. The same with letters: a one-hot letter is a single 1, and we can follow
# where it lands.

# %%
rows = encode(words)  # (n_words, C)


def follow_letters(arranged):
    """Each letter, where it belongs, and where its 1 stands in `arranged`."""
    landed = []
    for i, place in (rows != characters.padding_id).nonzero().tolist():
        letter = int(rows[i, place])
        tag = tags[i, place, letter]
        read_as, row, at = (arranged == tag).nonzero()[0].tolist()
        names = plots.character_labels([letter, read_as], characters)
        landed.append((*names, i, place, row, at))
    columns = ["letter", "read as", "word", "place in word", "row", "place"]
    return pd.DataFrame(landed, columns=columns)


# %% [markdown]
# Each row is what is read as one word, and each letter has the colour of its own word.

# %%
landed = {name: follow_letters(arranged) for name, arranged in after.items()}
for name, heading in (
    ("permute", "permute: every word has its own letters, in order"),
    ("view", "view: letters of one word are read in others"),
):
    plots.plot_letters(landed[name], words, n_chars, title=heading)
plt.show()
viewed = landed["view"]
own = viewed[viewed["word"] == viewed["row"]]
own_place = own[own["place in word"] == own["place"]]
same = own_place["letter"] == own_place["read as"]
say(
    f"After `view`, {len(own)} of {len(viewed)} letters are still in their own word, "
    f"{len(own_place)} of these at their own place, {same.sum()} read as what they are."
)

# %% [markdown]
# Now change the *first* word, and count how many of the others get other numbers from the same filters.

# %%
changed = rows.clone()
changed[0] = encode([word])[0]
torch.manual_seed(SEED)
filters = torch.nn.Conv2d(n_numbers, 32, (1, 3)).requires_grad_(False)
for name in after:
    answers = []
    for spelled in (rows, changed):
        hot = torch.eye(n_numbers)[spelled]  # (n_words, C, E)
        shape = (n_numbers, n_words, n_chars)
        hot = hot.view(shape) if name == "view" else hot.permute(2, 0, 1)
        answers.append(filters(hot[None])[0].amax(-1))  # (32, n_words)
    moved = ((answers[0] - answers[1]).abs().amax(0) > 1e-6)[1:].sum()
    print(f"{name:8}moves {moved} of the {n_words - 1} words that were not changed")

# %% [markdown]
# With `view` a word's vector depends on whatever stands beside it. No shape is wrong, and training runs.
#
# ## A distinct word once
#
# Done right, a word's vector depends on its spelling alone. So each distinct word of a batch is computed once, and its
# vector copied to where the word stands. We take 64 titles: each token by hand, the distinct words with the library.

# %%
batch_ids, _ = corpus.token_batch(slice(0, 64))  # (B, T), 0 is padding
tokens = batch_ids[batch_ids > 0]
distinct, position = np.unique(tokens, return_inverse=True)
spelled = torch.from_numpy(corpus.characters.astype(np.int64))
*_, each = highway_by_hand(cnn.highways[0], maxima(cnn, spelled[tokens]))
once = cnn(spelled[distinct])[position]
print(f"largest difference: {(each - once).abs().max():.0e}")
n, m = len(tokens), len(distinct)
say(f"{n:,} tokens, {m:,} distinct words: one vector for {n / m:.1f} tokens.")

# %% [markdown]
# ## A short training
#
# So far all weights are random. Filters learn what to look for when their vectors are *used*: here by a small biLM,
# which predicts each word from those before it, and from those after it (notebook 03). `fine_tune` starts from the very
# weights that we have looked at.

# %%
from elmo_helpers import BiLM, BiLMConfig, Encoder, TrainingConfig, fine_tune

config = dataclasses.replace(BiLMConfig.preset("tutorial"), char_cnn=cnn.config)
torch.manual_seed(SEED)
model = BiLM(config, corpus.vocabulary, corpus.text)
model.char_cnn.load_state_dict(cnn.state_dict())
# What need not be learned is how frequent each word is:
model.softmax.start_from_counts(torch.from_numpy(corpus.vocabulary.counts))

# %%
titles = corpus.split("train")
drawn = np.random.default_rng(SEED).permutation(len(titles))[:QUICK_TITLES]
settings = TrainingConfig(
    epochs=1,
    batch_size=BATCH_SIZE,
    learning_rate=LEARNING_RATE,
    final_learning_rate=LEARNING_RATE / 50,
    log_every=1,
    seed=SEED,
)
result = fine_tune(model, titles.select(drawn), settings)
trained = copy.deepcopy(result.model.char_cnn).requires_grad_(False)
losses = result.steps["loss"].to_numpy()
better = np.exp(losses[:20].mean() - losses[-20:].mean())
n_steps = len(losses)
say(f"After {n_steps} steps the right word is {better:.1f} times as likely as before.")

# %% [markdown]
# That is little. So we look at a third network, too, from a model that ships with the library and was trained for
# longer.

# %%
shipped = Encoder(SHIPPED).model.char_cnn.requires_grad_(False)
nets = {"random weights": cnn, "short training": trained, "shipped model": shipped}


def vectors_of(net, words):
    """The vectors of words by one of the networks, (n, D)."""
    table = CharacterVocabulary(net.config.scheme, net.config.max_characters)
    return net(encode(words, table))


# %% [markdown]
# ## What filters look for
#
# Show a filter of width k every run of k characters that at least 20 words have. To which of these **n-grams** does it
# answer most strongly?

# %%
plain = [w for w in corpus.lexicon[3:] if w.isalpha()]  # the most frequent one first


def ngrams_of(table, width, in_words=20):
    """The n-grams that so many words have, (n, width) ids."""
    rows = table.encode(plain, errors="skip")
    cut = np.lib.stride_tricks.sliding_window_view(rows, width, axis=1)
    cut = cut.reshape(-1, width)
    cut = cut[(cut != table.padding_id).all(1)]
    found, counts = np.unique(cut, axis=0, return_counts=True)
    return found[counts >= min(in_words, counts.max())]


# %% [markdown]
# For each width we take the filter whose seven strongest n-grams stand out most, and show each in the most frequent
# word that has it: above with random weights, below in the shipped model, which also reads the ends of a word, `‹` and `›`.


# %%
def strongest(net, width, n=7):
    """Number of a filter, words with its n strongest n-grams, and where these begin."""
    table = CharacterVocabulary(net.config.scheme, net.config.max_characters)
    found = ngrams_of(table, width)
    x = net.embed(torch.from_numpy(found.astype(np.int64)))
    bank = [w for w, _ in net.config.filters].index(width)
    answers = net.filter_responses(x, bank)[..., 0].numpy()  # (n-grams, filters)
    best = -np.sort(-answers, axis=0)[:n].mean(0)
    number = int(((best - answers.mean(0)) / answers.std(0)).argmax())
    holders, starts = [], []
    for i in np.argsort(-answers[:, number], kind="stable")[:n]:
        ngram = "".join(plots.character_labels(found[i], table))
        holders.append(next((f"‹{w}›" for w in plain if ngram in f"‹{w}›"), ngram))
        starts.append(holders[-1].index(ngram))
    return number, holders, starts


# %% tags=["readme-char_embedding"]
widths = [width for width, _ in cnn.config.filters]
axes = iter(figure(len(widths), width=10.0, height=5.4, rows=2))
for name in ("random weights", "shipped model"):
    for width in widths:
        number, holders, starts = strongest(nets[name], width)
        title = f"{name.capitalize()},\nfilter {number}, {width} wide"
        plots.plot_ngrams_in_words(holders, starts, width, title=title, ax=next(axes))
plt.show()

# %% [markdown]
# A random filter has favourite letters, by chance. Some of the trained ones have found what helps to predict
# the words around, such as an ending; others like one letter, or have no name.
#
# ## A word never seen has neighbours
#
# Words that are spelled alike excite the same filters, so their vectors are near each other. Nearness is the **cosine**
# of the angle between them: 1 is the same direction, 0 a right angle. First we subtract what all vectors share, their
# mean.

# %%
frequent = corpus.lexicon[3 : 3 + FREQUENT_WORDS]
place_of = {w: i for i, w in enumerate(frequent)}


def nearest(net, words, n):
    """For each word the n nearest frequent words, itself left out."""
    vectors = vectors_of(net, frequent)
    mean = vectors.mean(0)
    directions = F.normalize(vectors - mean, dim=1)
    cosines = F.normalize(vectors_of(net, words) - mean, dim=1) @ directions.T
    for i, w in enumerate(words):
        if w in place_of:
            cosines[i, place_of[w]] = -2
    places = cosines.topk(min(n, len(frequent)), dim=1).indices
    return [[frequent[j] for j in row] for row in places.tolist()]


# %% [markdown]
# Look at the words that are *not* in the corpus, a misspelled and an invented one.

# %%
known = set(corpus.lexicon)
neighbours = pd.DataFrame({"in the corpus": [w in known for w in WORDS]}, index=WORDS)
for name, net in nets.items():
    neighbours[name] = [", ".join(row) for row in nearest(net, WORDS, 5)]
neighbours.replace({True: "yes", False: "no"})

# %% [markdown]
# A table with a vector for each word has none for these. The three networks do not find the same words alike. Two
# counts say how they differ. We take one letter out of 500 long words: is the right word nearest? And do a long word
# and its nearest neighbour end in the same three letters?

# %%
long_words = [w for w in frequent if len(w) >= 6 and w.isalpha()] or frequent
random = np.random.default_rng(SEED)
asked = [long_words[i] for i in random.permutation(len(long_words))[:500]]
cuts = [int(random.integers(len(w))) for w in asked]
misspelled = [w[:cut] + w[cut + 1 :] for w, cut in zip(asked, cuts)]

counted = {}
for name, net in nets.items():
    found = [row[0] for row in nearest(net, misspelled, 1)]
    beside = [row[0] for row in nearest(net, asked, 1)]
    same_ending = [a[-3:] == b[-3:] for a, b in zip(asked, beside)]
    counted[name] = {
        "a misspelling is nearest to its word": np.mean(np.array(found) == asked),
        "a word's nearest word has the same ending": np.mean(same_ending),
    }
pd.DataFrame(counted).map("{:.0%}".format)

# %% [markdown]
# Random filters keep the spelling as it is. Trained ones keep what helps to predict the words beside a word; so some
# spelling is lost, and words of one family come closer (next section).
#
# ## Families on a plane
#
# Principal component analysis (**PCA**) finds the two directions, of D, in which vectors differ most, and lays words on
# that plane. The families are chosen by rule: numbers, plurals, and the three commonest endings of three letters.

# %%
endings = Counter(w[-3:] for w in frequent if len(w) >= 6 and w.isalpha())
common = [ending for ending, _ in endings.most_common(3)]


def family_of(w):
    """The first family whose rule fits a word, or None."""
    if w.isdigit():
        return "numbers"
    if len(w) >= 5 and w.endswith("s") and w[:-1] in place_of:
        return "plurals"
    return next((f"-{e}" for e in common if len(w) >= 6 and w.endswith(e)), None)


members = {}
for w in frequent:  # of each family the 60 most frequent words
    if (family := family_of(w)) and len(members.setdefault(family, [])) < 60:
        members[family].append(w)
members = dict(sorted(members.items())) or {"frequent words": frequent[:60]}

# %%
family_words = [w for m in members.values() for w in m]
families = [family for family, m in members.items() for _ in m]
of_own, axes = {}, figure(len(nets), width=10.5, height=4.2)
for ax, (name, net) in zip(axes, nets.items()):
    vectors = vectors_of(net, family_words)
    directions = F.normalize(vectors - vectors.mean(0), dim=1).numpy()
    points = PCA(2, svd_solver="full").fit_transform(directions)
    plots.plot_families(points, families, family_words, title=name.capitalize(), ax=ax)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -2)
    same = np.array(families)[cosines.argmax(1)] == np.array(families)
    of_own[name] = pd.Series(same).groupby(np.array(families)).mean()
legend = {"loc": "outside lower center", "ncols": len(members), "frameon": False}
axes[0].figure.legend(*axes[0].get_legend_handles_labels(), **legend)
plt.show()

# %% [markdown]
# Families that overlap on the plane may part in another direction. So we count in all of them: how often is the nearest
# of all these words one of the same family?

# %%
pd.DataFrame(of_own).map("{:.0%}".format)

# %% [markdown]
# After training, the nearest word is more often of the family. (The shipped model is larger and has read other text.)
#
# ## Try it: any word you like
#
# Last, a word that the corpus does not have, after the short training. On the left each row is one filter, and a dot
# its maximum, if it is above 0. Where many dots are, many filters have answered. The neighbours share some of these
# parts.

# %%
from elmo_helpers.display.widgets.character_explorer import CharacterExplorer

asked_word = next((w for w in WORDS if w not in known), word)
explorer = CharacterExplorer(trained, frequent, text=corpus.text, word=asked_word)
near = explorer.nearest(asked_word, 8)
left, right = figure(2, width=10.5, height=4.6)
plots.plot_response_heat(*explorer.responses(asked_word, bank=1), ax=left)
plot_neighbours(*zip(*near), title=f"Nearest to “{asked_word}”", ax=right)
plt.show()

# %% [markdown]
# With a running kernel, type any word below and press Enter.

# %%
explorer

# %% [markdown]
# In use it looks like this:
#
# ![A typed word, what the filters answer, its nearest words](pictures/02_character_explorer.png)
#
# ## Recap
#
# - A filter answers to each window of characters, and its maximum is kept: any word becomes F numbers. A highway layer
#   combines them.
# - `view` does not swap axes.
# - A word's vector depends on its spelling alone. So each distinct word is computed once, and words never seen have
#   vectors, too.
# - Random filters keep spelling; training turns them to what helps to predict.
#
# ## Exercises
#
# 1. Set `WORDS` to words of your own: a name, a misspelling, an invention. Which neighbours would you have guessed?
# 2. In “One filter by hand”, change `bank` and `number`. Find a filter whose greatest response is at the end of the
#    word.
# 3. Give the `CharCNNConfig` of `cnn` filters of other widths, `filters=((1, 8), (2, 16), (3, 32), (5, 32), (7, 40))`.
#    Do more nearest words share an ending?
#
# ## Where to go next
#
# [03 · biLM](03_bilm.ipynb) puts two stacks of LSTMs on these vectors; neither may see the word that it predicts.
#
# ## Versions

# %%
for package in ["elmo_helpers", "torch", "numpy", "pandas", "scikit-learn"]:
    print(f"{package:13}{version(package)}")
