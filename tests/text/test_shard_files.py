import json
import os
import time
import zlib

import numpy as np
import pyarrow as pa
import pytest
from small_corpora import DAYS, TITLES, corpus_of

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.text.corpus import Corpus
from elmo_helpers.text.shard_files import read_batch, write_batch
from elmo_helpers.text.shards import CorpusShards

FILE = "titles-00000.arrow"


@pytest.fixture
def saved(tmp_path):
    corpus_of(TITLES, [*DAYS[:5], None], min_count=2, valid=0.2, test=0.2).save(tmp_path / "corpus")
    return tmp_path / "corpus"


def both_ways(directory):
    """What reads the shards of a corpus."""
    return [lambda: Corpus.load(directory), lambda: CorpusShards.load(directory)[0]]


def write_table(directory, table):
    """Write the table in the place of the corpus's, with the checksum that it has."""
    path = directory / FILE
    path.unlink()  # or a table still mapped would change
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    header = json.loads((directory / "corpus.json").read_text())
    header["shards"][0]["crc32"] = zlib.crc32(path.read_bytes())
    (directory / "corpus.json").write_text(json.dumps(header))


def read_table(directory):
    return pa.ipc.open_file((directory / FILE).read_bytes()).read_all()


def test_the_table_itself_written_again_is_the_same_corpus(saved):
    write_table(saved, read_table(saved))
    assert [read().titles for read in both_ways(saved)] == [TITLES, TITLES]


def test_any_damaged_bit_is_refused(saved):
    whole = (saved / FILE).read_bytes()
    rng = np.random.default_rng(0)
    for place in [0, len(whole) - 1, *rng.integers(len(whole), size=60).tolist()]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        (saved / FILE).unlink()
        (saved / FILE).write_bytes(damaged)
        for read in both_ways(saved):
            with pytest.raises(ElmoHelpersError, match=f"{FILE} is not as it was written"):
                read()


@pytest.mark.parametrize("wrong", [-1, 0, 13, 2**31 - 1])
def test_lexicon_ids_out_of_range_are_noticed(saved, wrong):
    table = read_table(saved)
    assert len(Corpus.load(saved).lexicon) == 13
    column = table["tokens"].chunk(0)
    ids = column.flatten().to_numpy().copy()
    ids[7] = wrong
    changed = pa.LargeListArray.from_arrays(column.offsets, pa.array(ids), type=column.type)
    write_table(saved, table.set_column(3, table.schema.field("tokens"), changed))
    for read in both_ways(saved):
        with pytest.raises(ElmoHelpersError, match=rf"{FILE} .*lexicon ids .* expected 1 to 12"):
            read()


def test_a_file_without_end_is_refused_at_once(saved):
    os.truncate(saved / FILE, 2**43)  # sparse: it takes no room
    for read in both_ways(saved):
        begun = time.perf_counter()
        with pytest.raises(ElmoHelpersError, match=f"{FILE} is not as it was written"):
            read()
        assert time.perf_counter() - begun < 2


def test_other_faults_of_the_table_are_noticed(saved):
    table = read_table(saved)
    splits = table["split"].to_numpy()
    wrong, other = splits.copy(), np.roll(splits, 1)
    wrong[3] = 3
    assert (other != splits).any()
    column = table["tokens"].chunk(0)
    backwards, moved = column.offsets.to_numpy().copy(), column.offsets.to_numpy().copy()
    backwards[2], moved[2] = 99, moved[2] - 1
    columns = [pa.LargeListArray.from_arrays(pa.array(x), column.values, type=column.type) for x in (backwards, moved)]
    for fault in (
        table.set_column(2, table.schema.field("split"), pa.array(wrong)),
        table.set_column(2, table.schema.field("split"), pa.array(other)),
        table.set_column(3, table.schema.field("tokens"), columns[0]),
        table.set_column(3, table.schema.field("tokens"), columns[1]),
        table.drop_columns(["date"]),
        table.rename_columns(["day", "title", "split", "tokens"]),
        table.slice(0, 0),
        table.slice(1),
        pa.concat_tables([table, table]),
    ):
        write_table(saved, fault)
        for read in both_ways(saved):
            with pytest.raises(ElmoHelpersError, match=FILE):
                read()


def test_the_checksum_is_that_of_the_file(tmp_path):
    batch = pa.record_batch({"n": np.arange(100_000), "word": ["word"] * 100_000})  # more than a file's buffer
    assert write_batch(batch, tmp_path / "batch.arrow") == zlib.crc32((tmp_path / "batch.arrow").read_bytes())
    assert read_batch(tmp_path / "batch.arrow").equals(batch)
