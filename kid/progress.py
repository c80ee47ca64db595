"""Progress output of long runs, on a terminal or in a log file."""

from __future__ import annotations

import sys
import warnings

from tqdm import tqdm


def progress_bar(description: str, unit: str, total: int, done: int = 0, quiet: bool = False) -> tqdm:
    """A bar with the time left, redrawn ten times a second on a terminal, every ten seconds in a log file."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(desc=description, unit=unit, total=total, initial=done, disable=quiet, mininterval=interval)


def silence_libraries() -> None:
    """Silence what the libraries print on every rank, except warnings that a user can act on."""
    import transformers  # here, because every process that prepares data imports this module for the bar

    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.disable_progress_bar()
