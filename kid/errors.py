"""Bad input: one line that says what, where and what to do."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

# How long a rank other than 0 waits before it speaks. Rank 0 meets the same error, prints it once and ends; the
# launcher then ends the others within a second or two. Whoever is still alive after that met an error of its own.
OTHER_RANKS_WAIT_SECONDS = 10


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, where, and what to do."""


class OneLineParser(argparse.ArgumentParser):
    """Complains about a flag as everything else here does: in one line."""

    def error(self, message: str) -> None:
        raise InputError(f"{message}; see --help")


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; turn `InputError` into one line on stderr and exit status 2.

    Under the DeepSpeed launcher only rank 0 prints.
    """
    try:
        main()
    except InputError as error:
        rank = int(os.environ.get("RANK", "0"))
        if rank:
            time.sleep(OTHER_RANKS_WAIT_SECONDS)
        where = f" (rank {rank})" if rank else ""
        print(f"error{where}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        sys.exit(2)
