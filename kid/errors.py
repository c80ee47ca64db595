"""Errors that end a run. Each is printed once, on one line: what is wrong, where, and what to do."""

from __future__ import annotations

import argparse
import atexit
import difflib
import gc
import itertools
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from kid.terminal import escape_output, printable

# How long a rank other than 0 waits before it prints an error. If rank 0 has the same error, it prints it and exits,
# and the launcher ends the other ranks within a second or two. A rank that is still alive has a different error.
OTHER_RANKS_WAIT_SECONDS = 10
STOPPED_STATUS = 75  # "try again later" (EX_TEMPFAIL): stopped cleanly and can be resumed
INTERRUPTED_STATUS = 130  # what a shell reports after Ctrl-C
CALLER = "KID_CALLER"  # environment variable: the script that started this one; it reports what Ctrl-C leaves
# Messages of torch's backends when another rank has ended; they raise several kinds of RuntimeError.
LOST_PEER_MESSAGES = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


SHOWN_NAMES = 5  # in a message that could list hundreds
REQUIRED = " (required)"  # at the end of a flag's help

# What a flag may start with: hyphens, or the dashes that word processors replace them by.
DASHES = "-\u2010-\u2015\u2212"


def first_of(names: Collection[str]) -> str:
    """List the first SHOWN_NAMES names and the number of all, for a message."""
    shown = ", ".join(list(names)[:SHOWN_NAMES])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN_NAMES else shown


def script_name() -> str:
    """Return the running script with its folder, for example "train/distill.py"."""
    return "/".join(Path(sys.argv[0]).parts[-2:])


class InputError(ValueError):
    """The user's input is wrong. The message is one line: what is wrong, where, and what to do."""


class RunError(RuntimeError):
    """A run cannot continue although the user's input is right: a full disk, a loss of NaN. The message is one line."""


class StoppedError(Exception):
    """A run has stopped on request; the code that raises this has already printed the reason."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that raises a one-line InputError for a wrong flag and suggests the flag that was meant.

    Its help marks the flags that are required.

    foreign: flags of other scripts that this one does not have.
    given: the words of the command line.
    """

    foreign: Collection[str] = ()
    given: Collection[str] = ()

    def format_help(self) -> str:
        for action in self._actions:
            if action.required and action.option_strings and not (action.help or "").endswith(REQUIRED):
                action.help = f"{action.help or ''}{REQUIRED}"
        return super().format_help()

    def parse_known_args(self, args=None, namespace=None):
        self.given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> None:
        hints = {flag: self.hint(flag) for flag in self.unknown_flags()}
        found = [hint if len(hints) == 1 else f"{flag}: {hint}" for flag, hint in hints.items() if hint]
        raise InputError(f"{message}; see --help" + (f" ({'; '.join(found)})" if found else ""))

    def flags(self) -> list[str]:
        """Return the flags shown in this parser's help."""
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        return [flag for action in shown for flag in action.option_strings]

    def unknown_flags(self) -> list[str]:
        """Return the given words that look like flags but are not known, without their values, in order."""
        known = [flag for action in self._actions for flag in action.option_strings]
        names = [word.partition("=")[0] for word in itertools.takewhile(lambda word: word != "--", self.given)]
        return [
            name
            for name in dict.fromkeys(names)
            if re.match(rf"[{DASHES}]+[^\W\d]", name)
            and " " not in name
            and name not in known
            and not (self.allow_abbrev and any(flag.startswith(name) for flag in known))
        ]

    def hint(self, given: str) -> str:
        """Suggest the flag that was meant, or say that it belongs to another script; empty if no flag is similar."""
        name = "--" + given.lstrip(DASHES).replace("_", "-").lower()
        flags = self.flags()
        longer = [flag for flag in flags if flag.startswith(name)]
        if name not in flags and name in self.foreign:
            return f"{name} is not a flag of {script_name()}; remove it"
        near = [name] if name in flags else longer or difflib.get_close_matches(name, flags, n=1, cutoff=0.75)
        return f"did you mean {' or '.join(near)}?" if 0 < len(near) <= 3 else ""


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Turn the error of any library that writes to a full or failing disk into one line.

    Raises:
        RunError: `path` cannot be written.
    """
    try:
        yield
    except Exception as error:
        reason = write_error_reason(error)
        if reason is None:
            raise
        what_to_do = "fix that and run the command again, for a training with --resume"
        raise RunError(f"{path} cannot be written ({reason}); {what_to_do}") from error


def write_error_reason(error: Exception) -> str | None:
    """Return the operating system's message for a failed write; None for any other error."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    errno_match = re.search(r"os error (\d+)", str(error))  # safetensors
    if errno_match:
        return os.strerror(int(errno_match[1]))
    # torch's archive writer reports no reason; it usually is a full disk.
    return "is the disk full?" if re.search("unexpected pos|file write failed|iostream error", str(error)) else None


def is_lost_peer_error(error: Exception) -> bool:
    """Whether a rank failed because another rank had ended."""
    return isinstance(error, RuntimeError) and any(message in str(error) for message in LOST_PEER_MESSAGES)


def print_error(message: str) -> None:
    """Print an error as one line on stderr; other ranks first give rank 0 time to print the same error and exit."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:
        time.sleep(OTHER_RANKS_WAIT_SECONDS)
    start = f"\nerror (rank {rank})" if rank else "error"  # rank 0's progress bar may be on the current line
    print(f"{start}: {' '.join(printable(message).split())}", file=sys.stderr, flush=True)


def exit_process(status: int, run_exit_hooks: bool = True) -> NoReturn:
    """End a rank's process without the interpreter's shutdown, during which threads of libraries sometimes abort.

    run_exit_hooks: run atexit's functions first, which leave the process group together with the other ranks; without
        them the process ends immediately and does not wait for other ranks.
    """
    if run_exit_hooks:
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def exit_interrupted(kept: str) -> NoReturn:
    """End the process after Ctrl-C with one line; under the launcher rank 0 prints it.

    The process ends immediately: the interpreter's shutdown would wait for threads and workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal and the launcher may each send one
    if os.environ.get("RANK", "0") == "0" and CALLER not in os.environ:
        print(f"\ninterrupted: {kept}", file=sys.stderr, flush=True)
    exit_process(INTERRUPTED_STATUS, run_exit_hooks=False)


def run_script(main: Callable[[], None], kept: str = "nothing was written") -> None:
    """Run a script's `main` and turn its errors into one line on stderr and an exit status.

    Control characters in its output, errors and tracebacks are escaped (`kid.terminal`). Status 2: the user's input is
    wrong. 1: the run cannot continue. 75: it was stopped and can be resumed. 130: it was interrupted by Ctrl-C. Under
    the DeepSpeed launcher only rank 0 prints errors, unless another rank has a different error.

    kept: what Ctrl-C leaves of the script's work, and how to continue.
    """
    escape_output()
    status, is_rank = 0, "RANK" in os.environ
    try:
        main()
    except InputError as error:
        print_error(str(error))
        status = 2
    except StoppedError:
        status = STOPPED_STATUS
    except KeyboardInterrupt:
        exit_interrupted(kept)
    except Exception as error:
        if isinstance(error, RunError):
            print_error(str(error))
        elif not is_rank:
            raise
        elif is_lost_peer_error(error):
            # So that the other rank's error is the last line: usually the launcher ends this rank before it prints.
            time.sleep(OTHER_RANKS_WAIT_SECONDS)
            print_error(f"another rank has ended; look for its error above ({error})")
        else:
            traceback.print_exc()
        exit_process(1, run_exit_hooks=False)
    if is_rank:
        exit_process(status)
    gc.freeze()  # the shutdown's search for garbage takes a second or more once torch and transformers are imported
    if status:
        sys.exit(status)
