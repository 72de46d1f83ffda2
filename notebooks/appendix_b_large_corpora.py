# %% [markdown]
# # B · Large corpora
#
# What to do when titles do not fit in memory, when there are a hundred thousand words, and when one process is not
# enough.

# %% tags=["readme-overview"]
import matplotlib.pyplot as plt

from elmo_helpers.display.overview_plots import plot_overview

plot_overview()
plt.show()

# %% [markdown]
# ## What you will be able to do
#
# - Make padded arrays, and say what they would cost.
# - Keep a corpus in shards, and read one at a time.
# - Choose a softmax for many words.
# - Go on with a training that was interrupted.
# - Spread training and encoding over processes, GPUs and machines.

# %% [markdown]
# Everything that you may want to change stands in the next cell.

# %% tags=["parameters"]
TITLES = "../data/title_text.csv"  # yours; the default corpus if nothing is there
PROCESSED = "../data/processed"  # the corpus that notebook 01 makes
SEED = 0  # of every random choice below
MAX_TOKENS = 40  # T of the padded arrays; longer titles are cut
SHARD_SIZE = 2  # titles of a shard of the toy
NEGATIVES = [20, 100, 500]  # words in a draw of the sampled softmax
DRAWS = [1, 4, 16, 64]  # draws that the mean gradient is taken over
VOCABULARY_SIZES = [10_000, 100_000, 800_000]  # V whose costs are compared
FEW_TITLES = 200  # that the interrupted training reads

# %%
import filecmp
import importlib.metadata
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from elmo_helpers.display.prose import say
from elmo_helpers.display.source import show_source

torch.set_num_threads(1)  # what is computed here is small

# %% [markdown]
# ## 1 · Padded arrays, and what they cost
#
# A corpus holds each title as a list of lexicon ids, and each distinct word's characters once (notebook 01). A network
# takes rectangles, so a batch is padded at the last moment: word ids of shape (B, T) and character ids of shape (B, T,
# C). **B** are the titles of a batch, **T** tokens of a title with both boundaries, **C** characters of a token. First
# a plain loop over eight titles:

# %%
from elmo_helpers import Corpus, prepare_corpus

corpus = prepare_corpus(TITLES, PROCESSED)
eight = corpus.select(np.arange(min(8, len(corpus))))
T, C = MAX_TOKENS, corpus.character_vocabulary.max_characters
by_hand = np.zeros((len(eight), T), dtype=np.int64)  # (B, T)
spelled_by_hand = np.zeros((len(eight), T, C), dtype=np.int64)  # (B, T, C)
for i in range(len(eight)):
    for t, word in enumerate([1, *eight.tokens(i)[: T - 2], 2]):  # 1 is <S>, 2 is </S>
        by_hand[i, t] = corpus.lexicon_to_vocabulary[word]
        spelled_by_hand[i, t] = corpus.characters[word]

# %% [markdown]
# The library builds the same without a loop. In the table 1 is `<S>`, 2 is `</S>`, 3 is `<UNK>` and 0 is padding.

# %%
padded = eight.padded_tokens(length=T)
spelled = eight.padded_characters(length=T)
print(f"largest differences: {abs(padded - by_hand).max()} in words, ", end="")
print(f"{abs(spelled.astype(int) - spelled_by_hand).max()} in characters")
pd.DataFrame(padded[:, :14]).add_prefix("t=").rename_axis("title")

# %% [markdown]
# Once there is a rectangle of lexicon ids, this is all that it takes: one look into the table of spellings.

# %%
show_source(Corpus.padded_characters, docstring=False)

# %% [markdown]
# What would it cost to store all N titles padded? T is now that of the longest one. Look at the distance between the
# marks: each is ten times the one before.

# %%
from elmo_helpers.display.corpus_plots import format_bytes, plot_costs

N, longest = len(corpus), int(corpus.lengths.max()) + 2
ours = sum(path.stat().st_size for path in Path(PROCESSED).iterdir())
costs = {
    "padded characters (N, T, C), 8 bytes each": N * longest * C * 8,
    "the same, 1 byte each": N * longest * C,
    "padded word ids (N, T), 8 bytes each": N * longest * 8,
    "this corpus, all its files": ours,
}
plot_costs(costs, ours="this corpus, all its files")
plt.show()
all_padded = N * longest * C * 8
say(
    f"{N:,} titles × {longest} tokens × C = {C} × 8 bytes: {format_bytes(all_padded)}. "
    f"The corpus takes **{format_bytes(ours)}**, 1/{all_padded / ours:,.0f} of it."
)

# %% [markdown]
# ## 2 · Save, load, the same bits
#
# `Corpus.load` opens what `save` has written. Spellings, and titles that are in one file, stay on disk and are
# *memory-mapped*: a page is fetched when it is looked at. Saved, loaded and saved again, every file must have the same
# bytes. And a file that was damaged must be refused: we change a single bit in the middle of one.

# %%
from elmo_helpers import ElmoHelpersError

with tempfile.TemporaryDirectory() as folder:
    once, twice = Path(folder) / "once", Path(folder) / "twice"
    eight.save(once)
    Corpus.load(once).save(twice)
    names = sorted(path.name for path in once.iterdir())
    same = filecmp.cmpfiles(once, twice, names, shallow=False)[0]
    print(f"{len(same)} of {len(names)} files have the same bytes")

    bits = bytearray((once / "titles-00000.arrow").read_bytes())
    bits[len(bits) // 2] ^= 1
    (once / "titles-00000.arrow").write_bytes(bits)
    try:
        Corpus.load(once)
    except ElmoHelpersError as error:
        print(str(error).replace(str(once.resolve()), "once"))

# %% [markdown]
# ## 3 · More titles than memory
#
# `prepare_corpus` reads titles in blocks, and each block becomes a **shard**, a file of its own. In a first pass every
# new word gets a provisional number. When all are counted, a second pass writes the words' ids. So memory holds one
# block and the distinct words, never the text. With `shards=True` the shards are read one at a time as well. Four
# titles, two in a shard:

# %%
toy_titles = [
    "the state is strong",
    "the union is strong",
    "our people are strong",
    "the harvest was good",
]
with tempfile.TemporaryDirectory() as folder:
    toy_file, toy_folder = Path(folder) / "toy.txt", Path(folder) / "corpus"
    toy_file.write_text("\n".join(toy_titles), encoding="utf-8")
    all_train = {"min_count": 1, "valid": 0, "test": 0}
    pieces = {"shard_size": SHARD_SIZE, "shards": True}
    toy = prepare_corpus(toy_file, toy_folder, **pieces, **all_train)
    rows = []
    for k, shard in enumerate(toy):
        rows += [(k, title, shard.tokens(i)) for i, title in enumerate(shard.titles)]
pd.DataFrame(rows, columns=["shard", "title", "lexicon ids"]).set_index("shard")

# %% [markdown]
# A word has the same id in every shard: look at *strong* and *the*. `train` and `evaluate` take shards wherever they
# take a corpus. A shard holds 100,000 titles unless you say otherwise, and a pattern may name many files. From a
# shell:
#
# ```
# python -m elmo_helpers preprocess 'news/*.txt.gz' --output corpus
# ```

# %% [markdown]
# ## 4 · Three softmaxes, and what they cost
#
# The **full** softmax scores all V words for each prediction. With 100,000 words that is most of the work. There are
# two ways out:
#
# - the **sampled** softmax, as published: in training only, score the right word and some others, the *negatives*,
#   drawn anew at each step;
# - the **adaptive** softmax: score the frequent words and a few classes of rare ones, and the words of a class only
#   where one of them is right. It is exact, but rare words get shorter vectors.
#
# The sampled loss first. Frequent words are drawn more often, so they would be pushed down too often. That is made
# good: with $q_v$, how often word v is to be expected among the negatives S, and the scores z, the loss of the right
# word t is
#
# $$-\log \frac{e^{z_t} / q_t}{e^{z_t} / q_t + \sum_{v \in S,\, v \neq t} e^{z_v} / q_v}$$
#
# By hand, for random vectors in place of an LSTM's outputs, and then by the library with the same draw:

# %%
from elmo_helpers.model.sampled_softmax import SampledSoftmax

torch.manual_seed(SEED)
V, P = 2_000, 32  # words, and numbers of an LSTM's output
sampled = SampledSoftmax(V, P, n_negatives=100)
rng, p = np.random.default_rng(SEED), sampled.word_probabilities  # (V - 1,)
targets = torch.from_numpy(rng.choice(V - 1, 400, p=p)) + 1  # (400,); 0 is padding
hidden = torch.randn(len(targets), P)  # (400, P)

sampled.generator = np.random.default_rng(SEED)
negatives, log_q = (torch.from_numpy(x) for x in sampled.draw())
z = hidden @ sampled.weight.T + sampled.bias - log_q  # (400, V)
of_target = z.gather(1, targets[:, None])  # (400, 1)
hit = negatives == targets[:, None]  # a negative that happens to be the target
others = z[:, negatives].masked_fill(hit, -torch.inf)  # (400, negatives)
scores = torch.cat([of_target, others], dim=1)
loss_by_hand = (scores.logsumexp(1) - of_target[:, 0]).mean().item()

# %%
sampled.generator = np.random.default_rng(SEED)  # the same draw
loss = sampled(hidden, targets).total.item() / len(targets)
print(f"by hand {loss_by_hand:.6f}, library {loss:.6f}", end=", ")
print(f"difference {loss - loss_by_hand:.0e}")

# %% [markdown]
# With *all* words as negatives, each is there for certain, all $q_v$ are 1, and it must be the full softmax. With
# fewer the loss is another one, often far lower: a sampled loss is never to be compared with a full one.

# %%
every_word = SampledSoftmax(V, P, n_negatives=V - 1)
every_word.load_state_dict(sampled.state_dict())
full_loss = sampled.exact(hidden, targets).total.item() / len(targets)
of_all = every_word(hidden, targets).total.item() / len(targets)
print(f"full {full_loss:.6f}, all words as negatives {of_all:.6f}", end=", ")
print(f"{len(negatives)} negatives {loss:.6f}")

# %% [markdown]
# But training needs the **gradient**, and of that a sample gives a good estimate: nearly right on average, and off in
# each draw. We take the mean over more and more draws and look at its direction. The cosine of two directions is 1
# where they are the same.

# %%
from elmo_helpers.display.training_plots import plot_gradient_cosines


def gradient(loss):
    """Of the words' vectors, laid out as one row: (V · P,)"""
    return torch.autograd.grad(loss.total, sampled.weight)[0].flatten()


exact_gradient, cosines = gradient(sampled.exact(hidden, targets)), {}
for n_negatives in NEGATIVES:
    sampled.n_negatives = n_negatives
    drawn = torch.stack([gradient(sampled(hidden, targets)) for _ in range(max(DRAWS))])
    means = torch.stack([drawn[:n_draws].mean(0) for n_draws in DRAWS])
    cosines[n_negatives] = torch.cosine_similarity(means, exact_gradient[None]).tolist()
plot_gradient_cosines(pd.DataFrame(cosines, index=DRAWS))
plt.show()

# %% [markdown]
# More words in a draw, or more draws, come nearer to the exact direction. A training makes thousands of draws.
#
# What is saved? We count the multiplications for the scores of one prediction, with the P of the published model. For
# the adaptive softmax, the word of rank r is taken to occur 1/r as often as the first. Its module is made on PyTorch's
# "meta" device, where it has shapes and no numbers.

# %%
from elmo_helpers import BiLMConfig
from elmo_helpers.model.adaptive_softmax import AdaptiveSoftmax


def adaptive_cost(n_words, width):
    """The mean number of multiplications of one prediction."""
    with torch.device("meta"):
        words = AdaptiveSoftmax(n_words, width).words
    edges = np.log1p(words.cutoffs) / np.log(n_words)  # share of the words above a rank
    classes = [sum(part.weight.numel() for part in of_class) for of_class in words.tail]
    return words.head.weight.numel() + np.diff(edges) @ classes


# %%
published = BiLMConfig.preset("original")
width, n_negatives = published.output_dim, published.n_negatives
products = pd.DataFrame(index=pd.Index(VOCABULARY_SIZES, name="V"))
products["full"] = products.index * width
products["sampled"] = (np.minimum(n_negatives, products.index - 1) + 1) * width
products["adaptive"] = [adaptive_cost(n_words, width) for n_words in products.index]
millions = products.map(lambda count: f"{count / 1e6:.1f} million")
millions.rename(index="{:,}".format).rename_axis(columns="multiplications a prediction")

# %% [markdown]
# Up to 100,000 words the adaptive softmax needs the fewest, and yet `softmax="auto"` never takes it: it is another
# model, whose short vectors of rare words can cost perplexity, so it is for you to choose. `auto` decides between the
# other two, which have the same weights. To draw and gather words costs something, too, which this table leaves out.
# So `auto` takes the full softmax up to three times as many words as negatives, and the sampled one beyond.

# %%
from elmo_helpers.model.softmax import resolve_softmax

n_words = len(corpus.vocabulary)
takes = resolve_softmax(replace(published, softmax="auto"), corpus.vocabulary)
say(
    f"Our corpus has V = {n_words:,}. With {n_negatives:,} negatives that is "
    f"{n_words / n_negatives:.1f} words each, and `auto` takes the **{takes}** softmax."
)

# %% [markdown]
# ## 5 · A run that is interrupted
#
# Training can take days, and computers stop. With a `directory` a run leaves **checkpoints** there: the weights, what
# the optimiser remembers, the place in the text, and the state of all random draws. From the last one `resume=True`
# goes on, *as if nothing had happened*. Is that so? A tiny model, once without a break, and once stopped on its way by
# a callback. Dropout makes random draws at each step.

# %%
from elmo_helpers import TrainingConfig, train

table = corpus.character_vocabulary
tiny = BiLMConfig.preset("tiny")
spelling = {"scheme": table.scheme, "max_characters": table.max_characters}
tiny = replace(tiny, dropout=0.2, char_cnn=replace(tiny.char_cnn, **spelling))
run = TrainingConfig(epochs=2, batch_size=20, log_every=1, seed=SEED)
train_titles = corpus.split("train")
few = train_titles.select(np.arange(min(FEW_TITLES, len(train_titles))))


def stop_on_the_way(loop):
    """A callback; so does Ctrl-C, or the stop button of a notebook."""
    if loop.progress.step == loop.n_steps // 3:
        loop.stop()


# %%
unbroken = train(few, tiny, run, progress=False)
with tempfile.TemporaryDirectory() as folder:
    on_its_way = {"directory": folder, "progress": False}
    stopped = train(few, tiny, run, callback=stop_on_the_way, **on_its_way)
    resumed = train(few, resume=True, **on_its_way)  # its settings lie in the directory

weights, again = unbroken.model.state_dict(), resumed.model.state_dict()
n_weights = sum(x.numel() for x in weights.values())
n_same = sum((weights[name] == again[name]).sum().item() for name in weights)
say(
    f"Stopped after {len(stopped.steps)} of {len(unbroken.steps)} steps and resumed, "
    f"**{n_same:,}** of {n_weights:,} weights are the same, bit by bit."
)

# %% [markdown]
# A run goes on with the same corpus, and with the same settings where its steps depend on them. It may become longer:
# with larger `epochs`, `steps` or `minutes` a finished run goes on as well. From a shell:
#
# ```
# python -m elmo_helpers train corpus run --preset small
# python -m elmo_helpers train corpus run --resume                # after Ctrl-C, a kill, or a power cut
# python -m elmo_helpers train corpus run --resume --epochs 12    # two more than `small` has
# ```

# %% [markdown]
# ## 6 · Several GPUs
#
# Each process holds the whole model and has a share of each batch: with n processes, row r is for process r modulo n.
# Then the gradients are put together, so all models stay the same. Is that the gradient of the whole batch? By hand,
# with two shares of eight titles and the loss summed over all predictions:

# %%
from elmo_helpers import BiLM
from elmo_helpers.training.batching import Batch

torch.manual_seed(SEED)
model = BiLM(replace(tiny, dropout=0.0, softmax="full"), corpus.vocabulary, corpus.text)


def batch_gradient(rows):
    """Of the summed loss of these titles, all parameters in one row."""
    model.zero_grad()
    Batch.of(few, rows).loss(model)[0].total.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


whole = batch_gradient(np.arange(8))
parts = [batch_gradient(np.arange(rank, 8, 2)) for rank in range(2)]
off = (sum(parts) - whole).abs().max() / whole.abs().max()
print(f"{len(whole):,} numbers, largest relative difference {off:.0e}")

# %% [markdown]
# The processes are started by [accelerate](https://huggingface.co/docs/accelerate) or by torchrun. Four GPUs of one
# machine; two machines with four each, where each is told its own rank; two processes on one CPU:
#
# ```
# accelerate launch --multi_gpu --num_processes 4 -m elmo_helpers train corpus run --preset original --precision bf16
# accelerate launch --multi_gpu --num_processes 8 --num_machines 2 --machine_rank 0 \
#     --main_process_ip 10.0.0.1 --main_process_port 29500 -m elmo_helpers train corpus run --preset original
# torchrun --nproc-per-node 2 -m elmo_helpers train corpus run --device cpu
# ```
#
# `batch_size` is that of all processes together, and a run that goes on needs as many processes as it began with. The
# first process writes. On several machines, the corpus and the run lie where all of them can read. In a notebook,
# `accelerate.notebook_launcher(function, num_processes=4)` starts a function that calls `train`.

# %% [markdown]
# ## 7 · Encoding with several processes
#
# A title's vector depends on that title alone, so the work can be cut anywhere. `encode` cuts a file into windows of
# 10,000 rows, and window k is for process k modulo n. By hand, with two processes and windows of three titles: do the
# shares, put back in their order, equal what one process makes?

# %%
from elmo_helpers import Encoder

encoder = Encoder(model.eval())
twelve = few.titles[:12]
together = encoder.encode(twelve)  # by one process
window, n_processes = 3, 2
vectors = np.empty_like(together)
of_process = np.arange(len(twelve)) // window % n_processes
for rank in range(n_processes):
    mine = np.flatnonzero(of_process == rank)
    vectors[mine] = encoder.encode([twelve[row] for row in mine])
print("process of each row:", *of_process)
print(f"largest difference: {abs(vectors - together).max():.0e}")

# %% [markdown]
# The command is the same as for one process, started by accelerate or torchrun:
#
# ```
# python -m elmo_helpers encode run titles.csv vectors.parquet --level titles --pooling mean
# torchrun --nproc-per-node 2 -m elmo_helpers encode run titles.csv vectors.parquet --level titles --device cpu
# accelerate launch --multi_gpu --num_processes 4 -m elmo_helpers encode run lines.txt.gz layers.hdf5 --dtype float16
# ```
#
# Each process writes the windows that it has done into a folder beside the output, and at the end the first one puts
# them together, in the order of the rows. Started again with `--resume` after a kill, they do what is missing.
#
# On more machines than one, `--ray` hands many files to Ray Data, which does again what a lost machine had begun. A
# billion titles take some 500 hours of one core, and 1 TB in float16; the
# [library's page](../elmo_helpers/README.md#on-a-cluster) says how.

# %% [markdown]
# ## Recap
#
# - Padded arrays are made from a corpus a batch at a time. Stored, they would take many times its room.
# - A corpus in shards needs memory for one block and the distinct words, however long the text is.
# - The sampled softmax gives the direction to learn in at a small part of the cost. The adaptive one is exact, and
#   another model.
# - A run that was stopped goes on from its checkpoint, to the same bits.
# - Processes share each batch in training, and windows of rows in encoding.

# %% [markdown]
# ## Exercises
#
# 1. Set `NEGATIVES = [1000, 1999]`. How near does a single draw come? (1,999 are all words, so it is exact.)
# 2. Set `SHARD_SIZE = 1`. Do the lexicon ids change? (No: they are given when all shards are counted.)
# 3. In section 5, pass `config=replace(run, learning_rate=0.01)` to the call that resumes. What does the error say,
#    and why is `epochs=3` allowed? (With another rate the steps behind it would have come out differently.)

# %% [markdown]
# ## Where to go next
#
# [04 · Train and encode](04_train_encode.ipynb) trains on the corpus that fits in memory. `python -m elmo_helpers
# train --help` and `encode --help` explain every option.

# %% [markdown]
# ## Versions

# %%
for name in ("elmo_helpers", "torch", "accelerate", "numpy", "pandas", "pyarrow"):
    print(f"{name:13}{importlib.metadata.version(name)}")
