"""A small benchmark, and a suite made of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers.suite_folders import add_database, make


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """A JSONL benchmark with one database, zoo."""
    add_database(tmp_path / "data", "zoo")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    add_database(folder / "data", "zoo")
    make(folder / "data", folder / "suite")
    return folder / "suite"


@pytest.fixture
def made(template, tmp_path) -> Path:
    """A finished suite."""
    return shutil.copytree(template, tmp_path / "suite")
