"""A small benchmark whose files the tests may spoil."""

import pytest
from helpers.small_benchmark import write_small_benchmark

from kid.models.pretrained import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tiny_models):
    return load_tokenizer(tiny_models / "student", "--student")


@pytest.fixture
def folder(minibench, tmp_path):
    """A small benchmark of 2 databases and 6 questions, to be spoilt."""
    return write_small_benchmark(minibench, tmp_path / "data")
