# %% [markdown]
# # 04 · Train, encode, mix
#
# The model of notebook 03 learns from the training titles. Then it writes titles, and its layers become vectors of words
# and titles to search and draw.

# %% [markdown]
# This notebook trains it all, and ends in the lit corner:

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="04")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Train a biLM, and say whether it beats models that only count.
# - Let it write titles.
# - Compute ELMo's vector of a word by the paper's formula, and a title's from it.
# - Say what such vectors find, and where counting is better.
# - Start from the model that ships; save and load yours.

# %% [markdown]
# All that you may want to change is in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
NATURAL = "../data/processed_utf8"  # the same titles in natural case, as in notebook 05
MODELS = "../data/models"  # where models are saved
SEED = 0  # of every random choice below
PRESET = "tutorial"  # sizes of the model; the next line changes some settings
CHANGES = {"skip_connections": True, "dropout": 0.0, "n_negatives": 1024}
EPOCHS = 3  # passes over the training titles
TRAINING = {"learning_rate": 8e-3, "final_learning_rate": 8e-5, "warmup_steps": 200}
WORD = "may"  # a word that is another with a capital; looked at in many sentences
OWN_SENTENCE = "I ask the Congress to pass this bill."  # yours, to find neighbours of
FINE_TUNE_STEPS = 150  # from the model that ships, and as many from fresh weights

# %%
import importlib.metadata
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from IPython.display import display

from elmo_helpers.display.prose import say

pd.set_option("display.max_colwidth", 110)

# %% [markdown]
# ## 1 · Train, beside models that count
#
# `prepare_corpus` loads what notebook 01 has made, or makes it. The model learns from *train*, *valid* says which epoch
# was best, and *test* how good it is. A word outside the vocabulary can be read, by its spelling, but not predicted: there
# `<UNK>` is the right answer.

# %%
from elmo_helpers import prepare_corpus
from elmo_helpers.training.evaluation import out_of_vocabulary_rate

corpus = prepare_corpus(TITLES, PROCESSED)
parts = {name: corpus.split(name) for name in ("train", "valid", "test")}
train_titles, valid_titles, test_titles = parts.values()
rows = {}
for name, part in parts.items():
    outside = f"{out_of_vocabulary_rate(part):.1%}"
    rows[name] = [f"{len(part):,}", f"{part.n_tokens:,}", outside]
pd.DataFrame(rows, index=["titles", "words", "outside the vocabulary"]).T

# %% [markdown]
# A preset names a model's sizes: `tutorial` for a laptop, the others as the paper's authors published them. `original` is
# the paper's own.

# %%
from elmo_helpers import BiLMConfig

rows = {}
for name in ("tutorial", "small", "medium", "original"):
    sizes = BiLMConfig.preset(name)
    cnn = sizes.char_cnn
    rows[name] = [cnn.n_filters, cnn.output_dim, sizes.hidden_dim, sizes.output_dim]
meanings = ["filters, F", "token vector, D", "LSTM cell, H", "output of a direction, P"]
pd.DataFrame(rows, index=meanings).T

# %% [markdown]
# We take `tutorial`, give each character a learned vector of 16 numbers, and set what `CHANGES` and `TRAINING` name. Skip connections add layer 1's output to layer 2's, so the loss reaches layer 1 directly. Dropout, which
# hides a part of the numbers while training, is off. To save time, each answer is compared with 1,024 drawn words in place
# of all. Frequent words are drawn more often, for which scores are corrected; still the loss comes out too low, as fewer words compete
# (appendix B). The learning rate rises at first and then falls along a cosine.

# %%
from elmo_helpers import TrainingConfig


def sized(preset, **changes):
    """A preset's sizes, with a learned vector for each character of this corpus."""
    config, table = BiLMConfig.preset(preset), corpus.character_vocabulary
    spelling = {"scheme": table.scheme, "max_characters": table.max_characters}
    cnn = replace(config.char_cnn, embedding_dim=16, **spelling)
    return replace(config, char_cnn=cnn, **changes)


config = sized(PRESET, **CHANGES)
training = TrainingConfig(epochs=EPOCHS, seed=SEED, **TRAINING)

# %% [markdown]
# We measure a model by its **perplexity** on held-out titles: $e$ to the power of the mean loss. At 100 it is as unsure, on
# average, as among 100 equally likely words. Lower is better. Three rivals only count:
#
# - **unigram**: each word by its frequency;
# - **interpolated bigram**: how often the word followed the one before, mixed with its frequency;
# - **5-grams**: what followed the four words before, or, where those are rare, the three, and so on (Kneser-Ney
#   smoothing).

# %%
from elmo_helpers import InterpolatedBigramModel, KneserNeyModel, UnigramModel

counting = {
    "unigram": UnigramModel(train_titles),
    "interpolated bigram": InterpolatedBigramModel(train_titles, valid_titles),
    "5-grams": KneserNeyModel(train_titles, order=5),
}
on_valid = {name: m.evaluate(valid_titles).perplexity for name, m in counting.items()}

# %% [markdown]
# One call trains, in three to six minutes, and saves the best model so far. On the left you see the training loss, which
# only says that learning goes on. On the right is the exact comparison, on *valid*. Watch where the biLM passes the bigram.

# %%
from elmo_helpers import train
from elmo_helpers.display.live import LiveCurve

with LiveCurve(on_valid) as live:
    result = train(
        train_titles,
        config,
        training,
        validation=valid_titles,
        directory=f"{MODELS}/bilm",
        overwrite=True,  # an earlier run that was interrupted makes way
        callback=live,
    )
model = result.model

# %% [markdown]
# Both directions learn equally well, and pass the bigram during the second epoch. The final judgement is on the *test*
# titles, which were not used so far:

# %%
from elmo_helpers import evaluate

on_test = {name: m.evaluate(test_titles) for name, m in counting.items()}
on_test["biLM"] = evaluate(model, test_titles, streams=training.feed == "streams")
rows = {name: [e.forward, e.backward, e.perplexity] for name, e in on_test.items()}
display(pd.DataFrame(rows, index=["forward", "backward", "mean"]).T.round(1))

bilm = on_test["biLM"].perplexity
beside = []
for name in counting:
    gap = bilm / on_test[name].perplexity - 1
    beside.append(f"{abs(gap):.0%} {'below' if gap < 0 else 'above'} the {name}")
say(f"The perplexity of the biLM is {', '.join(beside)}.")

# %% [markdown]
# So it knows more than pairs of words, and after these few minutes less than runs of five.
#
# ## 2 · Tweak it
#
# What is each setting worth? Each row is a run, all else as above, on one core of another machine (on *test*):
#
# changed | perplexity | minutes
# ---|---|---
# nothing | 123.2 | 4.7
# 512 drawn words, not 1,024 | 124.3 | 4.3
# dropout of a tenth | 128.2 | 4.7
# no skip connections | 146.0 | 3.4
# characters one-hot, not learned | 123.9 | 6.0
# LSTMs of twice the size, H = P = 128 | 107.3 | 8.2
# six epochs, not three | 111.2 | 9.3
# the last two together | 98.6 | 15.4
#
# Skip connections are worth most. Next, enlarge the LSTMs (`hidden_dim`) and read longer: together they reach the 5-grams
# (a little flattered: the rows were chosen on this test). Learned characters and more drawn words hardly matter.
#
# With a running kernel, the panel tries settings of yours. **Train** starts a run in the background, which gets a row and
# a curve. `panel.model.save(f"{MODELS}/mine")` keeps the last model.

# %%
from elmo_helpers.display.widgets.training_panel import TrainingPanel

fields = {"model": config, "training": training}
panel = TrainingPanel(train_titles, valid_titles, references=on_valid, **fields)
panel

# %% [markdown]
# In use:
# ![The panel's fields, the curves of a run, and the table of runs](pictures/04_training_panel.png)

# %% [markdown]
# ## 3 · Titles that the model writes
#
# A language model can write: draw a word from what it predicts, read it, draw the next. The backward direction begins at
# the end. A `temperature` below 1 prefers likely words. The titles are not picked; the first line draws words by frequency
# alone.

# %%
from elmo_helpers import Generator

frequency = corpus.vocabulary.counts.astype(float)
frequency[:4] = 0  # <pad>, <S>, </S>, <UNK>
rng = np.random.default_rng(SEED)
guessed = rng.choice(corpus.vocabulary.words, 14, p=frequency / frequency.sum())
print("by frequency:\n   ", " ".join(guessed))

writer = Generator(model)
for direction in ("forward", "backward"):
    print(f"{direction}:")
    for written in writer.generate(4, direction=direction, temperature=0.8, seed=SEED):
        print("   ", " ".join(written))

# %% [markdown]
# Neighbouring words mostly fit each other; longer stretches often do not. With both ends given, the two directions have
# to agree between them:

# %%
ends = "the government", "of the people ."
for written in writer.fill_between(*ends, 4, n=4, temperature=0.8, seed=SEED):
    print("   ", " ".join(written))

# %% [markdown]
# ## 4 · The vector of a word
#
# For each word $k$ of a title there are L + 1 vectors, $h_{k,l}$, of 2P numbers. For
# layers 1 to L, $h_{k,l}$ is the forward output beside the backward one. Layer 0 is the token vector, from the spelling
# alone; if it has P numbers, as in the paper, it is taken twice. The paper mixes them:
#
# $$\mathrm{ELMo}_k = \gamma \sum_{l=0}^{L} s_l \, h_{k,l}, \qquad s_l = \frac{e^{w_l}}{\sum_j e^{w_j}}$$
#
# The shares $s_l$ are positive and sum to 1; $\gamma$ scales the whole. A task learns $w_l$ and $\gamma$ (notebook 05),
# while the model stays as it is. By hand, for one word and made-up $w_l$:

# %%
from elmo_helpers.training.batching import Batch

example = Batch.of(test_titles, [0])
inputs = example.characters, example.tokens, example.lengths
with torch.no_grad():
    h = model(*inputs).layers[:, 0, 1]  # (L + 1, 2P); position 0 is <S>
w, gamma = torch.linspace(-1, 1, len(h)), 0.7
s = w.exp() / w.exp().sum()
by_hand = torch.zeros(h.shape[1])
for share, layer in zip(s, h):
    by_hand += gamma * share * layer
s, by_hand.shape

# %% [markdown]
# In the library, `Encoder` makes the layers of each word of any titles, and `ScalarMix` mixes them.

# %%
from elmo_helpers import Encoder, ScalarMix

encoder = Encoder(model)
title = encoder.encode_tokens([test_titles.words(0)])[0]  # title.layers: (L + 1, n, 2P)
mix = ScalarMix(len(h), initial_weights=w)
with torch.no_grad():
    mix.gamma.fill_(gamma)
    by_library = mix(torch.from_numpy(title.layers))  # (n, 2P)
difference = (by_library[0] - by_hand).abs().max()
print(f"“{title.tokens[0]}”: by hand and by library {difference:.0e} apart at most")

# %% [markdown]
# ## 5 · One spelling, two words
#
# A table of word vectors has one vector a word. Here each occurrence has its own. Take *may*: a verb, or a month. Our
# corpus is in lower case, so the model cannot see which it is. But we can, in the titles as they were written: a
# month has a capital. We take as many training titles with the one as with the other.

# %%
from elmo_helpers import CharacterVocabulary, TextConfig

characters, cased = CharacterVocabulary("utf8", 50), TextConfig(lowercase=False)
natural = prepare_corpus(TITLES, NATURAL, characters=characters, text=cased)
natural_train, natural_valid, natural_test = (natural.split(name) for name in parts)
often = Counter()  # titles that have a word behind their first one
for i in range(len(natural_train)):
    often.update(set(natural_train.words(i)[1:]))


def how_often(w):
    """How many titles have a word in small letters, and how many with a capital."""
    return (often[w], often[w.capitalize()]) if w != w.capitalize() else (often[w], 0)


word = WORD
if min(how_often(word)) < 20:  # in your titles another one is better
    word = max([*often], key=lambda w: (min(how_often(w)), often[w]))


# %%
def titles_with(form):
    """Titles with one form of the word, behind the first place, and not the other."""
    both = {word, word.capitalize()}
    titles = map(natural_train.words, range(len(natural_train)))
    fits = [both & {*rest} == {form} and first not in both for first, *rest in titles]
    return np.flatnonzero(fits)


rng = np.random.default_rng(SEED)
titles_of = [titles_with(form) for form in (word, word.capitalize())]
drawn = [rng.permutation(titles)[:200] for titles in titles_of]
n = max(20, min(map(len, drawn)))  # of each
for titles in drawn:
    print(*natural_train.select(titles[:2]).titles, sep="\n")

# %% [markdown]
# The encoder lower-cases everything. For each occurrence we take the four others with the nearest vectors, by cosine. How
# many of them are the same word? Two rivals count, by TF-IDF: all words of the title, or those at the places −2 to 2.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_helpers.analysis.nearest import unit_rows
from elmo_helpers.analysis.occurrences import find_occurrences

rows = np.concatenate([titles[:n] for titles in drawn])
lower = encoder.tokenize([natural_train.titles[i].lower() for i in rows])
found = find_occurrences(encoder, lower, word.lower())
is_capital = np.isin(rows[found.rows], drawn[1])


def words_beside(title, at):
    padded = ["", "", *title, "", ""]
    return [f"{i}:{padded[at + 2 + i]}" for i in (-2, -1, 1, 2)]


beside = [words_beside(*of) for of in zip(found.titles, found.places)]

# %%
counted = TfidfVectorizer(analyzer=list, dtype=np.float32)
ways = {"all words, counted": counted.fit_transform(found.titles).toarray()}
ways["words beside, counted"] = counted.fit_transform(beside).toarray()
ways |= {f"layer {i}": unit_rows(x) for i, x in enumerate(found.layers)}
cosines, itself = {way: x @ x.T for way, x in ways.items()}, 2 * np.eye(len(found))
shares = {}
for way, cosine in cosines.items():
    near = np.argsort(itself - cosine, kind="stable")[:, :4]
    shares[way] = f"{(is_capital[near] == is_capital[:, None]).mean():.0%}"
pd.Series(shares, name=f"the same word, of {len(found)} times 4").to_frame()

# %% [markdown]
# In layer 0 all occurrences are one point, so 50 % is a guess. In the layers above the two words part, better
# than by counting, though this model never saw a capital. (It has read these titles; others have too few *May*.) Their two
# main directions:

# %% tags=["readme-train_encode"]
from sklearn.decomposition import PCA

from elmo_helpers.display.encoding_plots import plot_groups
from elmo_helpers.display.style import figure

forms = np.where(is_capital, word.capitalize(), word)
n_layers = len(found.layers) - 1
for i, ax in enumerate(figure(n_layers, width=9.0, height=3.4), start=1):
    flat = PCA(2, svd_solver="full").fit_transform(found.layers[i])
    title_of_map = f"“{word.lower()}” in lower case, layer {i}"
    look = {"title": title_of_map, "legend": i == n_layers, "ax": ax}
    plot_groups(flat, forms, sorted(set(forms)), **look)
plt.show()

# %% [markdown]
# Two occurrences, each above the three nearest to it in the top layer:

# %%
top = f"layer {n_layers}"
for i in (list(forms).index(form) for form in sorted(set(forms))):
    for j in np.argsort(-cosines[top][i], kind="stable")[:4]:
        before, _, after = found.line(j)
        cosine = f"{cosines[top][i, j]:6.3f}"
        print(f"{cosine}  {before[-32:]:>32}  {forms[j]}  {after[:32]}")
    print()

# %% [markdown]
# With a running kernel, type another word, or move the shares of the layers. Colours are groups found by k-means.

# %%
from elmo_helpers.display.widgets.context_explorer import ContextExplorer

rng = np.random.default_rng(SEED)
searched = train_titles.select(np.sort(rng.permutation(len(train_titles))[:20_000]))
searched_words = [searched.words(i) for i in range(len(searched))]
ContextExplorer(encoder, searched_words, word.lower(), dates=searched.dates, seed=SEED)

# %% [markdown]
# In use:
# ![Sliders for the share of each layer, the map of a word's occurrences, and the nearest ones](pictures/04_contexts.png)

# %% [markdown]
# ## 6 · The vector of a title
#
# For a title, take the mean over its words. The old tutorial behind this series took $[h_n \,;\, c_n]$ of each layer,
# the LSTM's hidden state and memory where each direction stops reading; the library has it as `"states"`.
# The mean and these states by hand, with equal shares and $\gamma = 1$:

# %%
with torch.no_grad():
    h_n, c_n = model(*inputs, return_states=True).states  # (L, 1, 2P) and (L, 1, 2H)
by_hand = {
    "mean": title.layers.mean(axis=(0, 1)),
    "states": torch.cat([h_n, c_n], dim=-1)[:, 0].mean(0).numpy(),
}
rows = {}
for pooling, vector in by_hand.items():
    by_library = encoder.encode([title.tokens], pooling)[0]
    rows[pooling] = [len(vector), f"{np.abs(by_library - vector).max():.0e}"]
pd.DataFrame(rows, index=["numbers", "differs from the library by"]).T

# %% [markdown]
# ## 7 · Nearest titles, beside counted words
#
# Are titles with near vectors alike? Rivals: **counted words** (TF-IDF), which know neither order nor spelling, and
# **layer 0**, which knows the spelling alone, so what all layers add is context. We also add the cosines of two ways.

# %%
from sklearn.metrics.pairwise import cosine_similarity

counted = TfidfVectorizer(analyzer=list, dtype=np.float32).fit(searched_words)
of_searched = encoder.encode_layers(searched_words, "mean")  # (20,000, L + 1, 2P)
count_searched = counted.transform(searched_words)


def likeness(words):
    """Cosines of n titles to all that are searched, by each way: (n, 20,000)"""
    layers = encoder.encode_layers(words, "mean")
    cosines = {
        "counted words": cosine_similarity(counted.transform(words), count_searched),
        "layer 0": cosine_similarity(layers[:, 0], of_searched[:, 0]),
        "all layers": cosine_similarity(layers.mean(1), of_searched.mean(1)),
    }
    for name in ("layer 0", "all layers"):
        cosines[f"counted words + {name}"] = cosines["counted words"] + cosines[name]
    return cosines


# %% [markdown]
# The three nearest to your sentence, by each:

# %%
rows = []
for name, of_sentence in likeness(encoder.tokenize([OWN_SENTENCE])).items():
    for i in np.argsort(-of_sentence[0], kind="stable")[:3]:
        score = f"{of_sentence[0, i]:.2f}"
        rows.append([name, score, searched.dates[i], searched.titles[i]])
columns = ["by", "score", "date", "title"]
pd.DataFrame(rows, columns=columns).set_index("by")

# %% [markdown]
# Counted words find the same words; the vectors, even layer 0, also *urge* and *trust*. One example proves little. A proxy:
# language changes, so the nearest title should date from about the same time.
# How many years lie between a held-out title and its nearest one, in the median?

# %%
held_out = corpus.select(np.flatnonzero(~np.isin(corpus.rows, train_titles.rows)))
held_out = held_out.select(np.sort(rng.permutation(len(held_out))[:3_000]))


def years_to(found):
    """The median distance of the held-out titles to those found, in years."""
    days = pd.Series(np.abs(held_out.dates - searched.dates[found])).dt.days
    return days.median() / 365.25  # titles without a date are left out


years = {"a title by chance": years_to(rng.integers(len(searched), size=len(held_out)))}
words_held_out = [held_out.words(i) for i in range(len(held_out))]
for name, cosines in likeness(words_held_out).items():
    years[name] = years_to(cosines.argmax(1))
pd.Series(years, name="years").round(1).to_frame()

# %% [markdown]
# All layers are nearer than layer 0, so the upper layers add to spelling. Counting alone is better, as words give their time
# away, and together with vectors it is best. For dating titles, spelling and
# counting are enough; context pays for single words.
#
# With a running kernel, search for a title of yours, and set the weight of counted words in it:

# %%
from elmo_helpers.display.widgets.title_search import TitleSearch

vectors = {"mean": of_searched.mean(1)}
vectors["states"] = encoder.encode(searched_words, "states")
look = {"vectors": vectors, "counted": counted, "title": OWN_SENTENCE}
TitleSearch(encoder, searched.titles, searched.dates, **look)

# %% [markdown]
# In use:
# ![A title, the list of its nearest titles, and a figure of their dates](pictures/04_title_search.png)

# %% [markdown]
# ## 8 · A map of the titles
#
# No dates were given to the model. Do titles of one time lie together? We cut the time into four periods with
# equally many titles, and lay 1,000 of those searched flat. **PCA** keeps the two directions in which the vectors differ most.
# **t-SNE** tries to keep each title's neighbours; how far apart groups stand on it means nothing. Large marks are the
# middles of the periods.

# %%
marked = rng.permutation(len(searched))[:1_000]
dates = pd.Series(searched.dates[marked])
quarter = pd.qcut(dates, 4, duplicates="drop") if dates.notna().any() else dates
day = "%Y" if dates.max() - dates.min() > pd.Timedelta(3650, "D") else "%Y-%m-%d"
periods = ["other"] * len(quarter)
for i, q in enumerate(quarter):
    if pd.notna(q):
        periods[i] = f"{q.left.strftime(day)} to {q.right.strftime(day)}"
order = sorted(set(periods))
x_map = unit_rows(of_searched[marked].mean(1))
x_map.shape

# %%
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

flat = PCA(2, svd_solver="full").fit_transform(x_map)
tsne = TSNE(2, perplexity=min(30, (len(x_map) - 1) / 3), init="pca", random_state=SEED)
with threadpool_limits(1):  # more threads add in another order: another map
    placed = tsne.fit_transform(x_map)
left, right = figure(2, width=11.0, height=4.2)
look = {"title": "Titles by period: PCA", "legend": False, "ax": left}
plot_groups(flat, periods, order, ordered=True, **look)
look = {"title": "The same by t-SNE", "axis_name": "t-SNE", "ax": right}
plot_groups(placed, periods, order, ordered=True, **look)
plt.show()

# %% [markdown]
# The periods overlap, but by PCA their middles are in order, so the vectors hold something of the time.
# [Appendix C](appendix_c_periods.ipynb) counts how much.

# %% [markdown]
# ## 9 · Start from the model that ships
#
# `english-titles` has read far more titles, among them those that we train on, but neither *valid* nor *test*
# (see [its card](../elmo_helpers/pretrained/english-titles/README.md)). It reads natural case, so it gets the corpus of
# section 5. `fine_tune` trains a copy of a model further, to predict the words of your corpus.

# %%
from elmo_helpers import fine_tune
from elmo_helpers.display.training_plots import plot_runs

short = TrainingConfig(
    epochs=None,
    steps=FINE_TUNE_STEPS,
    batch_size=16,
    learning_rate=3e-3,
    final_learning_rate=3e-5,
    warmup_steps=FINE_TUNE_STEPS // 4,
    evaluate_every=max(1, FINE_TUNE_STEPS // 5),
    seed=SEED,
)

# %% [markdown]
# Beside it, fresh weights of the same size are trained by the same settings, which suit a trained start.

# %%
watched = {"validation": natural_valid.select(slice(0, None, 6)), "progress": False}
tuned = fine_tune("english-titles", natural_train, short, **watched)
fresh = train(natural_train, tuned.model.config, short, **watched)

natural = {
    "unigram": UnigramModel(natural_train),
    "interpolated bigram": InterpolatedBigramModel(natural_train, natural_valid),
    "5-grams": KneserNeyModel(natural_train),
}
levels = {w: m.evaluate(watched["validation"]).perplexity for w, m in natural.items()}
starts = {"from the model that ships": tuned, "from fresh weights": fresh}
histories = {name: run.history for name, run in starts.items()}
title_of_runs = "Two starts, the same size and the same titles"
plot_runs(histories, levels, title=title_of_runs)
plt.show()

# %%
rows = {name: m.evaluate(natural_test).perplexity for name, m in natural.items()}
for name, run in starts.items():
    rows[name] = evaluate(run.model, natural_test).perplexity
display(pd.Series(rows, name="perplexity on test titles").round(1).to_frame())

read = int(tuned.history["tokens"].iloc[-1])
of_all = read / (natural_train.n_tokens + 2 * len(natural_train))
say(f"Here each has read {read:,} tokens, {of_all:.0%} of what the bigram has counted.")

# %% [markdown]
# (Not comparable with section 1: another vocabulary.) Measured
# apart for longer, on one core:
#
# start | size | 3 minutes | 10 minutes
# ---|---|---|---
# the model that ships | its own | 113 | 85
# fresh weights | its own | 222 | 116
# fresh weights | section 1's | 129 | 107
#
# Three minutes from the model that ships do what ten do from fresh weights of its size, and ten pass the 5-grams. On other
# web texts, never read, three do: 75, where 5-grams come to 108 (README).

# %% [markdown]
# ## 10 · Save, load, same vectors
#
# `save` writes three files of numbers and text, without code.

# %%
from elmo_helpers import BiLM

tuned.model.save(f"{MODELS}/fine_tuned")
again = Encoder(BiLM.load(f"{MODELS}/fine_tuned")).encode([OWN_SENTENCE], "mean")
change = np.abs(again - Encoder(tuned.model).encode([OWN_SENTENCE], "mean")).max()
print(f"saved and loaded, the vectors differ by {change:g} at most")
files = sorted(Path(f"{MODELS}/fine_tuned").iterdir())
pd.DataFrame({"kB": {f.name: round(f.stat().st_size / 1000) for f in files}})

# %% [markdown]
# ## Recap
#
# - Whether a model has learned is seen on unread titles, beside models that only count.
# - ELMo's vector of a word is a mix of layers, $\gamma \sum_l s_l h_{k,l}$. Layer 0 knows the spelling; the layers
#   above give each occurrence a vector of its own.
# - A title's vector is the mean over its words. Counted words date titles better; both together are best.
# - Fine-tune the model that ships.

# %% [markdown]
# ## Exercises
#
# 1. Set `WORD` to "state" or "general". Which is told apart better?
# 2. Add `"feed": "streams"` to `TRAINING`, which carries the state on from title to title. Why are the counting models
#    no fair rivals now? (They know nothing of the title before.)
# 3. Subtract from each vector of section 7 the mean of all searched ones. Do the years fall? (Hardly.)

# %% [markdown]
# ## Where to go next
#
# - [Notebook 05](05_what_layers_know.ipynb) asks each layer what it knows, and builds a tagger on the mix.
# - [Appendix B](appendix_b_large_corpora.ipynb) is for large corpora: softmaxes, checkpoints, several GPUs.
# - On the command line: `python -m elmo_helpers --help`.
# - The paper: Peters et al. (2018), [arXiv:1802.05365](https://arxiv.org/abs/1802.05365), sections 3.1 to 3.3.

# %% [markdown]
# ## Versions
#
# The numbers of this run:

# %% tags=["readme-results"]
from elmo_helpers.files import write_json

results = {"titles": {name: len(part) for name, part in parts.items()}}
results |= {"epochs": EPOCHS, "vocabulary": len(corpus.vocabulary)}
results["out_of_vocabulary"] = round(on_test["biLM"].oov_rate, 4)
results["perplexity"] = {}
for name, e in on_test.items():
    both = {"forward": e.forward, "backward": e.backward, "mean": e.perplexity}
    results["perplexity"][name] = {side: round(p, 2) for side, p in both.items()}
write_json(Path(MODELS) / "results.json", results)
print(json.dumps(results))

# %%
packages = "elmo_helpers torch numpy pandas scikit-learn matplotlib ipywidgets"
for name in packages.split():
    print(f"{name} {importlib.metadata.version(name)}")
