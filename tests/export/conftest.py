"""A tokenizer, and a base model to train and export."""

from pathlib import Path

import pytest
from helpers.exports import BASE_CARD

from kid.export.card import EXAMPLE_PROMPT
from kid.minibench.tiny_models import train_tokenizer, write_tiny_model


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([EXAMPLE_PROMPT, "select count(*) from singer where country = 'France'"] * 3, 400)


@pytest.fixture
def base(tokenizer, tmp_path) -> Path:
    """A model with tied embeddings, a chat template and a card."""
    folder = tmp_path / "base"
    write_tiny_model(folder, tokenizer, hidden=32, layers=2, heads=2, seed=0)
    (folder / "README.md").write_text(BASE_CARD)
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    return folder
