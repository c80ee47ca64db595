"""Log lines of the main process, and progress bars, for a terminal or a log file."""

from __future__ import annotations

import logging
import os
import sys
import warnings

from tqdm import tqdm


class MainProcessHandler(logging.Handler):
    """Prints what rank 0 logs: warnings to stderr, the rest to stdout."""

    def __init__(self):
        super().__init__()
        self.addFilter(lambda record: os.environ.get("RANK", "0") == "0")

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout, flush=True)


# For messages that every rank could print. What only one rank notices is printed by that rank.
log = logging.getLogger("kid")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(MainProcessHandler())


def progress_bar(
    description: str, unit: str, total: int, done: int = 0, quiet: bool = False, leave: bool = True
) -> tqdm:
    """Create a progress bar with the remaining time; redrawn every 0.1 s on a terminal, every 10 s in a log file.

    leave: whether the bar stays on the terminal when it is complete.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        desc=description, unit=unit, total=total, initial=done, disable=quiet, mininterval=interval, leave=leave
    )


def silence_libraries() -> None:
    """Turn off the output that libraries print on every rank, except warnings that a user can act on."""
    import transformers  # here, because every process that prepares data imports this module for its progress bar

    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.disable_progress_bar()
