"""Kept results of gold queries: every cell as it was, damage noticed, and nothing kept that another time changes."""

import math
import os
import pickle
import time

import pytest

from kid.evaluation.gold_cache import (
    MAX_CACHED_BYTES,
    cache_path,
    depends_on_chance,
    read_results,
    remove_unfinished,
    write_results,
)
from kid.evaluation.worker import Limits
from kid.sql.comparison import normalize_query

RESULTS = [
    ([(1, 1.0, "1", None, b"\x00\xff", -0.0, 2**63 - 1, "a\nb\u2028\x1b"), (math.inf, 0.1, "", b"", 0, 1, 2, 3)], 0.25),
    ([], 0.0),
]


def test_every_cell_comes_back_as_it_was(tmp_path):
    write_results(tmp_path / "gold" / "one", RESULTS)
    assert read_results(tmp_path / "gold" / "one", 2) == RESULTS
    types = [[type(cell) for cell in row] for row in read_results(tmp_path / "gold" / "one", 2)[0][0]]
    assert types == [[type(cell) for cell in row] for row in RESULTS[0][0]]
    assert list((tmp_path / "gold").iterdir()) == [tmp_path / "gold" / "one"]
    assert read_results(tmp_path / "gold" / "one", 1) is None  # of another number of databases


def test_any_flipped_bit_is_noticed(tmp_path):
    write_results(tmp_path / "file", RESULTS)
    whole = (tmp_path / "file").read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            (tmp_path / "file").write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            assert read_results(tmp_path / "file", 2) is None
    for length in range(len(whole)):
        (tmp_path / "file").write_bytes(whole[:length])
        assert read_results(tmp_path / "file", 2) is None


def test_nothing_in_a_file_is_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    (tmp_path / "file").write_bytes(pickle.dumps(Evil()))
    assert read_results(tmp_path / "file", 1) is None and not (tmp_path / "ran").exists()


def test_what_is_too_large_is_not_kept(tmp_path):
    write_results(tmp_path / "file", [([("x" * (MAX_CACHED_BYTES + 1),)], 0.1)])
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("query", "kept", "chance"),
    [
        ("SELECT a FROM t WHERE d = '2021-01-01'", True, False),
        ("SELECT a, random FROM t", False, False),  # a column of this name only is not kept
        ("SELECT a FROM t ORDER BY RANDOM() LIMIT 1", False, True),
        ('SELECT "random"()', False, True),
        ("SELECT CURRENT_DATE", False, True),
        ("SELECT current_timestamp FROM t", False, True),
        ("SELECT strftime('%Y', 'now') - y FROM t", False, True),
        ("SELECT strftime('%Y', d, ' NOW ')", False, True),
        ("SELECT strftime('%Y')", False, True),
        ("SELECT date()", False, True),
        ("SELECT julianday ( ) - julianday(d) FROM t", False, True),
        ("SELECT strftime('%Y', d) FROM t", False, False),  # a cell might say now
        ("SELECT date(d) FROM t WHERE name = 'now'", False, False),
        ("SELECT t.date FROM t", True, False),
        ("SELECT max(datetime) FROM t", True, False),
    ],
)
def test_clock_and_random_numbers(query, kept, chance, tmp_path):
    (tmp_path / "d.sqlite").touch()
    assert (cache_path(tmp_path, query, [tmp_path / "d.sqlite"], Limits()) is not None) == kept
    assert depends_on_chance(query) == chance


def test_the_name_depends_on_all_that_the_rows_depend_on(tmp_path, monkeypatch):
    database = tmp_path / "d.sqlite"
    database.touch()
    names = {cache_path(tmp_path, "SELECT 1", [database], Limits())}
    names |= {cache_path(tmp_path, "SELECT 2", [database], Limits())}
    names |= {cache_path(tmp_path, "SELECT 1", [database], Limits(rows=5))}
    monkeypatch.setattr("kid.evaluation.gold_cache.code_version", lambda: ["another SQLite"])
    names |= {cache_path(tmp_path, "SELECT 1", [database], Limits())}
    database.write_bytes(b"x")
    names |= {cache_path(tmp_path, "SELECT 1", [database], Limits())}
    assert len(names) == 5


def test_with_distinct_kept_a_query_has_a_result_of_its_own(tmp_path):
    database = tmp_path / "d.sqlite"
    database.touch()
    for query, count in (("SELECT DISTINCT a FROM t", 2), ("SELECT a FROM t", 1)):
        normalised = {normalize_query(query, keep_distinct=keep) for keep in (True, False)}
        assert len({cache_path(tmp_path, text, [database], Limits()) for text in normalised}) == count


def test_unfinished_files_of_killed_runs_are_removed_after_a_while(tmp_path):
    (tmp_path / "gold").mkdir()
    for name in ("a.pickle", f"a.{'0' * 32}", f"b.{'f' * 32}"):
        (tmp_path / "gold" / name).touch()
    os.utime(tmp_path / "gold" / f"a.{'0' * 32}", (time.time() - 7200,) * 2)
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in (tmp_path / "gold").iterdir()) == ["a.pickle", f"b.{'f' * 32}"]
    remove_unfinished(tmp_path / "nowhere")
