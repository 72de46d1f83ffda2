from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_corpora import DAYS, frame_of

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.splitting import split_rows


def dated_frame(n=4000, n_days=300, seed=0):
    days = np.datetime64("1990-01-01") + np.random.default_rng(seed).integers(0, n_days, n)
    hours = np.arange(n) % 24 * np.timedelta64(3600, "s")  # a document is a day, whatever the hour
    return frame_of([str(i) for i in range(n)], days.astype("datetime64[s]") + hours)


@pytest.mark.parametrize("by", ["document", "date"])
@pytest.mark.parametrize(("valid", "test"), [(0.05, 0.05), (0.2, 0.1), (0, 0.1), (0.1, 0), (0, 0), (0.45, 0.45)])
def test_splits_share_no_day_and_have_their_shares(by, valid, test):
    frame = dated_frame()
    splits = split_rows(frame, by, valid, test)
    days = frame["date"].dt.floor("D").to_numpy()
    assert splits.dtype == np.int8
    parts = [set(days[splits == i]) for i in range(3)]
    assert sum(map(len, parts)) == len(set().union(*parts))
    shares = np.bincount(splits, minlength=3) / len(frame)
    assert shares == pytest.approx([1 - valid - test, valid, test], abs=0.005)
    if by == "date":
        filled = [part for part in parts if part]
        assert all(max(older) < min(newer) for older, newer in pairwise(filled))


def test_splits_are_seeded():
    frame = dated_frame()
    first, again, other = (split_rows(frame, seed=seed) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()
    assert (split_rows(frame, "date", seed=0) == split_rows(frame, "date", seed=1)).all()


def test_the_column_document_comes_before_the_date():
    frame = dated_frame(1000).assign(document=[f"speech {i // 10}" for i in range(1000)])
    splits = split_rows(frame, valid=0.1, test=0.1)
    assert (splits.reshape(100, 10) == splits[::10, None]).all()
    assert np.bincount(splits).tolist() == [800, 100, 100]


def test_undated_rows_are_documents_of_their_own():
    splits = split_rows(frame_of([str(i) for i in range(200)]), valid=0.1, test=0.05)
    assert np.bincount(splits).tolist() == [170, 20, 10]
    mixed = frame_of([str(i) for i in range(100)], ["2001-01-01"] * 50 + [None] * 50)
    splits = split_rows(mixed, valid=0.2, test=0.2)
    assert len(set(splits[:50])) == 1
    assert np.bincount(splits).tolist() == [60, 20, 20]


def test_a_document_that_is_too_large_to_hold_out_is_passed_over():
    frame = frame_of([str(i) for i in range(100)], ["2001-01-01"] * 90 + [f"2001-02-{i:02}" for i in range(1, 11)])
    for seed in range(20):
        splits = split_rows(frame, seed=seed)
        assert np.bincount(splits).tolist() == [90, 5, 5]
        assert (splits[:90] == 0).all()


def test_where_every_document_is_too_large_the_smallest_are_held_out():
    frame = frame_of(["a"] * 100, [DAYS[0]] * 50 + [DAYS[1]] * 20 + [DAYS[2]] * 30)
    for seed in range(10):
        assert np.bincount(split_rows(frame, seed=seed)).tolist() == [50, 30, 20]


@pytest.mark.parametrize("by", ["document", "date"])
def test_few_documents_still_fill_all_splits(by):
    for sizes in ([1, 1, 1], [50, 30, 20], [1, 1, 98], [98, 1, 1]):
        dates = [day for day, size in zip(DAYS, sizes, strict=False) for _ in range(size)]
        for share in (0.01, 0.05, 0.45):
            splits = split_rows(frame_of(["a"] * len(dates), dates), by, share, share)
            assert len(np.unique(splits)) == 3


@pytest.mark.parametrize(
    ("dates", "settings", "message"),
    [
        (["2001-01-01"] * 9, {}, r"1 document\(s\), too few for 3 splits: pass valid=0, test=0"),
        (["2001-01-01"] * 9, {"valid": 0, "test": 0.1}, "too few for 2 splits"),
        ([*DAYS[:2], None], {"by": "date"}, "Row 2 has no date"),
        ([None] * 9, {"by": "date"}, "Row 0 has no date"),
        (DAYS, {"by": "sentence"}, "split='sentence': expected document or date"),
        (DAYS, {"valid": -0.1}, "valid=-0.1"),
        (DAYS, {"valid": 0.5, "test": 0.5}, "together below 1"),
        (DAYS, {"valid": float("nan")}, "together below 1"),
    ],
)
def test_impossible_splits_are_refused(dates, settings, message):
    with pytest.raises(ElmoHelpersError, match=message):
        split_rows(frame_of(["a"] * len(dates), dates), **settings)


@settings(deadline=None)
@given(st.lists(st.integers(0, 8), min_size=3, max_size=60), st.sampled_from(["document", "date"]), st.integers(0, 9))
def test_no_document_is_ever_cut(days, by, seed):
    frame = frame_of(["a"] * len(days), [f"2001-01-{day + 1:02}" for day in days])
    if len(set(days)) < 3:
        with pytest.raises(ElmoHelpersError, match="too few"):
            split_rows(frame, by, 0.2, 0.2, seed)
        return
    splits = split_rows(frame, by, 0.2, 0.2, seed)
    assert len(set(zip(days, splits.tolist(), strict=True))) == len(set(days))
    assert set(splits.tolist()) == {0, 1, 2}
