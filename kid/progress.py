"""What a long run says on a terminal, or in a log file."""

from __future__ import annotations

import sys
import warnings

from tqdm import tqdm


def progress_bar(description: str, unit: str, total: int, done: int = 0, quiet: bool = False) -> tqdm:
    """A bar with an estimate, redrawn ten times a second on a terminal, every ten seconds in a log file."""
    pace = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(desc=description, unit=unit, total=total, initial=done, disable=quiet, mininterval=pace)


def keep_quiet() -> None:
    """Of what the libraries print on every rank, leave the warnings a user can act on."""
    import transformers  # not for the bar, which every process that prepares data imports

    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.disable_progress_bar()
