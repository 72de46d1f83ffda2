# %% [markdown]
# # 03 · Two language models that may not see what they predict
#
# In this notebook two LSTMs read a title, one from the left and one from the right, and you prove that neither ever
# reads the word that it is asked for.

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="03")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Say what the forward and the backward model read and predict at every position of a title.
# - Compute an LSTM step and a title's loss by hand.
# - Test any network for a leak: on random words, and by its derivatives.
# - Say how far the state of a stream of text goes, and how far the gradient.
# - Read off which words of a title each direction foresees, and which surprise it.

# %% [markdown]
# Everything that you may want to change stands in the next cell. Change a value and run the notebook again.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
SEED = 0  # of all random weights and random words
EXAMPLE = "The state of the union is strong"  # the title that most figures show
PRESET = "tutorial"  # sizes of the model; "tiny" is quicker
RANDOM_WORDS = 30  # K, distinct words of the random text
RANDOM_LENGTH = 10  # words of each random title
BATCH_SIZE = 32  # B, titles in a training step
STEPS = 400  # training steps on random text, for each of two networks
QUICK_TITLES = 10_000  # titles that section 9 trains on, each read once
SCORED = "The government of the United States is strong."  # which section 9 looks at
LIKELY_WORDS = 6  # how many likely words to show there

# %%
import importlib.metadata
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import ipywidgets as widgets
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from torch import nn

from elmo_helpers.display.prose import say
from elmo_helpers.display.style import figure

torch.set_num_threads(1)  # for matrices as small as these, more threads are slower

# %% [markdown]
# Letters stand for the same number everywhere: **B** titles in a batch, **T** tokens of a title with both boundaries,
# **D** numbers of a token vector (notebook 02), **H** numbers in an LSTM's cell, **P** numbers that one direction gives
# out (here P = H), **L** LSTM layers, **V** words that can be predicted.

# %% [markdown]
# ## 1 · What a language model is
#
# A language model gives every title a probability, one token at a time: how likely is the next token, given those
# before it? The **chain rule** multiplies the answers. One may begin on the left, or on the right:
#
# $$p(t_1,\dots,t_N)=\prod_{k=1}^{N}p(t_k\mid{}t_1,\dots,t_{k-1})=\prod_{k=1}^{N}p(t_k\mid{}t_{k+1},\dots,t_N)$$
#
# By hand: say that the whole language is these five titles, all equally likely. `<S>` and `</S>` mark where a title
# begins and ends; the one from which we start is given. Both products must be one fifth.

# %%
language = "the dog barks, the dog sleeps, a dog sleeps, the cat sleeps, a cat barks"
toy_titles = [["<S>", *title.split(), "</S>"] for title in language.split(", ")]


def answers(title, titles):
    """p of each token but the first, given the tokens before it."""
    found = []
    for t in range(1, len(title)):
        alike = [other for other in titles if other[:t] == title[:t]]
        found.append(Fraction(sum(o[t] == title[t] for o in alike), len(alike)))
    return found


# %%
first = toy_titles[0]
forward = answers(first, toy_titles)
backward = answers(first[::-1], [title[::-1] for title in toy_titles])[::-1]
columns = {"forward": ["given", *forward], "backward": [*backward, "given"]}
table = pd.DataFrame(columns, first)
table.loc["product"] = [math.prod(forward), math.prod(backward)]
table.astype(str)

# %% [markdown]
# The products agree, but the single answers do not: what stands before a word and what stands after it tell different
# things about it. ELMo wants both, so it trains a forward and a backward model. Together they are the **biLM**.
#
# Each is a stack of LSTMs that compresses what it has read into a vector $h$ of P numbers. A **softmax** turns $h$ into a
# probability for each of the V words:
#
# $$p(w\mid{}h)=\frac{e^{W_w\cdot{}h+b_w}}{\sum_v{}e^{W_v\cdot{}h+b_v}}$$
#
# $W_w$ (P numbers) and $b_w$ (one) are learned for each word $w$; the sum runs over all words $v$. The two models share
# the spelling reader of notebook 02 and this softmax, and nothing else. Here are the parts of a model with fresh
# weights, beside the published one:

# %%
from elmo_helpers import BiLM, BiLMConfig, prepare_corpus
from elmo_helpers.model.sizes import parameters_of

corpus = prepare_corpus(TITLES, PROCESSED)
config, spelling = BiLMConfig.preset(PRESET), corpus.character_vocabulary
as_spelled = {"scheme": spelling.scheme, "max_characters": spelling.max_characters}
config = replace(config, char_cnn=replace(config.char_cnn, **as_spelled))
torch.manual_seed(SEED)
model = BiLM(config, corpus.vocabulary, corpus.text).eval()
D, H, P = config.char_cnn.output_dim, config.hidden_dim, config.output_dim

# %%
here, published = Counter(), Counter()
for name, p in model.named_parameters():
    here[name.split(".")[0]] += p.numel()
for name, shape in parameters_of(BiLMConfig.preset("original"), 793_471):  # its V
    published[name.split(".")[0]] += math.prod(shape)
pd.DataFrame({"learned numbers, here": here, "published": published}).map("{:,}".format)

# %% [markdown]
# ## 2 · Who predicts what
#
# The model reads a title's spellings; what it is asked for are the vocabulary ids of the same tokens.

# %%
from elmo_helpers import Tokenizer, normalize_title
from elmo_helpers.training.batching import Batch


def read_title(title):
    """The tokens of a title, and the title as a batch of one."""
    text = normalize_title(title, lowercase=corpus.text.lowercase)
    words = next(Tokenizer(corpus.text.tokenizer)([text]))
    batch = Batch.of_words([words], spelling, corpus.vocabulary)
    return ["<S>", *words, "</S>"], batch


tokens, batch = read_title(EXAMPLE)
T = len(tokens)
spelled = [spelling.decode(row) for row in batch.characters[batch.tokens[0]]]
rows = {"read, by its characters": spelled, "its id": batch.targets[0].tolist()}
pd.DataFrame(rows).T.rename_axis(columns="position t")

# %% [markdown]
# Pick a position in the middle row. Above it is what the forward model must name when it has read everything up to
# there, below it what the backward model must name when it has read everything from the end to there.

# %%
from elmo_helpers.display.bilm_plots import plot_targets

plot_targets(tokens)
plt.show()
say(f"{T - 2} words, {T} tokens, **{T - 1} predictions in each direction**.")

# %% [markdown]
# Both boundaries are needed. From `<S>` the forward model starts, and the backward model must foresee it: that the
# title begins here. `</S>` does the same the other way round.

# %% [markdown]
# ## 3 · One LSTM step by hand
#
# An LSTM (*long short-term memory*) reads one vector $x_t$ after the other and carries two vectors of H numbers along:
# the **cell** $c$, its memory, and the **output** $h$. Each step computes three **gates** i, f, o and the new content g
# from the new input and the last output:
#
# $$\begin{pmatrix}i\\f\\g\\o\end{pmatrix}=W_{ih}\,x_t+W_{hh}\,h_{t-1}+b$$
#
# $$c_t=\sigma(f)\,c_{t-1}+\sigma(i)\tanh(g)\qquad{}h_t=\sigma(o)\tanh(c_t)$$
#
# $W_{ih}$, $W_{hh}$ and $b$ are learned. $\sigma$ squashes a number into 0 … 1, tanh into −1 … 1; products are taken
# number by number. So $\sigma(f)$ says how much of the memory stays, $\sigma(i)$ how much is written, $\sigma(o)$ how much of
# the memory is shown. With toy sizes:

# %%
toy_D, toy_H = 4, 3
torch.manual_seed(SEED)
W_ih, W_hh = torch.randn(4 * toy_H, toy_D), torch.randn(4 * toy_H, toy_H)
b = torch.randn(4 * toy_H)


def step(x_t, h, c):
    """One step: x_t (D,), h and c (H,), to the gates and the new c and h."""
    i, f, g, o = (W_ih @ x_t + W_hh @ h + b).chunk(4)  # (H,) each, in PyTorch's order
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    return i, f, g, o, c, o * c.tanh()


# %%
toy_x = torch.randn(6, toy_D)  # six tokens
steps, h, c = [], torch.zeros(toy_H), torch.zeros(toy_H)
for x_t in toy_x:
    *gates, c, h = step(x_t, h, c)
    steps.append([*gates, c, h])
by_hand = torch.stack([h for *_, h in steps])  # (6, H)

# %% [markdown]
# The figure shows one of the three cells. Check a column: c is f times the c on its left, plus i times g.

# %%
from elmo_helpers.display.bilm_plots import plot_cell

labels = ["σ(i)  write", "σ(f)  keep", "tanh(g)  new", "σ(o)  show"]
inside = {f"x{t}": [v[1].item() for v in values] for t, values in enumerate(steps, 1)}
plot_cell(pd.DataFrame(inside, index=[*labels, "c  memory", "h  output"]))
plt.show()
write, keep, new, _, memory, _ = inside["x2"]
last = inside["x1"][4]
say(f"At x2: {keep:.4f} · ({last:.4f}) + {write:.4f} · ({new:.4f}) = **{memory:.4f}**.")

# %% [markdown]
# The library has an LSTM of its own, since the published models, unlike ours, project and clip its numbers. With our
# weights it must say what we computed, and so must PyTorch's:

# %%
from elmo_helpers.model.lstm import LSTMLayer

torch_lstm, layer = nn.LSTM(toy_D, toy_H), LSTMLayer(toy_D, toy_H)
weights = {"weight_ih": W_ih, "weight_hh": W_hh, "bias": b}
layer.load_state_dict(weights)
weights = {"weight_ih": W_ih, "weight_hh": W_hh, "bias_ih": b, "bias_hh": 0 * b}
torch_lstm.load_state_dict({f"{name}_l0": w for name, w in weights.items()})
with torch.no_grad():
    found = {
        "nn.LSTM": torch_lstm(toy_x)[0],
        "LSTMLayer": layer(toy_x[None], torch.tensor([len(toy_x)]))[0][0],
    }
for name, outputs in found.items():
    print(f"{name}: at most {(outputs - by_hand).abs().max():.0e} from ours by hand")

# %% [markdown]
# ## 4 · How one reads backwards
#
# The backward model is an LSTM like the other; it is the titles that are turned round. In a batch the shorter ones are
# filled up with padding, here dots. Look at title 1. If the whole row is turned, the LSTM reads padding before any
# word. Turned *within its own length*, the title begins at once.

# %%
from elmo_helpers.model.lstm import reverse_within_lengths

toy_rows = [["<S>", "rain", "fell", "all", "night", "</S>"]]
toy_rows.append(["<S>", "home", "</S>", "·", "·", "·"])
lengths = torch.tensor([6, 3])
turned = [row[:n][::-1] + row[n:] for row, n in zip(toy_rows, lengths.tolist())]

places = reverse_within_lengths(torch.arange(12).view(2, 6), lengths)
of_library = [[toy_rows[k // 6][k % 6] for k in row] for row in places.tolist()]
whole = [row[::-1] for row in toy_rows]
ways = ["as it stands", "whole row turned", "turned within length", "the library's"]
index = pd.MultiIndex.from_product([ways, ["title 0", "title 1"]])
pd.DataFrame([*toy_rows, *whole, *turned, *of_library], index)

# %% [markdown]
# Padding now stands at the end in both directions, where outputs are thrown away. The other outputs are turned back, so
# that position t is token t again.

# %% [markdown]
# ## 5 · The loss by hand
#
# A model is good if it gives the tokens that are really there a high probability. The **loss** is the negative
# logarithm of it, in **nats** (natural logarithms): a sure and right answer costs 0, one of probability 1/100 costs log
# 100. Logarithms turn the chain rule's product into a sum, so the loss of a title is a sum over its predictions.
#
# At position t the forward half is asked for t + 1, the backward half for t − 1. The loss is the mean of both:
#
# $$-\frac{1}{2(T-1)}\Big(\sum_{t=0}^{T-2}\log{}p(w_{t+1}|w_0…w_t)+\sum_{t=1}^{T-1}\log{}p(w_{t-1}|w_t…w_{T-1})\Big)$$


# %%
@torch.no_grad()
def log_probabilities(model, batch):
    """log p of every word at each position: (T, V) forward, (T, V) backward."""
    top = model(batch.characters, batch.tokens, batch.lengths).layers[-1, 0]  # (T, 2P)
    return [model.softmax.log_probabilities(h) for h in (top[:, :P], top[:, P:])]


log_p_forward, log_p_backward = log_probabilities(model, batch)
ids = batch.targets[0]
cost_forward = [-log_p_forward[t, ids[t + 1]].item() for t in range(T - 1)]
cost_backward = [-log_p_backward[t, ids[t - 1]].item() for t in range(1, T)]

columns = {"forward": [np.nan, *cost_forward], "backward": [*cost_backward, np.nan]}
costs = pd.DataFrame(columns, tokens)
costs.loc["sum"] = costs.sum()
costs = costs.rename_axis("token asked for")
costs.map(lambda nats: "given" if np.isnan(nats) else f"{nats:.3f}")

# %% [markdown]
# `BiLM.loss` computes the same sums for a whole batch. Padding is neither asked for nor counted.

# %%
with torch.no_grad():
    loss = model.loss(batch.characters, batch.tokens, batch.lengths, batch.targets)
for name, costs_of_one in ("forward", cost_forward), ("backward", cost_backward):
    off = getattr(loss, name).item() - sum(costs_of_one)
    print(f"{name}, library − by hand: {off:+.0e} nats")
print("predictions of one direction:", loss.n_predictions)
knows_nothing = math.log(len(corpus.vocabulary) - 1)
say(f"A mean of **{loss.mean:.3f} nats**; log (V − 1) = {knows_nothing:.3f}.")

# %% [markdown]
# The two numbers are nearly equal. A fresh model's weights are small, so all scores $W_w\cdot{}h+b_w$ are near 0, and
# every word gets about the same probability: 1/(V − 1), as padding is never predicted. If your model's first loss is
# far from that, look for a softmax over the wrong axis, scores that are too large, or targets that it sees.

# %% [markdown]
# ## 6 · The leak, on random words
#
# Why not one `nn.LSTM(bidirectional=True)` with two layers, and a prediction from its whole output? The
# [old tutorial](appendix_a_old_tutorial.ipynb) that this series grew from did so. But the backward half at position t
# has read position t + 1, the very word that the forward loss asks for. The network can look up its answer.
#
# On real text this shows only as a suspiciously good loss. To *prove* it we need a text in which nothing can be
# foreseen: every word is drawn at random from K words, and every step draws fresh titles, so that none is learned by
# heart. A word then costs log K nats, whatever a model has read. Only the end is certain, since all titles are equally
# long. So over the n + 1 predictions of n words, no honest model has a mean below $n\log{}K/(n+1)$, the **entropy** of
# the text.

# %%
from elmo_helpers import WordVocabulary

entropy = RANDOM_LENGTH * math.log(RANDOM_WORDS) / (RANDOM_LENGTH + 1)
random_words = [f"w{k}" for k in range(RANDOM_WORDS)]
random_vocabulary = WordVocabulary(random_words)  # ids: padding, <S>, </S>, <UNK>, w0 …
special = spelling.boundary_rows[[0, 1, 2, 0]]
spellings = np.concatenate([special, spelling.encode(random_words)])
spellings = torch.from_numpy(spellings.astype(np.int64))  # (V, C), a row for each id


def random_titles(n_titles, generator):
    """(n_titles, T) vocabulary ids: <S>, random words, </S>."""
    shape = n_titles, RANDOM_LENGTH + 2
    ids = torch.randint(4, len(random_vocabulary), shape, generator=generator)
    ids[:, 0], ids[:, -1] = 1, 2
    return ids


# %%
some_ids = random_titles(1, torch.Generator().manual_seed(SEED))[0]
print(" ".join(random_vocabulary[i] for i in some_ids))
say(f"The entropy of this text is **{entropy:.3f} nats per prediction**.")

# %% [markdown]
# Two networks learn from such titles: ours, and a bidirectional LSTM asked for the next word.


# %%
options = {"num_layers": 2, "bidirectional": True, "batch_first": True}


class Bidirectional(nn.Module):
    def __init__(self):
        super().__init__()
        V = len(random_vocabulary)
        self.vectors, self.lstm = nn.Embedding(V, D), nn.LSTM(D, H, **options)
        self.out = nn.Linear(2 * H, V)

    def forward(self, ids):
        return self.out(self.lstm(self.vectors(ids))[0])  # scores (B, T, V)


# %%
def loss_of(network, ids):
    if isinstance(network, BiLM):
        all_long = torch.full((len(ids),), ids.shape[1])
        return network.loss(spellings, ids, all_long, ids).mean
    return nn.functional.cross_entropy(network(ids)[:, :-1].mT, ids[:, 1:])


# %%
def train_on_random_titles(network):
    """The loss at each step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=STEPS)
    generator = torch.Generator().manual_seed(SEED)
    losses = []
    for _ in range(STEPS):
        loss = loss_of(network, random_titles(BATCH_SIZE, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        losses.append(loss.item())
    return losses


# %%
torch.manual_seed(SEED)
without_dropout = replace(config, dropout=0.0)
networks = {"ours": BiLM(without_dropout, random_vocabulary)}
networks["one bidirectional LSTM"] = Bidirectional()
curves = {name: train_on_random_titles(network) for name, network in networks.items()}

# %% [markdown]
# The dotted line is the entropy. Which curve goes below it? The table measures both on 1,000 titles that no step has
# seen.

# %%
from elmo_helpers.display.bilm_plots import plot_loss_curves

plot_loss_curves(curves, entropy)
plt.show()

fresh_titles = random_titles(1_000, torch.Generator().manual_seed(SEED + 1))
with torch.no_grad():
    measured = [loss_of(n.eval(), fresh_titles).item() for n in networks.values()]
above = [f"{nats - entropy:+.3f}" for nats in measured]
columns = {"nats per prediction": measured, "above the entropy": above}
pd.DataFrame(columns, networks).round(3)

# %% [markdown]
# Our model learns which words there are and where a title ends, and stops at the line: there is nothing else to learn.
# The bidirectional network falls far below it. Random words cannot be foreseen, so it sees them. On real text it would
# learn to copy.

# %% [markdown]
# ## 7 · Who may see what: the triangles
#
# Another test needs no training. If an output $h_t$ depends on the input $x_s$, its derivative
# $\partial{}h_t/\partial{}x_s$ is, at random weights, practically never zero. If nothing leads from $x_s$ to $h_t$, it
# is exactly zero, whatever the weights. For each pair (t, s) of our example we compute its size, the root of the sum of
# its squared numbers. A hook catches the token vectors inside the real model.


# %%
def inputs_and_layers(batch):
    """Token vectors (T, D) of one title, and all layers (L + 1, T, 2P) made of them."""
    caught = []

    def catch(module, arguments, output):
        caught.append(output.detach().requires_grad_())  # here the derivatives end
        return caught[0]

    hook = model.char_cnn.register_forward_hook(catch)
    rows = batch.characters[batch.tokens[0]]  # (T, C): a word twice is two inputs
    layers = model(rows, torch.arange(len(rows))[None], batch.lengths).layers[:, 0]
    hook.remove()
    return caught[0], layers


# %%
def influence_on(h_t, x):
    """(T,): the size of the derivative of one output (P,) by each input of x (T, D)."""
    by_number = [torch.autograd.grad(number, x, retain_graph=True)[0] for number in h_t]
    return torch.stack(by_number).square().sum((0, 2)).sqrt().numpy()


def influence(h, x):
    """(T, T): row t for the output h_t, column s for the input x_s."""
    return np.stack([influence_on(h_t, x) for h_t in h])


x, layers = inputs_and_layers(batch)
maps = [(influence(h[:, :P], x), influence(h[:, P:], x)) for h in layers[1:]]

torch.manual_seed(SEED)
bidirectional = nn.LSTM(D, H, **options)
both_halves = bidirectional(x[None])[0][0]  # (T, 2H)
leaking = influence(both_halves, x)

# %% [markdown]
# Each row of a picture is one output; a circle marks the token that it is asked for. Does a circle lie on a colour?

# %% tags=["readme-bilm"]
from elmo_helpers.display.bilm_plots import plot_triangles

pictures = {
    "Ours, forward: the past": (maps[-1][0], 1),
    "Ours, backward: the future": (maps[-1][1], -1),
    "One bidirectional LSTM: all": (leaking, 1),
}
plot_triangles(pictures, tokens)
plt.show()

# %% [markdown]
# Two triangles and a full square. Our circles stand where the derivative is zero; in the bidirectional LSTM every
# circle lies on a colour. ELMo uses every layer, so the zeros must hold in each:

# %%
first_half = influence(both_halves[:, :H], x)
seen = {
    f"layer {i}, {direction}": np.count_nonzero(np.triu(matrix, 1))
    for i, pair in enumerate(maps, start=1)
    for direction, matrix in zip(("forward", "backward"), (pair[0], pair[1].T))
}
seen["bidirectional LSTM"] = np.count_nonzero(np.triu(leaking, 1))
seen["its forward half alone"] = np.count_nonzero(np.triu(first_half, 1))
column = f"of {T * (T - 1) // 2} forbidden pairs, not zero"
pd.Series(seen, name=column).to_frame()

# %% [markdown]
# The last row answers a likely question: could one use the forward half alone for the forward loss? With one layer,
# yes. With two, no: at t the second layer's forward half reads both halves of the first, and the backward one has read
# $w_{t+1}$, the answer. So `BiLM` has two separate stacks.
#
# ### Look for yourself
#
# One row of both triangles as bars. At the token that a direction must predict, its bar is missing.

# %%
from elmo_helpers import ElmoHelpersError
from elmo_helpers.display.bilm_plots import plot_reads


def draw_reads(title, position, layer):
    try:
        tokens, batch = read_title(title)
    except ElmoHelpersError as error:
        return print(error)
    if not 3 <= len(tokens) <= 27:
        return print(f"{len(tokens) - 2} words: please type a title of 1 to 25.")
    t = min(position, len(tokens) - 1)
    x, layers = inputs_and_layers(batch)
    h_t = layers[layer, t]
    plot_reads(tokens, influence_on(h_t[:P], x), influence_on(h_t[P:], x), t)
    plt.show()


# %%
draw_reads(EXAMPLE, T // 2, config.n_layers)

# %% [markdown]
# In a running notebook:

# %%
typed = widgets.Text(EXAMPLE, description="Title", continuous_update=False)
typed.layout.width = "90%"
at = widgets.IntSlider(T // 2, 0, 26, description="Position t", continuous_update=False)
of_layer = widgets.IntSlider(config.n_layers, 1, config.n_layers, description="Layer")
controls = {"title": typed, "position": at, "layer": of_layer}
picture = widgets.interactive_output(draw_reads, controls)
display(widgets.VBox([*controls.values(), picture]))

# %% [markdown]
# In use it looks like this:
# ![A title, a position and a layer; bars show what each direction reads there](pictures/03_reads.png)

# %% [markdown]
# ## 8 · Streams: the state goes on, the gradient stops
#
# So far a title was a row of its own, and the LSTM began at `<S>` with zeros. The published models read all their
# sentences as one long line, cut into B **streams** of equal length that are read side by side. A training step reads
# a **window**, a few tokens of each stream. By hand, with four short titles:

# %%
training = corpus.split("train")
nearest = np.argsort(np.abs(training.lengths - 4), kind="stable")[:4]
few = training.select(nearest)
n_streams, n_steps = 2, 4

line = [word for i in range(len(few)) for word in ["<S>", *few.words(i)]]
length = math.ceil(len(line) / n_streams)
streams = [line[k * length : (k + 1) * length] for k in range(n_streams)]

# %% [markdown]
# Follow a blue arrow: what the LSTM remembers at the end of a window is where it starts in the next one, even within a
# title. Follow a dashed one: the gradient looks back no further than its window. That is **truncated
# back-propagation**; a gradient through the whole text would need all of its steps in memory.

# %%
from elmo_helpers.display.bilm_plots import plot_streams

plot_streams(streams, n_steps)
plt.show()

# %% [markdown]
# `</S>` is predicted at a title's last word and never read; the next title's `<S>` follows. A stream may begin within a
# title. The backward model reads the same titles in the same order, each from its end.
#
# Both arrows in numbers: we cut the six toy tokens of section 3 behind the third one, and look at the last output,
# $h_6$. `detach` keeps the numbers of the state, and forgets where they came from.

# %%
toy_x.requires_grad_()


def last_output(at_cut):
    h, c = torch.zeros(toy_H), torch.zeros(toy_H)
    for t, x_t in enumerate(toy_x):
        if t == 3:
            h, c = at_cut(h), at_cut(c)
        *_, c, h = step(x_t, h, c)
    return h


# %%
cuts = {"no cut": torch.clone, "state goes on": torch.detach}
cuts["state at zero"] = torch.zeros_like
h6 = {name: last_output(at_cut) for name, at_cut in cuts.items()}
columns = [f"by x{t}" for t in range(1, 7)]
table = pd.DataFrame([influence_on(h, toy_x) for h in h6.values()], h6, columns)
moved = [(h - h6["no cut"]).norm().item() for h in h6.values()]
table.insert(0, "change of h6", moved)
table.map("{:.4f}".format).rename_axis(columns="derivative of h6:")

# %% [markdown]
# With the state that goes on, $h_6$ is as if there were no cut, but no gradient reaches the first three tokens. The
# model *uses* all that came before, and *learns* from its window alone.
#
# In the library, `StreamBatches` cuts a corpus, and `BiLM.stream_loss` reads a window and gives the state back. The
# words must be those of our cut, the windows' losses must add up to that of the whole text, and no gradient may go from
# the second window's loss to the token vectors of the first. (Nothing is trained here, so it means nothing which loss
# is lower.)

# %%
from elmo_helpers.training.streams import StreamBatches


def read_windows(batches, *, carry=True):
    """The loss of each window, and the token vectors that it was computed from."""
    vectors, losses, state = [], [], None
    hook = model.char_cnn.register_forward_hook(lambda m, a, out: vectors.append(out))
    for k in range(len(batches)):
        loss, state = batches.batch(k).loss(model, state if carry else None)
        losses.append(loss.total)
    hook.remove()
    return losses, vectors


# %%
windows = StreamBatches(few, n_streams, n_steps)
first_window = windows.batch(0)
spelled = [spelling.decode(row) for row in first_window.characters]
for of_stream, row in zip(streams, first_window.tokens[0].tolist()):
    print("by hand:", *of_stream[:n_steps], "  library:", *(spelled[i] for i in row))

losses, vectors = read_windows(windows)
at_zero, _ = read_windows(windows, carry=False)
in_one_piece, _ = read_windows(StreamBatches(few, n_streams, length))
nats = {"in one piece": in_one_piece, "state goes on": losses, "state at zero": at_zero}
for name, of_windows in nats.items():
    print(f"{name}: {sum(of_windows).item():.4f} nats, {len(of_windows)} window(s)")

gradients = torch.autograd.grad(losses[1], vectors[:2], allow_unused=True)
for k, gradient in enumerate(gradients, start=1):
    size = gradient if gradient is None else f"{gradient.norm():.4f}"
    print(f"gradient of window 2's loss by the vectors of window {k}: {size}")

# %%
from elmo_helpers import TrainingConfig

recipe = TrainingConfig.preset("original")
B, window = recipe.batch_size, recipe.unroll_steps
say(f"The published recipe: {B} streams on each GPU, in windows of {window} tokens.")

# %% [markdown]
# `TrainingConfig(feed="streams")` trains in this way, for text in which each line continues the one before. Titles stand
# on their own, so this series trains with a row for each.

# %% [markdown]
# ## 9 · What each direction knows of one sentence
#
# What does a model know that has read text, but never its answers? We train one briefly. Its perplexity,
# $e^{\text{loss}}$, says among how many equally likely words it seems to choose. We measure it on documents that were
# held out, beside a model that only counts how often each word stands in the same titles.

# %%
from elmo_helpers import UnigramModel, evaluate, train

rng = np.random.default_rng(SEED)
quick_titles = training.select(rng.permutation(len(training))[:QUICK_TITLES])
cnn = replace(config.char_cnn, embedding_dim=16)
quick = replace(without_dropout, char_cnn=cnn, skip_connections=True)
quick = replace(quick, softmax="adaptive")
rates = {"learning_rate": 0.012, "final_learning_rate": 0.0002, "warmup_steps": 20}
settings = TrainingConfig(epochs=1, batch_size=BATCH_SIZE, seed=SEED, **rates)
trained = train(quick_titles, quick, settings).model

unread = corpus.split("valid")
ours, counted = evaluate(trained, unread), UnigramModel(quick_titles).evaluate(unread)
say(
    f"Perplexity on {len(unread):,} titles of documents that neither has read: "
    f"**{ours.perplexity:.0f}** after {len(quick_titles):,} titles, "
    f"**{counted.perplexity:.0f}** for counting words."
)

# %% [markdown]
# Now one title, word by word. `Scorer` gives log p of each word, as in section 5:

# %%
from elmo_helpers import Scorer

scorer = Scorer(trained)
scores = scorer.score([SCORED])[0]

_, scored_batch = read_title(SCORED)
log_p_forward, log_p_backward = log_probabilities(trained, scored_batch)
ids = scored_batch.targets[0]
n = len(scores.tokens)  # word k stands at position k + 1
hand_forward = [log_p_forward[k, ids[k + 1]].item() for k in range(n)]
hand_backward = [log_p_backward[k + 2, ids[k + 1]].item() for k in range(n)]
off = np.abs([scores.forward - hand_forward, scores.backward - hand_backward])
print(f"library − by hand: at most {off.max():.0e}")

# %% [markdown]
# The **surprise** of a word is $-\log_2{}p$, in **bits**: 0 if it was certain, 1 for one side of a coin; each further
# bit halves the probability. Dark words were foreseen, bright ones were not. The frame marks the word where the rows
# differ most.

# %%
from elmo_helpers.display.scoring_plots import plot_surprise

chosen = int(np.abs(scores.forward - scores.backward).argmax())
plot_surprise(scores, chosen=chosen, limit=knows_nothing / math.log(2))
plt.show()

# %% [markdown]
# By the chain rule, each sum above the figure is the surprise of the whole title. Two models only estimate it, so
# the sums differ.
#
# Which words would each direction have put in the framed place? Neither reads the word itself. The third picture
# multiplies both answers and brings them to sum 1, so a word has to please both sides (and its frequency counts twice). The
# real word, where it is among them, has a black edge.

# %%
from elmo_helpers.display.scoring_plots import plot_likely_words

with_gap = [*scores.tokens[:chosen], "___", *scores.tokens[chosen + 1 :]]
word = scores.tokens[chosen]
axes = figure(3, 10.5, 1.4 + 0.27 * LIKELY_WORDS)
for ax, direction in zip(axes, ("forward", "backward", "both")):
    fills = scorer.fill(with_gap, LIKELY_WORDS, direction=direction)
    plot_likely_words(fills, direction=direction, word=word, ax=ax)
plt.show()

# %%
place, answer = chosen + 1, ids[chosen + 1]  # of the framed word
log_p = [log_p_forward[place - 1], log_p_backward[place + 1]]  # (V,) each
log_p.append(sum(log_p).index_fill(0, torch.arange(4), -torch.inf).log_softmax(0))
left, right, both = (of_words[answer].exp() for of_words in log_p)
say(f"“{word}” has p = {left:.3f} forward, {right:.3f} backward, **{both:.3f}** both.")

# %% [markdown]
# In a running notebook, type a title of your own and press Enter. Its words are buttons: press one to see what is likely
# in its place.

# %%
from elmo_helpers.display.widgets.direction_explorer import DirectionExplorer

DirectionExplorer(scorer, SCORED, n_words=LIKELY_WORDS)

# %% [markdown]
# In use it looks like this:
# ![A title as buttons, its surprise in both directions, and the likely words for one place](pictures/03_directions.png)

# %% [markdown]
# ## Recap
#
# - A biLM gives a title a probability from both ends, with two stacks of LSTMs and one softmax.
# - The loss is the mean of −log p over real predictions. A fresh model's is log (V − 1).
# - Only a model that sees its answers falls below the entropy of random text. A bidirectional LSTM does.
# - Derivatives show who sees what, without training: a triangle for each direction.
# - In streams the state goes on from window to window, and the gradient stops.

# %% [markdown]
# ## Exercises
#
# 1. Set `RANDOM_WORDS` to 300. Where do the line and the curves go? How many `STEPS` does the leak need now?
# 2. In section 7, give `bidirectional` one layer. Is its forward half triangular now? Is its whole output?
# 3. A stretch: write a network that predicts word t from *both* sides, with an attention mask that hides position t.
#    Show with both tests that it does not leak. How many layers may it have?

# %% [markdown]
# ## Where to go next
#
# [Notebook 04](04_train_encode.ipynb) trains this model on the whole corpus and uses its layers. The paper is
# [Peters et al. (2018)](https://arxiv.org/abs/1802.05365); read its section 3.1.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "pandas", "matplotlib", "ipywidgets"):
    print(f"{name} {importlib.metadata.version(name)}")
