# %% [markdown]
# # 02 · From spelling to vector: the character CNN
#
# This notebook turns the spelling of any word, known or never seen before, into one vector of fixed width, and opens
# every part on the way.
#
# ## What you will be able to do
# - work out one filter, its maximum and one highway layer by hand, and check them against the library;
# - show why `view` is no transposition, and what it does to the words of a title;
# - compute each distinct word of a batch once, and know that no word's vector depends on its neighbours;
# - see what filters look for, and which words lie near each other, before and after a short training.
#
# The next cell holds everything that you may want to change. Change a value, run the notebook again, and see what
# moves.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # columns title and date; where it is missing, the default corpus is written there
PROCESSED = "../data/processed"  # the corpus on disk; where it is missing, it is made from TITLES
WORDS = ["commerce", "nations", "quickly", "goverment", "railroadification", "1898"]  # to look at; in lower case
EMBEDDING_DIM = 16  # E: numbers for each character
FREQUENT_WORDS = 5000  # so many words, the most frequent ones, are compared with each other
QUICK_TITLES = 10000  # titles to train on; they are drawn at random
QUICK_EPOCHS = 1  # how often each of them is read
BATCH_SIZE = 32  # B: titles between two corrections of the weights
LEARNING_RATE = 8e-3  # the size of the first steps; it falls while training runs
SEED = 0  # of every random draw

# %%
import copy
import dataclasses
from collections import Counter
from importlib.metadata import version

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from sklearn.decomposition import PCA

import elmo_helpers.display.character_plots as plots
from elmo_helpers.display.flow_plots import plot_flow
from elmo_helpers.display.source import show_source
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# The strip shows the way from titles to vectors. This notebook is about one box: characters go in, a vector for each
# word comes out.

# %%
plot_flow(here=2)
plt.show()

# %% [markdown]
# Letters stand for sizes, the same ones in all notebooks. Here we need **B** titles in a batch, **T** tokens of a
# title, **C** characters of a token, **E** numbers for a character, **F** filters, and **D** numbers for a
# word (here D = F; the published models project F to fewer).
#
# ## A word is a row of ids
#
# A network computes with numbers, so each character gets one. The original's table has 69 characters; they are
# numbered from 1, and 0 is left for the padding behind the end of a word. We write the row of one word by hand, with
# nothing but a dictionary. Our corpus holds no other characters, since notebook 01 dropped such titles; of your own
# words, a character that is not in the table is left out here.

# %%
from elmo_helpers.text.characters import CHARACTERS

word, n_places = WORDS[0], 30
id_of = {character: i for i, character in enumerate(CHARACTERS, start=1)}
spelling = [id_of[character] for character in word if character in id_of][:n_places]
by_hand = np.array(spelling + [0] * (n_places - len(spelling)))
pd.DataFrame({"character": list(word[:12]), "id": [id_of.get(character) for character in word[:12]]}).T

# %% [markdown]
# `CharacterVocabulary` does the same for many words at once. Both must agree.

# %%
from elmo_helpers import CharacterVocabulary

table = CharacterVocabulary("tutorial", max_characters=n_places)
assert np.array_equal(table.encode([word], errors="skip")[0], by_hand)
table.encode([word], errors="skip")

# %% [markdown]
# The corpus of notebook 01 holds such a row for every distinct word. From here on we use its table of characters.

# %%
from elmo_helpers import prepare_corpus

corpus = prepare_corpus(TITLES, PROCESSED)
characters = corpus.character_vocabulary


def encode(words: list[str]) -> torch.Tensor:
    """The character ids of words, (n, C); a character outside the table is left out."""
    return torch.from_numpy(characters.encode(words, errors="skip").astype(np.int64))


ids = encode([word])  # (1, C)
labels = plots.character_labels(ids[0], characters)
n_used = int((ids[0] != characters.padding_id).sum())
display(
    Markdown(f"The corpus has {len(corpus.lexicon) - 3:,} distinct words, a row of C = {ids.shape[1]} ids for each.")
)

# %% [markdown]
# ## A character is a vector
#
# An id is only a name: character 20 is not twice character 10. So each character becomes a vector. The original takes
# **one-hot** vectors: all zeros, and a single 1 at the place of the id. The published ELMo **learns** a short vector
# for each character. The second is the first followed by a learned matrix: a one-hot row times a
# matrix picks one row of that matrix.

# %%
from elmo_helpers import CharacterCNN, CharCNNConfig

torch.manual_seed(SEED)
sizes = {"scheme": characters.scheme, "max_characters": characters.max_characters}
original = CharacterCNN(CharCNNConfig(**sizes)).requires_grad_(False)  # one-hot
cnn = CharacterCNN(CharCNNConfig(**sizes, embedding_dim=EMBEDDING_DIM)).requires_grad_(False)  # learned

one_hot = torch.eye(characters.size)[ids[0]]  # (C, number of characters)
one_hot[ids[0] == 0] = 0  # padding is no character: a vector of zeros
learned = one_hot @ cnn.embedding.weight  # (C, E)
assert torch.equal(one_hot.T, original.embed(ids)[0])
assert torch.allclose(learned.T, cnn.embed(ids)[0])

# %% [markdown]
# The library puts the components first, (E, C), because convolutions expect them so. Look at equal letters: they have
# equal columns. The last two columns are padding.

# %%
shown = labels[: n_used + 2]
left, right = figure(2, height=4.0)
plots.plot_character_vectors(one_hot.T[:, : len(shown)].numpy(), shown, title="One-hot: a single 1 a column", ax=left)
plots.plot_character_vectors(
    learned.T[:, : len(shown)].numpy(), shown, title="To be learned: short, still random", ax=right
)
plt.show()

# %% [markdown]
# Here the short vectors are still random. Training will move them.
#
# ## One filter by hand
#
# A **filter** looks at a window of a few neighbouring characters and answers with one number. It slides from left to
# right, and so gives one answer, its **response**, at each place $p$:
#
# $$r_p = b + \sum_{j=0}^{k-1} \sum_{e=1}^{E} W_{e,j}\; x_{e,\,p+j}$$
#
# $x_{e,p}$ is component $e$ of the character at place $p$, $k$ is the width of the window, and $W$ (with $E$ rows and
# $k$ columns) and $b$ (one number) are what the filter learns. `unfold` cuts out all windows, `einsum` multiplies and
# adds.

# %%
bank, number = 1, 0  # the bank of filters three characters wide, and its first filter: try others
x = cnn.embed(ids)[0]  # (E, C)
weight, bias = cnn.convolutions[bank].weight[number], cnn.convolutions[bank].bias[number]  # (E, width), ()
width = weight.shape[1]
windows = x.unfold(1, width, 1)  # (E, positions, width)
contributions = torch.einsum("epw,ew->pw", windows, weight)  # what each character adds, (positions, width)
responses = contributions.sum(1) + bias  # (positions,)
assert torch.allclose(responses, cnn.filter_responses(x[None], bank)[0, number], atol=1e-6)

# %% [markdown]
# On the left each row is one place of the window, and its cells are what each character adds. On the right these are
# summed, and the bias of the filter is added. The frame and the red bar mark the greatest response. The last window
# holds nothing but padding, so it gives the bias alone, which is 0 before training.

# %%
n_windows = min(n_used + 1, len(responses))
texts = ["".join(labels[p : p + width]) for p in range(n_windows)]
left, right = figure(2, height=4.0)
plots.plot_filter_slide(contributions[:n_windows].numpy(), labels[: n_windows + width - 1], ax=left)
plots.plot_window_responses(responses[:n_windows].numpy(), texts, ax=right)
plt.show()

# %% [markdown]
# ## The maximum over places: any length in, one width out
#
# A long word gives more responses than a short one, but the LSTM that comes next wants equal widths. So of each filter
# only the **maximum** over all places is kept. It says how strongly the thing that the filter looks for occurs
# *anywhere* in the word; where it stood is forgotten. With F filters, of several widths, a word is F numbers, whatever
# its length. A ReLU then sets negative numbers to 0.

# %%


def pooled(net: CharacterCNN, rows: torch.Tensor) -> torch.Tensor:
    """Characters (N, C) to the ReLU of each filter's maximum, (N, F)."""
    x = net.embed(rows)  # (N, E, C)
    banks = [net.filter_responses(x, i) for i in range(len(net.convolutions))]  # each (N, filters, positions)
    return torch.cat([responses.amax(-1) for responses in banks], dim=1).relu()  # (N, F)


pd.DataFrame({"word": WORDS, "characters": [len(w) for w in WORDS], "numbers out": pooled(cnn, encode(WORDS)).shape[1]})

# %% [markdown]
# Which window wins? For the first two filters of each width, the next figure marks the window with the maximum.

# %%
banks = [i for i in range(len(cnn.convolutions)) for _ in range(2)]
numbers = [0, 1] * len(cnn.convolutions)
starts = [int(cnn.filter_responses(x[None], i)[0, n].argmax()) for i, n in zip(banks, numbers, strict=True)]
widths = [cnn.config.filters[i][0] for i in banks]
n_shown = max(n_used, max(start + width for start, width in zip(starts, widths, strict=True)))
plots.plot_winning_windows(starts, widths, labels[:n_shown])
plt.show()

# %% [markdown]
# A window may also reach into the padding (`·`), as the last ones of the filter above did. That is useful: such a filter can tell the end of a word from its middle.
#
# ## The highway by hand
#
# One layer follows that can mix the filters: if `-tion` *and* a plural `s` are there, the word is a plural noun. It
# is a **highway** layer:
#
# $$g = \sigma(W_g x + b_g) \qquad y = g \odot \mathrm{relu}(W_t x + b_t) + (1 - g) \odot x$$
#
# $x$ is the word's vector of F numbers, $W_g$ and $W_t$ are matrices of F rows and F columns, $b_g$ and $b_t$ vectors
# of F numbers, $\sigma(z) = 1 / (1 + e^{-z})$ lies between 0 and 1, and $\odot$ multiplies number by number. The
# **gate** $g$ decides for each of the F numbers how much of the transformed value is taken, and how much of the old
# one is carried through. Learning is easy where the old value can pass.

# %%
highway = cnn.highways[0]
before = pooled(cnn, encode(WORDS))  # (n, F)
gate = torch.sigmoid(before @ highway.gate.weight.T + highway.gate.bias)
transformed = torch.relu(before @ highway.transform.weight.T + highway.transform.bias)
after = gate * transformed + (1 - gate) * before
assert torch.allclose(after, highway(before), atol=1e-6)
assert torch.allclose(after, cnn(encode(WORDS)), atol=1e-6)

# %% [markdown]
# The second assert says more than the first: characters, filters, maximum, highway, done by hand, are all that
# `CharacterCNN` does. This is its source, with a few lines for what the published models need besides.

# %%
show_source(CharacterCNN.forward, docstring=False)
show_source(type(highway), docstring=False)

# %% [markdown]
# The gate's bias starts at -2, and σ(-2) = 0.12. So before training nearly everything is carried through, for all
# frequent words alike.

# %%
frequent = corpus.lexicon[3 : 3 + FREQUENT_WORDS]  # the first three are padding and the boundaries of a title
frequent_rows = torch.from_numpy(corpus.characters[3 : 3 + FREQUENT_WORDS].astype(np.int64))  # (n, C)
gates_before = torch.sigmoid(highway.gate(pooled(cnn, frequent_rows))).numpy()
plots.plot_gates({"before training": gates_before})
plt.show()

# %%
display(Markdown(f"On average, {1 - gates_before.mean():.0%} of each number is carried through as it was."))

# %% [markdown]
# ## What the original's `view` does
#
# The original tutorial holds its characters as (B, T, C, E) and needs (B, E, T, C). It writes
# `x.view(b, e, w, c)`. The shape is right, so nothing fails. But **`view` moves no axis**: it reads the same numbers,
# in the same order, and only draws new borders between them. To swap axes takes `permute` (or `transpose`).
#
# To see the difference, give every number a tag: the word, the character and the component that it comes from. One
# title is enough, so we leave B out.

# %%
title = int(np.abs(corpus.lengths - 6).argmin())  # the first title of six words, or near it
words = corpus.words(title)
T, C, E = len(words), characters.max_characters, characters.size
tags = torch.arange(T * C * E).reshape(T, C, E)  # number tag = ((word * C) + character) * E + component

as_view = tags.view(E, T, C)  # the original
as_permute = tags.permute(2, 0, 1)  # what was meant
word_of = {"view": as_view // (C * E), "permute": as_permute // (C * E)}  # (E, T, C)
print(" ".join(words))

# %% [markdown]
# Now look at what the network takes for one word of the title: E numbers for each of its C characters. The colour says
# which word a number really belongs to.

# %%
longest = max(range(T), key=lambda t: len(words[t]))
left, right = figure(2, height=4.2)
for ax, (name, origin) in zip((left, right), word_of.items(), strict=True):
    plots.plot_origins(origin[:, longest].numpy(), words, title=f"Read as “{words[longest]}” after {name}", ax=ax)
plt.show()

# %% [markdown]
# After `permute` there is one word. After `view` each character's vector is a stack of slices, cut from all words of
# the title. The same with letters: a one-hot letter is a single 1, and we can follow where it lands.

# %%
rows = encode(words)  # (T, C)


def follow_letters(arranged: torch.Tensor) -> pd.DataFrame:
    """Each letter, where it belongs, and where its 1 stands in `arranged`, (E, T, C) of tags."""
    landed = []
    for t, c in (rows != characters.padding_id).nonzero().tolist():
        i = int(rows[t, c])
        read_as, row, place = (arranged == tags[t, c, i]).nonzero()[0].tolist()
        letter, taken_for = plots.character_labels([i, read_as], characters)
        landed.append((letter, t, c, taken_for, row, place))
    return pd.DataFrame(landed, columns=["letter", "word", "place in word", "read as", "row", "place"])


by_view, by_permute = follow_letters(as_view), follow_letters(as_permute)
by_view.head(8)

# %% [markdown]
# `word` and `place in word` say where the letter belongs, counted from 0; `read as`, `row` and `place` say what the
# network takes it for. Each row of the next two figures is what is read as one word, and each letter has the colour of
# the word that it belongs to.

# %%
plots.plot_letters(by_permute, words, C, title="permute: every word has its own letters, in order")
plots.plot_letters(by_view, words, C, title="view: the letters of a title lie about in all words")
plt.show()

# %%
own_word = by_view["word"] == by_view["row"]
own_place = own_word & (by_view["place in word"] == by_view["place"])
right = own_place & (by_view["letter"] == by_view["read as"])
same_numbers = (as_view == as_permute).double().mean()
display(
    Markdown(
        f"Of the {len(by_view)} letters of this title, {own_word.sum()} still stand in their own word after `view`, "
        f"{own_place.sum()} of them at their own place, and {right.sum()} are also read as the letter that they are. "
        f"Of all numbers, {same_numbers:.2%} stand where they should."
    )
)
assert (by_permute["word"] == by_permute["row"]).all()
assert (by_permute["letter"] == by_permute["read as"]).all()

# %% [markdown]
# What follows from it? A word's vector should depend on its spelling alone. We change only the *first* word of the
# title and look at the vectors of all the others.

# %%
changed = rows.clone()
changed[0] = encode([word])[0]
vectors = {}
for name in ("view", "permute"):
    for which, spelled in (("as it was", rows), ("changed", changed)):
        x = original.embed(spelled).transpose(1, 2).contiguous()  # (T, C, E), as the original has it
        x = x.view(E, T, C).transpose(0, 1) if name == "view" else x.permute(0, 2, 1)  # (T, E, C)
        vectors[name, which] = original.filter_responses(x, 1).amax(-1)  # (T, filters)
for name in ("view", "permute"):
    moved = (vectors[name, "as it was"] - vectors[name, "changed"])[1:].abs().amax(1) > 1e-6
    print(f"{name:8}moves {int(moved.sum())} of the {T - 1} words that were not changed")

# %% [markdown]
# ## Padding may be cut off
#
# Rows are C characters wide, and most words are far shorter. A window of nothing but padding gives the same response
# wherever it stands. Under the maximum one such window is as good as twenty, so the library cuts the rest off:

# %%
show_source(CharacterCNN._trim)

# %%
whole = highway(pooled(cnn, frequent_rows))  # by hand, all C columns
trimmed = cnn(frequent_rows)  # the library, without the columns that only hold padding
assert torch.allclose(whole, trimmed, atol=1e-6)
short = encode([w for w in frequent if len(w) <= 8])
display(
    Markdown(
        f"No number changes by more than rounding. A batch of words of at most 8 characters needs {cnn._trim(short).shape[1]} "
        f"of its {short.shape[1]} columns."
    )
)

# %% [markdown]
# ## Each distinct word is computed once
#
# The same words come again and again. If a word's vector depends on its spelling alone, it is enough to compute each
# distinct word of a batch once, and to copy its vector to all places where the word stands.

# %%
ids_batch, lengths = corpus.token_batch(slice(0, 64))  # (B, T), (B,)
distinct, position = np.unique(ids_batch, return_inverse=True)  # (U,), and each token's row in it


def vectors_of(lexicon_ids: np.ndarray) -> torch.Tensor:
    """The vectors of words by their number in the corpus, (n, D)."""
    return cnn(torch.from_numpy(corpus.characters[lexicon_ids].astype(np.int64)))


every_token = vectors_of(ids_batch.ravel())  # as the original does it, (B * T, D)
once = vectors_of(distinct)  # (U, D)
assert torch.allclose(once[position.ravel()], every_token, atol=1e-6)
display(
    Markdown(
        f"{len(ids_batch)} titles have {ids_batch.size:,} places with padding, {lengths.sum():,} tokens, and "
        f"{len(distinct):,} distinct ones. The CNN has {ids_batch.size / len(distinct):.1f} times fewer words to compute."
    )
)

# %% [markdown]
# `Batch.of` of the library prepares batches in just this way. How much is won grows with the batch:

# %%
order = np.random.default_rng(SEED).permutation(len(corpus))
batch_sizes = [2**k for k in range(15) if 2**k <= len(corpus)]
n_tokens, n_distinct = [], []
for size in batch_sizes:
    batch_ids, lengths = corpus.token_batch(order[:size])
    n_tokens.append(int(lengths.sum()))
    n_distinct.append(len(np.unique(batch_ids[batch_ids > 0])))
plots.plot_distinct_words(batch_sizes, n_tokens, n_distinct)
plt.show()

# %%
display(
    Markdown(
        f"In a batch of {batch_sizes[-1]:,} titles a word stands {n_tokens[-1] / n_distinct[-1]:.0f} times on the mean, "
        "and is computed once."
    )
)

# %% [markdown]
# ## The same vector, whatever stands beside it
#
# Last, the promise put to the test: one word alone, among others, in another order, beside the longest word of letters alone.

# %%
alone = cnn(ids)[0]
longest_word = max((w for w in corpus.lexicon[3:] if w.isalpha()), key=len, default=word)
company = {
    "alone": [word],
    "all words to look at": WORDS,
    "the same, in reverse": WORDS[::-1],
    "100 frequent words": [*frequent[:100], word],
    longest_word: [longest_word, word],
}
columns = [cnn._trim(encode(w)).shape[1] for w in company.values()]
differences = [float((cnn(encode(w))[w.index(word)] - alone).abs().max()) for w in company.values()]
assert max(differences) < 1e-6
pd.DataFrame({"company": company.keys(), "columns computed": columns, "vector": "the same to 1e-6"})

# %% [markdown]
# ## A short training
#
# So far every weight is random. Filters learn what to look for when the vectors are *used*: here, by a small biLM that
# predicts each word from those before it, and from those after it. How it does so is told in notebooks 03 and 04; for
# now it is a box that sends gradients back to our character CNN. `train` would begin with fresh weights; `fine_tune`
# goes on from those of a model. So it starts from the very weights that we have looked at, and before and after can be
# compared filter by filter.

# %%
from elmo_helpers import BiLM, BiLMConfig, TrainingConfig, fine_tune

config = dataclasses.replace(BiLMConfig.preset("tutorial"), char_cnn=cnn.config)
torch.manual_seed(SEED)
model = BiLM(config, corpus.vocabulary, corpus.text)
model.char_cnn.load_state_dict(cnn.state_dict())
# How frequent words are need not be learned:
model.softmax.start_from_counts(torch.from_numpy(corpus.vocabulary.counts))

training_titles = corpus.split("train")
drawn = np.random.default_rng(SEED).permutation(len(training_titles))[:QUICK_TITLES]
settings = TrainingConfig(
    epochs=QUICK_EPOCHS,
    batch_size=BATCH_SIZE,
    learning_rate=LEARNING_RATE,
    final_learning_rate=LEARNING_RATE / 50,
    log_every=1,
    seed=SEED,
)
result = fine_tune(model, training_titles.select(drawn), settings)
trained = copy.deepcopy(result.model.char_cnn).requires_grad_(False)
nets = {"before": cnn, "after": trained}

# %%
losses, tenth = result.steps["loss"], max(1, len(result.steps) // 10)
display(
    Markdown(
        f"In {len(losses)} steps the loss went from {losses[:tenth].mean():.2f} to {losses[-tenth:].mean():.2f} nats "
        "for each word to predict. This is a beginning, not a good language model, but enough to set the filters to "
        "work."
    )
)

# %% [markdown]
# ## What filters look for
#
# A filter of width k sees k characters. So to know what it looks for, show it every run of k characters, every
# **n-gram**, that occurs in the corpus, and list those that excite it most. Rare ones are left out.

# %%


def ngrams_of_width(width: int, in_words: int = 20) -> np.ndarray:
    """The distinct windows that at least so many words of the corpus hold, (n, width) character ids."""
    windows = np.lib.stride_tricks.sliding_window_view(corpus.characters[3:], width, axis=1).reshape(-1, width)
    windows = windows[windows[:, 0] != characters.padding_id]
    distinct, counts = np.unique(windows, axis=0, return_counts=True)
    return distinct[counts >= min(in_words, counts.max())]


def responses_to(net: CharacterCNN, windows: np.ndarray, bank: int) -> np.ndarray:
    """What each filter of a bank answers to each window, (n, filters)."""
    return net.filter_responses(net.embed(torch.from_numpy(windows.astype(np.int64))), bank)[..., 0].numpy()


# %%
ngrams = [ngrams_of_width(width) for width, _ in cnn.config.filters]
ngram_texts = [["".join(plots.character_labels(row, characters)) for row in rows] for rows in ngrams]
answers = {name: [responses_to(net, w, i) for i, w in enumerate(ngrams)] for name, net in nets.items()}
pd.DataFrame(
    {
        "width": [width for width, _ in cnn.config.filters],
        "n-grams": [len(rows) for rows in ngrams],
        "spread before": [a.std(0).mean().round(2) for a in answers["before"]],
        "spread after": [a.std(0).mean().round(2) for a in answers["after"]],
    }
)

# %% [markdown]
# `spread` is the standard deviation of a filter's responses, as a mean over the filters of a width. The larger it is,
# the more a filter tells n-grams apart. Now the n-grams themselves, for the two filters of each width that tell them
# apart best after training. `·` is padding: such an n-gram is the end of a word.

# %%
picked = [(i, int(f)) for i, a in enumerate(answers["after"]) for f in np.argsort(-a.std(0), kind="stable")[:2]]


def strongest(name: str, bank: int, number: int, n: int) -> np.ndarray:
    """Rows of the n n-grams that excite a filter most, strongest first."""
    return np.argsort(-answers[name][bank][:, number], kind="stable")[:n]


table_of_filters = pd.DataFrame(
    {
        "width": [cnn.config.filters[i][0] for i, _ in picked],
        "filter": [f for _, f in picked],
        **{
            name: ["  ".join(ngram_texts[i][j] for j in strongest(name, i, f, 7)) for i, f in picked]
            for name in ("before", "after")
        },
    }
)
table_of_filters

# %% [markdown]
# Before training, the winners share whatever letters the random weights happen to like. After it, look for things
# that carry meaning or grammar: beginnings, endings, marks of the plural or of numbers. After so short a training
# not every filter has found such a thing: compare the widths. One filter of each width as a figure, with the responses that the same n-grams had before training:

# %% tags=["readme-char_embedding"]
axes = figure(len(ngrams), width=2.7 * len(ngrams), height=3.6)
for ax, (i, f) in zip(axes, picked[::2], strict=True):
    top = strongest("after", i, f, 8)
    values, earlier = answers["after"][i][top, f], answers["before"][i][top, f]
    title = f"Filter {f} of width {cnn.config.filters[i][0]}"
    plots.plot_ngrams([ngram_texts[i][j] for j in top], values, earlier, title=title, ax=ax)
axes[0].set_ylabel("n-gram")
axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
plt.show()

# %% [markdown]
# The highway has learned, too. Do its gates still stand all in the same place?

# %%
gates_after = torch.sigmoid(trained.highways[0].gate(pooled(trained, frequent_rows))).numpy()
plots.plot_gates({"before training": gates_before, "after training": gates_after})
plt.show()

# %%
display(
    Markdown(
        f"Gates that are nearly shut (below 0.05) carry their filter through as it is: {(gates_before < 0.05).mean():.0%} "
        f"before training, {(gates_after < 0.05).mean():.0%} after. Gates that are more than half open: "
        f"{(gates_before > 0.5).mean():.0%} before, {(gates_after > 0.5).mean():.0%} after."
    )
)

# %% [markdown]
# ## Words nearest by spelling
#
# Words that are spelled alike excite the same filters, so their vectors lie near each other. We measure nearness by
# the **cosine** of the angle between two vectors: 1 is the same direction, 0 a right angle. All vectors share a large
# common part, which says nothing about a word, so we subtract the mean of the frequent words first.
#
# Misspelled and invented words need no special care. They have a spelling, so they have a vector.

# %%


def nearest(net: CharacterCNN, words: list[str], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (in `frequent`) and cosines of the n nearest frequent words, the word itself left out, each (words, n)."""
    vectors = net(frequent_rows)
    mean = vectors.mean(0)
    cosines = F.normalize(net(encode(words)) - mean, dim=1) @ F.normalize(vectors - mean, dim=1).T
    for i, w in enumerate(words):
        if w in place_of:
            cosines[i, place_of[w]] = -2
    cosines, numbers = cosines.topk(min(n, len(frequent)), dim=1)
    return numbers.numpy(), cosines.numpy()


place_of = {w: i for i, w in enumerate(frequent)}
known = set(corpus.lexicon)
neighbours = pd.DataFrame({"word": WORDS, "in the corpus": ["yes" if w in known else "no" for w in WORDS]})
for name, net in nets.items():
    neighbours[name] = [", ".join(frequent[j] for j in row) for row in nearest(net, WORDS, 6)[0]]
neighbours

# %% [markdown]
# What has changed? Two measurements say it for many words. First we take one letter out of long frequent words, and
# ask whether the word itself is nearest to its misspelling. Then we ask how often a long word and its nearest
# neighbour end in the same three letters.

# %%
long_words = [w for w in frequent if len(w) >= 6 and w.isalpha()] or frequent
random = np.random.default_rng(SEED)
drawn_words = [long_words[i] for i in random.permutation(len(long_words))[:500]]
cuts = [int(random.integers(len(w))) for w in drawn_words]
misspelled = [w[:cut] + w[cut + 1 :] for w, cut in zip(drawn_words, cuts, strict=True)]
measured = {}
for name, net in nets.items():
    found = [frequent[j] for j in nearest(net, misspelled, 1)[0][:, 0]]
    neighbour = [frequent[j] for j in nearest(net, drawn_words, 1)[0][:, 0]]
    measured[name] = {
        "a misspelling is nearest to its word": np.mean([a == b for a, b in zip(found, drawn_words, strict=True)]),
        "nearest words share an ending": np.mean(
            [a[-3:] == b[-3:] for a, b in zip(neighbour, drawn_words, strict=True)]
        ),
    }
measured = pd.DataFrame(measured)
measured.map("{:.0%}".format)

# %% [markdown]
# Random filters are already a good fingerprint of spelling: nothing is preferred, so every letter counts alike. A
# first share that falls and a second one that rises mean that training has given some of this away. A language model
# gains little from telling one noun in `-tion` from another, and much from knowing that it is a noun. Whether longer
# training brings it back is an experiment: raise `QUICK_TITLES` and `QUICK_EPOCHS`.
#
# ## Families of words on a plane
#
# A word has D numbers. Principal component analysis (**PCA**) finds the two directions in which the vectors differ
# most, and lays the words on that plane. We colour families chosen by rule, so that the rule works with any corpus:
# numbers, plurals (the word without its `s` is frequent, too), and the three commonest endings of three letters.

# %%
endings = Counter(w[-3:] for w in frequent if len(w) >= 6 and w.isalpha())
common_endings = [ending for ending, _ in endings.most_common(3)]


def family(w: str) -> str | None:
    """The first family whose rule fits a word."""
    if w.isdigit():
        return "numbers"
    if len(w) >= 5 and w.endswith("s") and w[:-1] in place_of:
        return "plurals"
    return next((f"-{ending}" for ending in common_endings if len(w) >= 6 and w.endswith(ending)), None)


members = {}
for w in frequent:  # the most frequent words first, at most 60 of each family
    if (name := family(w)) and len(members.setdefault(name, [])) < 60:
        members[name].append(w)
members = dict(sorted(members.items())) or {"frequent words": frequent[:60]}

# %%
pd.DataFrame(
    {
        "family": members.keys(),
        "words": [len(m) for m in members.values()],
        "such as": [", ".join(m[:6]) for m in members.values()],
    }
)

# %%


def directions(net: CharacterCNN, words: list[str]) -> np.ndarray:
    """The vectors of words without their mean, each of length 1: what the cosine compares, (n, D)."""
    vectors = net(encode(words))
    return F.normalize(vectors - vectors.mean(0), dim=1).numpy()


family_words = [w for m in members.values() for w in m]
families = [name for name, m in members.items() for _ in m]
axes = figure(2, width=10.0, height=4.6)
for ax, (name, net) in zip(axes, nets.items(), strict=True):
    points = PCA(2, svd_solver="full").fit_transform(directions(net, family_words))
    plots.plot_families(points, families, family_words, title=f"{name.capitalize()} training", ax=ax)
axes[0].figure.legend(
    *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(members), frameon=False
)
plt.show()

# %% [markdown]
# A plane shows little of D directions, so we count in all of them: how often is the nearest of all these words one of
# the same family?

# %%
labels_of = np.array(families)
for name, net in nets.items():
    cosines = directions(net, family_words) @ directions(net, family_words).T
    np.fill_diagonal(cosines, -2)
    same = (labels_of[cosines.argmax(1)] == labels_of).mean()
    print(f"{name:7}training: {same:.0%} of the nearest words are of the same family")

# %% [markdown]
# ## Try it: any word you like
#
# Last, all of it for one word, with the trained network: its ids, what the filters of one width answer to each window,
# and the words that lie nearest. We take a word that the corpus does not hold, if `WORDS` has one. This computes the
# numbers by hand.

# %%
asked = next((w for w in WORDS if w not in known), word)
asked_ids = encode([asked])  # (1, C)
n_asked = int((asked_ids[0] != characters.padding_id).sum())
letters = plots.character_labels(asked_ids[0], characters)
answered = trained.filter_responses(trained.embed(asked_ids), bank)[0]  # (filters, positions)
answered = answered[:, : n_asked + 1].numpy()  # the windows that hold a letter, and one of padding
heard = ["".join(letters[p : p + width]) for p in range(answered.shape[1])]
near, near_cosines = (values[0] for values in nearest(trained, [asked], 8))

# %% [markdown]
# Each row of the second picture is one filter, each column a window. Look for rows that are dark purple at one window
# alone: they have found what they look for. Which part of the word do its neighbours share?

# %%
from elmo_helpers.display.spelling_plots import plot_neighbours, plot_spelling

plot_spelling(asked_ids[0, :n_asked], letters[:n_asked], title=f"“{asked}” as ids")
left, right = figure(2, width=11.5, height=4.8)
plots.plot_response_heat(answered, heard, ax=left)
plot_neighbours([frequent[j] for j in near], near_cosines, title=f"Nearest to “{asked}”", ax=right)
plt.show()

# %% [markdown]
# With a running kernel, type any word below, misspelled or invented, and press Enter. The Tab key goes on to the width
# of the filters, a list that the space bar opens, and to the number of neighbours, which the arrow keys change. If the
# word holds a character that the network does not know, a line under the field says so.

# %%
from elmo_helpers.display.widgets.character_explorer import CharacterExplorer

explorer = CharacterExplorer(trained, frequent, text=corpus.text, word=asked)
assert np.allclose([cosine for _, cosine in explorer.nearest(asked, 8)], near_cosines, atol=1e-5), "as by hand"
explorer

# %% [markdown]
# ## Recap
#
# - A word is a row of character ids, each character a vector: one-hot, or one-hot times a learned matrix, which
#   is looking up a row.
# - A filter answers at each window of a few characters. The maximum over all windows makes one number of it, so a word
#   of any length becomes F numbers. A highway layer mixes them, and its gate can let each number pass as it is.
# - `view` does not swap axes. In the original each word was made of slices of the whole title.
# - A word's vector depends on its spelling alone. So padding can be cut off, each distinct word is computed once, and
#   no word's vector depends on the batch. Words never seen before have vectors, too.
# - Random filters keep spelling; training turns them to what helps to predict.
#
# ## Exercises
#
# 1. Set `WORDS` to words of your own: a name, a misspelling, a word with a prefix that you made up. Which of their
#    neighbours would you have guessed? Then set `FREQUENT_WORDS` to 20000.
# 2. In “One filter by hand”, change `bank` and `number`. Find a filter whose greatest response lies at the end of the
#    word. Does it find the end of other words, too (put them first in `WORDS`)?
# 3. (A stretch.) The paper's filters are one to seven characters wide. Give the learned `CharCNNConfig` the argument
#    `filters=((1, 8), (2, 16), (3, 32), (5, 32), (7, 40))`; they are 128 together, as the LSTMs expect. (`bank = 2` in
#    “One filter by hand” is then three wide.) Which width finds whole words, and does the share of equal endings rise or fall?
#
# ## Where to go next
#
# [03 · biLM](03_bilm.ipynb) puts two stacks of LSTMs on these vectors, one reading from the left and one from the right, and takes care that
# neither sees the word that it has to predict.
#
# ## Versions

# %%
for package in ["elmo_helpers", "torch", "numpy", "pandas", "scikit-learn", "matplotlib", "ipywidgets"]:
    print(f"{package:13}{version(package)}")
