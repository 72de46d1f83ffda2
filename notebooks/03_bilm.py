# %% [markdown]
# # 03 · Two language models that may not see what they predict
#
# In this notebook two LSTMs read a title, one from the left and one from the right, and you can see that neither ever
# reads the word that it is asked for.

# %% [markdown]
# ## What you will be able to do
#
# - Say what the forward and the backward model read and predict at every position of a title.
# - Compute an LSTM step and a title's loss by hand, and find the same numbers in the library.
# - Tell from a first loss whether a model is sound, and from a loss that is too good whether it cheats.
# - Test any network of your own for a view of its answers: on random words, and by its derivatives.
# - Read off which words of a title each direction foresees, and which surprise it.

# %% [markdown]
# Everything that you may want to change stands in the next cell. Change a value and run the notebook again.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # your titles; the default corpus is written here if nothing is
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
SEED = 0  # of all random weights and random words
EXAMPLE = "The state of the union is strong"  # the title that most figures show
PRESET = "tutorial"  # sizes of the old tutorial's model; "tiny" is quicker
VOCABULARY_SIZES = [100, 1_000, 10_000, 100_000]  # V of the fresh models whose first loss is measured
RANDOM_WORDS = 30  # distinct words of the random text
RANDOM_LENGTH = 10  # words of each random title
BATCH_SIZE = 32  # B, titles in a training step
STEPS = 400  # training steps on random text, for each of three networks
LEARNING_RATE = 0.003  # of Adam at the start of this training; it falls to 0
QUICK_TITLES = 10_000  # titles of the corpus that section 11 trains on, each read once; they are drawn at random
QUICK_LEARNING_RATE = 0.012  # the highest one of that training
SCORED = "The government of the United States is strong."  # the title that section 11 looks at, word by word
LIKELY_WORDS = 6  # how many likely words to show there

# %%
import importlib.metadata
import math
from dataclasses import replace
from fractions import Fraction

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from torch import nn

from elmo_helpers.display.flow_plots import plot_flow
from elmo_helpers.display.source import show_source
from elmo_helpers.display.style import figure

torch.set_num_threads(1)  # the matrices here are small: more threads wait for each other longer than they work

# %% [markdown]
# Where we are on the way from titles to vectors:

# %%
plot_flow(here=3)
plt.show()

# %% [markdown]
# Some letters stand for the same number everywhere: **B** titles in a batch, **T** tokens of a title with both
# boundaries, **D** numbers of a token vector (notebook 02), **H** numbers in an LSTM's cell, **P** numbers that one
# direction gives out (here P = H), **L** LSTM layers, **V** words that can be predicted.

# %% [markdown]
# ## 1 · What a language model is
#
# A language model gives every title a probability. It gets there one token at a time: how likely is the next token,
# given those before it? For a title $t_1, t_2, \dots, t_N$ the **chain rule** of probability multiplies these answers:
#
# $$p(t_1, \dots, t_N) = \prod_{k=1}^{N} p(t_k \mid t_1, \dots, t_{k-1})$$
#
# Nothing says that one must begin on the left. From the right it is just as true:
#
# $$p(t_1, \dots, t_N) = \prod_{k=1}^{N} p(t_k \mid t_{k+1}, \dots, t_N)$$
#
# By hand: say that the whole language is the five titles below, all equally likely. `<S>` and `</S>` mark where a title
# begins and ends; the mark from which one starts is given. Look at the products in the last line: both are one fifth.

# %%
LANGUAGE = ["the dog barks", "the dog sleeps", "a dog sleeps", "the cat sleeps", "a cat barks"]


def share(read, token, titles):
    """Of the titles that begin with the tokens `read`, the share that goes on with `token`."""
    beginnings = [title for title in titles if title[: len(read)] == read]
    return Fraction(sum(title[len(read)] == token for title in beginnings), len(beginnings))


titles = [["<S>", *title.split(), "</S>"] for title in LANGUAGE]
title = titles[0]
n = len(title)
forward = [share(title[:t], title[t], titles) for t in range(1, n)]
mirrored = [t[::-1] for t in titles]
backward = [share(title[:t:-1], title[t], mirrored) for t in range(n - 1)]

table = pd.DataFrame({"forward": ["given", *map(str, forward)], "backward": [*map(str, backward), "given"]}, title)
table.loc["product"] = [str(math.prod(forward)), str(math.prod(backward))]
assert math.prod(forward) == math.prod(backward) == Fraction(1, len(LANGUAGE))
table

# %% [markdown]
# The products agree, but the single answers do not: what comes before a word and what comes after it tell different
# things about it. ELMo wants both, so it trains two models, a forward and a backward one. That is the **biLM**.
#
# Each model is a stack of LSTMs. It squeezes what it has read so far into a vector $h$ of P numbers, and a **softmax**
# turns $h$ into a probability for each of the V words:
#
# $$p(w \mid h) = \frac{e^{W_w \cdot h + b_w}}{\sum_v e^{W_v \cdot h + b_v}}$$
#
# $W_w$ are P numbers and $b_w$ is one number for the word $w$, all learned; the sum runs over all words $v$.
# The two models share the spelling reader of notebook 02 and this softmax. Everything else is their own. Here is a
# model with fresh weights and its parts:

# %%
from elmo_helpers import BiLM, BiLMConfig, prepare_corpus

corpus = prepare_corpus(TITLES, PROCESSED)
config, spelling = BiLMConfig.preset(PRESET), corpus.character_vocabulary
cnn = replace(config.char_cnn, scheme=spelling.scheme, max_characters=spelling.max_characters)  # as the corpus has it
torch.manual_seed(SEED)
model = BiLM(replace(config, char_cnn=cnn), corpus.vocabulary, corpus.text).eval()
P = model.config.output_dim

parts = {"char_cnn": "both", "forward_layers": "forward", "backward_layers": "backward", "softmax": "both"}
pd.DataFrame(
    {
        "used by": parts.values(),
        "learned numbers": [f"{sum(p.numel() for p in getattr(model, part).parameters()):,}" for part in parts],
    },
    index=pd.Index(parts, name="part of BiLM"),
)

# %% [markdown]
# ## 2 · Who predicts what
#
# The next cell makes a title into what the model reads: a row of characters for each distinct word, at each position
# the number of its row, and the vocabulary ids of the same tokens as targets. (`Batch.of_words` takes the words of any
# title; for titles of a corpus there is `Batch.of`.)

# %%
from elmo_helpers import Tokenizer, normalize_title
from elmo_helpers.training.batching import Batch


def read_title(title):
    """The tokens of a title, and the title as a batch of one."""
    words = next(Tokenizer(corpus.text.tokenizer)([normalize_title(title, lowercase=corpus.text.lowercase)]))
    tokens = ["<S>", *words, "</S>"]
    return tokens, Batch.of_words([words], spelling, corpus.vocabulary)


tokens, batch = read_title(EXAMPLE)
T = len(tokens)

# %% [markdown]
# The middle row is the title. Pick a position: above it is what the forward model must name after it has read
# everything up to there, below it what the backward model must name after it has read everything from the end down to
# there.

# %%
from elmo_helpers.display.bilm_plots import plot_targets

plot_targets(tokens)
plt.show()

# %% [markdown]
# Both boundaries earn their place. `<S>` gives the forward model something to start from and is what the backward model
# must foresee: that the title begins here. `</S>` does the same the other way round. So a title of n words is n + 1
# predictions in each direction.

# %%
display(Markdown(f"Here: {T - 2} words, {T} tokens, **{T - 1} predictions in each direction**."))

# %% [markdown]
# ### What the original asked for
#
# The original tutorial gave its *word ids* both boundaries, and its *characters* none. So the characters of the first
# word stand at position 0, where the ids have `<SOS>`, and everything is shifted by one. Compare the two columns for the
# forward model: the word that it reads and the word that it is asked for at the same moment.

# %%
words = tokens[1:-1]
reads = [*words, "", ""]  # the original's characters: no boundaries, then padding
ids = ["<SOS>", *words, "<EOS>"]  # the original's word ids
shifted = pd.DataFrame(
    {
        "the original reads": reads,
        "its forward is asked for": [*ids[1:], "nothing"],
        "its backward is asked for": ["nothing", *ids[:-1]],
        "ours reads": tokens,
        "our forward is asked for": [*tokens[1:], "nothing"],
    }
).rename_axis("position t")
same = sum(reads[t] == ids[t + 1] for t in range(len(words)))
assert same == len(words)
display(shifted)
display(Markdown(f"In **{same} of {len(ids) - 1}** places the original's forward model has just read its answer."))

# %% [markdown]
# To copy a word is not to predict it. The original's backward model has it the other way round: it is asked for a word
# two places away, and has not read the one in between, so that it has to skip a word. Our character table has rows for `<S>` and `</S>`, so that what is
# read and what is asked for stand side by side. Here are both, taken from the batch itself:

# %%
rows = batch.characters[batch.tokens[0]]  # (T, C)
spelled = [spelling.decode(row) for row in rows]
pd.DataFrame({"read, by its characters": spelled, "its id as a target": batch.targets[0].tolist()}).T.rename_axis(
    columns="position t"
)

# %% [markdown]
# ## 3 · One LSTM step by hand
#
# An LSTM (*long short-term memory*) reads one vector $x_t$ after the other. It carries two vectors of H numbers along: the **cell** $c$, its memory,
# and the **output** $h$. At each step three **gates** i, f, o and the new content g are computed from the new input and the last output:
#
# $$\begin{pmatrix} i \\ f \\ g \\ o \end{pmatrix} = W_{ih}\, x_t + W_{hh}\, h_{t-1} + b$$
#
# $$c_t = \sigma(f)\, c_{t-1} + \sigma(i) \tanh(g) \qquad h_t = \sigma(o) \tanh(c_t)$$
#
# $W_{ih}$, $W_{hh}$ and $b$ are learned. $\sigma$ squeezes a number into 0 … 1, tanh into −1 … 1, and products are taken
# number by number. In words: $f$ says how much of the memory stays, $i$ how much of the new content $g$ is written, $o$
# how much of the memory is shown. Now with toy sizes, for this section alone, and plain operations on tensors:

# %%
H, D = 3, 4
torch.manual_seed(SEED)
W_ih, W_hh, b = torch.randn(4 * H, D), torch.randn(4 * H, H), torch.randn(4 * H)


def step(x, h, c):
    """One step: x (D,), h and c (H,) to the gates and the new c and h, six vectors of (H,)."""
    gates = W_ih @ x + W_hh @ h + b  # (4H,)
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]  # PyTorch's order
    i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
    c = f * c + i * g
    h = o * torch.tanh(c)
    return i, f, g, o, c, h


x = torch.randn(6, D)  # six tokens
steps, h, c = [], torch.zeros(H), torch.zeros(H)
for x_t in x:
    steps.append(step(x_t, h, c))
    c, h = steps[-1][4:]
by_hand = torch.stack([h for *_, h in steps])  # (6, H)

# %% [markdown]
# The figure shows the second of the three cells. Check a column: c is f times the c on its left, plus i times g.

# %%
from elmo_helpers.display.bilm_plots import plot_cell

rows = ["σ(i)  write", "σ(f)  keep", "tanh(g)  new", "σ(o)  show", "c  memory", "h  output"]
values = pd.DataFrame({f"x{t + 1}": [v[1].item() for v in vectors] for t, vectors in enumerate(steps)}, index=rows)
plot_cell(values)
plt.show()
write, keep, new, _, memory, _ = values["x2"]
before = values.loc[rows[4], "x1"]
display(
    Markdown(f"At x2: {keep:.4f} · ({before:.4f}) + {write:.4f} · ({new:.4f}) = **{memory:.4f}**; the figure rounds.")
)

# %% [markdown]
# PyTorch has a cell and a whole LSTM. The library has a layer of its own, because the published models clip the cell and
# the projected output: PyTorch's LSTM can project (`proj_size`) but not clip. All three must say what we computed.

# %%
from elmo_helpers.model.lstm import LSTMLayer

torch_cell, torch_lstm, layer = nn.LSTMCell(D, H), nn.LSTM(D, H), LSTMLayer(D, H)
with torch.no_grad():
    for module, suffix in ((torch_cell, ""), (torch_lstm, "_l0")):  # PyTorch has two biases, which it adds
        for name, value in {"weight_ih": W_ih, "weight_hh": W_hh, "bias_ih": b, "bias_hh": 0 * b}.items():
            getattr(module, name + suffix).copy_(value)
    for name, value in {"weight_ih": W_ih, "weight_hh": W_hh, "bias": b}.items():
        getattr(layer, name).copy_(value)

    h, c = torch_cell(x[0])
    assert torch.allclose(h, steps[0][5], atol=1e-6)
    assert torch.allclose(c, steps[0][4], atol=1e-6)
    assert torch.allclose(torch_lstm(x)[0], by_hand, atol=1e-6)
    assert torch.allclose(layer(x[None], torch.tensor([len(x)]))[0][0], by_hand, atol=1e-6)
print("nn.LSTMCell, nn.LSTM, LSTMLayer: all as by hand")

# %% [markdown]
# Where there is nothing to clip or to project, as in `tutorial`, the layer calls PyTorch's kernel. Otherwise it takes its
# own steps. Here is one of them. It writes into memory that is there already, which is faster than to ask for new memory
# at each step: functions that end in `_`, or have an `out`, change what they are given. Look for the line of $c_t$.

# %%
from elmo_helpers.model import lstm_kernel

show_source(lstm_kernel._step)

# %% [markdown]
# Clipped, the cell stays within a bound, and so does all that follows from it. By hand that is one `clamp` more:

# %%
BOUND = 0.5
clipped_layer = LSTMLayer(D, H, cell_clip=BOUND)
clipped_layer.load_state_dict(layer.state_dict())

h, c, clipped = torch.zeros(H), torch.zeros(H), []
for x_t in x:
    *_, o, c, _ = step(x_t, h, c)
    c = c.clamp(-BOUND, BOUND)
    h = o * torch.tanh(c)
    clipped.append(h)
assert torch.allclose(clipped_layer(x[None], torch.tensor([len(x)]))[0][0], torch.stack(clipped), atol=1e-5)
print(f"without clipping |c| reaches {max(v[4].abs().max() for v in steps):.2f}, with it {BOUND}; both as by hand")

# %% [markdown]
# ## 4 · How one reads backwards
#
# The backward model is an LSTM like the other. It is the titles that are turned round. In a batch they have different
# lengths, and shorter ones are filled up with padding. Look at title 1 in each group: if the whole row is turned,
# the padding comes first and the LSTM wades through it before it meets a word. Turned *within its own length*, the title
# begins at once. A dot is padding.

# %%
from elmo_helpers.model.lstm import reverse_within_lengths

toy = [["<S>", "rain", "fell", "all", "night", "</S>"], ["<S>", "home", "</S>", "·", "·", "·"]]
lengths = torch.tensor([6, 3])
turned = [row[:n][::-1] + row[n:] for row, n in zip(toy, lengths.tolist(), strict=True)]  # by hand

numbers = torch.arange(12).view(2, 6)
places = reverse_within_lengths(numbers, lengths)
assert [[toy[k // 6][k % 6] for k in row] for row in places.tolist()] == turned
assert torch.equal(reverse_within_lengths(places, lengths), numbers), "twice is as before"
pd.DataFrame([*toy, *[row[::-1] for row in toy], *turned], ["title 0", "title 1"] * 3).set_axis(
    pd.MultiIndex.from_product([["as it stands", "whole row turned", "turned within length"], ["title 0", "title 1"]])
)

# %% [markdown]
# Padding then stands at the end in both directions, where an LSTM that goes forward meets it after the last real word.
# It cannot reach back, and its outputs there are thrown away.

# %% [markdown]
# ## 5 · An LSTM that runs across titles
#
# PyTorch's LSTM takes time on the *first* axis unless one says `batch_first=True`. The original passed (B, T, D) and did
# not say so. Its LSTM took the titles for steps of time: it read the first word of title 0, then the first word of
# title 1, and so on down the batch. This is the original's network behind the token vectors:


# %%
class OriginalNetwork(nn.Module):
    """The original's structure: a bidirectional LSTM of two layers, and one output for both targets."""

    def __init__(self, dim, hidden_dim, n_words, *, batch_first):
        super().__init__()
        self.lstm = nn.LSTM(dim, hidden_dim, num_layers=2, bidirectional=True, batch_first=batch_first)
        self.out = nn.Linear(2 * hidden_dim, n_words)

    def forward(self, x):
        return self.out(self.lstm(x)[0]).log_softmax(-1)


D = model.config.char_cnn.output_dim
torch.manual_seed(SEED)
across = OriginalNetwork(D, model.config.hidden_dim, len(corpus.vocabulary), batch_first=False).eval()

# %% [markdown]
# An experiment: take six titles of the corpus, change all words of one of them, and see whose outputs move. In a sound
# network only its own do.

# %%
six = Batch.of(corpus, np.arange(len(corpus))[:6])


@torch.no_grad()
def movement(outputs_of):
    """(B, B): how far the outputs of the title in the row move when the title in the column is changed."""
    before = outputs_of(six.tokens)
    columns = []
    for changed in range(len(six.tokens)):
        other = six.tokens.clone()
        other[changed] = (other[changed] + 1) % len(six.characters)  # another word at every position
        columns.append((outputs_of(other) - before).abs().amax((1, 2)))
    return torch.stack(columns, 1).numpy()


moved_original = movement(lambda tokens: across.lstm(model.char_cnn(six.characters)[tokens])[0])
moved_ours = movement(lambda tokens: model(six.characters, tokens, six.lengths).layers[-1])

# %%
from elmo_helpers.display.bilm_plots import influence_limits, plot_influence

names = {
    "xlabel": "title that is changed",
    "ylabel": "title whose outputs are looked at",
    "measure": "largest movement",
}
limits = influence_limits(moved_original, moved_ours)
axes = figure(2, 11, 4.2)
plot_influence(moved_original, title="The original: every title moves", limits=limits, ax=axes[0], **names)
plot_influence(moved_ours, title="Ours: each title is on its own", limits=limits, ax=axes[1], **names)
plt.show()

others = ~np.eye(len(moved_ours), dtype=bool)
assert (moved_ours[others] < 1e-6).all()
display(
    Markdown(f"""When title 0 is changed, the outputs of title 1 move **{moved_original[1, 0] / moved_original[0, 0]:.0%}** as
far as those of title 0 itself in the original, and **{moved_ours[1, 0] / moved_ours[0, 0]:.0%}** as far in ours. The largest movement of any
title that was not changed is {moved_original[others].max():.4f} in the original and {moved_ours[others].max():g} in ours.""")
)

# %% [markdown]
# In the original the vector of a title thus depended on which other titles happened to be in the batch, and in which
# order. Notebook 04 meets the same fault again when titles are encoded.

# %% [markdown]
# ## 6 · The loss by hand
#
# A model is good if it gives the tokens that are really there a high probability. The **loss** is the negative logarithm
# of it. Logarithms turn the product of the chain rule into a sum, so the loss of a title is a sum over its predictions,
# measured in **nats** (natural logarithms). A sure and right answer costs 0, an answer of probability one in a hundred
# costs log 100.
#
# For our example we take the top layer's outputs, ask the softmax for the logarithm of every word's probability, and pick
# the words that are asked for: at position t the forward half is asked for t + 1, the backward half for t − 1.

# %%
with torch.no_grad():
    top = model(batch.characters, batch.tokens, batch.lengths).layers[-1, 0]  # (T, 2P)
    log_p_forward = model.softmax.log_probabilities(top[:, :P])  # (T, V)
    log_p_backward = model.softmax.log_probabilities(top[:, P:])  # (T, V)

ids = batch.targets[0]
cost_forward = [-log_p_forward[t, ids[t + 1]].item() for t in range(T - 1)]
cost_backward = [-log_p_backward[t, ids[t - 1]].item() for t in range(1, T)]

costs = pd.DataFrame({"forward": [np.nan, *cost_forward], "backward": [*cost_backward, np.nan]}, tokens)
costs.loc["sum"] = costs.sum()
costs.map(lambda nats: "given" if np.isnan(nats) else f"{nats:.3f}").rename_axis("token asked for")

# %% [markdown]
# The library's `BiLM.loss` gives the same two sums. Its number of predictions is that of one direction.

# %%
with torch.no_grad():
    loss = model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets)
assert math.isclose(loss.forward.item(), sum(cost_forward), rel_tol=1e-5)
assert math.isclose(loss.backward.item(), sum(cost_backward), rel_tol=1e-5)
assert loss.n_predictions == T - 1
display(
    Markdown(f"""forward {loss.forward:.3f} + backward {loss.backward:.3f} nats over 2 · {loss.n_predictions}
predictions: a mean of **{loss.mean:.3f} nats per prediction**.""")
)

# %% [markdown]
# And this is how it computes them. Both directions are read *in reading order*, so that in both the target is simply the
# next token: `in_order[:, 1:]`. `before_last` leaves out the last token of each title and all padding.

# %%
show_source(BiLM.loss, docstring=False)

# %% [markdown]
# **Padding is not counted.** Take the shortest and the longest of the first hundred titles. Together in a batch the short
# one is mostly padding. The loss must be that of the two titles alone, added up, over as many predictions.

# %%
first = corpus.lengths[:100]
pair = np.array([first.argmin(), first.argmax()])


@torch.no_grad()
def loss_of(indices):
    batch = Batch.of(corpus, indices)
    return model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets)


together, short, long = loss_of(pair), loss_of(pair[:1]), loss_of(pair[1:])
assert math.isclose(together.forward.item(), (short.forward + long.forward).item(), rel_tol=1e-5)
assert math.isclose(together.backward.item(), (short.backward + long.backward).item(), rel_tol=1e-5)
assert together.n_predictions == short.n_predictions + long.n_predictions
print(f"{short.n_predictions} + {long.n_predictions} = {together.n_predictions} predictions in each direction")

# %% [markdown]
# ## 7 · Two ways to fool oneself with a loss
#
# ### Padding that counts
#
# The original took the mean over all positions of a batch, padding included. It drew its batches at random, so short and
# long titles met, and the longest one set the width. Grey is padding in the figure. On the right the library's way:
# titles of similar length go together, so there is little padding to begin with, and none of it is counted.

# %%
from elmo_helpers.display.bilm_plots import plot_padding
from elmo_helpers.training.batching import length_buckets

training = corpus.split("train")
rng = np.random.default_rng(SEED)
order = rng.permutation(len(training))
shuffled = [order[start : start + 64] for start in range(0, len(order), 64)]
bucketed = length_buckets(training.lengths, 64, rng)

axes = figure(2, 11, 4.2)
plot_padding(training.padded_tokens(shuffled[0]), title="Drawn at random, as in the original", ax=axes[0])
plot_padding(training.padded_tokens(bucketed[0]), title="Titles of similar length, as here", ax=axes[1])
plt.show()

# %% [markdown]
# How much of what the original averaged was padding? And what does that do to a loss? Padding is easy to foresee: after
# padding comes padding. Say it costs nothing after a few steps. Then the reported mean is the real one times the share of
# real predictions, with nothing learned about words. The perplexity is $e^{\text{loss}}$: among how many equally likely
# words the model seems to choose.


# %%
def padding_share(batches):
    """The share of the predictions of one direction that are padding, if all positions count."""
    lengths = [training.lengths[indices] + 1 for indices in batches]  # predictions of each title
    return 1 - sum(n.sum() for n in lengths) / sum(n.max() * len(n) for n in lengths)


padding = padding_share(shuffled)
display(
    Markdown(f"""**{padding:.0%}** of all positions are padding in random batches of 64,
{padding_share(bucketed):.0%} in batches of similar length.""")
)
real = np.array([7.0, 6.0, 5.0])
reported = (1 - padding) * real
pd.DataFrame(
    {
        "loss per word": real,
        "reported": reported.round(2),
        "perplexity": np.exp(real).round().astype(int),
        "seeming perplexity": np.exp(reported).round().astype(int),
    }
).set_index("loss per word")

# %% [markdown]
# ### A ReLU before the softmax
#
# The original sent the scores through a ReLU, which turns every score below 0 into 0, and took the softmax of that. Two
# things follow.
#
# - No word can have a smaller probability than $e^0 / \sum_v e^{z_v}$, where $z_v$ are the scores of all words
#   after the ReLU. Rare words need a far smaller one.
# - A score that was cut has the derivative zero. If the word with this score is the very word that is asked for, the model
#   is not told to lift it.
#
# A small experiment makes both visible. There is no network in it: one score a word, started at random, is fitted to the
# frequencies of the corpus's most frequent words, once without and once with ReLU.

# %%
counts = np.sort(corpus.vocabulary.counts[4:])[::-1][:1000]
wanted = torch.from_numpy(counts[counts > 0] / counts.sum()).float()  # shares of the words, by falling share


def fit(activation):
    """Fit one score a word to the shares `wanted`; the probabilities after 500 steps, and the last scores."""
    scores = torch.randn(len(wanted), generator=torch.Generator().manual_seed(SEED)).requires_grad_()
    optimizer = torch.optim.Adam([scores], lr=0.05)
    for _ in range(500):
        loss = -(wanted * activation(scores).log_softmax(0)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return activation(scores).softmax(0).detach(), scores.detach()


p_plain, _ = fit(lambda scores: scores)
p_relu, scores_relu = fit(torch.relu)

# %% [markdown]
# The black line is what is wanted. Look for the triangles that do not follow it. (A few circles that
# began too high have not come all the way down in 500 steps.)

# %%
from elmo_helpers.display.bilm_plots import plot_word_probabilities

plot_word_probabilities(wanted, {"without ReLU": p_plain, "with ReLU": p_relu})
plt.show()

floor = 1 / torch.relu(scores_relu).exp().sum()  # e⁰ / Σ
assert p_relu.min() >= floor * (1 - 1e-5)
assert torch.allclose(p_relu[scores_relu < 0], floor, rtol=1e-5), "every word that is cut has the same probability"
stuck = (scores_relu < 0).float().mean()
display(
    Markdown(f"""With ReLU **{stuck:.0%}** of the {len(wanted):,} words are stuck at the lower bound e⁰/Σ = {floor:.1e},
frequent and rare ones alike. The rarest of them should have {wanted.min():.1e}; without ReLU it has {p_plain.min():.1e}.""")
)

# %% [markdown]
# In a network a score also depends on $h$, so a word that is cut in one context may live in another, but the bound stays,
# and what is cut learns nothing. (The softmax looks at differences only, so one could lift the frequent words in place of
# lowering the rare ones. But the frequent words that were cut are not told so.) The remedy is to leave the ReLU out. The
# softmax needs no positive scores.
#
# A third habit of the original, dropout by a flag that one passes along, is replaced by PyTorch's own `model.train()` and
# `model.eval()`, which no layer can miss.

# %% [markdown]
# ## 8 · The first loss tells whether a model is sound
#
# A model that knows nothing gives each of V words the probability 1/V. That costs log V nats. (To be exact, V − 1, as
# padding is never predicted.) So a fresh model's loss can be foreseen. If it is far off, something is wrong before the
# training has begun: scores that are too large, a softmax over the wrong axis, targets that are seen.
#
# We ask fresh models of several V for random words of their vocabulary, after they have read titles of the corpus.

# %%
from elmo_helpers import WordVocabulary
from elmo_helpers.display.bilm_plots import plot_initial_loss

several = Batch.of(corpus, np.arange(len(corpus))[:32])
first_losses = []
for n_words in VOCABULARY_SIZES:
    torch.manual_seed(SEED)
    vocabulary = WordVocabulary([f"word {i}" for i in range(n_words - 4)])  # and the four specials
    fresh = BiLM(model.config, vocabulary).eval()
    targets = torch.randint(1, n_words, several.targets.shape)
    with torch.no_grad():
        loss = fresh.loss(several.characters, several.tokens, several.lengths, targets)
    first_losses.append(loss.mean.item())

plot_initial_loss(VOCABULARY_SIZES, first_losses)
plt.show()
off = max(abs(loss / math.log(n_words - 1) - 1) for n_words, loss in zip(VOCABULARY_SIZES, first_losses, strict=True))
display(Markdown(f"The largest distance from the line is **{off:.2%}**."))

# %% [markdown]
# The original printed its losses, and its vocabulary had 94,297 words. Here is what they say now that we can read them.

# %%
original_words, original_first, original_last = 94_297, 11.464266777038574, 11.451211929321289  # as printed there
display(
    Markdown(f"""log {original_words:,} = {math.log(original_words):.3f}. The original's first loss was
{original_first:.3f}, and its last one, after two epochs on 128 titles, {original_last:.3f}: **it began where a sound model
begins, and it ended {original_first - original_last:.3f} nats lower**, having learned next to nothing yet.""")
)

# %% [markdown]
# In notebook 04 training starts lower than log V: the softmax's bias begins at the logarithm of each word's frequency
# (`FullSoftmax.start_from_counts`), which saves the model from learning that first.

# %% [markdown]
# ## 9 · The leak
#
# Now the fault that matters most. The original used one `nn.LSTM(bidirectional=True)` with two layers, and gave both
# halves of its output to the prediction. But the backward half at position t has already read position t + 1, the very
# word that the forward loss asks for. The network can look up its answer.
#
# On real text this shows only as a suspiciously good loss. To *prove* it we need a text in which nothing can be predicted.
# So: every word is drawn at random from K words, all equally likely, and every step draws fresh titles, so that nothing can
# be learned by heart either. Whatever a model has read, K equally likely words cost log K nats: that is the **entropy** of
# the text, and no honest model can be below it on average. Only the end of a title is certain, because all titles here are
# equally long. With n words a title, the n + 1 predictions of one direction have a mean of at least
#
# $$\frac{n \log K + 0}{n + 1}$$

# %%
entropy = RANDOM_LENGTH * math.log(RANDOM_WORDS) / (RANDOM_LENGTH + 1)

random_words = [f"w{k}" for k in range(RANDOM_WORDS)]
random_vocabulary = WordVocabulary(random_words)  # ids: 0 padding, 1 <S>, 2 </S>, 3 <UNK>, then the words
boundaries = spelling.boundary_rows
spellings = np.concatenate([boundaries, boundaries[:1], spelling.encode(random_words)])
spellings = torch.from_numpy(spellings.astype(np.int64))  # (V, C), a row for each id


def random_titles(n_titles, generator):
    """(n_titles, T) vocabulary ids: <S>, random words, </S>."""
    ids = torch.randint(4, len(random_vocabulary), (n_titles, RANDOM_LENGTH + 2), generator=generator)
    ids[:, 0], ids[:, -1] = 1, 2
    return ids


example = random_titles(1, torch.Generator().manual_seed(SEED))[0]
print(" ".join(random_vocabulary[i] for i in example))
display(Markdown(f"The entropy of this text is **{entropy:.3f} nats per prediction**."))

# %% [markdown]
# Three networks are trained, in the same way and on the same titles:
#
# - **ours**: `BiLM.loss`, both directions;
# - **the original, both targets**: its network with one output for both. The shift, the missing `batch_first` and the ReLU
#   are mended here, so that nothing but its structure is tested;
# - **the original, next word alone**: the same network, with the backward target left out.


# %%
def our_loss(model, ids):
    return model.loss(spellings, ids, torch.full((len(ids),), ids.shape[1]), ids).mean


def original_loss(network, ids, *, both=True):
    log_p = network(ids).transpose(1, 2)  # (B, V, T), as nll_loss wants it
    forward = nn.functional.nll_loss(log_p[:, :, :-1], ids[:, 1:])
    backward = nn.functional.nll_loss(log_p[:, :, 1:], ids[:, :-1])
    return (forward + backward) / 2 if both else forward


def next_word_loss(network, ids):
    return original_loss(network, ids, both=False)


# %%
def train_on_random_titles(network, loss_function):
    """The loss at each step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=STEPS)
    generator = torch.Generator().manual_seed(SEED)
    losses = []
    for _ in range(STEPS):
        loss = loss_function(network, random_titles(BATCH_SIZE, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(loss.item())
    return losses


# %%
def original_network():
    V = len(random_vocabulary)
    return nn.Sequential(nn.Embedding(V, D), OriginalNetwork(D, model.config.hidden_dim, V, batch_first=True))


runs = {
    "ours, both directions": (lambda: BiLM(replace(model.config, dropout=0.0), random_vocabulary), our_loss),
    "the original, both targets": (original_network, original_loss),
    "the original, next word alone": (original_network, next_word_loss),
}
curves, networks = {}, {}
for name, (make, loss_function) in runs.items():
    torch.manual_seed(SEED)
    networks[name] = make()
    curves[name] = train_on_random_titles(networks[name], loss_function)

# %% [markdown]
# The dotted line is the entropy. Which curves go below it?

# %%
from elmo_helpers.display.bilm_plots import plot_loss_curves

plot_loss_curves(curves, entropy)
plt.show()

# %% [markdown]
# Single batches may be lucky by a hair, so we measure once more on 1,000 fresh titles that no step has seen.

# %%
fresh_titles = random_titles(1_000, torch.Generator().manual_seed(SEED + 1))
with torch.no_grad():
    measured = {name: runs[name][1](network.eval(), fresh_titles).item() for name, network in networks.items()}
pd.DataFrame(
    {
        "nats per prediction": [f"{loss:.3f}" for loss in measured.values()],
        "above the entropy": [f"{loss - entropy:+.3f}" for loss in measured.values()],
    },
    index=measured,
)

# %%
both, alone = (measured[f"the original, {targets}"] for targets in ("both targets", "next word alone"))
display(
    Markdown(f"""All that can be learned here is which words there are and where a title ends. Our model learns that and stops
at the line: {measured["ours, both directions"] - entropy:+.3f} nats. The original's network, asked for the next word alone,
ends at **{alone:.3f}** nats, **{entropy - alone:.3f} below the line**. Random words cannot be foreseen: it sees them. With
both targets it ends at **{both:.3f}**. It sees both neighbours then, but it has one output for the two, and the best that it
can do where a word has two of them is to give each one half, which costs log 2 = {math.log(2):.3f} nats.""")
)

# %% [markdown]
# What does such a network learn on real text? To copy. Its vectors need not hold anything about language, and that is
# what one wanted them for.

# %% [markdown]
# ## 10 · The picture of what each output may see
#
# There is a test that needs no training. If an output $h_t$ depends on the input $x_s$, its derivative
# $\partial h_t / \partial x_s$ is, at random weights, practically never zero. If nothing leads from $x_s$ to $h_t$, it is zero: exactly, whatever the weights
# are. We take the token vectors of our example as inputs, and for each pair (t, s) the size of the derivative: the root of
# the sum of the squares of its P × D numbers (2P × D for the original, whose output is both halves).
#
# The hook in the first function catches the token vectors on their way through `BiLM.forward`, so that it is the real model
# that is tested.


# %%
def inputs_and_layers(batch):
    """The token vectors (T, D) of one title, and all layers (L + 1, T, 2P) that the model makes of them."""
    caught = []

    def catch(module, arguments, output):
        caught.append(output.detach().requires_grad_())  # here the derivatives shall end
        return caught[0]

    hook = model.char_cnn.register_forward_hook(catch)
    rows = batch.characters[batch.tokens[0]]  # (T, C), a row a position: a word that occurs twice is two inputs
    layers = model(rows, torch.arange(len(rows))[None], batch.lengths).layers[:, 0]
    hook.remove()
    return caught[0], layers


# %%
def influence_on(h_t, x):
    """(T,): the size of the derivative of one output (P,) by each input of x (T, D)."""
    gradients = [torch.autograd.grad(number, x, retain_graph=True)[0] for number in h_t]  # P of (T, D)
    return torch.stack(gradients).square().sum((0, 2)).sqrt().numpy()


def influence(h, x):
    """(T, T): row t for the output h_t, column s for the input x_s."""
    return np.stack([influence_on(h_t, x) for h_t in h])


# %% [markdown]
# Each row of a picture is one output. Follow the row of a word: which columns are coloured, and is the word that it is
# asked for among them?

# %%
x, layers = inputs_and_layers(batch)
maps = [(influence(h[:, :P], x), influence(h[:, P:], x)) for h in layers[1:]]  # a pair for each LSTM layer

torch.manual_seed(SEED)
bidirectional = OriginalNetwork(D, model.config.hidden_dim, len(corpus.vocabulary), batch_first=True)
leaking = influence(bidirectional.lstm(x[None])[0][0], x)

# %% tags=["readme-bilm"]
pictures = {
    "Ours, forward: the past": maps[-1][0],
    "Ours, backward: the future": maps[-1][1],
    "The original: everything": leaking,
}
limits = influence_limits(*pictures.values())
for ax, (title, matrix) in zip(figure(3, 14, 4.4), pictures.items(), strict=True):
    plot_influence(matrix, tokens, title=title, limits=limits, ax=ax)
plt.show()

# %% [markdown]
# Two triangles and a full square. Our forward outputs depend on nothing to the right of their own position, our backward
# outputs on nothing to the left, and that is not nearly zero but zero. (That our colours hardly fade with the distance is
# a matter of the start: `LSTMLayer` begins with a forget gate of about σ(1), open enough to keep what was read, and
# PyTorch's LSTM with about σ(0).) The zeros must hold at *every* layer, as each layer is part of an ELMo vector:

# %%
for number, (forward, backward) in enumerate(maps, start=1):
    assert (np.triu(forward, 1) == 0).all(), "a forward output depends on a later word"
    assert (np.tril(backward, -1) == 0).all(), "a backward output depends on an earlier word"
    print(f"layer {number}: {T * (T - 1) // 2} forbidden pairs in each direction, all exactly 0")

seen = np.diag(leaking, 1)  # output t, input t + 1
display(
    Markdown(f"""In the original's network **{np.count_nonzero(seen)} of {T - 1}** outputs depend on the next word, which they
are to predict: on average {seen.mean() / np.diag(leaking).mean():.0%} as strongly as on the word at their own place.""")
)

# %% [markdown]
# Could one keep `bidirectional=True` and use the forward half of the output for the forward loss only? With one layer, yes.
# With two layers no: the second layer's forward half reads both halves of the first. So two separate stacks are needed, and
# that is what `BiLM` has.

# %%
half = influence(bidirectional.lstm(x[None])[0][0, :, : model.config.hidden_dim], x)
display(
    Markdown(f"""The forward half of the original's last layer: **{np.count_nonzero(np.triu(half, 1))} of
{T * (T - 1) // 2}** forbidden pairs are not zero.""")
)

# %% [markdown]
# ### Look for yourself
#
# One row of the two triangles as bars, for one position. The words "predicts this" stand above the tokens that are asked
# for there; the bar of the same direction is missing below.

# %%
from elmo_helpers import ElmoHelpersError
from elmo_helpers.display.bilm_plots import plot_reads


def draw_reads(title, position, layer):
    try:
        tokens, batch = read_title(title)
    except ElmoHelpersError as error:
        return print(error)
    if not 3 <= len(tokens) <= 27:
        return print(f"This title has {len(tokens) - 2} words: please type one of 1 to 25.")
    t = min(position, len(tokens) - 1)
    x, layers = inputs_and_layers(batch)
    h_t = layers[layer, t]
    plot_reads(tokens, influence_on(h_t[:P], x), influence_on(h_t[P:], x), t)
    plt.show()


draw_reads(EXAMPLE, T // 2, model.config.n_layers)

# %% [markdown]
# If you run this notebook, controls appear below: type a title, move the position, choose the layer.

# %%
controls = {
    "title": widgets.Text(EXAMPLE, description="Title", continuous_update=False, layout={"width": "90%"}),
    "position": widgets.IntSlider(T // 2, min=0, max=26, description="Position t", continuous_update=False),
    "layer": widgets.IntSlider(model.config.n_layers, min=1, max=model.config.n_layers, description="Layer"),
}
display(widgets.VBox([*controls.values(), widgets.interactive_output(draw_reads, controls)]))

# %% [markdown]
# ## 11 · What each direction knows
#
# So far nearly every weight was random. What does a model know that has read text, but never its answers? We train one
# for a moment. How that is done is told in notebook 04, which takes more time for it; here `train` is a box. As there,
# characters have learned vectors and the upper layer adds its input to its output. The softmax is an **adaptive** one,
# which has a quick way for rare words, and is exact like the full one. One title in twenty is kept aside.

# %%
from elmo_helpers import TrainingConfig, train

order = np.random.default_rng(SEED).permutation(len(training))
aside, drawn = np.split(order, [max(1, len(order) // 20)])
few_titles = training.select(drawn[:QUICK_TITLES])
quick = replace(
    model.config,
    char_cnn=replace(model.config.char_cnn, embedding_dim=16),
    skip_connections=True,
    softmax="adaptive",
    dropout=0.0,  # each title is read once, so none can be learned by heart
)
settings = TrainingConfig(
    epochs=1,
    batch_size=BATCH_SIZE,
    learning_rate=QUICK_LEARNING_RATE,
    final_learning_rate=QUICK_LEARNING_RATE / 50,
    warmup_steps=20,
    seed=SEED,
)
trained = train(few_titles, quick, settings).model

# %% [markdown]
# Has it learned anything? The perplexity on titles that it has not read says so, beside that of a model which only
# counts how often each word stands in the same titles, whatever stands beside it.

# %%
from elmo_helpers import UnigramModel, evaluate

unread = training.select(aside[:1000])
ours, counted = evaluate(trained, unread), UnigramModel(few_titles).evaluate(unread)
display(
    Markdown(f"""Perplexity on {len(unread):,} titles that neither has read: **{ours.perplexity:.0f}** after
{len(few_titles):,} titles, **{counted.perplexity:.0f}** for counting words.""")
)

# %% [markdown]
# Now one title, word by word. The **surprise** of a word is $-\log_2 p$, in **bits**: 0 if it was certain, 1 for the side
# of a coin, and each further bit halves the probability. `Scorer` gives log p of each word in both directions, which are
# the numbers of section 6:

# %%
from elmo_helpers import Scorer

scorer = Scorer(trained)
scores = scorer.score([SCORED])[0]

scored_tokens, scored_batch = read_title(SCORED)
half, ids = trained.config.output_dim, scored_batch.targets[0]
with torch.no_grad():
    top = trained(scored_batch.characters, scored_batch.tokens, scored_batch.lengths).layers[-1, 0]  # (T, 2P)
    log_p_forward, log_p_backward = (trained.softmax.log_probabilities(h) for h in (top[:, :half], top[:, half:]))
for t in range(1, len(ids) - 1):  # the words: word t - 1 stands at position t
    assert math.isclose(scores.forward[t - 1], log_p_forward[t - 1, ids[t]], abs_tol=1e-4)
    assert math.isclose(scores.backward[t - 1], log_p_backward[t + 1, ids[t]], abs_tol=1e-4)

# %% [markdown]
# Dark words were foreseen, bright ones were not. The colours end at about $\log_2 V$, the surprise of a model that knows nothing.
# Where do the two rows differ? The frame marks the word where they differ most.

# %%
from elmo_helpers.display.scoring_plots import plot_surprise

chosen = int(np.abs(scores.forward - scores.backward).argmax())
plot_surprise(scores, chosen=chosen, limit=math.log2(len(corpus.vocabulary) - 1))
plt.show()

# %% [markdown]
# The two sums above the figure are two measurements of one thing: by the chain rule of section 1, each is $-\log_2$ of the
# probability of the whole title. Models that knew the language perfectly would agree on it; these two were trained
# apart, and neither is perfect.
#
# For the framed word: which words would each direction have put there? None of them reads the word itself. The third
# picture multiplies both answers, so that a word has to please both sides. The word that really stands there is set off,
# if it is among them.

# %%
from elmo_helpers.display.scoring_plots import plot_likely_words

with_gap = [*scores.tokens[:chosen], "___", *scores.tokens[chosen + 1 :]]
for ax, direction in zip(figure(3, 12, 1.4 + 0.27 * LIKELY_WORDS), ("forward", "backward", "both"), strict=True):
    fills = scorer.fill(with_gap, LIKELY_WORDS, direction=direction)
    plot_likely_words(fills, direction=direction, word=scores.tokens[chosen], ax=ax)
plt.show()
print(" ".join(with_gap))

# %% [markdown]
# Where both sides favour the same word, both together are usually surer of it than either. That is what ELMo wants two
# directions for: its vectors hold what both know. With a running kernel, ask about titles of your own: type one and
# press Enter. The Tab key goes on to its words, which are buttons: press one to see what is likely in its place.

# %%
from elmo_helpers.display.widgets.direction_explorer import DirectionExplorer

DirectionExplorer(scorer, SCORED, n_words=LIKELY_WORDS)

# %% [markdown]
# ## Recap
#
# - A language model gives a title a probability, token by token. A biLM does so from both ends, with two stacks of LSTMs
#   and one softmax.
# - What is read and what is asked for must be aligned: the boundaries need characters as well as ids.
# - Titles are turned round within their own length, never read across the batch, and padding is never counted.
# - The loss is the sum of −log p over real predictions. A fresh model's loss is log V.
# - No model can be below the entropy of random text unless it sees its answers. A bidirectional LSTM of two layers does.
#   The derivatives show it without any training.
# - What one direction cannot foresee the other often can, since they read different words.

# %% [markdown]
# ## Exercises
#
# 1. Set `RANDOM_WORDS` to 300. Where do the line and the curves go? Does the original's network still find its answers,
#    and how many more `STEPS` does it need?
# 2. Give `OriginalNetwork` one layer in place of two (`num_layers=1`) and run section 10 again; the counts below its
#    picture answer. Is the forward half of its output
#    triangular now? Is the whole output?
# 3. A stretch: write a network that reads the whole title but covers position t itself, for instance one with an attention
#    mask, so that it predicts a word from *both* sides. Show with random words and with the derivatives that it does not
#    leak. (BERT reaches the same end in another way: it replaces the token at t in the input. Why may BERT have many
#    layers, and how many may a network have that only masks attention to t?)

# %% [markdown]
# ## Where to go next
#
# [04 · Train, encode, mix, explore](04_train_encode.ipynb) trains this model on the whole corpus and uses its layers.
# The paper is Peters et al. (2018), *Deep contextualized word representations*,
# [arXiv:1802.05365](https://arxiv.org/abs/1802.05365): section 3.1 describes the two
# models that you have seen here, 3.4 the published sizes, and 3.2 is for notebook 04.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "pandas", "matplotlib", "ipywidgets"):
    print(f"{name} {importlib.metadata.version(name)}")
