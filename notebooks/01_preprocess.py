# %% [markdown]
# # 01 · Preprocess: titles → tokens → vocabularies → a corpus
#
# This notebook turns a file of dated titles into what a language model reads, and accounts for every row left out.

# %% [markdown]
# The whole series in one picture; this notebook's part is lit:

# %%
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview(here="01")
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Bring your own titles in one step.
# - Say how many titles are dropped, and why.
# - Choose a vocabulary, and know what it leaves out.
# - Follow a title from raw text to ids, and read every number of a corpus.

# %% [markdown]
# All that you may want to change is in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed"  # the corpus that this notebook writes
SCHEME = "tutorial"  # 69 characters; "utf8": every character there is
LOWERCASE = True  # False keeps capitals, which only "utf8" can spell
MAX_CHARACTERS = 30  # C, the characters kept of a word
TOKENIZER = "en"  # spaCy's rules; "whitespace" where your text is cut already
MIN_COUNT = 3  # words that training has less often are not learned as answers
SPLIT = "document"  # whole days, drawn at random, are held out; "date": the newest
VALID = 0.05  # share of the titles that choose the model
TEST = 0.05  # share of the titles that judge it
SEED = 0  # of every random draw

# %%
import re
import tempfile
import unicodedata
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import display
from ipywidgets import IntSlider, interact

from elmo_helpers.display.prose import say
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", 120)

# %% [markdown]
# ## What a language model needs
#
# A **language model** reads a title word by word and says how likely each word is to come next. A **bidirectional
# language model** (biLM) is two, one from the left and one from the right. **ELMo** makes a word's vector from
# what both have in memory at that word.
#
# A **title** is any sentence, dated or not. The model needs three things of it:
#
# - a row of **character ids** for every word, because it reads words by their spelling;
# - a **vocabulary**: V words that it can answer with;
# - two **boundaries**, `<S>` and `</S>`, because a title begins and ends somewhere.

# %% [markdown]
# ## Your own titles, in one step
#
# Set `TITLES` to your file, in UTF-8, plain or gzipped:
#
# - a `.csv` or `.tsv` with the columns `title` and `date`;
# - or a `.txt` with one title a line, and no dates: each title is a document.
#
# Saved as `data/title_text.csv`, all notebooks find it. When the file changes, they make the corpus anew.
#
# Characters such as *é* or emoji, and capitals, are kept by `SCHEME = "utf8"` and `LOWERCASE = False`. In
# `prepare_corpus`, which makes all steps of this notebook in one call, these are `characters` and `text`. Which of these
# titles are kept?

# %%
from elmo_helpers import CharacterVocabulary, TextConfig, prepare_corpus

own_titles = ["We meet again.", "A naïve café.", "Peace 🕊 now!"]
natural = {
    "characters": CharacterVocabulary("utf8", max_characters=50),
    "text": TextConfig(lowercase=False),
}
kept = {}
with tempfile.TemporaryDirectory() as folder:
    own_file = Path(folder) / "own.txt"
    own_file.write_text("\n".join(own_titles), encoding="utf-8")
    for way, settings in {"as it comes": {}, "utf8, capitals": natural}.items():
        made = prepare_corpus(own_file, f"{folder}/{way}", valid=0, test=0, **settings)
        kept[way] = "   |   ".join(made.titles)
pd.Series(kept, name="titles of the corpus").to_frame()

# %% [markdown]
# As it comes, two are dropped, for characters outside the 69.

# %% [markdown]
# ## Read and clean
#
# Where `TITLES` names no file, `default_titles` writes the default corpus: every sentence of at most 40 tokens in the
# State of the Union messages, with its date. Rows that lack a title or a date are left out.

# %%
from elmo_helpers import default_titles, read_titles

raw, read_report = read_titles(default_titles(TITLES))
raw.head(3)

# %% [markdown]
# Which characters outside the 69 are in the way? The commonest has a plain relative.

# %%
from elmo_helpers import normalize_title
from elmo_helpers.text.characters import CHARACTERS


def becomes(character):
    """What the character is mapped to, if that is among the 69."""
    plain = normalize_title(f"x{character}x")[1:-1]
    inside = set(plain) <= set(CHARACTERS)
    return plain.replace(" ", "(space)") if inside else "nothing: the title is dropped"


stripped = [title.strip().lower() for title in raw["title"]]
strangers = Counter(c for title in stripped for c in set(title) - set(CHARACTERS))
most = dict(strangers.most_common(8))
strangers_table = pd.DataFrame({"titles with it": most})
strangers_table["becomes"] = [becomes(c) for c in most]
strangers_table["name"] = [unicodedata.name(c, "no name").lower() for c in most]
strangers_table

# %% [markdown]
# Such characters are mapped before a title is judged. By hand that is a small table; `normalize_title` has a larger
# one.

# %%
signs = {"—": "-", "–": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "..."}
toy_raw = [
    "The state — “our state” — is strong…",
    "  The people’s union is strong",
    "Our people are strong",
    "The harvest was good",
]
toy_clean = [t.translate(str.maketrans(signs)).strip().lower() for t in toy_raw]

differing = sum(normalize_title(t) != c for t, c in zip(toy_raw, toy_clean))
print("titles that differ:", differing)
pd.DataFrame({"raw": toy_raw, "clean": toy_clean})

# %% [markdown]
# `clean_titles` does this for all titles, and drops what is still outside.

# %%
from elmo_helpers import clean_titles

titles, clean_report = clean_titles(raw, SCHEME, LOWERCASE)


def outside(some):
    """How many titles hold a character outside the 69."""
    return sum(bool(set(title) - set(CHARACTERS)) for title in some)


report = pd.concat([read_report.iloc[:-1], clean_report]).drop_duplicates("reason")
display(report.set_index("reason"))
mapped = outside(normalize_title(title) for title in raw["title"])
say(
    f"Without the mapping {outside(stripped) / len(raw):.1%} of the titles hold a "
    f"character outside the 69, with it {mapped / len(raw):.2%}."
)

# %% [markdown]
# ## Cut them into tokens
#
# A **token** is what the model takes as one word. Compare three ways to cut `owes:`, `u.s.` and the sum of money.

# %%
from elmo_helpers import Tokenizer

example = "we don't know (yet) what the u.s. owes: $1,000.50?"
ways = {
    "at spaces": example.split(),
    "words or marks, by a pattern": re.findall(r"\w+|[^\w\s]", example),
    "spaCy's rules": next(Tokenizer("en", processes=1)([example])),
}
pd.Series({way: " | ".join(ways[way]) for way in ways}, name="cut at |").to_frame()

# %% [markdown]
# At spaces, `owes:` and `owes` share nothing. The pattern tears the sum of money to pieces. spaCy knows marks and
# exceptions, such as *U.S.*, but cuts *u.s.* up. So in lower case a few titles of the default corpus exceed 40 tokens.

# %%
tokens = list(Tokenizer(TOKENIZER)(titles["title"], progress=True))
distinct = {word for words in tokens for word in words}
glued = {word for title in titles["title"] for word in title.split()}
say(
    f"The titles have {sum(map(len, tokens)):,} tokens, **{len(distinct):,}** of them "
    f"distinct. Cut at spaces, **{len(glued):,}** would be."
)

# %% [markdown]
# How long are titles, and words? A word's row has room for C characters; words right of the dashed line lose their
# end. Their counts are on a log axis, to show single words.

# %%
from elmo_helpers.display.corpus_plots import plot_lengths

title_lengths = np.array([len(words) for words in tokens])
word_lengths = np.array([len(word) for word in distinct])
axes = figure(2, width=10, height=3.2)
plot_lengths(title_lengths, things="titles", unit="tokens", ax=axes[0])
words_and_cut = {"things": "distinct words", "unit": "characters", "log": True}
plot_lengths(word_lengths, MAX_CHARACTERS, **words_and_cut, ax=axes[1])
plt.show()
n_cut, longest = (word_lengths > MAX_CHARACTERS).sum(), max(distinct, key=len)[:40]
say(f"Words cut at C = {MAX_CHARACTERS}: {n_cut:,}. The longest begins `{longest}`.")

# %% [markdown]
# ## Whole documents are held out
#
# A model is judged on titles that it has not learned from. Sentences of one speech share names and turns of phrase, so
# we take all titles of a day as one **document** and hold out whole documents. Each line of the figure is a day; its height
# counts its titles.

# %%
from elmo_helpers.display.corpus_plots import plot_documents
from elmo_helpers.text.splitting import SPLITS, split_rows

splits = split_rows(titles, SPLIT, VALID, TEST, SEED)
plot_documents(titles["date"].to_numpy(), splits, SPLITS)
plt.show()

# %% [markdown]
# How much? Test words that no training title has, with whole days held out and with as many single titles:


# %%
def new_words(splits):
    """How many of 1,000 words of the test titles are in no training title."""
    part_of = [SPLITS[split] for split in splits]
    seen = {w for words, part in zip(tokens, part_of) if part == "train" for w in words}
    test = [w for words, part in zip(tokens, part_of) if part == "test" for w in words]
    return 1000 * sum(w not in seen for w in test) / max(len(test), 1)


draws = []
for seed in range(5):
    documents = split_rows(titles, "document", VALID, TEST, seed)
    singles = np.random.default_rng(seed).permutation(documents)
    draws.append((new_words(documents), new_words(singles)))
(by_document, by_title), n_more = np.mean(draws, axis=0), sum(d > t for d, t in draws)
say(
    f"Of 1,000 test words **{by_document:.1f}** are new with whole documents held out, "
    f"**{by_title:.1f}** with single titles, which come to less in {n_more} of 5 draws."
)

# %% [markdown]
# ## Where the vocabulary stops
#
# Every word that the model can answer with costs time, and one seen twice teaches little. How often do the words of
# the *training* titles occur? The dashed line is Zipf's law: the second word half as often as the first, the third a
# third.

# %% tags=["readme-preprocess"]
from elmo_helpers.display.corpus_plots import plot_word_counts

in_training = splits == SPLITS.index("train")
training_counts = Counter()
for i in np.flatnonzero(in_training):
    training_counts.update(tokens[i])
plot_word_counts(training_counts)
plt.show()
counts = np.sort(np.array(list(training_counts.values())))[::-1]
ten, once = counts[:10].sum() / counts.sum(), (counts == 1).mean()
say(f"Ten words are **{ten:.0%}** of the text. **{once:.0%}** of all words occur once.")

# %% [markdown]
# A **minimum count** leaves rare words out. They are still read; but where one would have to be *said*, the answer is
# `<UNK>`, "unknown". So the **coverage** falls, the share of the text that can be said. By hand from the counts,
# and by `WordVocabulary`:

# %%
from elmo_helpers import WordVocabulary

min_counts = sorted({*range(1, 51), 100, MIN_COUNT})
n_specials = 4  # <pad>, <S>, </S> and <UNK>
table = pd.DataFrame({"min_count": min_counts})
table["words"] = [(counts >= n).sum() + n_specials for n in min_counts]
table["coverage"] = [counts[counts >= n].sum() / counts.sum() for n in min_counts]

lists = [WordVocabulary.from_counts(training_counts, min_count=n) for n in min_counts]
off = abs(table["words"] - [len(words) for words in lists]).max()
print(f"largest difference in words {off}", end=", ")
off = abs(table["coverage"] - [words.coverage for words in lists]).max()
print(f"in coverage {off:.1g}")
shown = table[table["min_count"].isin({1, 2, 3, 5, 10, 20, 50, MIN_COUNT})]
shown.assign(coverage=shown["coverage"].map("{:.2%}".format)).set_index("min_count")

# %% [markdown]
# As a curve: points further left keep fewer words and cover less text.

# %%
from elmo_helpers.display.corpus_plots import plot_coverage

plot_coverage(table, MIN_COUNT)
plt.show()
chosen, everything = (table.set_index("min_count").loc[n] for n in (MIN_COUNT, 1))
fewer = 1 - chosen["words"] / everything["words"]
less = everything["coverage"] - chosen["coverage"]
share = f"**{fewer:.0%}** of the words and **{less:.1%}** of the text"
say(f"A minimum count of {MIN_COUNT} gives up {share}.")

# %%
to_try = {"min": 1, "max": 50, "continuous_update": False}


@interact(min_count=IntSlider(min(MIN_COUNT, 50), description="min. count", **to_try))
def move_the_mark(min_count):
    plot_coverage(table, min_count)
    plt.show()


# %% [markdown]
# In use it looks like this:
#
# ![A slider moves the mark on the curve](pictures/01_min_count.png)

# %% [markdown]
# ## Characters and boundaries
#
# The 69 characters have the ids 1 to 69; 0 fills a row behind the word's end. Row and column add up to the id.

# %%
grid = ["fill", *(c.replace(" ", "space") for c in CHARACTERS)]
tens = pd.Index(range(0, 70, 10), name="id")
pd.DataFrame(np.array(grid).reshape(7, 10), index=tens).add_prefix("+")

# %% [markdown]
# By hand a word is one id a character, then zeros up to C. `CharacterVocabulary` does the same:

# %%
character_id = {character: i for i, character in enumerate(CHARACTERS, start=1)}


def spell(word):
    """The word as C character ids."""
    ids = [character_id[character] for character in word][:MAX_CHARACTERS]
    return ids + [0] * (MAX_CHARACTERS - len(ids))


tutorial = CharacterVocabulary("tutorial", MAX_CHARACTERS)
spellable = sorted(word for word in distinct if set(word) <= set(CHARACTERS))
differing = (tutorial.encode(spellable) != [spell(word) for word in spellable]).sum()
print("union →", spell("union"))
print("ids that differ, over all words:", differing)

# %% [markdown]
# The boundaries are read as well, so two more ids spell them. `<pad>` fills a batch behind shorter titles.

# %%
first_six = pd.DataFrame(tutorial.boundary_rows[:, :6], index=["<pad>", "<S>", "</S>"])
first_six.add_prefix("character ").assign(**{"…": "0 …"})

# %% [markdown]
# ## Two ids for a word
#
# A model reads any word, and says only those of its vocabulary. So a word has two ids:
#
# - a **lexicon id**, to read: every distinct word has one, and with it one row of characters;
# - a **vocabulary id**, to say: rare words share that of `<UNK>`.
#
# Both begin with special entries and go on by falling count, the vocabulary's by the count in the training titles. By
# hand, for our four titles and a minimum count of 2:

# %%
toy_tokens = list(Tokenizer("en", processes=1)(toy_clean))
toy_counts = Counter(word for words in toy_tokens for word in words)
by_count = sorted(toy_counts, key=lambda word: (-toy_counts[word], word))

lexicon = ["<pad>", "<S>", "</S>", *by_count]
lexicon_id = {word: i for i, word in enumerate(lexicon)}
frequent = [word for word in by_count if toy_counts[word] >= 2]
vocabulary = ["<pad>", "<S>", "</S>", "<UNK>", *frequent]
vocabulary_id = {word: i for i, word in enumerate(vocabulary)}

toy_table = pd.DataFrame({"word": by_count, "count": [toy_counts[w] for w in by_count]})
toy_table["lexicon id"] = [lexicon_id[w] for w in by_count]
toy_table["vocabulary id"] = [vocabulary_id.get(w, 3) for w in by_count]
toy_table.set_index("word").T

# %% [markdown]
# `Corpus.build` does this for any number of titles. Here its ids have to be ours.

# %%
from elmo_helpers import Corpus

toy_days = pd.date_range("2001-01-01", periods=len(toy_clean))
toy_frame = pd.DataFrame({"title": toy_clean, "date": toy_days})
toy = Corpus.build(toy_frame, toy_tokens, tutorial, min_count=2, valid=0, test=0)

differing = 0
for i, words in enumerate(toy_tokens):
    read = toy.tokens(i)
    said = toy.lexicon_to_vocabulary[read]
    differing += (read != [lexicon_id[w] for w in words]).sum()
    differing += (said != [vocabulary_id.get(w, 3) for w in words]).sum()
    differing += (toy.characters[read] != [spell(w) for w in words]).sum()
print("ids that differ:", differing)

# %% [markdown]
# ## The corpus
#
# Now all titles: each becomes a short list of lexicon ids, and each distinct word is spelled once.

# %%
corpus = Corpus.build(
    titles,
    tokens,
    CharacterVocabulary(SCHEME, MAX_CHARACTERS),
    TextConfig(tokenizer=TOKENIZER, lowercase=LOWERCASE),
    min_count=MIN_COUNT,
    split=SPLIT,
    valid=VALID,
    test=TEST,
    seed=SEED,
)
corpus.save(PROCESSED)

# %% [markdown]
# On disk these are five files, none of which runs code when it is opened.

# %%
holds = {
    "titles-00000.arrow": "of every title: date, text, split, lexicon ids",
    "lexicon.json": "every distinct word, with its count",
    "characters.npy": "of every distinct word: C character ids",
    "vocabulary.json": "the words to say, with their counts in training",
    "corpus.json": "how it was made; sizes and checksums",
}
files = pd.Series(holds, name="holds").rename_axis("file").to_frame()
files.assign(bytes=[f"{(Path(PROCESSED) / name).stat().st_size:,}" for name in holds])

# %% [markdown]
# How much of the text is `<UNK>` to the model? More in held-out titles:

# %%
rows = {}
for name in SPLITS:
    part = corpus.split(name)
    ids = np.concatenate([[], *(part.tokens(i) for i in range(len(part)))]).astype(int)
    unknown = (corpus.lexicon_to_vocabulary[ids] == 3).sum() / max(len(ids), 1)
    rows[name] = (f"{len(part):,}", f"{len(ids):,}", f"{unknown:.2%}")
display(pd.DataFrame(rows, index=["titles", "tokens", "<UNK>"]).T)
n_words, V = len(corpus.lexicon), len(corpus.vocabulary)
say(f"The corpus has **{n_words:,}** words; **V = {V:,}** can be said, with specials.")

# %% [markdown]
# ## One title, from raw text to ids
#
# All of it in one picture, read off the corpus: a short title with signs that were changed and a word that cannot be
# said, if there is one. Both are coloured.

# %%
from elmo_helpers.display.corpus_plots import plot_title_path

raw_of = {normalize_title(title, LOWERCASE): title for title in raw["title"]}
clean = corpus.titles
fits = np.zeros(len(corpus))
for i in np.flatnonzero((corpus.lengths >= 5) & (corpus.lengths <= 8)):
    signs_changed = raw_of[clean[i]].strip().lower() != clean[i].lower()
    unsaid = (corpus.lexicon_to_vocabulary[corpus.tokens(i)] == 3).sum()
    fits[i] = 1 + signs_changed + (unsaid == 1)
followed = int(fits.argmax())

plot_title_path(corpus, followed, raw_of[clean[followed]])
plt.show()

# %% [markdown]
# Read a column downwards. The lexicon id ranks the word in all titles, from 3 on; the vocabulary id in the training
# titles, from 4 on. Below stands the row of which notebook 02 makes a vector. Now leaf through all titles:

# %%
last = len(corpus) - 1


@interact(i=IntSlider(followed, max=last, description="title", continuous_update=False))
def leaf(i):
    plot_title_path(corpus, i, raw_of[clean[i]])
    plt.show()


# %% [markdown]
# In use it looks like this:
#
# ![A slider chooses the title that is followed](pictures/01_title.png)

# %% [markdown]
# ## Recap
#
# - Each row is kept, or dropped for a reason that is counted.
# - Whole documents are held out: no test sentence stood beside a training one.
# - A word is *read* by its spelling, and *said* only if it is frequent enough.
# - `prepare_corpus(TITLES, PROCESSED)` is all of it in one call. The other notebooks find this corpus, as it is.

# %% [markdown]
# ## Exercises
#
# Set `PROCESSED = "../data/exercise"` first, so that the other notebooks keep their corpus.
#
# 1. Set `MIN_COUNT = 10`. Why does `characters.npy` keep its size? (It spells what is read.)
# 2. Set `SPLIT = "date"`. Does the share of `<UNK>` in the test rise? (New times bring new words.)
# 3. Set `SCHEME = "utf8"` and `LOWERCASE = False`. How many more words are read? (*The* and *the* are two.)

# %% [markdown]
# ## Where to go next
#
# [02 · Character embedding](02_char_embedding.ipynb) makes one vector of a row of character ids. [B · Large
# corpora](appendix_b_large_corpora.ipynb) has padded arrays, and more titles than memory.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "numpy", "pandas", "pyarrow", "spacy", "matplotlib"):
    print(f"{name:13}{version(name)}")
