# %% [markdown]
# # 05 · What the layers know
#
# Where does ELMo pay, and where does it not? In this notebook you give the layers of a biLM small tasks, see with
# numbers which layer is good for what, and build a tagger on them with a few hundred labelled titles of your own.

# %% [markdown]
# This notebook asks what is in the layers, before they are mixed:

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="05")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Say which layer to use for which question, from what you have measured.
# - Build a tagger on frozen layers, with a learned mix, and draw how its quality grows with the number of labels.
# - Ask a language model outright, with no label at all.
# - Say when counted words, or a transformer, are the better choice.
# - Use the vectors in spaCy, in scikit-learn and in plain PyTorch.

# %% [markdown]
# Everything that you may want to change stands in the next cell. Change a value and run the notebook again.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed_utf8"  # the corpus of these titles, in natural case
MODEL = "english-titles"  # a model that ships; or the directory of yours
SEED = 0  # of every random choice below
FEW_LABELS = 50  # examples that the classifiers of section 1 learn from
TEST_EXAMPLES = 600  # of each pair of words, at most
LABELS = [50, 200, 1000, 4000]  # labelled titles that the taggers learn from
TEST_TITLES = 1000  # titles that they are tested on
OWN_LINE = "In peace as in war we need a strong free and honest government"  # yours

# %%
import importlib.metadata
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# %% [markdown]
# ## The model and the titles
#
# The model is one that ships with the library. It was trained on two and a half million titles, and on none of the
# documents that are the *test* here. `shipped_models()` lists what there is, and each has a card beside its files. A
# model of your own from notebook 04 works as well: set `MODEL` to its directory.
#
# Each word has L + 1 vectors: layer 0 is made from its spelling alone, layers 1 and 2 from the words on both sides.
# %%
from elmo_helpers import Encoder, Scorer, prepare_corpus, shipped_models
from elmo_helpers.display.prose import say
from elmo_helpers.display.style import figure

encoder, scorer = Encoder(MODEL), Scorer(MODEL)
L, width = encoder.model.config.n_layers, 2 * encoder.model.config.output_dim
print(f"models that ship: {', '.join(shipped_models())}")
print(f"{MODEL}: L = {L} layers above the spelling, 2P = {width} numbers a vector")

# %% [markdown]
# Titles to learn from and titles to test on are of different documents, as in notebook 01. The corpus of that notebook
# is in lower case and in 69 characters; this one keeps case and every character, since the model knows both. Titles are
# cut into words by a simple rule, the same for every method below.

# %%
from elmo_helpers import CharacterVocabulary, TextConfig
from elmo_helpers.analysis.free_labels import cut_words

characters, natural = CharacterVocabulary("utf8", 50), TextConfig(lowercase=False)
corpus = prepare_corpus(TITLES, PROCESSED, characters=characters, text=natural)
lowercase = encoder.model.text.lowercase  # what the model is used to
known = [cut_words(t, lowercase) for t in corpus.split("train").titles]
held_out = corpus.split("valid").titles + corpus.split("test").titles
unseen = [cut_words(t, lowercase) for t in held_out]
print(f"{len(known):,} titles to learn from, {len(unseen):,} to test on")

# %% [markdown]
# ## 1 · Two words made one spelling: which was it?
#
# Labels cost work, but some come free. Take two words, say *work* and *must*, and write *work* for both. Which of them
# stood there? We know, since we changed the title ourselves. The spelling says nothing any more, so whoever answers
# has read the words around.

# %%
from elmo_helpers.analysis.free_labels import CONFUSED, ONE_CLASS, TWO_CLASSES, one_spelling

example_pair = TWO_CLASSES[0]
for example in one_spelling(unseen, example_pair, seed=SEED)[:4]:
    shown = list(example.tokens)
    shown[example.place] = f"[{shown[example.place]}]"
    print(f"{example_pair[example.label]:<5} ", " ".join(shown)[:100])

# %% [markdown]
# A linear classifier learns from 50 such examples and answers for titles that it has not seen. We give it, in turn:
#
# - **counted words around**: which words stand at the places −2 to 2, and which stand anywhere in the title;
# - **layer 0 of five words**: the spelling vectors of the word and of two words on each side;
# - **layer 1**, **layer 2**, and **all layers** of the word side by side.
#
# A sixth way learns from no label at all. A biLM is a pair of language models, and can be asked outright: write the one
# word, write the other, and take the **likelier title**, by the sum of log p(word | words before) and of
# log p(word | words behind) over all its words.


# %%
def counted_around(example):
    """The words near the place, by how far off they are, and all words of the title."""
    tokens, at = example.tokens, example.place
    near = {i for i in range(at - 2, at + 3) if i != at and 0 <= i < len(tokens)}
    counts = {f"{i - at}:{tokens[i]}": 1 for i in near}
    return counts | {f"any:{w}": 1 for w in tokens}


def readings(examples):
    """What each classifier reads of n examples: (n, numbers) arrays by name."""
    read = {"layer 0 of five words": []} | {f"layer {i}": [] for i in range(1, L + 1)}
    titles = encoder.encode_tokens([example.tokens for example in examples])
    for title, (_, place, _) in zip(titles, examples):
        five = np.pad(title.layers[0], ((2, 2), (0, 0)))[place : place + 5]
        for x, vector in zip(read.values(), [five.ravel(), *title.layers[1:, place]]):
            x.append(vector)
    everything = [t.layers[:, e.place].ravel() for t, e in zip(titles, examples)]
    return {name: np.array(x) for name, x in read.items()} | {"all layers": everything}


def likelier(examples, pair):
    """Whether the model finds each title likelier with the second word of the pair."""
    log_p = []
    for word in pair:
        titles = [[*t[:at], word, *t[at + 1 :]] for t, at, _ in examples]
        log_p.append([scores.log_probability for scores in scorer.score(titles)])
    return np.greater(log_p[1], log_p[0])


# %% [markdown]
# The classifier is the same each time, a logistic regression, with the numbers brought to one scale.


# %%
def linear(C=0.01):
    """For vectors."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))


def counting(C=1.0):
    """For counts by name."""
    return make_pipeline(DictVectorizer(), LogisticRegression(C=C, max_iter=300))


# %%
def right_answers(pair):
    """The share of right answers of each way to read, for one pair of words."""
    learn = one_spelling(known, pair, seed=SEED)[:FEW_LABELS]
    test = one_spelling(unseen, pair, seed=SEED)[:TEST_EXAMPLES]
    if len({example.label for example in learn}) < 2 or len(test) < 20:
        return None  # the titles do not have these words often enough
    y, y_test = ([example.label for example in part] for part in (learn, test))
    x, x_test = ([counted_around(e) for e in part] for part in (learn, test))
    shares = {"counted words around": counting().fit(x, y).score(x_test, y_test)}
    x_test = readings(test)
    for name, x in readings(learn).items():
        shares[name] = linear().fit(x, y).score(x_test[name], y_test)
    shares["likelier title, no labels"] = np.mean(likelier(test, pair) == y_test)
    return shares


# %% [markdown]
# Three kinds of pairs. The words of the first kind are of different class: a noun and a verb, say, which stand at
# different places in a sentence. Those of the second kind are two nouns, which stand at like places, so only what the
# title is about can tell them apart. Those of the third kind are words that people confuse when they write.

# %%
kinds = {"of different class": TWO_CLASSES, "of one class": ONE_CLASS}
kinds["that people confuse"] = CONFUSED
tables = {}
for kind, pairs in kinds.items():
    of_pairs = {"/".join(pair): right_answers(pair) for pair in pairs}
    tables[kind] = pd.DataFrame({pair: s for pair, s in of_pairs.items() if s})
    display(Markdown(f"Two words {kind}:"), tables[kind].map("{:.0%}".format))

# %%
from elmo_helpers.display.layer_plots import plot_by_layer

means = {kind: of.mean(axis=1).to_dict() for kind, of in tables.items() if of.size}
if means:
    title = f"Which of two words was it? After {FEW_LABELS} examples, mean of the pairs"
    plot_by_layer(means, chance=0.5, title=title)
    plt.show()

# %% [markdown]
# Words of different class are the easy kind: 50 examples are enough, because the language model has learned long
# before where nouns and verbs stand. Much of it is there already in layer 0 of five words: the words around are known
# by their spelling, so what is learned of one holds for others like it. Layers 1 and 2 add the order of the words. For
# words of one class 50 examples are few for every method; exercise 1 asks what happens with more. These are all pairs
# that `free_labels` lists, and no others were tried.

# %% [markdown]
# ## 2 · Noun or verb, and senses, by layer
#
# Many English words are a noun here and a verb there: *a state*, *to state*. In layer 0 both are one point. Do the uses
# part as the layers rise? The examples of WordNet, a dictionary of senses, say for each use which it is. We ask about
# words that the classifier has never seen, so it can only know what nouns and verbs have in common.

# %%
from elmo_helpers.analysis.wordnet_examples import read_wordnet_examples

by_word = defaultdict(list)
for example in read_wordnet_examples():
    by_word[example.tokens[example.place].lower()].append(example)
uses = []
for examples in by_word.values():
    if {"n", "v"} <= {e.part for e in examples}:
        uses += [e for e in examples if e.part in "nv"]
verbs = np.array([e.part == "v" for e in uses])
print(f"{len(uses):,} uses of {len({e.tokens[e.place].lower() for e in uses}):,} words")

# %%
from sklearn.model_selection import GroupKFold, cross_val_score


def layers_at(examples):
    """All layers of the word of each of n examples: (n, L + 1, 2P)"""
    encoded = encoder.encode_tokens([e.tokens for e in examples])
    return np.stack([t.layers[:, e.place] for t, e in zip(encoded, examples)])


x_uses = layers_at(uses)
x_uses.shape

# %%
words = [e.tokens[e.place].lower() for e in uses]
ways = {f"layer {i}": x_uses[:, i] for i in range(L + 1)}
ways["all layers"] = x_uses.reshape(len(x_uses), -1)
folds = {"groups": words, "cv": GroupKFold(5)}  # a word is in one fold alone
scores = {w: cross_val_score(linear(), x, verbs, **folds) for w, x in ways.items()}
right = {name: of_folds.mean() for name, of_folds in scores.items()}
commonest = max(verbs.mean(), 1 - verbs.mean())
title = "Noun or verb? Of words never seen"
plot_by_layer({"right": right}, chance=commonest, title=title)
plt.show()
said = ", ".join(f"{name} {share:.1%}" for name, share in right.items())
say(f"Right are {said}; the commoner class alone would be {commonest:.1%}.")

# %% [markdown]
# Layer 0 can only go by how nouns and verbs are spelled, which tells little of a word that is both. The layers above
# it have the answer nearly always.
#
# One word that has many examples of both, laid flat by its two main directions. Each point is one use.

# %%
from elmo_helpers.display.encoding_plots import plot_groups

counts = {w: Counter(e.part for e in by_word[w]) for w in set(words)}
word = max(sorted(counts), key=lambda w: min(counts[w]["n"], counts[w]["v"]))
mine = [i for i, w in enumerate(words) if w == word]
classes = ["verb" if verbs[i] else "noun" for i in mine]
for i, ax in enumerate(figure(L, width=9.5, height=3.4), start=1):
    points = PCA(2, svd_solver="full").fit_transform(x_uses[mine, i])
    title = f"“{word}” in layer {i}"
    plot_groups(points, classes, ["noun", "verb"], title=title, ax=ax)
plt.show()

# %% [markdown]
# Nouns and verbs lie on different sides, and mix where the two main directions show something else of the sentence.
#
# Senses are harder: *bank* is a noun by the river and in the street. For each example we look for the nearest other one
# of the same word. Does the dictionary give both the same sense? *Chance* picks any of the others.

# %%
from elmo_helpers.analysis.nearest import unit_rows

of_senses = {w: es for w, es in by_word.items() if len({e.synset for e in es}) > 1}
x_senses = layers_at([e for es in of_senses.values() for e in es])
hits, start = defaultdict(list), 0
for es in of_senses.values():
    x, start = x_senses[start : start + len(es)], start + len(es)
    synset, text = np.array([(e.synset, " ".join(e.tokens)) for e in es]).T
    other = text[:, None] != text
    same = other & (synset[:, None] == synset)
    asked = same.any(1) & (other & ~same).any(1)
    hits["chance"] += (same.sum(1) / np.maximum(other.sum(1), 1))[asked].tolist()
    for i in range(L + 1):
        unit = unit_rows(x[:, i])
        nearest = np.where(other, unit @ unit.T, -2).argmax(1)
        hits[f"layer {i}"] += same[range(len(es)), nearest][asked].tolist()
shares = {name: np.mean(of_way) for name, of_way in hits.items()}
pd.Series(shares, name=f"same sense, of {len(hits['chance']):,}").map("{:.1%}".format)

# %% [markdown]
# Layer 0 is no better than chance, for it has one point a word. The layers above know something of senses, and far from
# all. The paper finds the same, with a far larger model.
#
# ## 3 · A tagger from start to end: commas put back
#
# Now a task whose labels your own titles have already: take all commas out, and learn to say behind which words they
# stood. A tagger gives each word a score, and a comma goes where the score is above a threshold. Because few words
# have a comma, its quality is **F1**: twice the commas that it set rightly, divided by those that it set plus those
# that it should have set.

# %%
from elmo_helpers.analysis.free_labels import commas

learn = commas(known, most=max(LABELS), seed=SEED)
test = commas(unseen, most=TEST_TITLES, seed=SEED)
truth = np.array([label for title in test for label in title.labels])
shown = next((title for title in learn if any(title.labels)), learn[0])
print(" ".join(w + "," * c for w, c in zip(*shown)))
print(f"{truth.mean():.1%} of the words of the test have a comma behind them")

# %% [markdown]
# All layers of all words, one title behind the other. A comma stands *between* two words, though. By the triangles of
# notebook 03, what comes next is predicted by the forward half of the word before, and what came before by the backward
# half of the word behind. `gap_layers` puts these two side by side: the layers of a gap, $[h_k^→; h_{k+1}^←]$.

# %%
from elmo_helpers.analysis.gaps import gap_layers


def all_layers(part, of_title=np.asarray):
    """(words of all titles, L + 1, 2P)"""
    titles = encoder.encode_tokens([title.tokens for title in part])
    return np.concatenate([of_title(t.layers).transpose(1, 0, 2) for t in titles])


x_learn, x_test = all_layers(learn), all_layers(test)
gaps_learn, gaps_test = all_layers(learn, gap_layers), all_layers(test, gap_layers)
y_learn = np.array([label for title in learn for label in title.labels])
n_words = np.cumsum([len(t.tokens) for t in learn])  # of the first 1, 2, … titles
x_learn.shape, x_test.shape

# %% [markdown]
# Two rivals that know no context of their own. The first counts: which words stand at the places −2 to 2. The second
# has **static vectors**, one for each word whatever stands around, made by hand: count how often two words stand near
# each other, keep what is above chance (positive pointwise mutual information, PPMI), and press the table to 100
# columns (SVD). word2vec does much the same by gradient steps. They have read your titles alone, where the model has
# read its own before: that is what it brings.

# %%
near = Counter()
often = {w for w, c in Counter(w for t in known for w in t).most_common(5000)}
for title in known:
    kept = [w for w in title if w in often]
    near.update((a, b) for i, a in enumerate(kept) for b in kept[max(0, i - 2) : i])
names = sorted({w for pair in near for w in pair})
row = {w: i for i, w in enumerate(names)}
table = np.zeros((len(names), len(names)), np.float32)
for (a, b), n in near.items():
    table[row[a], row[b]] += n
    table[row[b], row[a]] += n
chance = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
ppmi = np.log(np.maximum(table, 1e-9) / chance).clip(0)
static = TruncatedSVD(min(100, len(names) - 1), random_state=SEED).fit_transform(ppmi)

# %% [markdown]
# All that look at vectors are the same tagger, `LinearTagger`: a linear classifier over standardised layers, and for
# the mix the shares $s_l$ learned with it. For layer 0 and the static vectors it reads three words side by side, or it
# would know nothing of what stands around.


# %%
def around(part, vectors_of):
    """Vectors of the word before, the word, the word behind: (n, 1, …)"""
    rows = []
    for title in part:
        x = np.pad(vectors_of(title.tokens), ((1, 1), (0, 0)))
        rows.append(np.concatenate([x[:-2], x[1:-1], x[2:]], axis=1))
    return np.concatenate(rows)[:, None].astype(np.float32)


def static_vectors(tokens):
    none = np.zeros(static.shape[1])
    return np.stack([static[row[w]] if w in row else none for w in tokens])


def spelling_vectors(tokens):
    return encoder.encode_tokens([tokens])[0].layers[0]


# %%
ways = {
    "static vectors": [around(part, static_vectors) for part in (learn, test)],
    "layer 0": [around(part, spelling_vectors) for part in (learn, test)],
    **{f"layer {i}": (x_learn[:, [i]], x_test[:, [i]]) for i in range(1, L + 1)},
    "fixed mean": (x_learn, x_test),
    "learned mix": (x_learn, x_test),
    "learned mix of the gap": (gaps_learn, gaps_test),
}

# %%
from elmo_helpers.analysis.tagger import LinearTagger, best_threshold, f1

numbers = [n for n in LABELS if n <= len(learn)]
curves, shares = defaultdict(list), []
for n in numbers:
    end = n_words[n - 1]
    for name, (x, x_of_test) in ways.items():
        mixed = {"learn_shares": name.startswith("learned"), "seed": SEED}
        tagger = LinearTagger.fit(x[:end], y_learn[:end], **mixed)
        curves[name].append(100 * f1(tagger.predict(x_of_test), truth))
    shares.append(tagger.shares)  # of the last one, the learned mix of the gap


# %%
def words_around(part):
    """Which words stand at the places −2 to 2, for each word of each title."""
    rows = []
    for tokens, _ in part:
        for at in range(len(tokens)):
            near = range(max(0, at - 2), min(len(tokens), at + 3))
            rows.append({f"{i - at}:{tokens[i]}": 1 for i in near})
    return rows


for n in numbers:
    x, y = words_around(learn[:n]), y_learn[: n_words[n - 1]]
    counted, others = counting(C=3).fit(x, y), {"method": "decision_function", "cv": 3}
    threshold = best_threshold(cross_val_predict(counting(C=3), x, y, **others), y)
    found = counted.decision_function(words_around(test)) > threshold
    curves["counted words around"].append(100 * f1(found, truth))

# %% [markdown]
# And again without any label: a comma goes where the language models find the title with it likelier than without. It
# takes one title for each word, so it is slower than a tagger.


# %%
def gains(titles):
    """By how much log p of a title grows with a comma behind each word: (words,)"""
    titled = [[*t[:k], ",", *t[k:]] for t in titles for k in range(1, len(t) + 1)]
    with_comma = [scores.log_probability for scores in scorer.score(titled)]
    without = [scores.log_probability for scores in scorer.score(titles)]
    return np.array(with_comma) - np.repeat(without, [len(t) for t in titles])


unlabelled = 100 * f1(gains([title.tokens for title in test]) > 0, truth)
curves["likelier title, no labels"] = [unlabelled] * len(numbers)

# %%
from elmo_helpers.display.layer_plots import plot_curves, plot_shares_over_labels

display(pd.DataFrame(curves, index=numbers).T.round(1))
main_lines = ["counted words around", "learned mix", "learned mix of the gap"]
main_lines.append("likelier title, no labels")
title = "Commas put back, by how many titles were labelled"
plot_curves(numbers, curves, highlighted=main_lines, ylabel="F1, %", title=title)
plt.show()

# %% [markdown]
# Compare the thick lines. The layers save labels, and where one reads them matters more than which: the gap, which holds
# what the two language models predict from, is far ahead of the word. And what was learned from text alone beats every
# tagger: the language models have met thousands of commas, and no tagger here has so many labels. So ask first whether
# your question is one that a language model answers as it is. Where the labels are no words of the text, such as parts of
# speech or names of your own, a tagger is what you need.
#
# The shares of the mix, by how many titles it has seen: the paper's $\gamma \sum_l s_l h_{k,l}$ at work.

# %%
plot_shares_over_labels(numbers, shares)
plt.show()
first, last = (", ".join(f"{s:.2f}" for s in shares[k]) for k in (0, -1))
say(f"Of layers 0 to {L}: {first} after the fewest titles, {last} after the most.")

# %% [markdown]
# The shares leave 1/3 as labels grow. More should not be read from them: layers that know the same can share in any
# proportion (appendix C).

# %% [markdown]
# And a line of your own, without commas, through the tagger that has seen the most titles, and through the two language
# models:

# %%
own = cut_words(OWN_LINE, lowercase)
own_gaps = gap_layers(encoder.encode_tokens([own])[0].layers).transpose(1, 0, 2)
for name, found in {"tagger": tagger.predict(own_gaps), "no labels": gains([own]) > 0}.items():
    print(f"{name:<10}", " ".join(w + "," * int(c) for w, c in zip(own, found)))

# %% [markdown]
# ## 4 · Where counting wins
#
# Not every question is about a word in its context. Two that are not:
#
# - **Capitals**: which words are written with a capital? That is mostly a matter of the word itself. We take for each
#   word the case that it had most often, and beside it a classifier over layers of the title in lower case.
# - **Topics of whole titles**: from which half of the time is a title? A bag of counted words beside the mean of the
#   layers over all words. The halves are not equally large in the test, so each counts the same (balanced accuracy).


# %%
rng = np.random.default_rng(SEED)


def cased(part, most):
    """Titles in lower case; of each word but the first, whether it was capitalised."""
    rows = [t for t in part if len(t) > 3 and any(w[0].islower() for w in t)][:most]
    lower = [[w.lower() for w in title] for title in rows]
    return lower, [w[0].isupper() for title in rows for w in title[1:]]


# %%
drawn = [known[i] for i in rng.permutation(len(known))]
(lower, y), (lower_test, y_test) = cased(drawn, TEST_TITLES), cased(unseen, TEST_TITLES)
cases = defaultdict(Counter)
for w, is_capital in zip([w for title in lower for w in title[1:]], y):
    cases[w][is_capital] += 1
usual = {w: counts.most_common(1)[0][0] for w, counts in cases.items()}
asked = [w for title in lower_test for w in title[1:]]
right = [usual.get(w, False) == is_capital for w, is_capital in zip(asked, y_test)]
capitals = {"always the same": max(np.mean(y_test), 1 - np.mean(y_test))}
capitals["counting"] = np.mean(right)


# %%
def one_layer(titles, i):
    """Layer i of all words but the first of each title: (n, 2P)"""
    return np.concatenate([t.layers[i, 1:] for t in encoder.encode_tokens(titles)])


for name, i in {"layer 0": 0, "top layer": L}.items():
    x, x_asked = one_layer(lower, i), one_layer(lower_test, i)
    capitals[name] = linear().fit(x, y).score(x_asked, y_test)

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import balanced_accuracy_score as balanced

some = corpus.split("train")
some = some.select(np.sort(rng.permutation(len(some))[: max(LABELS)]))
others = corpus.split("test")
days, days_test = (part.dates.astype("M8[D]").astype(float) for part in (some, others))
late, late_test = days > np.median(days), days_test > np.median(days)
counted = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10))
said = counted.fit(some.titles, late).predict(others.titles)
halves = {"always the same": 0.5, "counting": balanced(late_test, said)}
x, x_asked = (encoder.encode_layers(part.titles, "mean") for part in (some, others))
for name, i in {"layer 0": 0, "top layer": L}.items():
    said = linear().fit(x[:, i], late).predict(x_asked[:, i])
    halves[name] = balanced(late_test, said)
table = {"capitals, each word": capitals, "half of the time, each title": halves}
pd.DataFrame(table).T.map("{:.1%}".format)

# %% [markdown]
# For capitals all come to much the same, and counting is the cheapest. For topics counting is ahead.
#
# A rule of thumb: if a word, or a handful of words wherever they stand, gives the answer, count them. If the answer
# depends on where a word stands and what is beside it, and labels are few, read the layers.

# %% [markdown]
# ## 5 · word2vec, ELMo, BERT, GPT
#
# Four ways to a vector, by what it is made from:

# %%
from elmo_helpers.display.layer_plots import plot_readers

plot_readers()
plt.show()

# %% [markdown]
# **word2vec** (2013) has one vector a word. A word that it has not seen has none, and *bank* is one point.
#
# **ELMo** (2018) reads characters, so it has a vector for any word. Its two directions are separate language models that
# never see each other below the mix. The model stays frozen, and a small classifier reads a learned mix of its layers.
#
# **BERT** (2018) masks some words and predicts them from both sides at once, in every layer, by attention. It reads pieces
# of words, and it is fine-tuned whole: all of its weights move for each task. **GPT** reads from the left alone, and is
# asked in words.
#
# A large pretrained transformer is the better choice for most tasks in English, if you may download one and can run it;
# none was measured here. A biLM still pays where text is of your own kind or language and you want to train from
# nothing on a laptop; where many words are in no list, since it has a vector for any spelling; and where you want to
# understand every number.

# %% [markdown]
# ## 6 · In your own tools
#
# In **spaCy** the component is there once the library is installed. `layers` says which vectors `doc.tensor` has:
# "top", "average" (as it comes), or weights of your own, one a layer:

# %%
import spacy

nlp = spacy.blank("en")
nlp.add_pipe("elmo", config={"model": MODEL, "layers": "top"})
doc = nlp("The state of the union is strong.")
doc.tensor.shape, round(doc[1].similarity(doc[4]), 2)

# %% [markdown]
# In **scikit-learn** it is a step of a pipeline, one vector a title, with the same `layers`:

# %%
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer

half = make_pipeline(ElmoVectorizer(MODEL, pooling="mean"), linear())
half.fit(some.titles[::10], late[::10]).score(others.titles[::10], late_test[::10])

# %% [markdown]
# In **PyTorch** it is a layer. The biLM stays as it is; the mix and what you put behind it learn:

# %%
import torch

from elmo_helpers import Elmo

elmo = Elmo(MODEL, None, num_output_representations=1, dropout=0.0)
ids = elmo.batch_to_ids([title.tokens for title in learn[:8]])
tagger_layer = torch.nn.Linear(elmo.get_output_dim(), 1)
logits = tagger_layer(elmo(ids)["elmo_representations"][0])[..., 0]  # (8, T)
[name for name, p in elmo.named_parameters() if p.requires_grad], tuple(logits.shape)

# %% [markdown]
# ## Recap
#
# - Where a word's spelling says nothing, the layers above it do: they hold the words around.
# - The class of a word can be read from them after 50 examples. Senses can be read in part. What a text is about needs
#   more labels, whatever reads it.
# - Layers 1 and 2 know the same of word classes; of commas layer 2 knows more. A learned mix comes near the best layer.
# - Count words where the answer lies in the words themselves: capitals, topics of whole titles.

# %% [markdown]
# ## Exercises
#
# 1. Set `FEW_LABELS = 1000`. For words of one class, when do counted words catch up with the layers?
# 2. Set `MODEL` to the model of notebook 04, `"../data/models"` with the name of its folder. What does the model that
#    ships know more of?
# 3. Put something else back than commas: hyphens, quotation marks, or the article before a noun. Write a function like
#    `commas` that takes them out, and run section 3 on it.

# %% [markdown]
# ## Where to go next
#
# - `python -m elmo_helpers fine-tune english-titles CORPUS OUT` adapts the model to titles of your own.
# - `make evidence` prints the tables behind this notebook, on more tasks, with bounds.
# - The paper measures the same on larger tasks: Peters et al. (2018), section 5.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "scikit-learn", "matplotlib", "spacy"):
    print(f"{name} {importlib.metadata.version(name)}")
