"""Files and directories appear whole or not at all."""

import os
import socket
from pathlib import Path

import pytest

from elmo_helpers.errors import ElmoHelpersError
from elmo_helpers.files import path_of, read_bytes, read_json, whole_directory, whole_file, write_json


class Interrupted(Exception):
    """Stands for Ctrl-C in the middle of a write."""


def interrupted_file(path):
    with whole_file(path) as temporary:
        temporary.write_text("half of")
        raise Interrupted


def interrupted_directory(path):
    with whole_directory(path, header="m.json", format_name="ours") as temporary:
        write_json(temporary / "m.json", {"format": "ours", "text": "half of"})
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
        with whole_directory(tmp_path / "d", header="m.json", format_name="ours") as path:
            write_json(path / "m.json", {"format": "ours", "text": text})
        (tmp_path / "d" / f"notes on {text}").touch()
    assert read_json(tmp_path / "d" / "m.json")["text"] == "two"
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["m.json", "notes on one", "notes on two"]
    assert len(list(tmp_path.iterdir())) == 1


def test_finished_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    (tmp_path / "usual folder").mkdir()
    with whole_file(tmp_path / "a.txt") as path:
        path.write_text("a")
    with whole_directory(tmp_path / "d", header="m.json", format_name="ours") as path:
        (path / "m.json").touch(mode=0o600)
        (path / "inside").mkdir(mode=0o700)
        (path / "inside" / "b.txt").touch(mode=0o600)
    for written in (tmp_path / "a.txt", tmp_path / "d" / "m.json", tmp_path / "d" / "inside" / "b.txt"):
        assert written.stat().st_mode == (tmp_path / "usual").stat().st_mode
    for written in (tmp_path / "d", tmp_path / "d" / "inside"):
        assert written.stat().st_mode == (tmp_path / "usual folder").stat().st_mode


def test_interrupted_directory_leaves_the_old_one(tmp_path):
    with whole_directory(tmp_path / "d", header="m.json", format_name="ours") as path:
        write_json(path / "m.json", {"format": "ours", "text": "old"})
    with pytest.raises(Interrupted):
        interrupted_directory(tmp_path / "d")
    assert read_json(tmp_path / "d" / "m.json")["text"] == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_directory_may_be_filled_and_a_foreign_one_not(tmp_path):
    (tmp_path / "empty").mkdir()
    with whole_directory(tmp_path / "empty", header="m.json", format_name="ours") as path:
        write_json(path / "m.json", 1)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with (
        pytest.raises(ElmoHelpersError, match="photos holds other files"),
        whole_directory(tmp_path / "photos", header="m.json", format_name="ours"),
    ):
        pass
    with (
        pytest.raises(ElmoHelpersError, match="is a file"),
        whole_directory(tmp_path / "photos" / "cat.png", header="m.json", format_name="ours"),
    ):
        pass
    assert (tmp_path / "photos" / "cat.png").exists()


def write(path, text, **options):
    with whole_directory(path, header="m.json", format_name="ours", **options) as temporary:
        write_json(temporary / "m.json", {"format": "ours", "text": text})


def test_whatever_else_is_there_stays_what_it_is(tmp_path, monkeypatch):
    """A pipe would be waited for for ever, a device has no end, and checkpoints are large: nothing is copied."""
    place = tmp_path / "d"
    write(place, "one")
    (place / "inside").mkdir()
    (place / "notes").write_text("mine")
    (place / "inside" / "notes").write_text("mine too")
    os.mkfifo(place / "pipe")
    os.mkfifo(place / "inside" / "pipe")
    (place / "dangling").symlink_to("nowhere")
    (place / "link").symlink_to(tmp_path)
    monkeypatch.chdir(place)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        before = {path: path.lstat() for path in place.rglob("*") if path.name not in ("m.json", "inside")}
        write(place, "two")
    assert read_json(place / "m.json")["text"] == "two"
    assert len(before) == 7
    for path, was in before.items():
        assert os.path.samestat(path.lstat(), was), path
    assert (place / "link").readlink() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_where_there_are_no_links_files_are_copied_and_a_pipe_is_refused(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path / "d", "one")
    (tmp_path / "d" / "notes").write_text("mine")
    write(tmp_path / "d", "two")
    assert (tmp_path / "d" / "notes").read_text() == "mine"
    os.mkfifo(tmp_path / "d" / "pipe")
    with pytest.raises(ElmoHelpersError, match="pipe is a named pipe"):
        write(tmp_path / "d", "three")
    assert read_json(tmp_path / "d" / "m.json")["text"] == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_what_goes_with_the_old_directory_is_not_kept(tmp_path):
    write(tmp_path / "d", "one")
    for name in ("part-1", "part-2", "party"):
        (tmp_path / "d" / name).touch()
    write(tmp_path / "d", "two", is_ours=lambda name: name.startswith("part-"))
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["m.json", "party"]


def test_a_reason_of_many_lines_is_one_sentence(tmp_path):
    with pytest.raises(ElmoHelpersError) as caught, whole_file(tmp_path / "a", remedy="try again"):
        raise OSError("a file write has failed:\n time = now\n" + "x" * 1000)
    assert str(caught.value).startswith(f"{tmp_path / 'a'} cannot be written (a file write has failed: time = now x")
    assert str(caught.value).endswith("): try again.")
    assert len(str(caught.value)) < 500


def test_a_file_larger_than_memory(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(2**43)  # sparse: it takes no room
    with pytest.raises(ElmoHelpersError, match=r"a\.json needs more memory than there is"):
        read_json(tmp_path / "a.json")


def test_json(tmp_path):
    write_json(tmp_path / "a.json", {"café": [1, 2]})
    assert read_json(tmp_path / "a.json") == {"café": [1, 2]}
    assert "café" in (tmp_path / "a.json").read_text(encoding="utf-8")
    no_text = os.fsdecode(b"caf\xe9")  # a file's name may be any bytes
    write_json(tmp_path / "a.json", {no_text: [no_text]})
    assert read_json(tmp_path / "a.json") == {no_text: [no_text]}
    (tmp_path / "b.json").write_bytes(b'{"a": \xff}')
    with pytest.raises(ElmoHelpersError, match="not UTF-8 JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(ElmoHelpersError, match=r"c.json is missing"):
        read_json(tmp_path / "c.json")


def test_the_same_name_of_another_programs_file_is_no_licence(tmp_path):
    write_json(tmp_path / "m.json", {"format": "theirs"})
    with (
        pytest.raises(ElmoHelpersError, match="left as it is"),
        whole_directory(tmp_path, header="m.json", format_name="ours"),
    ):
        pass
    assert read_json(tmp_path / "m.json") == {"format": "theirs"}


def test_links_are_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "d").symlink_to(tmp_path / "real")
    (tmp_path / "a.txt").symlink_to(tmp_path / "real.txt")
    for text in ("one", "two"):
        with whole_directory(tmp_path / "d", header="m.json", format_name="ours") as path:
            write_json(path / "m.json", {"format": "ours", "text": text})
        with whole_file(tmp_path / "a.txt") as path:
            path.write_text(text)
    assert (tmp_path / "d").is_symlink()
    assert read_json(tmp_path / "real" / "m.json")["text"] == "two"
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "two"


def test_what_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "no ordinary file"),
        (tmp_path, "no ordinary file"),
        (tmp_path / "file" / "a.txt", "cannot be written"),
        (tmp_path / ("x" * 300), "cannot be written"),
    ):
        with pytest.raises(ElmoHelpersError, match=message), whole_file(path):
            pass
    with (
        pytest.raises(ElmoHelpersError, match="cannot be written"),
        whole_directory(tmp_path / "file" / "d", header="m.json", format_name="ours"),
    ):
        pass
    with pytest.raises(ElmoHelpersError, match="cannot be read"):
        read_json(tmp_path)


def test_a_byte_order_mark_before_json_is_none_of_it(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + '{"café": 1}'.encode())
    assert read_json(tmp_path / "a.json") == {"café": 1}
    (tmp_path / "b.json").write_bytes('{"café": 1}'.encode("utf-16"))
    with pytest.raises(ElmoHelpersError, match=r"b\.json is not UTF-8 JSON"):
        read_json(tmp_path / "b.json")


def test_paths():
    odd = os.fsdecode(b"m\xff")  # a file may be called so
    for given in ("a/b", Path("a/b"), "C:/models", "12:30", odd, Path(odd)):
        assert path_of("model", given) == Path(given)


def test_an_empty_name_is_told_so():
    """It would stand for the working directory."""
    with pytest.raises(ElmoHelpersError, match=r"^model='': the name is empty"):
        path_of("model", "")


@pytest.mark.parametrize("value", [None, 3, True, b"a", ["a"], {"a": "b"}, {"a"}, 1.5, "a\0b", "a\ud800b"], ids=repr)
def test_what_is_no_path(value, tmp_path):
    with pytest.raises(ElmoHelpersError, match=r"^model=.*: expected the path"):
        path_of("model", value)
    for use in (read_bytes, whole_file(value).__enter__, whole_directory(value, header="h", format_name="f").__enter__):
        with pytest.raises(ElmoHelpersError, match="expected the path"):
            use(value) if use is read_bytes else use()


@pytest.mark.parametrize(
    "address", ["http://host/a.json", "HTTPS://host/a.zip", "s3://bucket/key", "hf://owner/name", "file:///a.json"]
)
def test_an_address_is_told_whole(address):
    with pytest.raises(ElmoHelpersError) as caught:
        path_of("weights", address)
    assert str(caught.value).startswith(f"weights: {address} is an address, and nothing is fetched")
    with pytest.raises(ElmoHelpersError, match="nothing is fetched"):
        path_of("weights", Path(address))
