"""A small database."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.databases import make_database


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Spider's layout under tmp_path/database."""
    return make_database(tmp_path / "database" / "concert" / "concert.sqlite")
