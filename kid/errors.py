"""What ends a run before its end, in one line that says what, where and what to do, said once."""

from __future__ import annotations

import argparse
import atexit
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# How long a rank other than 0 waits before it speaks. Rank 0 meets the same error, prints it once and ends; the
# launcher then ends the others within a second or two. Whoever is still alive after that met an error of its own.
OTHER_RANKS_WAIT_SECONDS = 10
STOPPED_STATUS = 75  # "try again later" (EX_TEMPFAIL): stopped in good order, to be gone on with
# How torch's backends say that another rank does not answer; they raise several kinds of RuntimeError.
PEER_IS_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, where, and what to do."""


class RunError(RuntimeError):
    """A run cannot go on, and nothing the user gave is wrong: a disk is full, a loss is NaN. One line, as above."""


class StoppedError(Exception):
    """A run was asked to stop and has done so; whoever raises it has said so already."""


class OneLineParser(argparse.ArgumentParser):
    """Complains about a flag as everything else here does: in one line."""

    def error(self, message: str) -> None:
        raise InputError(f"{message}; see --help")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what a writer of any library raises on a full or failing disk into one line.

    Raises:
        RunError: `path` cannot be written.
    """
    try:
        yield
    except Exception as error:
        reason = why_not_written(error)
        if reason is None:
            raise
        what_to_do = "mend that and run it again, a training with --resume"
        raise RunError(f"{path} cannot be written ({reason}); {what_to_do}") from error


def why_not_written(error: Exception) -> str | None:
    """The operating system's words for what befell a writer; None for an error of another kind."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    number = re.search(r"os error (\d+)", str(error))  # safetensors
    if number:
        return os.strerror(int(number[1]))
    # torch's writer of archives tells neither; there is but one usual reason.
    return "is the disk full?" if re.search("unexpected pos|file write failed|iostream error", str(error)) else None


def peer_is_gone(error: Exception) -> bool:
    """Whether a rank failed because another one did."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in PEER_IS_GONE)


def say(message: str) -> None:
    """Print one line; a rank other than 0 waits for rank 0 to say the same."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:
        time.sleep(OTHER_RANKS_WAIT_SECONDS)
    start = f"\nerror (rank {rank})" if rank else "error"  # the first rank's bar may stand in the line
    print(f"{start}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def end(status: int, together: bool = True) -> None:
    """End a rank's process without the interpreter's own end, in which threads of libraries abort now and then.

    together: leave the other ranks first, who do the same; without it nobody is waited for.
    """
    if together:
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; its errors become one line on stderr and an exit status.

    Status 2: something given is wrong. 1: the run cannot go on. 75: it was stopped, and can be gone on with. Under the
    DeepSpeed launcher only rank 0 speaks, except for a rank that has met an error of its own.
    """
    status, is_rank = 0, "RANK" in os.environ
    try:
        main()
    except InputError as error:
        say(str(error))
        status = 2
    except StoppedError:
        status = STOPPED_STATUS
    except Exception as error:
        if isinstance(error, RunError):
            say(str(error))
        elif not is_rank:
            raise
        elif peer_is_gone(error):
            # The other's own error stays the last thing said: the launcher ends this rank before it speaks.
            time.sleep(OTHER_RANKS_WAIT_SECONDS)
            say(f"another rank has ended; look for its error above ({error})")
        else:
            traceback.print_exc()
        end(1, together=False)
    if is_rank:
        end(status)
    if status:
        sys.exit(status)
