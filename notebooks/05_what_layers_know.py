# %% [markdown]
# # 05 · What the layers know
#
# Where does ELMo pay, and where does it not? You give the layers of a biLM small tasks, see which layer is good for what,
# and build taggers on them, from a few labelled titles.

# %% [markdown]
# We ask what is in the layers, before they are mixed:

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="05")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Say which layer to use for which question.
# - Build a tagger on frozen layers, for labels of your own; or ask a language model outright, with no label.
# - Say when counted words, or a transformer, are the better choice.
# - Use the vectors in spaCy, in scikit-learn and in plain PyTorch.

# %% [markdown]
# Everything that you may want to change stands in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed_utf8"  # the corpus of these titles, in natural case
MODEL = "english-titles"  # a model that ships; or the directory of yours
SEED = 0  # of every random choice below
FEW_LABELS = 50  # examples that each classifier of section 1 learns from
PAIRS, TEST_EXAMPLES = 4, 600  # pairs of words of each kind; of each pair, at most
LABELS = [50, 200, 1000, 4000]  # labelled titles that the taggers learn from
TEST_TITLES = 1000  # titles that they are tested on
OWN_LINE = "In peace as in war we need a strong free and honest government"  # yours
OWN_LABELS = [50, 200, 1000, 2000]  # words that a tagger of four classes learns from
OWN_TITLE = "Brave men slowly climb steep hills"  # yours, for that tagger

# %%
import importlib.metadata
from collections import Counter, defaultdict
from itertools import islice

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
# The model ships with the library. It has read two and a half million titles, but none of the documents that we test on
# (*valid* and *test* of notebook 04), nor WordNet's examples; see its card. Each word has L + 1 vectors: layer 0 is made
# from its spelling alone, layers 1 and 2 from the words on both sides.
# %%
from elmo_helpers import Encoder, Scorer, prepare_corpus, shipped_models
from elmo_helpers.display.style import figure

encoder, scorer = Encoder(MODEL), Scorer(MODEL)
L, width = encoder.model.config.n_layers, 2 * encoder.model.config.output_dim
print(f"models that ship: {', '.join(shipped_models())}")
print(f"{MODEL}: L = {L} layers above the spelling, 2P = {width} numbers a vector")

# %% [markdown]
# As in notebook 01, the titles to test on are of other documents than those to learn from. Unlike there, this corpus keeps
# case and every character, since the model knows both. A simple rule cuts titles into words, the same for every method.

# %%
from elmo_helpers import CharacterVocabulary, TextConfig
from elmo_helpers.analysis.free_labels import cut_words

characters, natural = CharacterVocabulary("utf8", 50), TextConfig(lowercase=False)
corpus = prepare_corpus(TITLES, PROCESSED, characters=characters, text=natural)
lowercase = encoder.model.text.lowercase  # what the model is used to
seen = [cut_words(t, lowercase) for t in corpus.split("train").titles]
held_out = corpus.split("valid").titles + corpus.split("test").titles
unseen = [cut_words(t, lowercase) for t in held_out]
print(f"{len(seen):,} titles to learn from, {len(unseen):,} to test on")

# %% [markdown]
# ## 1 · Two words spelled as one: which was it?
#
# Labels cost work, but some come free. Take two words, say *work* and *must*, and write *work* for both. Which of them
# stood there? We know, and whoever answers has to read the words around.

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
# A linear classifier learns from 50 such examples and answers for other titles. We do this five times, each time with
# other examples, and take the mean. The classifier is given, in turn:
#
# - **counted words around**: which words stand at the places −2 to 2, and which stand anywhere in the title;
# - **layer 0 of five words**: the spelling vectors of the word and of two words on each side;
# - **layer 1**, **layer 2**, and **all layers** of the word side by side.
#
# A sixth way learns from no label. A biLM is a pair of language models, and can be asked outright: write the one word,
# write the other, and take the **likelier title**, by the sum of log p(word | words before) and log p(word | words behind)
# over all its words.


# %%
def counted_around(tokens, at):
    """The words near a place, by how far off they are, and all words of the title."""
    near = {i for i in range(at - 2, at + 3) if i != at and 0 <= i < len(tokens)}
    counts = {f"{i - at}:{tokens[i]}": 1 for i in near}
    return counts | {f"any:{w}": 1 for w in tokens}


def readings(examples):
    """What each classifier reads of n examples, by name: n rows."""
    titles = encoder.encode_tokens([e.tokens for e in examples])
    vectors = [t.layers[:, e.place] for t, e in zip(titles, examples)]  # (L + 1, 2P)
    padded = [np.pad(t.layers[0], ((2, 2), (0, 0))) for t in titles]
    five = [x[e.place : e.place + 5].ravel() for x, e in zip(padded, examples)]
    read = {"counted words around": [counted_around(*e[:2]) for e in examples]}
    read |= {"layer 0 of five words": five}
    read |= {f"layer {i}": [x[i] for x in vectors] for i in range(1, L + 1)}
    return read | {"all layers": [x.ravel() for x in vectors]}


# %%
def likelier(examples, pair):
    """Whether the model finds each title likelier with the second word of the pair."""
    log_p = []
    for word in pair:
        titles = [[*t[:at], word, *t[at + 1 :]] for t, at, _ in examples]
        log_p.append([scores.log_probability for scores in scorer.score(titles)])
    return np.greater(log_p[1], log_p[0])


def linear(C=0.01):
    """A classifier of vectors, each number brought to one scale."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))


def counting(C=1.0):
    """A classifier of counts by name."""
    return make_pipeline(DictVectorizer(), LogisticRegression(C=C, max_iter=300))


# %%
def right_answers(pair):
    """The share of right answers of each way to read, for one pair of words."""
    learn = one_spelling(seen, pair, seed=SEED)[: FEW_LABELS * 5]
    test = one_spelling(unseen, pair, seed=SEED)[:TEST_EXAMPLES]
    draws = [learn[i : i + FEW_LABELS] for i in range(0, len(learn), FEW_LABELS)]
    draws = [draw for draw in draws if len({e.label for e in draw}) == 2]
    if not draws or len(test) < 20:
        return None  # the titles do not have these words often enough
    right, x_test, y_test = defaultdict(list), readings(test), [e.label for e in test]
    for draw in draws:
        y = [e.label for e in draw]
        for name, x in readings(draw).items():
            classifier = counting() if name.startswith("counted") else linear()
            right[name].append(classifier.fit(x, y).score(x_test[name], y_test))
    right["likelier title, no labels"] = np.mean(likelier(test, pair) == y_test)
    return {name: np.mean(of_draws) for name, of_draws in right.items()}


# %% [markdown]
# Three kinds of pairs. The words of the first are of different class: a noun and a verb, say, which stand at different
# places in a sentence. Those of the second are two nouns, told apart mostly by what the title is about. The third
# are words that people confuse when they write.

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
# The examples have both words equally often. With 600 test titles, a share near 50 % has a margin of 4 points, and one near 95 % of 2.
#
# Words of different class are the easy kind: the language models have learned where nouns and verbs stand. Much of it is
# there in layer 0 of five words. For the other kinds 50 labels are few. Layers 1 and 2 are equally good. Where the answer
# is a word, as here, ask the model itself first: in the mean it leads everywhere, on words of one class barely.
#
# %% [markdown]
# ## 2 · Noun or verb, and senses, by layer
#
# Many English words are a noun here and a verb there: *a state*, *to state*. In layer 0 both are one point. Do they part
# as the layers rise? The examples of WordNet, a dictionary of senses, say which is which. We ask about words that the
# classifier has never seen, so it can only know what nouns and verbs have in common.

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
beside = [counted_around(e.tokens, e.place) for e in uses]
of_folds = cross_val_score(counting(), beside, verbs, **folds)
right["counted words around"] = of_folds.mean()
right["always the more common class"] = max(verbs.mean(), 1 - verbs.mean())
pd.Series(right, name="right, of words never seen").map("{:.1%}".format).to_frame()

# %% [markdown]
# Layer 0 can only go by how nouns and verbs are spelled, which tells little of a word that is both. The layers above
# it nearly always have the answer. Counting is level with layer 1, with thousands of labels; section 3 tries fewer.
#
# The uses of one word, laid flat by its two main directions:

# %%
from elmo_helpers.display.encoding_plots import plot_groups

counts = {w: Counter(e.part for e in by_word[w]) for w in set(words)}
word = max(sorted(counts), key=lambda w: min(counts[w]["n"], counts[w]["v"]))
mine = [i for i, w in enumerate(words) if w == word]
forms = [uses[i].tokens[uses[i].place] for i in mine]
names = ["verb" if verbs[i] else "noun" for i in mine]
classes = [f"{name}, “{form}”" for name, form in zip(names, forms)]
for i, ax in enumerate(figure(L, width=9.5, height=3.4), start=1):
    points = PCA(2, svd_solver="full").fit_transform(x_uses[mine, i])
    look = {"title": f"“{word}” in layer {i}", "legend": i == L, "ax": ax}
    plot_groups(points, classes, sorted(set(classes)), **look)
plt.show()

# %% [markdown]
# Nouns and verbs lie on different sides in both layers. Those far off have a capital, so probably begin a
# sentence; the vectors hold that, too.
#
# Senses are harder: a river's *bank* and a banker's are both nouns. We compare a word's nouns with nouns only, and its
# verbs with verbs. Has the nearest other example the same sense? *Chance* picks any of the others, *counted words* the one
# that shares the rarest words.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_helpers.analysis.nearest import unit_rows

by_use = defaultdict(list)
for e in [e for es in by_word.values() for e in es]:
    by_use[e.tokens[e.place].lower(), e.part].append(e)
of_use = [es for es in by_use.values() if len({e.synset for e in es}) > 1]
in_a_row = [e for es in of_use for e in es]
x_all = layers_at(in_a_row)
beside = [e.tokens[: e.place] + e.tokens[e.place + 1 :] for e in in_a_row]
counted_all = TfidfVectorizer(analyzer=list).fit_transform(beside)
ends = np.cumsum([len(es) for es in of_use])
print(f"{len(x_all):,} examples of {len(of_use):,} nouns, verbs, … with several senses")

# %%
hits = defaultdict(list)
for es, end in zip(of_use, ends):
    rows = slice(end - len(es), end)
    synset, text = np.array([(e.synset, " ".join(e.tokens)) for e in es]).T
    other = text[:, None] != text
    same = other & (synset[:, None] == synset)
    asked = same.any(1) & (other & ~same).any(1)
    hits["chance"] += (same.sum(1) / np.maximum(other.sum(1), 1))[asked].tolist()
    cosines = {"counted words": (counted_all[rows] @ counted_all[rows].T).toarray()}
    for i in range(L + 1):
        unit = unit_rows(x_all[rows, i])
        cosines[f"layer {i}"] = unit @ unit.T
    for way, cosine in cosines.items():
        near = np.where(other, cosine, -2)
        near = near > near.max(1, keepdims=True) - 1e-6  # ties count in part
        hits[way] += ((same & near).sum(1) / near.sum(1))[asked].tolist()

# %%
same_sense = {name: np.mean(of_way) for name, of_way in hits.items()}
name = f"same sense, of {len(hits['chance']):,}"
pd.Series(same_sense, name=name).map("{:.1%}".format).to_frame()

# %% [markdown]
# Layer 0 has one point per spelling, so it can only guess. The layers above know something of senses, more than shared
# words tell.
#
# ## 3 · A tagger from start to end: commas put back
#
# A task whose labels your titles have already: take all commas out, and learn to say behind which words they stood. A
# tagger gives each word a score, and a comma goes where it is above a threshold. As few words have one, its quality is
# **F1**: twice the commas set rightly, divided by those set plus those that should have been.

# %%
from elmo_helpers.analysis.free_labels import commas

learn = commas(seen, most=max(LABELS), seed=SEED)
test = commas(unseen, most=TEST_TITLES, seed=SEED)
truth = np.array([label for title in test for label in title.labels])
shown = next((title for title in learn if any(title.labels)), learn[0])
print(" ".join(w + "," * c for w, c in zip(*shown)))
print(f"{truth.mean():.1%} of the words of the test have a comma behind them")

# %% [markdown]
# All layers of all words, one title behind the other. A comma stands *between* two words, though, here after *war*:
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
# Two rivals know no context of their own. The first counts which words stand at the places −2 to 2. The second has
# **static vectors**, one a word, made by hand: count how often two words stand near each other, keep what is above chance
# (positive pointwise mutual information, PPMI), and press the table to 100 columns (SVD); word2vec does much the same.

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
# $s_l$ learned with it. Of layer 0 and the static vectors it reads five words side by side. Its threshold is the best on
# the labelled titles. Counting knows these by heart, so its own is chosen by three-fold cross-validation.


# %%
def around(vectors, part):
    """Of the vector of each word, (n, …), those of two before to two behind: (n, 1, …)"""
    rows, ends = [], np.cumsum([len(title.tokens) for title in part])
    for of_title in np.split(vectors, ends[:-1]):
        x = np.pad(of_title, ((2, 2), (0, 0)))
        five = [x[i : i + len(of_title)] for i in range(5)]
        rows.append(np.concatenate(five, axis=1, dtype=np.float32))
    return np.concatenate(rows)[:, None]


def static_vectors(part):
    none = np.zeros(static.shape[1])
    return np.stack([static[row[w]] if w in row else none for t in part for w in t.tokens])


# %%
half = width // 2  # layer 0 is the same numbers twice
spelling = (x_learn[:, 0, :half], learn), (x_test[:, 0, :half], test)
ways = {
    "static vectors": [around(static_vectors(part), part) for part in (learn, test)],
    "layer 0": [around(*of) for of in spelling],
    **{f"layer {i}": (x_learn[:, [i]], x_test[:, [i]]) for i in range(1, L + 1)},
    "fixed mean": (x_learn, x_test),
    "learned mix": (x_learn, x_test),
    f"layer {L} of the gap": (gaps_learn[:, [L]], gaps_test[:, [L]]),
    "learned mix of the gap": (gaps_learn, gaps_test),
}

# %%
from elmo_helpers.analysis.tagger import LinearTagger, best_threshold, f1

numbers = [n for n in LABELS if n <= len(learn)]
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
    counted, others = counting(C=3).fit(x, y), {"method": "decision_function", "cv": 3}
    threshold = best_threshold(cross_val_predict(counting(C=3), x, y, **others), y)
    scores = counted.decision_function(words_around(test))
    found["counted words beside"].append(scores > threshold)

# %% [markdown]
# And without any label: a comma goes where the language models find the title with it likelier than without.


# %%
def gains(titles):
    """By how much log p of a title grows with a comma behind each word: (words,)"""
    titled = [[*t[:k], ",", *t[k:]] for t in titles for k in range(1, len(t) + 1)]
    with_comma = [scores.log_probability for scores in scorer.score(titled)]
    without = [scores.log_probability for scores in scorer.score(titles)]
    return np.array(with_comma) - np.repeat(without, [len(t) for t in titles])


likelier_with = gains([title.tokens for title in test]) > 0
found["likelier title, no labels"] = [likelier_with] * len(numbers)

# %% [markdown]
# Bounds: where F1 lies in 95 % of a thousand draws of the test titles, with replacement.

# %%
owner = np.repeat(np.arange(len(test)), [len(title.tokens) for title in test])
rng = np.random.default_rng(SEED)
drawn = rng.multinomial(len(test), np.full(len(test), 1 / len(test)), size=1000)


def with_bounds(tagged):
    """F1 in per cent, and its bounds."""
    counts = [np.bincount(owner, x) for x in (tagged & (truth == 1), tagged, truth)]
    rightly, were_set, wanted = np.array(counts) @ drawn.T
    low, high = np.percentile(200 * rightly / (were_set + wanted), [2.5, 97.5])
    return f"{100 * f1(tagged, truth):.1f} ({low:.0f}–{high:.0f})"


pd.DataFrame({w: map(with_bounds, of) for w, of in found.items()}, index=numbers).T

# %%
from elmo_helpers.display.layer_plots import plot_curves, plot_shares_over_labels

curves = {w: [100 * f1(tagged, truth) for tagged in of] for w, of in found.items()}
main_lines = ["counted words beside", "learned mix", "learned mix of the gap"]
main_lines += [f"layer {L} of the gap", "likelier title, no labels"]
title = "Commas put back, by how many titles were labelled"
plot_curves(numbers, curves, highlighted=main_lines, ylabel="F1, %", title=title)
plot_shares_over_labels(numbers, shares, title="Shares of the gap's mix")
plt.show()

# %% [markdown]
# Compare the thick lines. Reading from the gap gains 5 to 10 points: with 200 titles it is where counting comes with
# thousands. Read from the word, layer 2 is ahead of counting up to 1,000 titles, and layer 1 never. The learned mix,
# $\gamma \sum_l s_l h_{k,l}$, is behind the best single layer with few titles, and level with many; it saves you the
# choice. Where its shares go means little: layers that know the same can share in any proportion (appendix C).
#
# And the language models, with no label, are level with the best tagger after 4,000. They have read commas before, but so
# have trigrams, which come to 36 on such titles, asked in the same way (see the model's card). Where labels are not words
# of the text, though, you need a tagger; one comes below.

# %% [markdown]
# And a line of your own, without commas, through the tagger that has seen the most titles, and the language models:

# %%
own = cut_words(OWN_LINE, lowercase)
own_gaps = gap_layers(encoder.encode_tokens([own])[0].layers).transpose(1, 0, 2)
ways = {"tagger": tagger.predict(own_gaps), "no labels": gains([own]) > 0}
for name, tagged in ways.items():
    print(f"{name:<10}", " ".join(w + "," * int(c) for w, c in zip(own, tagged)))

# %% [markdown]
# `tagger.save(file)` keeps it, and `LinearTagger.load(file)` has it again.
#
# **Your own labels**, of any number of classes, usually come as a file with a word and its label on each line, and an empty
# line behind each title. Here it is WordNet's examples, in each of which one word has a label: noun (n), verb (v),
# adjective (a) or adverb (r).

# %%
rng = np.random.default_rng(SEED)
every = [e for examples in by_word.values() for e in examples]
file = ""
for e in [every[i] for i in rng.permutation(len(every))[: max(OWN_LABELS) + 2_000]]:
    labels = ["-"] * len(e.tokens)
    labels[e.place] = e.part
    file += "".join(f"{w}\t{label}\n" for w, label in zip(e.tokens, labels)) + "\n"
print(file[:150])

# %% [markdown]
# A classifier of scikit-learn reads all layers of the labelled words. Its rival counts the words around and the word's
# last two, three and four letters.


# %%
blocks = [block.splitlines() for block in file.split("\n\n") if block]
titles = [[line.split("\t") for line in block] for block in blocks]
encoded = encoder.encode_tokens([[w for w, _ in title] for title in titles])
x, counts, y = [], [], []
for of_title, title in zip(encoded, titles):
    words, labels = zip(*title)
    for at in [i for i, label in enumerate(labels) if label != "-"]:
        x.append(of_title.layers[:, at].ravel())
        endings = {words[at][-n:]: 1 for n in (2, 3, 4)}
        counts.append(counted_around(words, at) | endings)
        y.append(labels[at])

# %%
end = max(OWN_LABELS)  # those behind are the test
x_test, counts_test, y_test = x[end:], counts[end:], y[end:]
rows, commonest = {}, Counter(y_test).most_common(1)[0][1] / len(y_test)
for n in OWN_LABELS:
    counted = counting().fit(counts[:n], y[:n]).score(counts_test, y_test)
    rows[n] = [commonest, counted, linear().fit(x[:n], y[:n]).score(x_test, y_test)]
ways = ["commonest class", "counted words around and endings", "all layers"]
display(pd.DataFrame(rows, index=ways).T.map("{:.0%}".format).rename_axis("labels"))

own_title = encoder.encode_tokens([OWN_TITLE])[0]
own_layers = [own_title.layers[:, at].ravel() for at in range(len(own_title.tokens))]
said = linear().fit(x, y).predict(own_layers)
print(" ".join(f"{w}/{label}" for w, label in zip(own_title.tokens, said)))

# %% [markdown]
# This is where ELMo pays: after 50 labels the layers are 25 points ahead, and with 200 they are where counting is with
# 2,000 (each share is sure to 2 points). The small model of notebook 04 comes to 64, 78, 83 and 85 %, measured apart: ahead
# of counting, too, after minutes of training.

# %% [markdown]
# ## 4 · Where counting is enough
#
# Two questions that are not about a word in its context:
#
# - **Capitals**: which words have one? Each word as it was written most often, beside a classifier over layers of the
#   title in lower case.
# - **Whole titles**: is a title from before the median day, or from after it? A bag of counted words, beside the mean of
#   the layers over all words. Both periods count the same in the test (balanced accuracy).


# %%
rng = np.random.default_rng(SEED)


def cased(part, most):
    """Titles in lower case; of each word but the first, whether it was capitalised."""
    rows = [t for t in part if len(t) > 3 and any(w[0].islower() for w in t)][:most]
    lower = [[w.lower() for w in title] for title in rows]
    return lower, [w[0].isupper() for title in rows for w in title[1:]]


# %%
drawn = [seen[i] for i in rng.permutation(len(seen))]
drawn_test = [unseen[i] for i in rng.permutation(len(unseen))]
(lower, y), (lower_test, y_test) = (cased(t, TEST_TITLES) for t in (drawn, drawn_test))
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
from sklearn.metrics import balanced_accuracy_score as balanced

some = corpus.split("train")
some = some.select(np.sort(rng.permutation(len(some))[: max(LABELS)]))
others = corpus.split("test")
days, days_test = (part.dates.astype("M8[D]").astype(float) for part in (some, others))
late, late_test = days > np.median(days), days_test > np.median(days)
counted = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10))
said = counted.fit(some.titles, late).predict(others.titles)
period = {"always the same": 0.5, "counting": balanced(late_test, said)}
x, x_asked = (encoder.encode_layers(part.titles, "mean") for part in (some, others))
for name, i in {"layer 0": 0, "top layer": L}.items():
    said = linear().fit(x[:, i], late).predict(x_asked[:, i])
    period[name] = balanced(late_test, said)
table = {"capitals, each word": capitals, "period, each title": period}
pd.DataFrame(table).T.map("{:.1%}".format)

# %% [markdown]
# For capitals all come to much the same, and counting is cheapest. For whole titles counting is ahead.
#
# A rule of thumb: if some words, wherever they stand, give the answer, count them. If it depends on where a word stands
# and what is beside it, read the layers.

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
# **ELMo** (2018) reads characters, so it has a vector for any word. Its two directions are separate language models. The
# model stays frozen, and a small classifier reads a mix of its layers.
#
# **BERT** (2018) masks some words and predicts them from both sides at once, in every layer, by attention. Mostly all its
# weights are fine-tuned for each task. **GPT** reads from the left alone, and is asked in words.
#
# The paper put ELMo's vectors into models of six tasks, and all became better: question answering rose from 81.1 to 85.8
# (F1), name recognition from 90.2 to 92.2. BERT was better still, and a large pretrained transformer is the first choice for
# English, if you may download one and can run it; none was measured here. A biLM is for text of your own kind or language,
# trained on a laptop, where you want to understand every number.

# %% [markdown]
# ## 6 · In your own tools
#
# In **spaCy** the component is there once the library is installed. `layers` says which vectors `doc.tensor` has:
# "top", "average" (the default), or weights of your own, one a layer:

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

dating = make_pipeline(ElmoVectorizer(MODEL, pooling="mean"), linear())
said = dating.fit(some.titles[::10], late[::10]).predict(others.titles[::10])
f"balanced accuracy {balanced(late_test[::10], said):.0%}, on a tenth of the titles"

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
# - What a word's spelling leaves open, the layers above often tell: they hold the words around.
# - That pays where labels are few: for word classes, 200 labels beat 2,000 counted. Senses they tell in part.
# - Take all layers, or layer 2: better than layer 1 for noun or verb and for commas, elsewhere as good.
# - For what lies between words, read the gap. Where the answer is itself a word, ask the language models, with no label.
# - Count words where the answer lies in the words themselves: capitals, dates of whole titles.

# %% [markdown]
# ## Exercises
#
# 1. Set `FEW_LABELS = 1000`. For words of one class, when do counted words catch up with the layers?
# 2. Set `MODEL` to a model of notebook 04, such as `"../data/models/bilm"`. What does the model that ships know more of?
# 3. Put something else back than commas, such as the article *the*: change `","` in `gains`, and write a function like
#    `commas`.

# %% [markdown]
# ## Where to go next
#
# - `python -m elmo_helpers fine-tune english-titles CORPUS OUT` adapts the model to your titles.
# - `make evidence` measures more tasks, with bounds.
# - The paper, section 5.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "scikit-learn", "matplotlib", "spacy"):
    print(f"{name} {importlib.metadata.version(name)}")
