"""ElmoVectorizer: its vectors against the model's, and scikit-learn's own conventions."""

import os
import pickle
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from conftest import TOY_TITLES, needs_bf16
from elmo_helpers import BiLM, BiLMConfig, ElmoHelpersError, Encoder, ScalarMix
from elmo_helpers.integrations import sklearn_vectorizer
from elmo_helpers.integrations.sklearn_vectorizer import ElmoVectorizer

LABELS = np.array([int("cat" in title or "dog" in title) for title in TOY_TITLES])

# scikit-learn leaves out all of its checks for an estimator that does not take two-dimensional arrays. These ask for
# no numbers as input; all the others make some.
CHECKS = [
    estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_valid_tag_types,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
]


@pytest.fixture
def folder(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    return str(tmp_path / "model")


def layers_of(model, title):
    """(L + 1, n, 2P) of one title, from the model itself."""
    characters = np.concatenate(
        [model.character_vocabulary.boundary_rows, model.character_vocabulary.encode(title.split())]
    )
    n = len(title.split())
    with torch.no_grad():
        output = model(
            torch.from_numpy(characters.astype(np.int64)),
            torch.tensor([[1, *range(3, n + 3), 2]]),
            torch.tensor([n + 2]),
        )
    return output.layers[:, 0, 1:-1].numpy()


def same(found, wanted):
    np.testing.assert_allclose(np.asarray(found), wanted, atol=1e-5)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_own_check(check, folder):
    check("ElmoVectorizer", ElmoVectorizer(folder))


def test_the_tags_name_the_input():
    tags = ElmoVectorizer().__sklearn_tags__()
    assert (tags.input_tags.string, tags.input_tags.one_d_array, tags.input_tags.two_d_array) == (True, True, False)
    assert tags.no_validation
    assert not tags.target_tags.required


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, lambda layers: layers.mean(0).mean(0)),
        ({"layers": "top"}, lambda layers: layers[-1].mean(0)),
        ({"pooling": "max", "layers": "top"}, lambda layers: layers[-1].max(0)),
        ({"layers": [0.5, 0, 2]}, lambda layers: (0.5 * layers[0] + 2 * layers[2]).mean(0)),
        ({"layers": "all"}, lambda layers: layers.mean(1).reshape(-1)),
    ],
)
def test_vectors_are_the_models(toy_model, folder, settings, by_hand):
    for model in (toy_model, folder):
        found = ElmoVectorizer(model, **settings).fit_transform(TOY_TITLES)
        assert found.dtype == np.float32
        same(found, np.stack([by_hand(layers_of(toy_model, title)) for title in TOY_TITLES]))


@pytest.mark.parametrize("layers", ["average", "all"])
def test_states_are_the_encoders(toy_model, layers):
    wanted = Encoder(toy_model).encode_layers(TOY_TITLES, "states")
    found = ElmoVectorizer(toy_model, pooling="states", layers=layers).fit_transform(TOY_TITLES)
    same(found, wanted.mean(1) if layers == "average" else wanted.reshape(len(wanted), -1))


def test_a_learned_mix(toy_model):
    mix = ScalarMix(3, [1.0, -2.0, 0.0])
    weights = (mix.gamma * mix.shares).tolist()
    same(
        ElmoVectorizer(toy_model, layers=weights).fit_transform(TOY_TITLES),
        Encoder(toy_model, mix).encode(TOY_TITLES, "mean"),
    )


@pytest.mark.parametrize(
    "X",
    [
        TOY_TITLES,
        tuple(TOY_TITLES),
        np.array(TOY_TITLES),
        np.array(TOY_TITLES, dtype=object),
        pd.Series(TOY_TITLES, index=range(50, 50 + len(TOY_TITLES))),
        pd.Series(TOY_TITLES, dtype="category"),
        pd.Index(TOY_TITLES),
        [title.split() for title in TOY_TITLES],
    ],
    ids=["list", "tuple", "array", "objects", "series", "categories", "index", "tokens"],
)
def test_kinds_of_input(toy_model, X):
    same(ElmoVectorizer(toy_model).fit(X).transform(X), ElmoVectorizer(toy_model).fit_transform(TOY_TITLES))


def test_no_title_one_title_and_titles_without_a_word(toy_model):
    vectorizer = ElmoVectorizer(toy_model).fit([])
    assert vectorizer.transform([]).shape == (0, 16)
    same(vectorizer.transform(["home"]), layers_of(toy_model, "home").mean((0, 1))[None])
    assert not vectorizer.transform(["", "  "]).any()
    assert np.isfinite(vectorizer.transform(["😀 the 😀"])).all()


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ("one title", "list of titles"),
        (3, "list of titles"),
        (np.array([["a", "b"]]), "one column"),
        (pd.DataFrame({"title": TOY_TITLES}), "one column"),
        (["a title", None], "number 1"),
        (["a title", float("nan")], "number 1"),
        ([1.0, 2.0], "number 0"),
        (np.array("scalar"), "one column"),
        ({"a title", "another"}, "got a set"),
        ({"a title": 1}, "got a dict"),
    ],
)
def test_wrong_input(toy_model, X, words):
    with pytest.raises(ElmoHelpersError, match=words):
        ElmoVectorizer(toy_model).fit(["a"]).transform(X)
    with pytest.raises(ValueError, match=words):
        ElmoVectorizer(toy_model).fit_transform(X)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "sum"}, "pooling"),
        ({"layers": "none"}, "layers"),
        ({"layers": [1, 2]}, "3 weights"),
        ({"layers": [1, -2, 1]}, "weight"),
        ({"layers": [1e39, 1, 1]}, "weight"),
        ({"layers": [1e-50] * 3}, "at least one weight"),
        ({"layers": b"abc"}, "layers"),
        ({"layers": None}, "layers=None"),
        ({"layers": 3}, "layers=3"),
        ({"layers": {1, 2, 3}}, "layers={1, 2, 3}"),
        ({"layers": {"average": 1}}, "layers="),
        ({"layers": ["average"]}, "weight='average'"),
        ({"layers": [1, None, 1]}, "weight=None"),
        ({"layers": pd.Series([1, None, 1])}, "weight=nan"),
        ({"layers": pd.DataFrame({"a": [1, 2, 3]})}, "layers="),
        ({"layers": np.ones((3, 3))}, "weight="),
        ({"layers": iter([1, 2, 3])}, "layers="),
        ({"pooling": ["mean"]}, "pooling"),
        ({"model": 3}, "model=3"),
        ({"model": b"model"}, "model=b'model'"),
        ({"model": "https://host/model"}, "https://host/model is no directory"),
        ({"device": None}, "device=None"),
        ({"device": "meta"}, "meta"),
        ({"model": "a\0b"}, "no directory"),
        ({"batch_tokens": 0}, "batch_tokens"),
        ({"precision": "fp8"}, "precision"),
        ({"device": "nonsense"}, "nonsense"),
        ({"model": None}, "model"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_settings_are_refused_by_fit_and_not_before(toy_model, settings, words):
    vectorizer = ElmoVectorizer(**{"model": toy_model, **settings})
    with pytest.raises(ElmoHelpersError, match=words):
        vectorizer.fit(TOY_TITLES)


def test_transform_before_fit(folder):
    with pytest.raises(NotFittedError):
        ElmoVectorizer(folder).transform(TOY_TITLES)


def test_names_and_tables(folder):
    vectorizer = ElmoVectorizer(folder).set_output(transform="pandas").fit(TOY_TITLES)
    titles = pd.Series(TOY_TITLES, index=[f"row {i}" for i in range(len(TOY_TITLES))])
    table = vectorizer.transform(titles)
    assert list(table.columns) == list(vectorizer.get_feature_names_out()) == [f"elmovectorizer{i}" for i in range(16)]
    assert list(table.index) == list(titles.index)
    same(table, vectorizer.set_output(transform="default").transform(TOY_TITLES))
    assert list(clone(vectorizer.set_output(transform="pandas")).fit_transform(TOY_TITLES).columns) == list(
        table.columns
    )


def test_one_column_of_a_table(folder):
    frame = pd.DataFrame({"title": TOY_TITLES, "year": range(len(TOY_TITLES))})
    columns = ColumnTransformer([("elmo", ElmoVectorizer(folder), "title")], remainder="passthrough")
    found = columns.fit_transform(frame)
    same(found[:, :16], ElmoVectorizer(folder).fit_transform(TOY_TITLES))
    assert columns.get_feature_names_out()[[0, -1]].tolist() == ["elmo__elmovectorizer0", "remainder__year"]


def test_a_clone_shares_the_model_and_is_not_fitted(toy_model):
    fitted = ElmoVectorizer(toy_model, layers=[1, 2, 3]).fit(TOY_TITLES)
    copy = clone(fitted)
    assert copy.model is toy_model
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        copy.transform(TOY_TITLES)


def test_pipeline_and_grid_search_in_two_processes(folder, toy_model):
    """The folder and the model itself give the same search, in processes that have done small work before, too.

    joblib replaces these once they have loaded a model, since they then look as if they leaked memory.
    """
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(-3, 1)) == [3, 2, 1, 0]
    found = []
    for model in (folder, toy_model):
        pipeline = make_pipeline(ElmoVectorizer(model), LogisticRegression(max_iter=2000, C=100.0))
        grid = {"elmovectorizer__pooling": ["mean", "max"], "elmovectorizer__layers": ["average", [0, 0, 1]]}
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(TOY_TITLES, LABELS)
        assert search.predict(TOY_TITLES).shape == LABELS.shape
        assert search.best_estimator_.score(TOY_TITLES, LABELS) > LABELS.mean()
        found.append(search.cv_results_["mean_test_score"])
    same(found[0], found[1])
    assert np.isfinite(found[0]).all()


def test_cross_validation_takes_a_series(folder):
    pipeline = make_pipeline(ElmoVectorizer(folder), LogisticRegression())
    assert np.isfinite(cross_val_score(pipeline, pd.Series(TOY_TITLES), LABELS, cv=2)).all()


def loads(vectorizer, titles):
    """In another process: its id, how often it has loaded a model so far, and the vectors."""
    vectors = vectorizer.transform(titles)
    return os.getpid(), sklearn_vectorizer._load.cache_info().misses, vectors


def test_a_folder_is_loaded_once_in_each_process(folder):
    vectorizer = ElmoVectorizer(folder).fit(TOY_TITLES)
    done = joblib.Parallel(n_jobs=2)(joblib.delayed(loads)(vectorizer, TOY_TITLES) for _ in range(8))
    first = {}
    for process, misses, vectors in done:
        assert misses == first.setdefault(process, misses)
        same(vectors, vectorizer.transform(TOY_TITLES))


def test_threads(folder):
    vectorizer = ElmoVectorizer(folder).fit(TOY_TITLES)
    done = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(vectorizer.transform)(TOY_TITLES) for _ in range(8)
    )
    for vectors in done:
        same(vectors, vectorizer.transform(TOY_TITLES))


def test_a_fitted_one_named_by_a_folder_is_sent_without_weights(folder, toy_model):
    by_name, whole = ElmoVectorizer(folder).fit(TOY_TITLES), ElmoVectorizer(toy_model).fit(TOY_TITLES)
    assert len(pickle.dumps(by_name)) < 1000 < len(pickle.dumps(whole))
    for vectorizer in (by_name, whole):
        same(pickle.loads(pickle.dumps(vectorizer)).transform(TOY_TITLES), vectorizer.transform(TOY_TITLES))


def test_another_model_in_the_folder_is_noticed(folder, toy_corpus, toy_model):
    vectorizer = ElmoVectorizer(folder).fit(TOY_TITLES)
    torch.manual_seed(5)
    BiLM(BiLMConfig.preset("tiny"), toy_corpus.vocabulary, toy_corpus.text).save(folder)
    with pytest.raises(ElmoHelpersError, match="fit again"):
        vectorizer.transform(TOY_TITLES)
    assert not np.allclose(vectorizer.fit_transform(TOY_TITLES), ElmoVectorizer(toy_model).fit_transform(TOY_TITLES))
    shutil.rmtree(folder)
    with pytest.raises(ElmoHelpersError, match="no directory"):
        vectorizer.transform(TOY_TITLES)


@needs_bf16
def test_bf16_is_close(folder):
    found = ElmoVectorizer(folder, precision="bf16").fit_transform(TOY_TITLES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, ElmoVectorizer(folder).fit_transform(TOY_TITLES), atol=0.05)


def test_without_bf16_it_is_refused_at_fit(folder, without_bf16):
    with pytest.raises(ElmoHelpersError, match="precision='bf16': this processor has no instructions for bfloat16"):
        ElmoVectorizer(folder, precision="bf16").fit(TOY_TITLES)


def test_an_iterator_is_refused_and_not_used_up(toy_model):
    with pytest.raises(ElmoHelpersError, match="got a generator"):
        ElmoVectorizer(toy_model).fit_transform(title for title in ["a", "b"])


WEIGHTS = [
    [1, 2, 0],
    [1.0, 2.0, 0.0],
    (1, 2, 0),
    np.array([1, 2, 0]),
    np.array([1, 2, 0], dtype=np.float32),
    [np.float64(1), np.int64(2), np.float16(0)],
    pd.Series([1, 2, 0], index=[7, 8, 9]),
    torch.tensor([1.0, 2.0, 0.0], requires_grad=True),
]


@pytest.mark.parametrize("layers", WEIGHTS, ids=lambda layers: type(layers).__name__)
def test_weights_in_any_container_are_one_setting(toy_model, layers):
    expected = ElmoVectorizer(toy_model, layers=WEIGHTS[0]).fit_transform(["the cat"])
    vectorizer = ElmoVectorizer(toy_model, layers=layers).fit(["a"])
    for other in WEIGHTS:
        same(vectorizer.set_params(layers=other).transform(["the cat"]), expected)
    for other in ([1, 2, 1e-9], [2, 4, 0], "average"):
        with pytest.raises(ElmoHelpersError, match="set anew"):
            vectorizer.set_params(layers=other).transform(["the cat"])


@pytest.mark.parametrize("settings", [{"layers": "all"}, {"pooling": "max"}])
def test_settings_changed_after_fit_ask_for_another(toy_model, settings):
    vectorizer = ElmoVectorizer(toy_model).fit(["a"]).set_params(**settings)
    with pytest.raises(ElmoHelpersError, match="fit again"):
        vectorizer.transform(["a"])
    assert len(vectorizer.fit_transform(["a"])) == 1
