"""The search for titles without a browser: the state after its controls have moved."""

import io
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from html_rows import rows_of
from sklearn.feature_extraction.text import TfidfVectorizer

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError, Encoder
from elmo_helpers.display.widgets.title_search import TitleSearch

TITLES = [*TOY_TITLES, "<b>snow</b> \N{PILE OF POO}", ""]
DATES = [*pd.date_range("2001-01-01", periods=len(TITLES) - 1), None]


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        assert not plt.get_fignums()


@pytest.fixture
def encoder(toy_model) -> Encoder:
    return Encoder(toy_model)


@pytest.fixture
def search(encoder) -> TitleSearch:
    vectors = {pooling: encoder.encode(TITLES, pooling) for pooling in ("mean", "states")}
    return TitleSearch(encoder, TITLES, DATES, vectors=vectors, title="the old dog", neighbours=3, in_figure=5)


def by_hand(encoder, title: str, pooling: str) -> tuple[np.ndarray, np.ndarray]:
    """The titles in the order of their cosine, and the cosines."""
    vectors = np.concatenate([encoder.encode([t], pooling) for t in TITLES]).astype(np.float64)
    query = encoder.encode([title], pooling)[0]
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    cosines = np.divide(vectors @ query, lengths, out=np.zeros(len(vectors)), where=lengths > 0)
    order = np.argsort(-cosines, kind="stable")
    return order, cosines[order]


@pytest.mark.parametrize("pooling", ["mean", "states"])
@pytest.mark.parametrize("title", ["the old dog", "A BIRD, and snow!", "\N{PILE OF POO}", "zebra"])
def test_nearest_titles(search, encoder, title, pooling):
    search.pooling.value = pooling
    search.title.value = title
    order, cosines = by_hand(encoder, title, pooling)
    assert search.message.text == ""
    assert search.nearest.tolist() == order[:5].tolist()
    rows = rows_of(search.table.value)
    assert [row[3] for row in rows] == [TITLES[i] for i in order[:3]]
    np.testing.assert_allclose([float(row[1]) for row in rows], cosines[:3], atol=6e-4)
    dates = [str(pd.Timestamp(DATES[i]).date()) if DATES[i] is not None else "no date" for i in order[:3]]
    assert [row[2] for row in rows] == dates
    assert plt.imread(io.BytesIO(search.picture.value)).ndim == 3


@pytest.mark.usefixtures("undrawn")
def test_a_title_finds_itself(search):
    found = search.search(TITLES[0], 1)
    assert found.index.tolist() == [0]
    assert found["cosine"].item() == pytest.approx(1)
    assert found["title"].item() == TITLES[0]


def test_the_figure_counts_as_many_as_the_slider_says(search):
    picture = search.picture.value
    search.n_in_figure.value = 1
    assert len(search.nearest) == 1
    assert len(rows_of(search.table.value)) == 3
    assert search.picture.value != picture


@pytest.mark.usefixtures("undrawn")
def test_vectors_are_made_where_there_are_none(encoder, search):
    own = TitleSearch(encoder, TITLES, DATES, title="the old dog")
    assert own.nearest[:5].tolist() == search.nearest.tolist()
    of_tokens = TitleSearch(encoder, [t.split() for t in TOY_TITLES], None, pooling="max", title="home")
    assert of_tokens.nearest[0] == TOY_TITLES.index("home")
    assert rows_of(of_tokens.table.value)[0][2:] == ["no date", "home"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("typed", ["", "   ", "\ud800"])
def test_what_cannot_be_searched_is_said(search, typed):
    before = search.nearest.tolist(), search.table.value
    search.title.value = typed
    assert search.message.text
    assert (search.nearest.tolist(), search.table.value) == before
    search.title.value = "snow"
    assert search.message.text == ""


def test_at_first_nothing_is_searched(encoder):
    search = TitleSearch(encoder, ["the old dog"], [None])
    assert search.message.text == search.table.value == ""
    assert search.picture.layout.display == "none"
    search.title.value = "dog"
    assert search.nearest.tolist() == [0]


@pytest.mark.usefixtures("undrawn")
def test_every_control_is_labelled(search):
    assert search.title.description
    assert search.pooling.description
    assert search.share.description
    assert search.n_in_figure.description
    assert not search.title.continuous_update


def test_bad_arguments(encoder):
    vectors = encoder.encode(TITLES, "mean")
    with pytest.raises(ElmoHelpersError, match="at least one title"):
        TitleSearch(encoder, [], [])
    with pytest.raises(ElmoHelpersError, match="dates: expected 12"):
        TitleSearch(encoder, ["a"] * 12, DATES[:1])
    with pytest.raises(ElmoHelpersError, match="vectors: expected"):
        TitleSearch(encoder, TITLES, DATES, vectors=vectors[1:])
    with pytest.raises(ElmoHelpersError, match="vectors: expected"):
        TitleSearch(encoder, TITLES, DATES, vectors=vectors, pooling="states")
    with pytest.raises(ElmoHelpersError, match="pooling='max': expected one of mean"):
        TitleSearch(encoder, TITLES, DATES, vectors={"mean": vectors}, pooling="max")
    with pytest.raises(ElmoHelpersError, match="dates: expected dates such as"):
        TitleSearch(encoder, ["a"], ["yesterday"], vectors=vectors[:1])
    for incomplete in ("2013", "2013-08", "today", "now", 2013, 20130820, 1376956800.0):
        with pytest.raises(ElmoHelpersError, match="is no whole date"):
            TitleSearch(encoder, ["a"], [incomplete], vectors=vectors[:1])


def test_titles_of_a_shuffled_series_are_taken_in_its_order(encoder):
    series = pd.Series(TOY_TITLES).sample(frac=1, random_state=1)
    found, wanted = (TitleSearch(encoder, titles, None).search("home", 3) for titles in (series, series.tolist()))
    assert found.title.tolist() == wanted.title.tolist()
    assert found.title.iloc[0] == "home"


def test_a_time_with_a_zone_is_a_day_of_its_own_place(encoder):
    dates = ["2001-01-01T00:00:00+01:00"] * 2
    assert TitleSearch(encoder, ["a", "b"], dates).search("a").date.tolist() == [pd.Timestamp("2001-01-01")] * 2


def cosines_of_counts(titles: list[list[str]], query: list[str]) -> np.ndarray:
    """TF-IDF by hand: how often a word stands in a title, times ln((1 + N) / (1 + its titles)) + 1."""
    words = sorted({word for title in titles for word in title})
    idf = [math.log((1 + len(titles)) / (1 + sum(word in title for title in titles))) + 1 for word in words]
    counts = np.array([[title.count(word) for word in words] for title in [*titles, query]]) * idf
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    units = np.divide(counts, lengths, out=np.zeros_like(counts), where=lengths > 0)
    return units[:-1] @ units[-1]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("title", ["the old dog", "zebra"])
def test_counted_words_share_in_the_cosine(encoder, title):
    tokens = encoder.tokenize(TITLES)
    counted = TfidfVectorizer(analyzer=list).fit(tokens)
    search = TitleSearch(encoder, TITLES, DATES, counted=counted, title=title, neighbours=3)
    assert (search.share.value, search.share.layout.display) == (0.5, None)
    order, cosines = by_hand(encoder, title, "mean")
    of_layers, of_words = np.empty(len(TITLES)), cosines_of_counts(tokens, *encoder.tokenize([title]))
    of_layers[order] = cosines
    for share in (0.0, 0.25, 1.0):
        search.share.value = share
        wanted = (1 - share) * of_layers + share * of_words
        found = search.search(title, 3)
        np.testing.assert_allclose(found["cosine"], np.sort(wanted)[:-4:-1], atol=1e-5)
        np.testing.assert_allclose(wanted[found.index], found["cosine"], atol=1e-5)
        assert [row[3] for row in rows_of(search.table.value)] == found["title"].tolist()


@pytest.mark.usefixtures("undrawn")
def test_without_counted_words_there_is_no_share(search):
    assert (search.share.value, search.share.layout.display) == (0.0, "none")


@pytest.mark.parametrize(
    "wrong", [TfidfVectorizer(analyzer=list), TfidfVectorizer().fit(["the old dog"]), "words", object()]
)
def test_a_vectorizer_of_something_else(encoder, wrong):
    with pytest.raises(ElmoHelpersError, match=r"counted: it cannot count .* pass such as TfidfVectorizer"):
        TitleSearch(encoder, TITLES, DATES, counted=wrong)


@pytest.mark.usefixtures("undrawn")
def test_bad_questions(search):
    with pytest.raises(ElmoHelpersError, match="n=0"):
        search.search("home", 0)
    with pytest.raises(ElmoHelpersError, match="pooling='sum'"):
        search.search("home", pooling="sum")
