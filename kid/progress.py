"""What long runs say: lines of the main process, and progress bars, on a terminal or in a log file."""

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


# Of what each rank knows, for people; what only one rank finds out is printed by that rank.
log = logging.getLogger("kid")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(MainProcessHandler())


def progress_bar(
    description: str, unit: str, total: int, done: int = 0, quiet: bool = False, leave: bool = True
) -> tqdm:
    """A bar with the time left, redrawn ten times a second on a terminal, every ten seconds in a log file.

    leave: whether it stays on the terminal when it is done.
    """
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        desc=description, unit=unit, total=total, initial=done, disable=quiet, mininterval=interval, leave=leave
    )


def silence_libraries() -> None:
    """Silence what the libraries print on every rank, except warnings that a user can act on."""
    import transformers  # here, because every process that prepares data imports this module for the bar

    warnings.filterwarnings("ignore", category=FutureWarning)
    transformers.utils.logging.disable_progress_bar()
