"""A small database, and four questions on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.databases import make_database
from helpers.score_command import GOLD, PREDICTIONS


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Spider's layout under tmp_path/database."""
    return make_database(tmp_path / "database" / "concert" / "concert.sqlite")


@pytest.fixture
def benchmark(database, tmp_path) -> Path:
    """A Spider folder of four questions, and preds.sql beside it."""
    items = [{"db_id": "concert", "question": "?", "query": query} for query in GOLD]
    (tmp_path / "dev.json").write_text(json.dumps(items))
    (tmp_path / "preds.sql").write_text("".join(PREDICTIONS))
    return tmp_path
