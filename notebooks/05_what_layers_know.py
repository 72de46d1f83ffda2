# %% [markdown]
# # 05 · What the layers know
#
# Where does ELMo pay, and where not? You give the layers of a biLM small tasks, and build taggers on them, from a few
# labelled titles.

# %% [markdown]
# This is about the layers:

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="05")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Say which layer to use for which question.
# - Build a tagger for labels of your own, keep it and use it; or ask a language model outright, with no label.
# - Say when counted words, or a transformer, are the better choice.
# - Use the vectors in spaCy, in scikit-learn and in plain PyTorch.

# %% [markdown]
# All that you may want to change is in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed_utf8"  # the corpus of these titles, in natural case
MODEL = "english-titles"  # a model that ships; or the directory of yours
SEED = 0  # of every random choice below
FEW_LABELS = 50  # examples that each classifier of section 1 learns from
PAIRS = 4  # of words, of each kind
TEST_EXAMPLES = 600  # of each pair of words, at most
LABELS = [50, 200, 1000, 5000]  # labelled titles that the taggers learn from
TEST_TITLES = 1000  # titles that they are tested on
OWN_LINE = "In peace as in war we need a strong free and honest government"  # yours
LABELLED = "../data/labelled.tsv"  # yours, with labels as in section 4; else made there
OWN_TITLE = "Brave men slowly climb steep hills"  # yours, tagged in section 4

# %%
import importlib.metadata
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# %% [markdown]
# ## The model and the titles
#
# The model ships with the library. It has read 2.5 million titles (Reddit, arXiv, speeches), but none of the documents that
# we test on, nor WordNet's examples; see [its card](../elmo_helpers/pretrained/english-titles/README.md). Each word has L + 1 vectors: layer 0 is made from its
# spelling alone, layers 1 and 2 from the words on both sides.
# %%
from elmo_helpers import Encoder, Scorer, prepare_corpus, shipped_models
from elmo_helpers.display.style import figure

encoder, scorer = Encoder(MODEL), Scorer(MODEL)
sizes = encoder.model.config
L, P, D = sizes.n_layers, sizes.output_dim, sizes.char_cnn.output_dim
print(f"models that ship: {', '.join(shipped_models())}")
print(f"{MODEL}: L = {L} layers above the spelling, 2P = {2 * P} numbers a vector")

# %% [markdown]
# Test titles are of other documents. This corpus keeps case and every character.

# %%
from elmo_helpers import CharacterVocabulary, TextConfig
from elmo_helpers.analysis.counted_scoring import CountedScorer
from elmo_helpers.analysis.free_labels import cut_words

characters, natural = CharacterVocabulary("utf8", 50), TextConfig(lowercase=False)
corpus = prepare_corpus(TITLES, PROCESSED, characters=characters, text=natural)
lowercase = encoder.model.text.lowercase  # what the model is used to
to_learn = corpus.split("train")
held_out = corpus.select(np.flatnonzero(~np.isin(corpus.rows, to_learn.rows)))
seen = [cut_words(t, lowercase) for t in to_learn.titles]
unseen = [cut_words(t, lowercase) for t in held_out.titles]
by_counts = CountedScorer(seen).log_probabilities  # 5-grams: a rival
n_days = len({*held_out.dates})
print(f"{len(seen):,} titles to learn from; to test, {len(unseen):,} of {n_days} days")

# %% [markdown]
# ## 1 · Two words spelled as one: which was it?
#
# Some labels come free. Take two words, say *work* and *must*, and write *work* for both. Which of them stood there? Whoever
# answers has to read the words around.

# %%
from elmo_helpers.analysis import free_labels
from elmo_helpers.analysis.free_labels import one_spelling

kinds = {
    "of different class": free_labels.TWO_CLASSES,
    "of one class": free_labels.ONE_CLASS,
    "that people confuse": free_labels.CONFUSED,
}
example_pair = kinds["of different class"][0]
for tokens, at, label in one_spelling(unseen, example_pair, seed=SEED)[:4]:
    before, after = " ".join(tokens[:at])[-40:], " ".join(tokens[at + 1 :])[:40]
    print(f"{example_pair[label]:<5} {before:>40} [{tokens[at]}] {after}")

# %% [markdown]
# A linear classifier learns from 50 such examples and answers for other titles. We take the mean of five draws of
# examples. The classifier is given, in turn:
#
# - **counted words around**: which words stand at the places −2 to 2, and which stand anywhere in the title;
# - **layer 0**, where both words are one point, and **layer 0 of five words**, two of them on each side;
# - **layer 1**, **layer 2**, and **all layers** of the word side by side.
#
# The last way needs no label. A biLM is a pair of language models, and can be asked outright: write the one word, write
# other, and take the **likelier title**: the sum, over its words, of log p(word | words before) and
# log p(word | words behind). So can counted **5-grams** (notebook 04), which have counted our titles.


# %%
def counted_around(tokens, at):
    """The words near a place, by how far off they are, and all words of the title."""
    near = {i for i in range(at - 2, at + 3) if i != at and 0 <= i < len(tokens)}
    counts = {f"{i - at}:{tokens[i]}": 1 for i in near}
    return counts | {f"any:{w}": 1 for w in tokens}


def by_model(titles):
    """log p of each title by the biLM, the mean of both directions."""
    return np.array([scores.log_probability for scores in scorer.score(titles)])


def likelier(log_p, examples, pair):
    """Whether each title is likelier with the second word of the pair."""
    titles = ([[*t[:at], w, *t[at + 1 :]] for t, at, _ in examples] for w in pair)
    first, second = map(log_p, titles)
    return second > first


# %%
def readings(examples):
    """What each classifier reads of n examples, by name: n rows."""
    distinct = list(dict.fromkeys(tuple(e.tokens) for e in examples))
    encoded = dict(zip(distinct, encoder.encode_tokens([*map(list, distinct)])))
    titles = [encoded[tuple(e.tokens)] for e in examples]
    layers = np.stack([t.layers[:, e.place] for t, e in zip(titles, examples)])
    padded = [np.pad(t.layers[0, :, :D], ((2, 2), (0, 0))) for t in titles]
    five = [x[e.place : e.place + 5].ravel() for x, e in zip(padded, examples)]
    counts = [counted_around(e.tokens, e.place) for e in examples]
    read = {"counted words around": counts, "layer 0": layers[:, 0]}
    read["layer 0 of five words"] = np.stack(five)
    read |= {f"layer {i}": layers[:, i] for i in range(1, L + 1)}
    return read | {"all layers": layers.reshape(len(layers), -1)}


# %%
def linear(C=0.01):
    """A classifier of vectors, each number brought to one scale."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))


def counting(C=10.0):
    """A classifier of counts by name."""
    return make_pipeline(DictVectorizer(), LogisticRegression(C=C, max_iter=300))


def classifier_of(name):
    return counting() if name.startswith("counted") else linear()


def learned(name, x, y):
    """A classifier for what is called so; it always says the same where `y` does."""
    return (classifier_of(name) if len(set(y)) > 1 else DummyClassifier()).fit(x, y)


# %%
def right_answers(pair):
    """The share of right answers of each way to read, for one pair of words."""
    learn = one_spelling(seen, pair, seed=SEED)[: FEW_LABELS * 5]
    test = one_spelling(unseen, pair, seed=SEED)[:TEST_EXAMPLES]
    starts = range(0, len(learn) - FEW_LABELS + 1, FEW_LABELS)
    if not starts or len(test) < 20:
        return None  # the titles do not have these words often enough
    right, x_test, y_test = defaultdict(list), readings(test), [e.label for e in test]
    for draw in (learn[i : i + FEW_LABELS] for i in starts):
        y = [e.label for e in draw]
        for name, x in readings(draw).items():
            right[name].append(learned(name, x, y).score(x_test[name], y_test))
    for name, log_p in {"5-grams": by_counts, "biLM": by_model}.items():
        said = likelier(log_p, test, pair)
        right[f"likelier title, {name}"] = np.mean(said == y_test)
    return {name: np.mean(of_draws) for name, of_draws in right.items()}


# %% [markdown]
# Three kinds of pairs: words of different class; two nouns, which stand in
# like places; and small words that are easily confused.

# %%
from elmo_helpers.display.layer_plots import plot_by_layer

tables = {}
for kind, pairs in kinds.items():
    answered = (("/".join(pair), right_answers(pair)) for pair in pairs)
    frequent = ((pair, right) for pair, right in answered if right)
    tables[kind] = pd.DataFrame(dict(islice(frequent, PAIRS)))
    table = tables[kind].assign(mean=tables[kind].mean(axis=1))
    display(Markdown(f"Two words {kind}:"), table.map("{:.0%}".format))
means = {kind: of.mean(axis=1).to_dict() for kind, of in tables.items() if of.size}
if means:
    title = f"Which of two words was it? {FEW_LABELS} labels or none, mean of the pairs"
    plot_by_layer(means, chance=0.5, title=title)
    plt.show()

# %% [markdown]
# Both words come equally often. With at most 600 test titles a pair, a share near 50 % may be off by 4 points, near 95 % by
# 2.
#
# Words of different class are easy, even for layer 0 of five words; the others are harder. Layers 1 and 2 are about equally
# good. Where the answer is a word, as here, and labels are few, ask a language model. 5-grams, which know our speeches and
# nothing else, find nouns best: topics have set phrases. (Fine-tuned: end of section 4.)

# %% [markdown]
# ## 2 · Noun or verb, and senses, by layer
#
# Many English words are a noun here and a verb there: *a state*, *to state*. In layer 0 both are one point. Do they part
# above? The examples of WordNet, a dictionary of senses, say which is which. We ask about words that the classifier has
# never seen in any form, so it can only know what marks a noun and a verb.

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

read = readings(uses)
lemmas = [e.lemma for e in uses]
folds = {"groups": lemmas, "cv": GroupKFold(5)}  # a word is in one fold alone
right = {"always the more common class": max(verbs.mean(), 1 - verbs.mean())}
for name, x in read.items():
    right[name] = cross_val_score(classifier_of(name), x, verbs, **folds).mean()
pd.Series(right, name="right, of words never seen").map("{:.1%}".format).to_frame()

# %% [markdown]
# Layer 0 can only go by how nouns and verbs are spelled, which tells little of a word that is both. Layer 2 nearly
# always has the answer. With thousands of labels the words beside nearly suffice, and layer 1 does no better.
#
# The uses of one word, laid flat by its two main directions:

# %%
from elmo_helpers.display.encoding_plots import plot_groups

written = [e.tokens[e.place] for e in uses]
counts = Counter((w, e.part) for w, e in zip(written, uses) if w.islower())
word = max(sorted({*written}), key=lambda w: min(counts[w, "n"], counts[w, "v"]))
mine = [i for i, w in enumerate(written) if w == word]
names = ["verb" if verbs[i] else "noun" for i in mine]
for i, ax in enumerate(figure(L, width=9.5, height=3.4), start=1):
    points = PCA(2, svd_solver="full").fit_transform(read[f"layer {i}"][mine])
    look = {"title": f"“{word}” in layer {i}", "legend": i == L, "ax": ax}
    plot_groups(points, names, sorted(set(names)), **look)
plt.show()

# %% [markdown]
# Nouns and verbs lie on different sides in both layers.
#
# Senses are harder: a river's *bank* and a banker's are both nouns. We compare a word's nouns with nouns only, and its
# verbs with verbs. Has the nearest other example the same sense? *Chance* picks any of the others. *Counted words* pick
# the one that shares the rarest words.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_helpers.analysis.nearest import unit_rows

by_use = defaultdict(list)
for e in [e for es in by_word.values() for e in es]:
    by_use[e.tokens[e.place].lower(), e.part].append(e)
of_use = [es for es in by_use.values() if len({e.synset for e in es}) > 1]
in_a_row = [e for es in of_use for e in es]
of_all = readings(in_a_row).items()
units = {name: unit_rows(x) for name, x in of_all if name.startswith("layer")}
del of_all
beside = [e.tokens[: e.place] + e.tokens[e.place + 1 :] for e in in_a_row]
counted_all = TfidfVectorizer(analyzer=list).fit_transform(beside)
ends = np.cumsum([len(es) for es in of_use])
print(f"{len(in_a_row):,} examples of {len(of_use):,} words of several senses")

# %%
hits = defaultdict(list)
for es, end in zip(of_use, ends):
    rows = slice(end - len(es), end)
    synset, text = np.array([(e.synset, " ".join(e.tokens)) for e in es]).T
    other = text[:, None] != text
    same = other & (synset[:, None] == synset)
    asked = same.any(1) & (other & ~same).any(1)  # there are both kinds to find
    hits["chance"] += (same.sum(1) / np.maximum(other.sum(1), 1))[asked].tolist()
    cosines = {"counted words": (counted_all[rows] @ counted_all[rows].T).toarray()}
    cosines |= {name: unit[rows] @ unit[rows].T for name, unit in units.items()}
    for way, cosine in cosines.items():
        near = np.where(other, cosine, -2)
        near = near > near.max(1, keepdims=True) - 1e-6  # ties count in part
        hits[way] += ((same & near).sum(1) / near.sum(1))[asked].tolist()
same_sense = {name: np.mean(of_way) for name, of_way in hits.items()}
name = f"same sense, of {len(hits['chance']):,}"
pd.Series(same_sense, name=name).map("{:.1%}".format).to_frame()

# %% [markdown]
# Layer 0 can only guess. The layers above know something of senses: more than shared
# words tell, and a little more than the spelling of five words.
#
# ## 3 · A tagger from start to end: commas put back
#
# Take all commas out, and learn to say behind which words they stood. A tagger gives each word a score, and a comma goes
# where it is above a threshold. As few words have one, its quality is **F1**: twice the commas set rightly, divided by
# those set plus those that should have been.

# %%
from elmo_helpers.analysis.free_labels import commas

learn = commas(seen, most=max(LABELS), seed=SEED)
test = commas(unseen, most=TEST_TITLES, seed=SEED)
truth = np.array([label for title in test for label in title.labels])
shown = next((title for title in learn if any(title.labels)), learn[0])
print(" ".join(w + "," * c for w, c in zip(*shown)))
print(f"{truth.mean():.1%} of the words of the test have a comma behind them")

# %% [markdown]
# We take all layers of all words. A comma stands *between* two words, though, here after *war*:
#
#     in peace as in war ▶ , ◀ we need
#
# The forward half of *war* has to predict what comes next (▶), and the backward half of *we* what came before (◀).
# `gap_layers` puts these two halves side by side: the layers of a gap, $[h_k^→; h_{k+1}^←]$.

# %%
from elmo_helpers.analysis.gaps import gap_layers


def all_layers(part):
    """Of the words and of the gaps: (words of all titles, L + 1, 2P) each"""
    layers = [t.layers for t in encoder.encode_tokens([t.tokens for t in part])]
    of_gaps = [gap_layers(of_title) for of_title in layers]
    return [np.concatenate(of, axis=1).transpose(1, 0, 2) for of in (layers, of_gaps)]


(x_learn, gaps_learn), (x_test, gaps_test) = all_layers(learn), all_layers(test)
y_learn = np.array([label for title in learn for label in title.labels])
n_words = np.cumsum([len(t.tokens) for t in learn])  # of the first 1, 2, … titles
x_learn.shape, x_test.shape

# %% [markdown]
# Two rivals have no language model. The first counts which words stand at the places −2 to 2. The second has
# **static vectors**, one a word: count how often two words stand near each other in our titles, keep what is above chance
# (positive pointwise mutual information, PPMI), and press the table to 100 columns (SVD).

# %%
near = Counter()
often = {w for w, c in Counter(w for t in seen for w in t).most_common(5000)}
for title in seen:
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
# All vectors are read by the same `LinearTagger`: a linear classifier over standardised layers, and for the mix the shares
# $s_l$ learned with it. Static vectors, too, are read of five words. A tagger's threshold is the one of best F1 on the labelled
# titles. Counting fits these exactly, so its threshold is set by cross-validation on them.


# %%
def around(vectors, part):
    """Of vectors of words, (n, …), those of two before to two behind: (n, 1, …)"""
    rows, ends = [], np.cumsum([len(title.tokens) for title in part])
    for of_title in np.split(vectors, ends[:-1]):
        x = np.pad(of_title, ((2, 2), (0, 0)))
        five = [x[i : i + len(of_title)] for i in range(5)]
        rows.append(np.concatenate(five, axis=1, dtype=np.float32))
    return np.concatenate(rows)[:, None]


def static_vectors(part):
    none = np.zeros(static.shape[1])
    words = [w for title in part for w in title.tokens]
    return np.stack([static[row[w]] if w in row else none for w in words])


# %%
spelling = (x_learn[:, 0, :D], learn), (x_test[:, 0, :D], test)
ways = {
    "static vectors": [around(static_vectors(part), part) for part in (learn, test)],
    "layer 0 of five words": [around(*of) for of in spelling],
}
for i in range(1, L + 1):
    ways[f"layer {i}"] = x_learn[:, i : i + 1], x_test[:, i : i + 1]
ways |= dict.fromkeys(("fixed mean", "learned mix"), (x_learn, x_test))
for i in range(1, L + 1):
    ways[f"layer {i} of the gap"] = gaps_learn[:, i : i + 1], gaps_test[:, i : i + 1]
ways["learned mix of the gap"] = gaps_learn, gaps_test

# %%
from elmo_helpers.analysis.tagger import LinearTagger, best_threshold, f1

numbers = [n for n in LABELS if n <= len(learn)] or [len(learn)]
found, shares = defaultdict(list), []  # found: by way, for each number of labels
for n in numbers:
    end = n_words[n - 1]
    for name, (x, x_of_test) in ways.items():
        mixed = {"learn_shares": name.startswith("learned"), "seed": SEED}
        tagger = LinearTagger.fit(x[:end], y_learn[:end], **mixed)
        found[name].append(tagger.predict(x_of_test))
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
    if y.sum() < 3:
        continue  # too few to learn from
    others = {"method": "decision_function", "cv": 3}
    threshold = best_threshold(cross_val_predict(counting(C=3), x, y, **others), y)
    scores = counting(C=3).fit(x, y).decision_function(words_around(test))
    found["counted words beside"].append(scores > threshold)

# %% [markdown]
# The language models need no tagger: a comma goes where they find the title with it likelier, or likelier by a step that
# 50 to 200 labelled titles teach. So for 5-grams.


# %%
def gains(log_p, titles):
    """By how much log p of a title grows with a comma behind each word: (words,)"""
    with_comma = [[*t[:k], ",", *t[k:]] for t in titles for k in range(1, len(t) + 1)]
    return log_p(with_comma) - np.repeat(log_p(titles), [len(t) for t in titles])


few, asked = ([t.tokens for t in part] for part in (learn[:200], test))
for name, log_p in {"5-grams": by_counts, "biLM": by_model}.items():
    odds, odds_test = gains(log_p, few), gains(log_p, asked)
    found[f"likelier, {name}"] = [odds_test > 0] * len(numbers)
    for n in numbers:  # of which we take 200 at most
        some = n_words[min(n, 200, len(learn)) - 1]
        step = best_threshold(odds[:some], y_learn[:some])
        found[f"learned step, {name}"].append(odds_test > step)
found = {way: tagged for way, tagged in found.items() if len(tagged) == len(numbers)}

# %% [markdown]
# Bounds: where F1 lies in 95 % of a thousand draws of the test titles, with replacement. (Other labels, other
# days would move it, too.)

# %%
owner = np.repeat(np.arange(len(test)), [len(title.tokens) for title in test])
rng = np.random.default_rng(SEED)
drawn = rng.multinomial(len(test), np.full(len(test), 1 / len(test)), size=1000)


def with_bounds(tagged):
    """F1 in per cent, and its bounds."""
    counts = [np.bincount(owner, x) for x in (tagged & (truth == 1), tagged, truth)]
    rightly, were_set, wanted = np.array(counts) @ drawn.T
    total = np.maximum(were_set + wanted, 1)
    low, high = np.percentile(200 * rightly / total, [2.5, 97.5])
    return f"{100 * f1(tagged, truth):.1f} ({low:.0f}–{high:.0f})"


print("F1 in %, by how many titles are labelled")
pd.DataFrame({w: map(with_bounds, of) for w, of in found.items()}, index=numbers).T

# %%
from elmo_helpers.display.layer_plots import plot_curves, plot_shares_over_labels

main_lines = ["counted words beside", "learned mix of the gap"]
main_lines += ["likelier, 5-grams", "likelier, biLM", "learned step, biLM"]
grey = ["static vectors", "layer 2", "learned mix", "layer 2 of the gap"]
drawn_ways = [way for way in main_lines + grey if way in found]
curves = {w: [100 * f1(tagged, truth) for tagged in found[w]] for w in drawn_ways}
title = "Commas put back, by how many titles were labelled"
plot_curves(numbers, curves, highlighted=main_lines, ylabel="F1, %", title=title)
plot_shares_over_labels(numbers, shares, title="Shares of the gap's mix")
plt.show()

# %% [markdown]
# Reading from the gap gains 4 to 15 points: 200 titles do what some 1,000 do for counting. Read from the word, layer 2 is
# about level with counting. The learned mix, $\gamma \sum_l s_l h_{k,l}$, is about level with the best single layer; it
# saves you the choice. Read little into its shares: layers that know the same can divide them anyhow
# ([appendix C](appendix_c_periods.ipynb)).
#
# Asked with no label, both language models are level with the best tagger after 5,000, as they have read commas before. A
# step from 50 titles takes the biLM far ahead; 5-grams lose by it. Where labels are no words of the
# text, you need a tagger.

# %% [markdown]
# A line of your own, through the tagger and the language models:

# %%
own = cut_words(OWN_LINE, lowercase)
own_gaps = gap_layers(encoder.encode_tokens([own])[0].layers).transpose(1, 0, 2)
said = {"learned mix of the gap": tagger.predict(own_gaps)}
said["learned step, biLM"] = gains(by_model, [own]) > step
for name, tagged in said.items():
    print(f"{name:<23}", " ".join(w + "," * int(c) for w, c in zip(own, tagged)))

# %% [markdown]
# `tagger`, the last of the loop, is kept by `tagger.save(file)`, and `LinearTagger.load(file)` has it again.
#
# ## 4 · Your own labels
#
# `LinearTagger` says yes or no. Labels of several classes come as a file with a word and its label on each line (its first
# and last column), and an empty line behind each title. Words of no class have a label, too, usually O; “-” is for words
# that nobody has looked at. Without a file of yours, `LABELLED` is made from 4,000 examples of WordNet, each with one label:
# noun (n), verb (v), adjective (a) or adverb (r).

# %%
from elmo_helpers.files import whole_file

rng = np.random.default_rng(SEED)
path = Path(LABELLED)
if not path.exists():
    every = [e for examples in by_word.values() for e in examples]
    text = ""
    for e in [every[i] for i in rng.permutation(len(every))[:4_000]]:
        labels = ["-"] * len(e.tokens)  # nobody has looked
        labels[e.place] = e.part
        text += "".join(f"{w}\t{label}\n" for w, label in zip(e.tokens, labels)) + "\n"
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
print(path.read_text(encoding="utf-8")[:60])

# %% [markdown]
# The first half of the file is to learn from, the
# second the test: keep documents whole.

# %%
from elmo_helpers.analysis.free_labels import WordExample
from elmo_helpers.analysis.labelled_titles import UNLABELLED, read_labelled

examples = []
for tokens, labels in read_labelled(path):
    known = [(at, label) for at, label in enumerate(labels) if label != UNLABELLED]
    examples += [WordExample(tokens, at, label) for at, label in known]
y = np.array([e.label for e in examples])
half = len(examples) // 2
numbers = sorted({n for n in (50, 200, 1000, half) if n <= half})
print(f"{len(examples):,} labels: {dict(Counter(y.tolist()))}")

# %% [markdown]
# As in section 1 a classifier reads the layers. Its rival counts the words around, the word itself, and the last two,
# three and four letters of it and of its neighbours. We take F1 of each class, and of that the mean over all classes (as
# most words may be O) and over up to five draws.


# %%
def counted_with_endings(e):
    counts = counted_around(e.tokens, e.place) | {f"0:{e.tokens[e.place]}": 1}
    for i in range(max(0, e.place - 1), min(len(e.tokens), e.place + 2)):
        counts |= {f"{i - e.place}-{e.tokens[i][-n:]}": 1 for n in (2, 3, 4)}
    return counts


read = {"counted words and endings": [counted_with_endings(e) for e in examples]}
read |= readings(examples)
del read["counted words around"]
macro_f1 = defaultdict(list)
for n in numbers:
    for name, x in read.items():
        of_draws = []
        for i in range(0, half - n + 1, n)[:5]:
            said = learned(name, x[i : i + n], y[i : i + n]).predict(x[half:])
            of_draws.append(f1_score(y[half:], said, average="macro", zero_division=0))
        macro_f1[name].append(np.mean(of_draws))

# %% tags=["readme-what_layers_know"]
display(pd.DataFrame(macro_f1, index=numbers).T.map("{:.0%}".format))
percent = {name: [100 * share for share in of] for name, of in macro_f1.items()}
main_lines = ["counted words and endings", "layer 0 of five words", f"layer {L}"]
look = {"highlighted": main_lines, "ylabel": "F1, %", "xlabel": "labelled words"}
plot_curves(numbers, percent, title="By how many words have a label", **look)
plt.show()

# %% [markdown]
# This is where ELMo pays: 200 labels do what 2,000 do for counting. With 50, layer 2 is 30 points ahead: 15 are in the
# word's layer 0, 15 in what the language models read. With 200 labels, 12 of 18 are in layer 0 of five words. (The draw of
# the test: ±2 points.)
#
# Keep the tagger of all layers, load it, and tag a title. A file of skops runs no code when read:

# %%
from skops.io import dump, load

file = path.with_name("tagger.skops")
with whole_file(file) as temporary:
    dump(linear().fit(read["all layers"], y), temporary)
kept = load(file)
own_title = encoder.encode_tokens([OWN_TITLE])[0]
tags = kept.predict(np.concatenate(own_title.layers, axis=1))  # (n, (L + 1) 2P)
print(" ".join(f"{w}/{tag}" for w, tag in zip(own_title.tokens, tags)))

# %% [markdown]
# The same by other models, measured apart:
#
# in % | 04's own, four minutes | ships | ships, fine-tuned ten minutes | counting
# ---|---|---|---|---
# classes, 50 labels | 60 | 74 | 75 | 44
# classes, 2,000 labels | 84 | 91 | 90 | 83
# commas, no label | 50 | 47 | **56** | 46
# confused words, no label | 83 | 85 | **88** | 82
# nouns, no label | 76 | 74 | 87 | **89**
#
# Four minutes on your own titles do as well at commas, not at word classes.

# %% [markdown]
# ## 5 · Where counting is enough
#
# Two questions that context matters little to:
#
# - **Capitals**: which words have one? Each word as it was mostly written, beside layers of titles in lower case, 1,000 to
#   learn from; and counted in all titles.
# - **Whole titles**: is a title from before the median day, or from after it? A bag of counted words, beside the mean of
#   the layers over all words. Both periods count the same (balanced accuracy).


# %%
def cased(part):
    """Titles in lower case; of each word but the first, whether it was capitalised."""
    mixed = [t for t in part if len(t) > 1 and not all(w[0].isupper() for w in t)]
    drawn = [mixed[i] for i in rng.permutation(len(mixed))[:TEST_TITLES]]
    lower = [[w.lower() for w in title] for title in drawn]
    return lower, np.array([w[0].isupper() for title in drawn for w in title[1:]])


rng = np.random.default_rng(SEED)
(lower, y), (lower_test, y_test) = cased(seen), cased(unseen)
words, words_test = ([w for t in part for w in t[1:]] for part in (lower, lower_test))
every = [w for t in seen for w in t[1:]]
counts = {"counting": Counter(zip(words, y))}
counts["counting, all titles"] = Counter((w.lower(), w[0].isupper()) for w in every)
capitals = {}
for name, often in counts.items():
    said = np.array([often[w, True] > often[w, False] for w in words_test])
    capitals[name] = f1(said, y_test)

# %%
from sklearn.metrics import balanced_accuracy_score as balanced


def one_layer(titles, i):
    """Layer i of all words but the first of each title: (n, 2P)"""
    return np.concatenate([t.layers[i, 1:] for t in encoder.encode_tokens(titles)])


for name, i in {"layer 0": 0, "top layer": L}.items():
    x, x_asked = one_layer(lower, i), one_layer(lower_test, i)
    capitals[name] = f1(learned(name, x, y).predict(x_asked), y_test)
table = {"capitals, F1": capitals}

# %%
some = to_learn.select(np.sort(rng.permutation(len(to_learn))[: max(LABELS)]))
parts = some, held_out
days, days_test = (part.dates.astype("M8[D]").astype(float) for part in parts)
late, late_test = days > np.median(days), days_test > np.median(days)
dated = len({*late}) == len({*late_test}) == 2
if dated:
    bag = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10))
    said = bag.fit(some.titles, late).predict(held_out.titles)
    period = {"counting": balanced(late_test, said)}
    x, x_asked = (encoder.encode_layers(part.titles, "mean") for part in parts)
    for name, i in {"layer 0": 0, "top layer": L}.items():
        said = linear().fit(x[:, i], late).predict(x_asked[:, i])
        period[name] = balanced(late_test, said)
    table["period, balanced accuracy"] = period
pd.DataFrame(table).T.map("{:.1%}".format, na_action="ignore").fillna("")

# %% [markdown]
# From as many titles, counting is level for capitals and ahead for dates; from capitals of all titles, far ahead. So if some words, wherever they stand, give the answer, count them. If it depends on where a word stands and what
# is beside it, read the layers.

# %% [markdown]
# ## 6 · word2vec, ELMo, BERT, GPT
#
# Four ways to a vector:

# %%
from elmo_helpers.display.layer_plots import plot_readers

plot_readers()
plt.show()

# %% [markdown]
# **word2vec** (2013) has one vector a word. A new word has none, and *bank* is one point.
#
# **ELMo** (2018) reads characters, so it has a vector for any word. Its two directions are separate language models. It
# stays frozen, and the model of a task reads a mix of its layers.
#
# **BERT** (2018) masks some words and predicts them from both sides at once, in every layer, by attention. **GPT** reads
# from the left alone; the later ones are asked in plain words.
#
# The paper put ELMo's vectors into models of six tasks, and all became better: question answering rose from 81.1 to 85.8
# (F1). BERT was better still, and a large pretrained transformer is the first choice for English, if you may download one
# and can run it; none was measured here. A biLM is for text of your own kind, trained on a laptop.

# %% [markdown]
# ## 7 · In your own tools
#
# In **spaCy** it is a component. `layers` says which vectors `doc.tensor` has: "top", "average" (the default), or your
# own weights.

# %%
import spacy

nlp = spacy.blank("en")
nlp.add_pipe("elmo", config={"model": MODEL, "layers": "top"})
lines = "We work for peace.", "They work at night.", "Their work at night."
we_work, verb, noun = (doc[1] for doc in nlp.pipe(lines))
alike = {"verb": we_work.similarity(verb), "noun": we_work.similarity(noun)}
we_work.doc.tensor.shape, {f"to the {w}": round(x, 2) for w, x in alike.items()}

# %% [markdown]
# In **scikit-learn** it is a step of a pipeline, one vector a title, with the same option `layers`:

# %%
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer

pipeline = make_pipeline(ElmoVectorizer(MODEL, pooling="mean"), linear())
if dated:
    said = pipeline.fit(some.titles[::10], late[::10]).predict(held_out.titles[::10])
    right = balanced(late_test[::10], said)
    print(f"balanced accuracy {right:.0%}, on a tenth of the titles")

# %% [markdown]
# In **PyTorch** it is a layer. The biLM stays as it is; the mix and what stands behind it learn:

# %%
import torch

from elmo_helpers import Elmo

torch.manual_seed(SEED)
elmo = Elmo(MODEL, None, num_output_representations=1, dropout=0.0)
head = torch.nn.Linear(elmo.get_output_dim(), 1)
to_train = [p for p in [*elmo.parameters(), *head.parameters()] if p.requires_grad]
optimizer = torch.optim.Adam(to_train, lr=0.01)
wanted = torch.tensor(y_learn[: n_words[7]], dtype=torch.float32)  # commas here
for _ in range(20):
    mixed = elmo(elmo.batch_to_ids([title.tokens for title in learn[:8]]))
    logits = head(mixed["elmo_representations"][0])[..., 0][mixed["mask"] > 0]
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{sum(p.numel() for p in to_train)} numbers learned; loss {loss.item():.3f}")

# %% [markdown]
# ## Recap
#
# - What a word's spelling leaves open, the layers above often tell: they hold the words around.
# - That pays where labels are few: for word classes, 200 do what 2,000 do for counting. They tell senses apart only partly.
# - Take layer 2, or all side by side. It is better than layer 1 for commas and word classes, elsewhere about as good.
# - For what lies between words, read the gap. Where the answer is a word, ask a language model.
# - Count words where they tell by themselves: capitals, dates of whole titles.

# %% [markdown]
# ## Exercises
#
# 1. Set `FEW_LABELS = 200`. How far are counted words behind all layers, for words of one class? (3 points, not 6.)
# 2. Put something else back than commas, such as *the*: change `","` in `gains`, and write a function like `commas`.

# %% [markdown]
# ## Where to go next
#
# - `python -m elmo_helpers fine-tune english-titles CORPUS OUT` adapts the model to your titles: most for what you ask it outright.
# - `make evidence` measures more tasks, with bounds; the card has its results.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "scikit-learn", "matplotlib", "spacy"):
    print(f"{name} {importlib.metadata.version(name)}")
