# %% [markdown]
# # 05 · What the layers know
#
# Where does ELMo pay, and where does it not? You give the layers of a biLM small tasks, see which layer is good for what,
# and build a tagger on them with a few hundred labelled titles.

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
# - Build a tagger on frozen layers, with a learned mix, from few labels; or ask a language model outright, with none.
# - Say when counted words, or a transformer, are the better choice.
# - Use the vectors in spaCy, in scikit-learn and in plain PyTorch.

# %% [markdown]
# Everything that you may want to change stands in the next cell.

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
# The model ships with the library. It has read two and a half million titles, but none of the documents that we test on
# (*valid* and *test* of notebook 04), nor WordNet's examples; see its card. For a model of your own, set `MODEL` to its
# directory.
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
# Titles, here sentences of messages, to learn from and to test on are of different documents, as in notebook 01. Unlike there, this corpus keeps case
# and every character, since the model knows both. Titles are cut into words by a simple rule, the same for every method.

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
# ## 1 · Two words made one spelling: which was it?
#
# Labels cost work, but some come free. Take two words, say *work* and *must*, and write *work* for both. Which of them
# stood there? We know, and the spelling says nothing any more: whoever answers has read the words around.

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
# A linear classifier learns from 50 such examples and answers for other titles. We give it, in turn:
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


# %%
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
    learn = one_spelling(seen, pair, seed=SEED)[:FEW_LABELS]
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
# different places in a sentence. Those of the second are two nouns, which stand at like places, so mostly what the title
# is about tells them apart. The third are words that people confuse when they write.

# %%
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
# Both words are equally frequent. With 600 titles a number is sure to 4 points near 50 %, to 2 near 95 %.
#
# Words of different class are the easy kind: the language models have learned where nouns and verbs stand. Much of it is
# there in layer 0 of five words, since what is learned of one word holds for others spelled alike; layers 1 and 2 add
# a few points. For the other kinds 50 examples are few. Of words that people confuse the model itself, asked outright, knows
# more on average than any classifier.
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
commonest = max(verbs.mean(), 1 - verbs.mean())
right["the commoner class, always"] = commonest
pd.Series(right, name="right, of words never seen").map("{:.1%}".format).to_frame()

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
# Nouns and verbs lie on different sides in both layers. The verbs far off are those written with a capital, *Play*: a
# second thing that the vectors hold.
#
# Senses are harder: *bank* is a noun by the river and in the street. Has the nearest other example of the same word the
# same sense? *Chance* picks any of the others.

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
        near = np.where(other, unit @ unit.T, -2)
        near = near > near.max(1, keepdims=True) - 1e-6  # ties count in part
        hits[f"layer {i}"] += ((same & near).sum(1) / near.sum(1))[asked].tolist()

# %%
same_sense = {name: np.mean(of_way) for name, of_way in hits.items()}
name = f"same sense, of {len(hits['chance']):,}"
pd.Series(same_sense, name=name).map("{:.1%}".format).to_frame()

# %% [markdown]
# Layer 0 has one point a spelling, so it can only guess. The layers above know something of senses, in part by the class. The
# paper's large model names 69.0 % rightly on another test (its table 5), where the commonest sense comes to 65.9 %.
#
# ## 3 · A tagger from start to end: commas put back
#
# A task whose labels your titles have already: take all commas out, and learn to say behind which words they stood. A
# tagger gives each word a score, and a comma goes where it is above a threshold. Because few words have a comma, its
# quality is **F1**: twice the commas set rightly, divided by those set plus those that should have been.

# %%
from elmo_helpers.analysis.free_labels import commas

learn = commas(seen, most=max(LABELS), seed=SEED)
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
# (positive pointwise mutual information, PPMI), and press the table to 100 columns (SVD); word2vec does much the same. They
# have read your titles alone; the model brings what it read before.

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
# All vectors are read by the same `LinearTagger`: a linear classifier over standardised layers, and for
# the mix the shares $s_l$ learned with it. For layer 0 and the static vectors it reads five words side by side, as the rival
# that counts does, or it would know nothing of what stands around. Its threshold is the best on its labels.


# %%
def around(part, vectors_of):
    """Vectors of five words, two before to two behind, for each word: (n, 1, …)"""
    rows = []
    for title in part:
        x = np.pad(vectors_of(title.tokens), ((2, 2), (0, 0)))
        five = [x[i : i + len(title.tokens)] for i in range(5)]
        rows.append(np.concatenate(five, axis=1, dtype=np.float32))
    return np.concatenate(rows)[:, None]


def static_vectors(tokens):
    none = np.zeros(static.shape[1])
    return np.stack([static[row[w]] if w in row else none for w in tokens])


def spelling_vectors(tokens):
    layers = encoder.encode_tokens([tokens])[0].layers
    return layers[0, :, : width // 2]  # layer 0 is the same numbers twice


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
    found["counted words around"].append(scores > threshold)

# %% [markdown]
# And without any label: a comma goes where the language models find the title with it likelier than without. That takes a
# title for each word.


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
# How sure is an F1? If the titles of the test are drawn anew, with replacement, it lies between these bounds in 95 % of a
# thousand draws.

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
main_lines = ["counted words around", "learned mix", "learned mix of the gap"]
main_lines.append("likelier title, no labels")
title = "Commas put back, by how many titles were labelled"
plot_curves(numbers, curves, highlighted=main_lines, ylabel="F1, %", title=title)
plt.show()

# %% [markdown]
# Compare the thick lines. Where one reads matters most. The mix of a word's layers pulls ahead of counting only with many
# titles; read from the gap, which holds what the two language models predict from, it has with 200 titles what counting
# has with thousands. And the language models alone, with no label, are level with the best tagger after 4,000; trigrams,
# asked alike, come next ([card](../elmo_helpers/pretrained/english-titles/README.md)). So ask the language models first. Where labels are no words of the text, such
# as parts of speech, you need the tagger. With many labels the mix is within a point of the best single layer.
#
# The shares of the gap's mix, by how many titles it has seen: the paper's $\gamma \sum_l s_l h_{k,l}$ at work.

# %%
plot_shares_over_labels(numbers, shares)
plt.show()
first, last = (", ".join(f"{s:.2f}" for s in shares[k]) for k in (0, -1))
say(f"Of layers 0 to {L}: {first} after the fewest titles, {last} after the most.")

# %% [markdown]
# The shares leave 1/3. More should not be read from them: layers that know the same can share in any proportion
# (appendix C).

# %% [markdown]
# And a line of your own, without commas, through the tagger that has seen the most titles, and the language models:

# %%
own = cut_words(OWN_LINE, lowercase)
own_gaps = gap_layers(encoder.encode_tokens([own])[0].layers).transpose(1, 0, 2)
ways = {"tagger": tagger.predict(own_gaps), "no labels": gains([own]) > 0}
for name, tagged in ways.items():
    print(f"{name:<10}", " ".join(w + "," * int(c) for w, c in zip(own, tagged)))

# %% [markdown]
# **Your own labels** have the same form, 0 or 1 for each word: for instance from a file with a word and its label on each
# line, and an empty line between titles. `LinearTagger.load` reads what `save` wrote. For more classes there is `learn_mix`.

# %%
file = "Senate\t1\npasses\t0\nthe\t0\nbill\t0\n\nRain\t0\nin\t0\nOhio\t1\n"
blocks = [block.splitlines() for block in file.split("\n\n")]
labelled = [[line.split("\t") for line in block] for block in blocks]
encoded = encoder.encode_tokens([[w for w, _ in title] for title in labelled])
x = np.concatenate([title.layers.transpose(1, 0, 2) for title in encoded])
y = np.array([int(label) for title in labelled for _, label in title])
LinearTagger.fit(x, y, seed=SEED).save("../data/models/tagger.safetensors")

again = LinearTagger.load("../data/models/tagger.safetensors")
new = encoder.encode_tokens(["The Senate meets in Ohio"])[0]
dict(zip(new.tokens, again.predict(new.layers.transpose(1, 0, 2)).tolist()))

# %% [markdown]
# ## 4 · Where counting is enough
#
# Two questions that are not about a word in its context:
#
# - **Capitals**: which words have a capital? Each word as it was written most often, beside a classifier over layers of
#   the title in lower case.
# - **Whole titles**: from which half of the time is a title? A bag of counted words, beside the mean of the layers over
#   all words. Both halves count the same in the test (balanced accuracy).


# %%
rng = np.random.default_rng(SEED)


def cased(part, most):
    """Titles in lower case; of each word but the first, whether it was capitalised."""
    rows = [t for t in part if len(t) > 3 and any(w[0].islower() for w in t)][:most]
    lower = [[w.lower() for w in title] for title in rows]
    return lower, [w[0].isupper() for title in rows for w in title[1:]]


# %%
drawn = [seen[i] for i in rng.permutation(len(seen))]
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
# For capitals all come to much the same, and counting is cheapest. For whole titles counting is ahead.
#
# A rule of thumb: if a word, or a handful of words wherever they stand, gives the answer, count them. If the answer
# depends on where a word stands and what is beside it, read the layers.

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
# **BERT** (2018) masks some words and predicts them from both sides at once, in every layer, by attention. It is fine-tuned
# whole, all of its weights for each task. **GPT** reads from the left alone, and is asked in words.
#
# The paper put ELMo's vectors into models of six tasks, and all became better: answers to questions from 81.1 to 85.8,
# names of people and places from 90.2 to 92.2 (F1). BERT was better still, and a large pretrained transformer is the first
# choice for English, if you may download one and can run it; none was measured here. A biLM is for text of your own kind
# or language, trained from nothing on a laptop, where you want to understand every number.

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
said = half.fit(some.titles[::10], late[::10]).predict(others.titles[::10])
f"balanced accuracy {balanced(late_test[::10], said):.1%}, after a tenth of the titles"

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
# - Words of different class can be told apart after 50 examples, and noun from verb in words never seen; senses in part.
# - Layer 2 is the best single layer here for word classes and commas. With many labels a learned mix comes near it.
# - For what lies between words, read the gap. Where the answer is itself a word, ask the language models.
# - Count words where the answer lies in the words themselves: capitals, dates of whole titles.

# %% [markdown]
# ## Exercises
#
# 1. Set `FEW_LABELS = 1000`. For words of one class, when do counted words catch up with the layers?
# 2. Set `MODEL` to a model of notebook 04, such as `"../data/models/bilm"`. What does the model that ships know more of?
# 3. Put something else back than commas: hyphens, or the article *the*. Change `","` in `gains`, write a function like
#    `commas`, and run section 3 on it.

# %% [markdown]
# ## Where to go next
#
# - `python -m elmo_helpers fine-tune english-titles CORPUS OUT` adapts the model to your titles.
# - `make evidence` measures more tasks, with bounds.
# - The paper: Peters et al. (2018), section 5.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "numpy", "scikit-learn", "matplotlib", "spacy"):
    print(f"{name} {importlib.metadata.version(name)}")
