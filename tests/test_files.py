"""Files and directories appear whole or not at all."""

import pytest

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import read_json, whole_directory, whole_file, write_json


class Interrupted(Exception):
    """Stands for Ctrl-C in the middle of a write."""


def interrupted_file(path):
    with whole_file(path) as temporary:
        temporary.write_text("half of")
        raise Interrupted


def interrupted_directory(path):
    with whole_directory(path, marker="m.json") as temporary:
        write_json(temporary / "m.json", "half of")
        raise Interrupted


def test_file_appears_whole(tmp_path):
    with whole_file(tmp_path / "new" / "a.txt") as path:
        path.write_text("all of it")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "all of it"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_interrupted_file_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(Interrupted):
        interrupted_file(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_directory_is_replaced_whole(tmp_path):
    for text in ("one", "two"):
        with whole_directory(tmp_path / "d", marker="m.json") as path:
            write_json(path / "m.json", text)
        (tmp_path / "d" / f"notes on {text}").touch()
    assert read_json(tmp_path / "d" / "m.json") == "two"
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["m.json", "notes on one", "notes on two"]
    assert len(list(tmp_path.iterdir())) == 1


def test_finished_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    with whole_file(tmp_path / "a.txt") as path:
        path.write_text("a")
    with whole_directory(tmp_path / "d", marker="m.json") as path:
        (path / "m.json").touch(mode=0o600)
    for written in (tmp_path / "a.txt", tmp_path / "d" / "m.json"):
        assert written.stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_interrupted_directory_leaves_the_old_one(tmp_path):
    with whole_directory(tmp_path / "d", marker="m.json") as path:
        write_json(path / "m.json", "old")
    with pytest.raises(Interrupted):
        interrupted_directory(tmp_path / "d")
    assert read_json(tmp_path / "d" / "m.json") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_directory_may_be_filled_and_a_foreign_one_not(tmp_path):
    (tmp_path / "empty").mkdir()
    with whole_directory(tmp_path / "empty", marker="m.json") as path:
        write_json(path / "m.json", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with (
        pytest.raises(ElmoHelpersError, match="photos holds other files"),
        whole_directory(tmp_path / "photos", marker="m.json"),
    ):
        pass
    with (
        pytest.raises(ElmoHelpersError, match="is a file"),
        whole_directory(tmp_path / "photos" / "cat.png", marker="m.json"),
    ):
        pass
    assert (tmp_path / "photos" / "cat.png").exists()


def test_json(tmp_path):
    write_json(tmp_path / "a.json", {"café": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"café": [1, 2]}
    assert "café" in (tmp_path / "a.json").read_text(encoding="utf-8")
    (tmp_path / "b.json").write_bytes(b'{"a": \xff}')
    with pytest.raises(ElmoHelpersError, match="not UTF-8 JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ElmoHelpersError, match=r"c.json is missing"):
        read_json(tmp_path / "c.json")
