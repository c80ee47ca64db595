"""A small database, and the real benchmark files where there are any."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Spider's layout under tmp_path/database: singers, one of them with a name that is not UTF-8."""
    path = tmp_path / "database" / "concert" / "concert.sqlite"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE singer (id INTEGER, name TEXT, age INTEGER, country TEXT);
            INSERT INTO singer VALUES (1, 'Joe', 52, 'NL'), (2, 'Ann', 32, 'US'), (3, 'Bob', 32, 'US');
            INSERT INTO singer VALUES (4, CAST(x'4AFF6F' AS TEXT), NULL, 'FR');
            """
        )
    return path


@pytest.fixture
def kid_data() -> Path:
    """The folder with the real benchmarks and reference verdicts."""
    folder = os.environ.get("KID_DATA")
    if not folder or not (Path(folder) / "eval_reference").is_dir():
        pytest.skip("KID_DATA does not name a folder with eval_reference/ and spider/")
    return Path(folder)
