"""The cache's entries: built once, signed, checked by their first use, and made again when they are damaged."""

import hashlib
import json
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from kid import files
from kid.data import cache
from kid.data.cache import MANIFEST, build_once, content_hash, is_whole
from kid.files import write_atomically


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KID_CACHE", str(tmp_path))
    return tmp_path / "kind" / "entry"


def build(partial):
    (partial / "rows").mkdir()
    (partial / "rows" / "data").write_bytes(bytes(range(256)) * 8)
    (partial / "report.json").write_text("{}")


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


DAMAGE = {
    "flipped": lambda folder: flip(folder / "rows" / "data", 77),
    "cut short": lambda folder: os.truncate(folder / "rows" / "data", 9),
    "emptied": lambda folder: (folder / "report.json").write_text(""),
    "missing": lambda folder: (folder / "report.json").unlink(),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "manifest of lists": lambda folder: (folder / MANIFEST).write_text("[" * 100_000),
    "manifest of something else": lambda folder: (folder / MANIFEST).write_text('{"files": {"a": 1}, "folders": []}'),
    "a pipe": lambda folder: ((folder / "report.json").unlink(), os.mkfifo(folder / "report.json")),
    "another folder": lambda folder: (folder / "000001").mkdir(),
    "a file": lambda folder: (folder.rename(folder.with_name("moved")), folder.write_text("x")),
    "a link": lambda folder: (folder.rename(folder.with_name("moved")), folder.symlink_to("moved")),
    "a link to nothing": lambda folder: (folder.rename(folder.with_name("moved")), folder.symlink_to("nothing")),
}


@pytest.mark.parametrize("again", [True, False], ids=["same process", "another process"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_entry_is_made_again_with_one_line(folder, capsys, how, again):
    whole = content(build_once(folder, build))
    build_once(folder, pytest.fail)
    DAMAGE[how](folder)
    if not again:
        cache.CHECKED.clear()
    assert not is_whole(folder)
    assert content(build_once(folder, build)) == whole and is_whole(folder) and not folder.is_symlink()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"note: cache entry {folder} ") and line.endswith("; it is built again")
    if "link" in how:  # what it pointed to is nobody's to remove
        assert content(folder.with_name("moved")) == whole


def test_no_flipped_bit_goes_unnoticed(folder):
    build_once(folder, build)
    draw = random.Random(0)
    for path in [folder / MANIFEST, folder / "rows" / "data", folder / "report.json"]:
        good = path.read_bytes()
        for _ in range(60):
            flip(path, draw.randrange(8 * len(good)))
            cache.CHECKED.clear()
            assert not is_whole(folder)
            path.write_bytes(good)
    assert is_whole(folder)


def test_an_entry_is_read_once_in_a_process(folder, monkeypatch):
    build_once(folder, build)
    assert is_whole(folder)
    monkeypatch.setattr(cache, "find_damage", pytest.fail)
    build_once(folder, pytest.fail)


def test_files_of_others_in_an_entry_are_no_damage(folder):
    """The datasets library keeps results of its own beside the rows."""
    build_once(folder, build)
    (folder / "rows" / "cache-1.arrow").write_text("")
    assert is_whole(folder)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_in_the_way_of_a_build_is_removed(folder, tmp_path, kind):
    partial = folder.with_name("entry.partial")
    partial.parent.mkdir()
    (tmp_path / "precious").mkdir()
    partial.write_text("") if kind == "file" else partial.symlink_to(tmp_path / "precious")
    assert is_whole(build_once(folder, build)) and not partial.exists()
    assert list((tmp_path / "precious").iterdir()) == []


def test_all_is_on_disk_before_the_entry_has_its_name(folder, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "sync", lambda path: synced.append((path, folder.exists())))
    build_once(folder, build)
    before = {str(path.relative_to(folder.with_name("entry.partial"))) for path, there in synced if not there}
    assert before == {"rows/data", "report.json", MANIFEST, "rows", "."}
    assert synced[-1] == (folder.parent, True)


@pytest.mark.parametrize("memo", ["", "0" * 63, "g" * 64, "\udcff" * 64, None])
def test_a_stored_hash_that_is_none_is_computed_again(tmp_path, monkeypatch, memo):
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "MIN_MEMOISED_BYTES", 1)
    (tmp_path / "file").write_text("content")
    right = content_hash(tmp_path / "file")
    (stored,) = (tmp_path / "cache" / "hashes").iterdir()
    if memo is None:
        stored.unlink()
        stored.mkdir()
    else:
        stored.write_text(memo, errors="surrogateescape")
    assert content_hash(tmp_path / "file") == right == stored.read_text()


def test_a_hash_that_cannot_be_stored_is_given_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("KID_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "MIN_MEMOISED_BYTES", 1)
    (tmp_path / "file").write_text("content")
    assert content_hash(tmp_path / "file") == hashlib.sha256(b"content").hexdigest()


def test_processes_with_the_same_number_write_the_same_file(tmp_path):
    """As on two nodes; here, threads of one process."""
    path = tmp_path / "file"
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write_atomically, path, f"{number}") for number in range(200)]:
            done.result()
    assert path.read_text().isdecimal() and list(tmp_path.iterdir()) == [path]


def test_the_manifest_lists_every_file(folder):
    manifest = json.loads((build_once(folder, build) / MANIFEST).read_text())
    assert sorted(manifest["files"]) == ["report.json", "rows/data"] and manifest["folders"] == ["rows"]
