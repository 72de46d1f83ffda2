"""What a caller's own code has set for the whole process changes no vector, score, perplexity or trained weight."""

import copy
import csv
import gc
import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import joblib
import numpy as np
import pandas as pd
import pytest
import spacy
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from conftest import TOY_TITLES, corpus_of, needs_bf16, vocabulary_of
from elmo_helpers import (
    BiLM,
    BiLMConfig,
    CharacterCNN,
    CharCNNConfig,
    Corpus,
    Elmo,
    ElmoHelpersError,
    Encoder,
    InterpolatedBigramModel,
    MixClassifier,
    ScalarMix,
    Scorer,
    TrainingConfig,
    batch_to_ids,
    encode_file,
    evaluate,
    fine_tune,
    learn_mix,
    load_official,
    read_titles,
    save_official,
    train,
)
from elmo_helpers.config import WordEmbeddingConfig
from elmo_helpers.encoding.nearest import nearest_rows, unit_rows
from elmo_helpers.encoding.occurrences import find_occurrences
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from elmo_helpers.model.sampled_softmax import SampledSoftmax

TINY = BiLMConfig.preset("tiny")
CLIPPED = replace(TINY, projection_dim=8, cell_clip=3.0, projection_clip=3.0, skip_connections=True)
CONFIGS = {
    "plain": TINY,
    "projected, sampled": replace(CLIPPED, softmax="sampled", n_negatives=16),
    "one-hot, adaptive": replace(
        TINY, softmax="adaptive", char_cnn=replace(TINY.char_cnn, embedding_dim=None, activation="tanh", n_highway=2)
    ),
}
PUBLISHED = replace(
    CLIPPED,
    char_cnn=CharCNNConfig("utf8", 50, embedding_dim=4, filters=((1, 4), (2, 8)), projection_dim=8),
    softmax="full",
)
WORDS = [title.split() for title in TOY_TITLES]
QUICK = TrainingConfig(epochs=1, batch_size=4)

Results = dict[str, list[np.ndarray]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a model of each configuration, published files, and titles in a file."""
    directory = tmp_path_factory.mktemp("files")
    corpus = corpus_of(TOY_TITLES)
    corpus.save(directory / "corpus")
    for name, config in {**CONFIGS, "published": PUBLISHED}.items():
        torch.manual_seed(0)
        model = BiLM(config, corpus.vocabulary, corpus.text)
        model.save(directory / name)
    save_official(model, directory / "official")
    (directory / "titles.txt").write_text("\n".join(TOY_TITLES))
    return directory


@pytest.fixture(scope="module")
def usual(files: Path) -> Results:
    return results(files)


def results(files: Path) -> Results:
    """What each way into the library gives."""
    corpus = Corpus.load(files / "corpus")
    found: Results = {}
    for name, config in CONFIGS.items():
        encoder, scorer = Encoder(files / name, ScalarMix(3, [0.1, 0.2, 0.3])), Scorer(files / name)
        found[f"encode {name}"] = [
            encoder.encode(TOY_TITLES, "mean"),
            encoder.encode_layers(WORDS),
            *(title.layers for title in encoder.encode_tokens(WORDS[:2])),
            *(title.vectors for title in encoder.encode_iter(WORDS, "tokens")),
        ]
        scores, fills = scorer.score(TOY_TITLES), scorer.fill("the ___ sat")
        found[f"score {name}"] = [*(s.forward for s in scores), np.array([fill.log_probability for fill in fills])]
        measured = [evaluate(scorer.model, corpus), evaluate(scorer.model, corpus, streams=True)]
        found[f"evaluate {name}"] = [np.array([m.perplexity for m in [*measured, scorer.perplexity(TOY_TITLES)]])]
        settings = replace(QUICK, optimizer="adagrad" if "sampled" in name else "adam")
        run = train(corpus, config, settings, validation=corpus, progress=False)
        found[f"train {name}"] = [*numbers_of(run.model), run.history.perplexity.to_numpy()]
    found["fine_tune"] = numbers_of(fine_tune(files / "plain", corpus, QUICK, progress=False).model)
    model = load_official(files / "official")
    model.save(files / "saved")
    save_official(model, files / "exported")
    found["save"] = numbers_of(BiLM.load(files / "saved"))
    found["save_official"] = numbers_of(load_official(files / "exported"))
    layers = np.random.default_rng(0).normal(size=(20, 3, 4)).astype(np.float32)
    classifier = learn_mix(layers, np.arange(20) % 2, epochs=2)
    found["learn_mix"] = [*numbers_of(classifier), classifier.predict(layers)]
    found["find_occurrences"] = [find_occurrences(Encoder(files / "plain"), WORDS, "the").layers]
    found["vectorizer"] = [ElmoVectorizer(files / "plain", layers=[0.2, 0.3, 0.5]).fit_transform(TOY_TITLES)]
    pipeline = spacy.blank("en")
    pipeline.add_pipe("elmo", config={"model": str(files / "plain"), "layers": [0.2, 0.3, 0.5]})
    docs = list(pipeline.pipe(TOY_TITLES))
    found["spaCy"] = [*(doc.tensor for doc in docs), docs[0].vector, np.array(docs[0].similarity(docs[1]))]
    output = files / "vectors.h5"
    encode_file(files / "plain", files / "titles.txt", output, dtype="float16", overwrite=True, progress=False)
    with h5py.File(output) as file:
        found["encode_file"] = [file[str(row)][()] for row in range(len(TOY_TITLES))]
    return found


def numbers_of(module: nn.Module) -> list[np.ndarray]:
    return [parameter.detach().numpy() for parameter in module.parameters()]


def elmo_of(files: Path, **settings: Any) -> Elmo:
    torch.manual_seed(0)
    return Elmo(files / "official", None, 1, **{"dropout": 0.0, **settings})


def vectors_of(elmo: nn.Module, sentences: list[list[str]]) -> torch.Tensor:
    return elmo(batch_to_ids(sentences))["elmo_representations"][0]


@contextmanager
def setting(set_to: Callable[[Any], object], value: Any, before: Any) -> Iterator[None]:
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


def attribute(owner: Any, name: str, value: Any) -> AbstractContextManager[None]:
    return setting(partial(setattr, owner, name), value, getattr(owner, name))


@contextmanager
def together(*contexts: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(context)
        yield


dtype = partial(setting, torch.set_default_dtype, before=torch.float32)
device = partial(setting, torch.set_default_device, before=None)
bfloat16, float16 = (partial(torch.autocast, "cpu", kind) for kind in (torch.bfloat16, torch.float16))

# To the last bit the same.
SWITCHES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "default dtype float64": lambda: dtype(torch.float64),
    "default dtype float16": lambda: dtype(torch.float16),
    "default dtype bfloat16": lambda: dtype(torch.bfloat16),
    "default device meta": lambda: device("meta"),
    "default device cpu": lambda: device("cpu"),
    "with torch.device": lambda: torch.device("meta"),
    "autocast to bfloat16": bfloat16,
    "autocast to bfloat16, casts not kept": lambda: bfloat16(cache_enabled=False),
    "autocast to float16": float16,
    "no_grad": torch.no_grad,
    "set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "inference_mode": torch.inference_mode,
    "all of these": lambda: together(dtype(torch.float16), device("meta"), bfloat16(), torch.inference_mode()),
    "deterministic algorithms": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "anomalies detected": lambda: torch.autograd.set_detect_anomaly(True),
    "parameters swapped": lambda: setting(torch.__future__.set_swap_module_params_on_conversion, True, False),
    "parameters overwritten": lambda: setting(torch.__future__.set_overwrite_module_params_on_conversion, True, False),
    "sparse tensors checked": torch.sparse.check_sparse_tensor_invariants,
    "every warning": lambda: setting(torch.set_warn_always, True, False),
    "saved elsewhere": torch.autograd.graph.save_on_cpu,
    "hooks on what is saved": lambda: torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda saved: saved),
    "denormals flushed": lambda: setting(torch.set_flush_denormal, True, False),
    "NumPy's errors": lambda: np.errstate(all="raise"),
    "NumPy's printing": lambda: np.printoptions(precision=1, threshold=2, legacy="1.13"),
    "strings of pandas": lambda: pd.option_context("mode.string_storage", "python"),
    "fields of csv": lambda: setting(csv.field_size_limit, 5, 131_072),
    "no garbage collection": lambda: setting(lambda on: gc.enable() if on else gc.disable(), False, True),
    "joblib's threads": lambda: joblib.parallel_config(backend="threading", n_jobs=1),
}
# The same but for the order in which sums are added up.
NEARLY: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "two threads": lambda: setting(torch.set_num_threads, 2, 1),
    "medium precision": lambda: setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "without oneDNN": lambda: attribute(torch.backends.mkldnn, "enabled", False),
}


@pytest.mark.parametrize("switch", [*SWITCHES, *NEARLY])
def test_results_are_the_same(files: Path, usual: Results, switch: str):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the state that others' code uses
    random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    with (SWITCHES | NEARLY)[switch]():
        found = results(files)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    assert found.keys() == usual.keys()
    for name, arrays in usual.items():
        for array, other in zip(arrays, found[name], strict=True):
            assert other.dtype == array.dtype, name
            if switch in SWITCHES:
                np.testing.assert_array_equal(other, array, err_msg=name)
            else:
                scale = abs(array).max()
                np.testing.assert_allclose(
                    other, array, rtol=0, atol=2e-3 * scale if array.dtype == np.float16 else 2e-5 * scale
                )


@needs_bf16
@pytest.mark.parametrize("switch", ["default dtype float64", "autocast to float16", "inference_mode", "all of these"])
def test_bf16_is_the_same(files: Path, switch: str):
    def vectors_and_weights() -> list[np.ndarray]:
        run = train(Corpus.load(files / "corpus"), CLIPPED, replace(QUICK, precision="bf16"), progress=False)
        return [Encoder(files / "plain", precision="bf16").encode(TOY_TITLES), *numbers_of(run.model)]

    wanted = vectors_and_weights()
    with SWITCHES[switch]():
        found = vectors_and_weights()
    for array, other in zip(wanted, found, strict=True):
        np.testing.assert_array_equal(other, array)


@pytest.mark.parametrize("switch", [name for name in SWITCHES if "autocast" not in name and name != "all of these"])
def test_elmo_is_the_same(files: Path, switch: str):
    wanted = vectors_of(elmo_of(files), WORDS)
    with SWITCHES[switch]():
        elmo = elmo_of(files)
        with_cache = elmo_of(files, vocab_to_cache=["the", "cat"])
        inside = vectors_of(elmo, WORDS)
        ids, numbers = batch_to_ids([["the", "cat"]]), torch.arange(1, 3, device="cpu")[None]
        by_number = with_cache(ids, numbers)["elmo_representations"][0]
    assert inside.dtype == torch.float32
    assert torch.equal(inside.detach(), wanted.detach())
    assert torch.equal(vectors_of(elmo, WORDS).detach(), wanted.detach())
    torch.testing.assert_close(by_number.detach(), vectors_of(elmo, [["the", "cat"]]).detach())


@pytest.mark.parametrize("kind", [pytest.param(torch.bfloat16, marks=needs_bf16), torch.float16])
@pytest.mark.parametrize("name", CONFIGS)
def test_elmo_follows_autocast_and_nothing_of_it_stays(files: Path, name: str, kind: torch.dtype):
    """A layer of a caller's model gives what its other layers give: vectors of autocast's dtype, near the others."""
    model = BiLM.load(files / name)
    elmo = Elmo(None, None, 1, module=model, dropout=0.0, do_layer_norm=True, vocab_to_cache=["the"])
    ids = elmo.batch_to_ids(WORDS)
    wanted = elmo(ids)["elmo_representations"][0]
    with torch.autocast("cpu", kind):
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                found = elmo(ids)["elmo_representations"][0]
            assert found.dtype == kind
            torch.testing.assert_close(found.float(), wanted, rtol=0, atol=0.1)
        cached = Elmo(None, None, 1, module=model, vocab_to_cache=["the"]).reader.cached.weight
    assert torch.equal(cached, elmo.reader.cached.weight)
    assert torch.equal(elmo(ids)["elmo_representations"][0], wanted)


@pytest.mark.parametrize("kind", [pytest.param(torch.bfloat16, marks=needs_bf16), torch.float16])
@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_under_autocast(files: Path, name: str, kind: torch.dtype):
    def gradients(*, autocast: bool) -> list[torch.Tensor]:
        elmo = Elmo(None, None, 1, module=BiLM.load(files / name), requires_grad=True, dropout=0.0)
        with torch.autocast("cpu", kind, enabled=autocast):
            loss = elmo(elmo.batch_to_ids(WORDS))["elmo_representations"][0].float().square().sum()
        loss.backward()
        return [p.grad for p in elmo.parameters() if p.grad is not None]

    for wanted, found in zip(gradients(autocast=False), gradients(autocast=True), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, wanted, rtol=0, atol=0.05 * float(wanted.abs().max()))


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_new_modules_are_of_float32(kind: torch.dtype):
    vocabulary = vocabulary_of(200)

    def modules() -> list[nn.Module]:
        torch.manual_seed(0)
        by_words = replace(TINY, char_cnn=WordEmbeddingConfig(200, 8))
        models = [BiLM(config, vocabulary) for config in [*CONFIGS.values(), by_words]]
        return [*models, CharacterCNN(TINY.char_cnn), ScalarMix(3), MixClassifier(3, 4, 2)]

    wanted = modules()
    with dtype(kind):
        found = modules()
    for module, other in zip(wanted, found, strict=True):
        for parameter, changed in zip(module.parameters(), other.parameters(), strict=True):
            assert changed.dtype == torch.float32
            assert torch.equal(changed, parameter)


def test_a_model_on_the_device_meta_has_shapes_and_is_of_no_other_use(files: Path):
    with torch.device("meta"):
        model = BiLM(PUBLISHED, vocabulary_of(20))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    corpus, output = Corpus.load(files / "corpus"), files / "outline"
    for use in (
        lambda: Encoder(model),
        lambda: Scorer(model),
        lambda: evaluate(model, corpus.with_vocabulary(model.vocabulary)),
        lambda: fine_tune(model, corpus, QUICK),
        lambda: model.save(output),
        lambda: save_official(model, output),
        lambda: encode_file(model, files / "titles.txt", output.with_suffix(".h5")),
        lambda: Elmo(None, None, 1, module=model)(batch_to_ids(WORDS)),
        lambda: Elmo(None, None, 1, module=model, vocab_to_cache=["a"]),
        lambda: ElmoVectorizer(model).fit(TOY_TITLES),
        lambda: model.char_cnn(batch_to_ids([["a"]])[0]),
    ):
        with pytest.raises(
            ElmoHelpersError, match=r"on the device 'meta', where there are shapes and no numbers|reads"
        ):
            use()
    assert not output.exists()


def test_what_is_made_in_inference_mode_can_be_learned_from(files: Path):
    def gradients(before: AbstractContextManager[Any]) -> list[torch.Tensor]:
        with before:
            model = BiLM.load(files / "published")
        elmo = Elmo(None, None, 1, module=model, requires_grad=True, stateful=True, dropout=0.0)
        with before:
            vectors_of(elmo, WORDS)  # leaves states, which the next call goes on from
        vectors_of(elmo, WORDS).square().sum().backward()
        return [p.grad for p in elmo.parameters() if p.grad is not None]

    for wanted, found in zip(gradients(torch.no_grad()), gradients(torch.inference_mode()), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(
    "of",
    [
        copy.deepcopy,
        lambda elmo: pickle.loads(pickle.dumps(elmo)),
        lambda elmo: nn.DataParallel(copy.deepcopy(elmo)),
        lambda elmo: lambda ids: checkpoint(elmo, ids, use_reentrant=False),
        lambda elmo: lambda ids: torch.func.functional_call(elmo, dict(elmo.named_parameters()), (ids,)),
    ],
    ids=["deepcopy", "pickle", "DataParallel", "checkpoint", "functional_call"],
)
def test_copies_and_wrappers_of_elmo(files: Path, of: Callable[[Elmo], Any], requires_grad: bool):
    def gradients(layer: Any, owner: nn.Module) -> tuple[torch.Tensor, list[torch.Tensor]]:
        vectors = vectors_of(layer, WORDS)
        vectors.square().sum().backward()
        return vectors, [p.grad.clone() for p in owner.parameters() if p.grad is not None]

    elmo = elmo_of(files, requires_grad=requires_grad)
    vectors_of(elmo, WORDS[:3])
    wanted, wanted_gradients = gradients(elmo, elmo)
    elmo.zero_grad()
    layer = of(elmo)
    found, found_gradients = gradients(layer, layer if isinstance(layer, nn.Module) else elmo)
    assert torch.equal(found, wanted)
    for one, other in zip(wanted_gradients, found_gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, pytest.param(torch.bfloat16, marks=needs_bf16)])
@pytest.mark.parametrize("name", CONFIGS)
def test_models_in_other_precisions(files: Path, name: str, kind: torch.dtype):
    model = BiLM.load(files / name)
    wanted = Encoder(model).encode(TOY_TITLES, "mean"), Scorer(model).score(TOY_TITLES)[0].forward
    best = Scorer(model).fill("the ___ sat", 1)[0].log_probability
    model.to(kind)
    found = Encoder(model, ScalarMix(3)).encode(TOY_TITLES, "mean"), Scorer(model).score(TOY_TITLES)[0].forward
    for array, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(other, array, rtol=0, atol=0.05)
    assert Scorer(model).fill("the ___ sat", 1)[0].log_probability == pytest.approx(best, abs=0.05)
    elmo = Elmo(None, None, 1, module=model, dropout=0.0)
    assert elmo(elmo.batch_to_ids(WORDS))["elmo_representations"][0].dtype == kind


def test_numbers_that_leave_the_range_of_a_float(toy_corpus: Corpus):
    """They become 0 or infinite, or are refused by a sentence, whatever NumPy has been told to do about them."""
    tiny = np.array([[1e-30, 2e-30], [1e-300, 0]])

    def found() -> list[np.ndarray]:
        units = unit_rows(tiny)
        softmax = SampledSoftmax(200, 4, 198)
        softmax.generator = np.random.default_rng(0)
        bigrams = InterpolatedBigramModel(toy_corpus, toy_corpus, iterations=5000)
        return [
            units,
            *nearest_rows(units, tiny[0], 2),
            softmax.draw()[0],
            np.array(bigrams.evaluate(toy_corpus).forward),
        ]

    with np.errstate(all="ignore"):
        wanted = found()
    with np.errstate(all="raise"):
        for array, other in zip(wanted, found(), strict=True):
            np.testing.assert_array_equal(other, array)
        with pytest.raises(ElmoHelpersError, match="finite"):
            learn_mix(np.full((2, 1, 2), 1e300), np.array([0, 1]))
        with pytest.raises(ElmoHelpersError, match="finite"):
            ScalarMix(2, [1e300, 0])
        assert ScalarMix(2, [1e-300, 0]).weights.tolist() == [0, 0]


def test_a_model_that_has_diverged_has_an_infinite_perplexity(toy_model: BiLM, toy_corpus: Corpus):
    with torch.no_grad():
        toy_model.softmax.bias[:8] += 1e6
    with np.errstate(all="raise"):
        assert Scorer(toy_model).perplexity(TOY_TITLES).perplexity == np.inf
        assert evaluate(toy_model, toy_corpus).perplexity == np.inf


def test_titles_longer_than_the_process_lets_a_field_be(tmp_path: Path):
    (tmp_path / "titles.csv").write_text("title,date\na long title,2001-01-01\n")
    with setting(csv.field_size_limit, 5, 131_072):
        titles, _ = read_titles(tmp_path / "titles.csv")
        assert csv.field_size_limit() == 5
    assert titles.title.tolist() == ["a long title"]


def test_the_switches_are_set_back():
    """Or the tests that come after these would try something else than they say."""
    with warnings.catch_warnings(record=True):
        for switch in (SWITCHES | NEARLY).values():
            with switch():
                pass
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_device() == torch.device("cpu")
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.backends.mkldnn.enabled
    assert csv.field_size_limit() == 131_072
    assert gc.isenabled()
