"""The explorer of contexts without a browser: the state after its controls have moved."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from html_rows import rows_of

from conftest import TOY_TITLES
from elmo_helpers import ElmoHelpersError, Encoder, ScalarMix
from elmo_helpers.display.widgets.context_explorer import ContextExplorer

TITLES = [*TOY_TITLES, "", "zebra \N{PILE OF POO} <b>&amp; $x$ home"]
DATES = [*pd.date_range("2001-01-01", periods=len(TITLES) - 1), None]


@pytest.fixture(autouse=True)
def no_window():
    with plt.rc_context({"backend": "agg"}):
        yield
        assert not plt.get_fignums()


@pytest.fixture
def explorer(toy_model) -> ContextExplorer:
    return ContextExplorer(Encoder(toy_model), TITLES, "the", dates=DATES, neighbours=3)


def vectors_of(explorer: ContextExplorer) -> np.ndarray:
    """(n, dim) by ScalarMix, from what the sliders say."""
    shares = np.array([slider.value for slider in explorer.shares])
    mix = ScalarMix(len(shares), np.log(np.maximum(shares, 1e-30)))
    with torch.no_grad():
        mix.gamma.fill_(explorer.gamma.value)
        return mix(torch.from_numpy(explorer.occurrences.layers)).numpy()


def check(explorer: ContextExplorer) -> None:
    """The table and the map against a computation from the vectors alone."""
    vectors, chosen = vectors_of(explorer), explorer.occurrence.value - 1
    cosines = vectors @ vectors[chosen] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[chosen])
    distances = np.linalg.norm(vectors - vectors[chosen], axis=1)
    others = np.array([i for i in np.argsort(-cosines, kind="stable") if i != chosen][:3], dtype=int)
    first, *rows = rows_of(explorer.table.value)
    assert first[-3:] == list(explorer.occurrences.line(chosen))
    np.testing.assert_allclose([float(row[1]) for row in rows], cosines[others], atol=6e-4)
    listed = [next(i for i in range(len(vectors)) if list(explorer.occurrences.line(i)) == row[-3:]) for row in rows]
    np.testing.assert_allclose([float(row[2]) for row in rows], distances[listed], atol=6e-3)
    centred = vectors - vectors.mean(0)
    values = np.linalg.svd(centred, compute_uv=False)[:2]
    np.testing.assert_allclose(np.linalg.norm(explorer.map.points, axis=0)[: len(values)], values, atol=1e-3)


def test_it_shows_the_first_word(explorer):
    assert explorer.message.text == ""
    assert plt.imread(io.BytesIO(explorer.picture.value)).ndim == 3
    assert len(explorer.occurrences) == sum(title.split().count("the") for title in TITLES)
    assert explorer.occurrence.max == len(explorer.occurrences)
    assert explorer.bar.layout.visibility == "hidden"
    check(explorer)


def test_sliders_move_all_of_it(explorer):
    before = explorer.picture.value
    explorer.shares[0].value, explorer.shares[2].value = 0.0, 0.9
    assert explorer.picture.value != before
    check(explorer)
    explorer.gamma.value = 0.5
    explorer.occurrence.value = 4
    check(explorer)
    assert rows_of(explorer.table.value)[0][-3:] == list(explorer.occurrences.line(3))
    explorer.n_clusters.value = 2
    assert set(explorer.map.clusters.tolist()) == {0, 1}


@pytest.mark.usefixtures("undrawn")
def test_gamma_leaves_cosines_and_clusters(explorer):
    before, clusters = rows_of(explorer.table.value), explorer.map.clusters
    explorer.gamma.value = 2.0
    after = rows_of(explorer.table.value)
    assert [[*row[:2], *row[3:]] for row in after] == [[*row[:2], *row[3:]] for row in before]
    np.testing.assert_allclose([float(r[2]) for r in after], [2 * float(r[2]) for r in before], atol=0.011)
    np.testing.assert_array_equal(explorer.map.clusters, clusters)


def test_layer_0_is_a_single_point(explorer):
    for slider, value in zip(explorer.shares, (1.0, 0.0, 0.0), strict=True):
        slider.value = value
    assert not explorer.map.points.any()
    assert explorer.message.text == ""


@pytest.mark.usefixtures("undrawn")
def test_shares_that_are_all_zero_are_told_and_the_map_stays(explorer):
    for slider in explorer.shares[:-1]:
        slider.value = 0
    picture = explorer.picture.value
    explorer.shares[-1].value = 0
    assert "shares" in explorer.message.text
    assert explorer.picture.value == picture
    explorer.shares[-1].value = 0.5
    assert explorer.message.text == ""


@pytest.mark.parametrize(
    ("word", "n"),
    [("HOME ", 4), ("sang", 1), ("zebra", 1), ("\N{PILE OF POO}", 1), ("<b>&amp;", 1), ("bird", 4), ("ran", 3)],
)
def test_other_words(toy_model, word, n):
    explorer = ContextExplorer(
        Encoder(toy_model), [title.split() for title in TITLES], "the", dates=DATES, neighbours=3
    )
    explorer.word.value = word
    expected = sum(title.split().count(word.strip().lower()) for title in TITLES)
    assert explorer.message.text == ""
    assert len(explorer.occurrences) == explorer.occurrence.max == expected
    check(explorer)


@pytest.mark.usefixtures("undrawn")
def test_once_and_twice(toy_model):
    for n in (1, 2):
        explorer = ContextExplorer(Encoder(toy_model), ["the old dog", "a dog ran"][:n], "dog", n_clusters=5)
        assert explorer.message.text == ""
        assert len(rows_of(explorer.table.value)) == n
        assert sorted(explorer.map.clusters.tolist()) == list(range(n))
        explorer.gamma.value = 1.5
        explorer.shares[1].value = 1.0
        check(explorer)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("typed", ["unheard-of", "", "  ", "old dog", "\ud800"])
def test_what_cannot_be_found_is_said_and_the_map_stays(explorer, typed):
    before = explorer.occurrences, explorer.picture.value
    explorer.word.value = typed
    assert explorer.message.text
    assert (explorer.occurrences, explorer.picture.value) == before
    explorer.word.value = "home"
    assert explorer.message.text == ""


def test_a_first_word_that_does_not_occur(toy_model):
    explorer = ContextExplorer(Encoder(toy_model), [], "dog")
    assert "does not occur" in explorer.message.text
    explorer.gamma.value = 0.5
    explorer.occurrence.value = 1
    assert explorer.occurrences is None
    assert explorer.picture.layout.display == "none"


def test_a_word_is_encoded_once(explorer, monkeypatch):
    explorer.word.value = "home"
    first = explorer.occurrences
    monkeypatch.setattr(explorer._encoder, "encode_iter", None)
    explorer.word.value = "the"
    explorer.word.value = "home"
    assert explorer.occurrences is first


def test_of_many_occurrences_some_are_drawn(toy_model):
    explorer = ContextExplorer(Encoder(toy_model), TITLES, "the", max_occurrences=5)
    assert len(explorer.occurrences) == 5
    assert "drawn at random" in explorer.note.value


@pytest.mark.usefixtures("undrawn")
def test_sliders_begin_at_the_encoders_mix(toy_model):
    mix = ScalarMix(3, [0.0, 1.0, 2.0])
    with torch.no_grad():
        mix.gamma.fill_(3.5)
    explorer = ContextExplorer(Encoder(toy_model, mix), TITLES, "the")
    np.testing.assert_allclose([s.value for s in explorer.shares], mix.shares.detach().numpy(), atol=1e-6)
    assert explorer.gamma.value == pytest.approx(3.5)


@pytest.mark.usefixtures("undrawn")
def test_every_control_is_labelled(explorer):
    for control in [explorer.word, *explorer.shares, explorer.gamma, explorer.n_clusters, explorer.occurrence]:
        assert control.description
    assert all(slider.continuous_update for slider in [*explorer.shares, explorer.gamma])
    assert not explorer.word.continuous_update


@pytest.mark.parametrize(
    "wrong",
    [
        {"dates": DATES[1:]},
        {"dates": ["no date"] * len(TITLES)},
        {"n_clusters": 9},
        {"neighbours": 0},
        {"max_occurrences": 0},
    ],
)
def test_bad_arguments(toy_model, wrong):
    with pytest.raises(ElmoHelpersError, match=next(iter(wrong))):
        ContextExplorer(Encoder(toy_model), TITLES, "the", **wrong)


def test_long_titles_are_cut_on_both_sides(toy_model):
    before, after = [["word"] * 20 + ["the"] + ["other"] * 20], [["the"]]
    explorer = ContextExplorer(Encoder(toy_model), before + after, "the", dates=["2001-02-03", None])
    long, short = rows_of(explorer.table.value)
    assert long[4] == "2001-02-03"
    assert len(long[5]) == len(long[7]) == 30
    assert long[5].startswith("…")
    assert long[5].endswith("word word")
    assert long[7].startswith("other other")
    assert long[7].endswith("…")
    assert short[5:] == ["", "the", ""]


@pytest.mark.parametrize("gamma", [0.05, 1.0, 5.0])
def test_nothing_is_cut_off_at_the_left_edge(explorer, gamma):
    explorer.gamma.value = min(gamma, explorer.gamma.max)
    drawn = plt.imread(io.BytesIO(explorer.picture.value))
    assert (drawn[:, :3, :3] == 1).all()  # white: a name of an axis that ends there would go on beyond it
