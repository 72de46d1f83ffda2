"""The component "elmo": its vectors against the Encoder's, what spaCy does with them, files, and learning on them."""

import pickle
import random
import subprocess
import sys

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Adam

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Encoder, ScalarMix, TextConfig, WordVocabulary
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.integrations import spacy_component
from elmo_helpers.integrations.spacy_component import ElmoComponent
from elmo_helpers.integrations.spacy_hooks import set_vector_hooks
from elmo_helpers.integrations.spacy_layer import doc_tensor

WIDTH = 16  # 2P of the toy model


@pytest.fixture
def folder(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def nlp(folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": str(folder)})
    return nlp


def expected(model, words, layers="average"):
    """(n, 2P): the layers of one sentence, computed by the model itself and mixed by NumPy."""
    rows = model.character_vocabulary.encode(words, errors="skip")
    characters = torch.from_numpy(np.concatenate([model.character_vocabulary.boundary_rows, rows]).astype(np.int64))
    tokens = torch.tensor([[1, *range(3, len(words) + 3), 2]])
    with torch.no_grad():
        found = model(characters, tokens, torch.tensor([len(words) + 2])).layers[:, 0, 1:-1].numpy()
    return (
        found[-1] if layers == "top" else np.tensordot(np.full(3, 1 / 3) if layers == "average" else layers, found, 1)
    )


def same(found, wanted):
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("layers", ["average", "top", [0.5, 0.0, 1.25], [0, 1, 0]])
def test_tensor_is_the_mix_of_the_models_layers(folder, toy_model, layers):
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": str(folder), "layers": layers})
    doc = nlp("The Cat sat on the mat, and ran")
    assert doc.tensor.dtype == np.float32
    same(doc.tensor, expected(toy_model, [token.lower_ for token in doc], layers))


def test_a_learned_mix_can_be_named_by_its_weights(folder, toy_model):
    mix = ScalarMix(3, [0.3, -1.0, 2.0])
    with torch.no_grad():
        mix.gamma.fill_(1.7)
    component = ElmoComponent(folder, layers=(mix.gamma * mix.shares).tolist())
    title = "the cat sat"
    (wanted,) = Encoder(toy_model, mix).encode_iter([title.split()], level="tokens")
    same(component(spacy.blank("en")(title)).tensor, wanted.vectors)


def test_case_is_kept_where_the_model_keeps_it(toy_corpus):
    torch.manual_seed(1)
    config = BiLMConfig.from_dict(
        {
            **BiLMConfig.preset("tiny").to_dict(),
            "char_cnn": {
                "scheme": "utf8",
                "max_characters": 12,
                "embedding_dim": 4,
                "filters": [[1, 4], [2, 8], [3, 4]],
            },
        }
    )
    model = BiLM(config, toy_corpus.vocabulary, TextConfig(lowercase=False)).eval()
    doc = ElmoComponent(model)(spacy.blank("en")("The the"))
    same(doc.tensor, expected(model, ["The", "the"]))
    assert not np.allclose(
        model.char_cnn(torch.tensor(model.character_vocabulary.encode(["The"]).astype(np.int64))).detach(),
        model.char_cnn(torch.tensor(model.character_vocabulary.encode(["the"]).astype(np.int64))).detach(),
    )


def test_typographic_signs_are_normalised_token_by_token(nlp, toy_model):
    doc = nlp("the man’s “dog”")
    same(doc.tensor, expected(toy_model, ["the", "man", "'s", '"', "dog", '"']))


@pytest.mark.parametrize("text", ["😀", "the 😀 cat", "﷽ 漢字", "<S> </S> <unk>", "a" * 400])
def test_what_cannot_be_spelled_does_not_fail(nlp, toy_model, text):
    doc = nlp(text)
    assert doc.tensor.shape == (len(doc), WIDTH)
    assert np.isfinite(doc.tensor).all()
    same(doc.tensor, expected(toy_model, [token.lower_ for token in doc]))


def test_a_model_of_whole_words(toy_corpus):
    torch.manual_seed(0)
    config = BiLMConfig(WordEmbeddingConfig(len(toy_corpus.vocabulary), 16), hidden_dim=8, dropout=0.0)
    model = BiLM(config, toy_corpus.vocabulary, toy_corpus.text).eval()
    doc = ElmoComponent(model)(spacy.blank("en")("the unheard cat"))
    same(doc.tensor, expected(model, ["the", "unheard", "cat"]))


def test_white_space_is_not_read_and_has_a_row_of_zeros(nlp, toy_model):
    doc = nlp(" \n the  cat\t\n sat ")
    spaces = [token.is_space for token in doc]
    assert any(spaces)
    assert not doc.tensor[spaces].any()
    same(doc.tensor[np.logical_not(spaces)], expected(toy_model, ["the", "cat", "sat"]))
    same(doc.vector, expected(toy_model, ["the", "cat", "sat"]).mean(0))
    assert [token.has_vector for token in doc] == [not space for space in spaces]


@pytest.mark.parametrize("text", ["", " ", "\n\n"])
def test_a_document_without_a_word(nlp, text):
    doc = nlp(text)
    assert doc.tensor.shape == (len(doc), WIDTH)
    assert not doc.has_vector
    assert doc.vector.shape == (WIDTH,)
    assert doc.vector_norm == 0
    assert doc.similarity(nlp("the cat")) == nlp("the cat").similarity(doc) == 0


def test_one_token(nlp, toy_model):
    doc = nlp("home")
    same(doc.tensor, expected(toy_model, ["home"]))
    same(doc.vector, doc[0].vector)
    assert doc[0].similarity(doc[0:1]) == pytest.approx(1)


def test_sentences_are_read_one_by_one_where_there_are_boundaries(folder, toy_model):
    text = "the cat sat . the dog ran home . snow"
    whole, apart = spacy.blank("en"), spacy.blank("en")
    apart.add_pipe("sentencizer")
    for nlp in (whole, apart):
        nlp.add_pipe("elmo", config={"model": str(folder)})
    words = text.split()
    same(whole(text).tensor, expected(toy_model, words))
    pieces = [words[:4], words[4:9], words[9:]]
    assert [len(sentence) for sentence in apart(text).sents] == [4, 5, 1]
    same(apart(text).tensor, np.concatenate([expected(toy_model, piece) for piece in pieces]))


def test_sentences_with_white_space_in_them(folder, toy_model):
    nlp = spacy.blank("en")
    doc = Doc(
        nlp.vocab,
        ["\n", "\n", "the", "cat", "\n", "home", " "],
        sent_starts=[True, True, False, False, False, True, True],
    )
    ElmoComponent(folder)(doc)
    wanted = np.zeros((7, WIDTH))
    wanted[2:4], wanted[5:6] = expected(toy_model, ["the", "cat"]), expected(toy_model, ["home"])
    same(doc.tensor, wanted)


def test_sentences_of_a_hook(folder, toy_model):
    doc = spacy.blank("en")("the cat sat home")
    doc.user_hooks["sents"] = lambda doc: [doc[:1], doc[1:]]
    same(
        ElmoComponent(folder)(doc).tensor,
        np.concatenate([expected(toy_model, ["the"]), expected(toy_model, ["cat", "sat", "home"])]),
    )


def test_vectors_norms_and_similarities(nlp):
    doc, other = nlp("the old man fed the bird"), nlp("a dog")
    for i, token in enumerate(doc):
        same(token.vector, doc.tensor[i])
        assert token.vector_norm == pytest.approx(np.sqrt((doc.tensor[i] ** 2).sum()), rel=1e-5)
    span = doc[1:4]
    same(span.vector, doc.tensor[1:4].mean(0))
    assert span.vector_norm == pytest.approx(np.linalg.norm(span.vector), rel=1e-5)
    assert span.has_vector
    for one in (doc, doc[1:4], doc[0]):
        for two in (other, other[0:2], other[1], one):
            wanted = 1 - _cosine_distance(one.vector, two.vector)
            assert one.similarity(two) == pytest.approx(wanted, abs=1e-5)
            assert one.similarity(two) == pytest.approx(two.similarity(one), abs=1e-6)


def _cosine_distance(a, b):
    from scipy.spatial.distance import cosine

    return cosine(a.astype(np.float64), b.astype(np.float64))


def test_vectors_are_those_of_the_context_even_where_the_vocabulary_has_its_own(nlp):
    nlp.vocab.set_vector("cat", np.ones(5, dtype=np.float32))
    doc = nlp("the cat saw a cat")
    same(doc[1].vector, doc.tensor[1])
    assert not np.allclose(doc[1].vector, doc[4].vector)


def test_similarity_with_vectors_of_another_width(nlp, folder, toy_corpus):
    torch.manual_seed(0)
    other = ElmoComponent(BiLM(BiLMConfig(), toy_corpus.vocabulary, toy_corpus.text))(spacy.blank("en")("a cat"))
    with pytest.raises(ElmoHelpersError, match="similarity"):
        nlp("a cat").similarity(other)


@pytest.mark.parametrize(("batch_size", "window"), [(1, 1), (3, 1), (1000, 1), (1, 10_000)])
def test_pipe_gives_what_single_calls_give_in_order(nlp, batch_size, window):
    nlp.get_pipe("elmo").window = window
    texts = [*TOY_TITLES, "", "  ", "home home", *TOY_TITLES]
    docs = list(nlp.pipe(texts, batch_size=batch_size))
    assert [doc.text for doc in docs] == texts
    for doc in docs:
        same(doc.tensor, nlp(doc.text).tensor)


@pytest.mark.parametrize(
    ("window", "tokens", "batch_size", "read"), [(1, 10**6, 4, 4), (7, 10**6, 4, 7), (7, 12, 2, 2), (7, 13, 2, 3)]
)
def test_pipe_reads_a_window_or_a_batch_or_enough_tokens(folder, monkeypatch, window, tokens, batch_size, read):
    nlp, taken = spacy.blank("en"), []
    monkeypatch.setattr(spacy_component, "_MAX_NUMBERS", tokens * WIDTH)

    def docs():
        for title in ["the cat sat on the mat"] * 20:
            taken.append(title)
            yield nlp.make_doc(title)

    next(iter(ElmoComponent(folder, window=window).pipe(docs(), batch_size=batch_size)))
    assert len(taken) == read


@pytest.mark.filterwarnings("ignore:.*W109")  # spaCy says that hooks are not sent between processes
def test_two_processes(nlp):
    docs = list(nlp.pipe(TOY_TITLES, n_process=2, batch_size=4))
    for doc in docs:
        same(doc.tensor, nlp(doc.text).tensor)
        set_vector_hooks(doc)
        same(doc.vector, nlp(doc.text).vector)


@pytest.mark.filterwarnings("ignore:.*W109")
def test_one_call_restores_vectors_beside_static_ones(nlp):
    """What spaCy sends between processes, or keeps, has no hooks, and its vocabulary's vectors come to light."""
    nlp.vocab.set_vector("cat", np.ones(10, dtype=np.float32))
    doc = nlp("the cat sat")
    kept = DocBin(docs=[doc]).to_bytes()
    (from_bin,) = DocBin().from_bytes(kept).get_docs(nlp.vocab)
    for again, restore in (
        (Doc(nlp.vocab).from_bytes(doc.to_bytes()), set_vector_hooks),
        (next(iter(nlp.pipe(["the cat sat"], n_process=2))), set_vector_hooks),
        (from_bin, nlp.get_pipe("elmo")),
    ):
        assert again.vector.shape == (10,)
        restore(again)
        for mine, other in zip((again, again[1], again[0:2]), (doc, doc[1], doc[0:2]), strict=True):
            same(mine.vector, other.vector)
        assert again.similarity(doc) == pytest.approx(1)


def test_changed_weights_are_noticed(nlp):
    before = nlp("the cat").tensor
    with torch.no_grad():
        for weight in nlp.get_pipe("elmo").model.char_cnn.parameters():
            weight.mul_(1.5)
    assert not np.allclose(nlp("the cat").tensor, before)
    same(nlp("the cat").tensor, expected(nlp.get_pipe("elmo").model, ["the", "cat"]))


def test_few_words_are_kept_where_few_are_asked_for(folder, nlp):
    component = ElmoComponent(folder, max_words=2)
    for title in TOY_TITLES:
        same(component(nlp.make_doc(title)).tensor, nlp(title).tensor)


@needs_bf16
def test_bf16_is_close(folder, nlp):
    found = ElmoComponent(folder, precision="bf16")(spacy.blank("en")("the cat sat")).tensor
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, nlp("the cat sat").tensor, atol=0.05)


def test_without_bf16_it_is_refused_before_a_document_is_read(folder, without_bf16):
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": str(folder), "precision": "bf16"})
    for start in (nlp.initialize, lambda: nlp("the cat"), lambda: next(nlp.pipe(TOY_TITLES))):
        with pytest.raises(ElmoHelpersError, match="precision='bf16': this processor has no instructions for bfloat16"):
            start()


def test_saved_pipeline_outlives_the_models_own_folder(nlp, folder, tmp_path):
    wanted = nlp("the cat sat").tensor
    nlp.to_disk(tmp_path / "pipeline")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    again = spacy.load(tmp_path / "pipeline")
    assert np.array_equal(again("the cat sat").tensor, wanted)
    names = {path.name for path in (tmp_path / "pipeline" / "elmo").iterdir()}
    assert names == {"config.json", "vocabulary.json", "model.safetensors"}
    assert np.array_equal(
        BiLM.load(tmp_path / "pipeline" / "elmo").vocabulary.words, again.get_pipe("elmo").model.vocabulary.words
    )
    again.to_disk(tmp_path / "pipeline")  # over itself


def test_bytes(nlp, folder):
    config, data = nlp.config, nlp.to_bytes()
    wanted = nlp("the cat sat").tensor
    for file in folder.iterdir():
        file.unlink()
    again = spacy.util.load_model_from_config(config).from_bytes(data)
    assert np.array_equal(again("the cat sat").tensor, wanted)


def test_pickled_within_a_process_and_copied(nlp):
    nlp("the cat")
    again = pickle.loads(pickle.dumps(nlp.get_pipe("elmo")))
    same(again(nlp.make_doc("the cat")).tensor, nlp("the cat").tensor)


def test_the_entry_point_is_enough(folder):
    """In a process that imports nothing of this package."""
    program = f"""
import spacy
nlp = spacy.blank("en")
nlp.add_pipe("elmo", config={{"model": {str(folder)!r}}})
print(nlp("the cat").tensor.shape)
assert spacy.registry.architectures.get("elmo_helpers.DocTensor.v1")(16).get_dim("nO") == 16
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=folder)
    assert done.stdout.strip() == f"(2, {WIDTH})"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"layers": "all"}, "layers"),
        ({"layers": []}, "weight"),
        ({"layers": [0, 0, 0]}, "weight"),
        ({"layers": [1, -1, 1]}, "weight"),
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"precision": "fp8"}, "precision"),
        ({"max_words": -1}, "max_words"),
        ({"window": 0}, "window"),
    ],
)
def test_wrong_settings_are_refused_at_once(folder, config, words):
    with pytest.raises(ElmoHelpersError, match=words):
        spacy.blank("en").add_pipe("elmo", config={"model": str(folder), **config})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model": None}, "no model"),
        ({"model": "nowhere"}, "nowhere is no directory"),
        ({"model": "."}, "config.json"),
        ({"layers": [1, 2]}, "3 weights"),
        ({"device": "nonsense"}, "nonsense"),
    ],
)
def test_what_the_model_decides_is_refused_at_the_first_document(folder, tmp_path, monkeypatch, config, words):
    monkeypatch.chdir(tmp_path)
    nlp = spacy.blank("en")
    nlp.add_pipe("elmo", config={"model": str(folder), **config})
    with pytest.raises(ElmoHelpersError, match=words):
        nlp("the cat")
    with pytest.raises(ElmoHelpersError, match=words):
        nlp.initialize()


def test_a_component_without_a_model_can_be_asked_what_it_has():
    # as spaCy asks every component that it adds, in an order that differs from process to process
    assert not hasattr(spacy.blank("en").create_pipe("elmo", config={"model": None}), "model")


def test_a_damaged_pipeline_is_refused(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "elmo" / "model.safetensors").write_bytes(b"damage")
    with pytest.raises(ElmoHelpersError, match="damaged"):
        spacy.load(tmp_path / "pipeline")


def test_the_error_handler_is_asked(nlp, monkeypatch):
    failed = []
    component = nlp.get_pipe("elmo")
    component.window = 1
    component.set_error_handler(lambda name, proc, docs, error: failed.append((name, len(docs), error)))
    monkeypatch.setattr(component, "_words", lambda doc: 1 / 0)
    assert list(nlp.pipe(TOY_TITLES[:3], batch_size=2)) == []
    assert [(name, n) for name, n, _ in failed] == [("elmo", 2), ("elmo", 1)]


# What is learned from: the tag of a word is its neighbour's, so it cannot be learned from the word alone.
ANIMALS, PEOPLE = ("cat", "dog", "bird"), ("man", "boy", "girl")


def tagged(vocab, rng, n):
    """Sentences "the X it sat": the tag of "it" says whether X is an animal."""
    examples = []
    for _ in range(n):
        kind = rng.choice(["ANIMAL", "PERSON"])
        noun = rng.choice(ANIMALS if kind == "ANIMAL" else PEOPLE)
        words = ["the", noun, "it", "sat"]
        doc = Doc(vocab, words)
        examples.append(Example.from_dict(doc, {"words": words, "tags": ["D", "N", kind, "V"]}))
    return examples


def sharp_model():
    """Random weights, made larger, so that a word's vector differs much between contexts."""
    words = ["the", "it", "sat", *ANIMALS, *PEOPLE]
    torch.manual_seed(0)
    model = BiLM(BiLMConfig.preset("tiny"), WordVocabulary(words), TextConfig("whitespace")).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)
    return model


def tagger_pipeline(folder, width=WIDTH, with_elmo=True):
    nlp = spacy.blank("en")
    if with_elmo:
        nlp.add_pipe("elmo", config={"model": str(folder)})
    tok2vec = {"@architectures": "elmo_helpers.DocTensor.v1", "width": width}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}})
    return nlp


def accuracy(nlp, examples):
    found = [nlp(example.reference.text)[2].tag_ for example in examples]
    return np.mean([tag == example.reference[2].tag_ for tag, example in zip(found, examples, strict=True)])


def test_a_tagger_behind_it_learns_what_only_the_context_tells(tmp_path):
    sharp_model().save(tmp_path / "model")
    spacy.util.fix_random_seed(0)
    rng = random.Random(0)
    nlp = tagger_pipeline(tmp_path / "model")
    train, test = tagged(nlp.vocab, rng, 60), tagged(nlp.vocab, rng, 40)
    nlp.initialize(lambda: train)
    optimizer = Adam(learn_rate=0.1, L2=0.0)
    before = {name: w.clone() for name, w in nlp.get_pipe("elmo").model.state_dict().items()}
    losses = []
    for _ in range(40):
        loss = {}
        nlp.update(train, sgd=optimizer, losses=loss)
        losses.append(loss["tagger"])
    assert losses[-1] < losses[0] / 3
    assert accuracy(nlp, test) > 0.9
    for name, weight in nlp.get_pipe("elmo").model.state_dict().items():
        assert torch.equal(weight, before[name])
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert accuracy(again, test) == accuracy(nlp, test)
    with again.select_pipes(disable="elmo"), pytest.raises(ElmoHelpersError, match="before this one"):
        again("the cat it sat")


def test_a_frozen_component_that_annotates_serves_as_well(folder):
    nlp = tagger_pipeline(folder)
    train = tagged(nlp.vocab, random.Random(0), 8)
    optimizer = nlp.initialize(lambda: train)
    with pytest.raises(ElmoHelpersError, match="annotating_components"):
        nlp.update(train, sgd=optimizer, exclude=["elmo"])
    losses = nlp.update(train, sgd=optimizer, exclude=["elmo"], annotates=["elmo"])
    assert losses["tagger"] > 0


def test_the_layers_width_must_be_the_models(folder):
    nlp = tagger_pipeline(folder, width=32)
    train = tagged(nlp.vocab, random.Random(0), 4)
    nlp.initialize(lambda: train)
    with pytest.raises(ElmoHelpersError, match="width=32"):
        nlp.update(train)


def test_the_layer_gives_the_tensors_and_stops_the_gradient(nlp):
    layer = doc_tensor(WIDTH)
    docs = [nlp("the cat sat"), nlp("")]
    vectors, backprop = layer(docs, is_train=True)
    assert [v.shape for v in vectors] == [(3, WIDTH), (0, WIDTH)]
    same(vectors[0], docs[0].tensor)
    assert backprop(vectors) == []


def test_docs_can_be_kept_with_their_vectors(nlp):
    kept = DocBin(store_user_data=True)
    doc = nlp("the cat sat")
    kept.add(doc)
    (again,) = DocBin(store_user_data=True).from_bytes(kept.to_bytes()).get_docs(nlp.vocab)
    again.tensor = doc.tensor
    set_vector_hooks(again)
    same(again.vector, doc.vector)


def test_vectors_that_are_not_there_are_asked_for(nlp):
    doc = nlp.make_doc("the cat")
    set_vector_hooks(doc)
    for what in (doc, doc[0:1], doc[0]):
        with pytest.raises(ElmoHelpersError, match="'elmo'"):
            what.vector  # noqa: B018
    with pytest.raises(ElmoHelpersError, match="lexeme"):
        nlp("a cat")[0].similarity(nlp.vocab["cat"])


@pytest.mark.parametrize("damage", [lambda data: b"garbage", lambda data: b"", lambda data: data[:-50]])
def test_damaged_bytes_are_refused(nlp, damage):
    elmo = nlp.get_pipe("elmo")
    with pytest.raises(ElmoHelpersError):
        elmo.from_bytes(damage(elmo.to_bytes()))
