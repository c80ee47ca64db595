"""How long sequences may be: position embeddings, and attention windows that no sequence of a run reaches.

A layer whose window is not reached attends to everything before.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import PreTrainedConfig, PreTrainedModel

from kid.errors import InputError
from kid.models.dropout import mappings_of

if TYPE_CHECKING:
    from peft import PeftModel

NAME = "sliding_window"
# Added to a window that is open, so that the checkpoint's own value is still known.
OPEN = 2**20


def settings_with_window(model: PreTrainedModel | PeftModel) -> Iterator[MutableMapping[str, Any]]:
    """Yield the attribute dictionaries, of the configuration and of modules, that have a window."""
    for values in (*mappings_of(model.config), *map(vars, model.modules())):
        if isinstance(values.get(NAME), int):
            yield values


def open_windows(model: PreTrainedModel, longest: int) -> None:
    """Open the windows that sequences of at most `longest` tokens fit in, and restore the others, in place.

    A window counts columns, so padding between a prompt's parts would use it up. An open window cuts nothing, which
    lets the model use a prefix cache.

    Args:
        longest: the largest number of tokens of a prompt and its output together.
    """
    for values in settings_with_window(model):
        own = values[NAME] % OPEN
        values[NAME] = own + OPEN if longest <= own else own


def check_positions(name: str, config: PreTrainedConfig, prompt: int, output: int, at_most: str = "") -> None:
    """Raise InputError if a prompt with its output is longer than the model's position embeddings reach.

    A model that stores its positions (GPT-2, CodeGen) would fail at that question, perhaps after hours; rotary
    positions that pretraining never saw give poor outputs.

    Args:
        name: the model's flag and value, for the message.
        prompt, output: the numbers of tokens that are longest together.
        at_most: "up to " if the output is still to be decoded.
    """
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not positions or prompt + output <= positions:
        return
    room = positions - output
    cure = f"--max-prompt-length {room}" if room > 0 else "lower --max-prompt-length and --max-completion-length"
    raise InputError(
        f"{name} reads at most {positions} tokens (max_position_embeddings in its config.json), but a prompt of "
        f"{prompt} tokens has an output of {at_most}{output}; give {cure}, or another model"
    )


@contextmanager
def own_windows(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Restore all windows for as long as the model's configuration is saved."""
    before = [(values, values[NAME]) for values in settings_with_window(model)]
    for values, window in before:
        values[NAME] = window % OPEN
    try:
        yield
    finally:
        for values, window in before:
            values[NAME] = window


def is_open(layer: object) -> bool:
    """Whether a layer of a cache has an open window."""
    return getattr(layer, NAME, 0) > OPEN


def closed_window(config: PreTrainedConfig) -> int | None:
    """The first window of a configuration that is not open; None if there is none."""
    windows = (values.get(NAME) for values in mappings_of(config))
    return next((window for window in windows if isinstance(window, int) and window < OPEN), None)
