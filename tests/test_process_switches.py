"""What a caller's own code has set for the whole process changes no vector, score, perplexity or trained weight."""

import csv
import gc
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

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import (
    BiLM,
    Corpus,
    Encoder,
    ScalarMix,
    Scorer,
    TrainingConfig,
    batch_to_ids,
    encode_file,
    evaluate,
    fine_tune,
    learn_mix,
    load_official,
    save_official,
    train,
)
from elmo_helpers.analysis.occurrences import find_occurrences
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer
from small_models import CLIPPED, CONFIGS, WORDS, elmo_of, numbers_of, vectors_of, write_models

QUICK = TrainingConfig(epochs=1, batch_size=4)

Results = dict[str, list[np.ndarray]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("files"))


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
    "medium precision": lambda: setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "without oneDNN": lambda: attribute(torch.backends.mkldnn, "enabled", False),
}


def medium_rounds() -> bool:
    """Whether "medium" rounds products to bfloat16 here, as PyTorch may (see `Encoder`) and does on some processors."""
    x = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    with NEARLY["medium precision"]():
        return not torch.allclose(x @ x.T, (x.double() @ x.double().T).float(), atol=1e-3)


@pytest.mark.parametrize("switch", [*SWITCHES, *NEARLY])
def test_results_are_the_same(files: Path, usual: Results, switch: str):
    torch.manual_seed(5)
    random.seed(5)
    states = torch.get_rng_state(), random.getstate()
    with (SWITCHES | NEARLY)[switch]():
        found = results(files)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert found.keys() == usual.keys()
    for name, arrays in usual.items():
        for array, other in zip(arrays, found[name], strict=True):
            assert other.dtype == array.dtype, name
            if switch in SWITCHES:
                np.testing.assert_array_equal(other, array, err_msg=name)
            else:
                share = 2e-3 if array.dtype == np.float16 else 2e-5
                if switch == "medium precision" and medium_rounds():
                    share = 2**-6  # bfloat16 keeps 8 bits, and training has several products one behind the other
                np.testing.assert_allclose(other, array, rtol=0, atol=share * abs(array).max(), err_msg=name)


def test_two_threads(files: Path):
    encoder = Encoder(files / "projected, sampled")
    wanted = encoder.encode(WORDS)
    with setting(torch.set_num_threads, 2, 1):
        np.testing.assert_allclose(encoder.encode(WORDS), wanted, rtol=0, atol=2e-5 * abs(wanted).max())


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
