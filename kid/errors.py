"""Errors that end a run. Each is printed once, as one line that says what is wrong, where, and what to do."""

from __future__ import annotations

import argparse
import atexit
import difflib
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
# and the launcher ends the other ranks within a second or two. A rank still alive after that has an error of its own.
OTHER_RANKS_WAIT_SECONDS = 10
STOPPED_STATUS = 75  # "try again later" (EX_TEMPFAIL): stopped cleanly and can be resumed
INTERRUPTED_STATUS = 130  # what a shell reports after Ctrl-C
CALLER = "KID_CALLER"  # environment variable: the script that has started this one, and says what Ctrl-C leaves
# What torch's backends report when another rank no longer answers; they raise several kinds of RuntimeError.
LOST_PEER_MESSAGES = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")


SHOWN_NAMES = 5  # in a message that could name hundreds
REQUIRED = " (required)"  # at the end of a flag's help

# A flag's first characters: hyphens, or what word processors make of them.
DASHES = "-\u2010-\u2015\u2212"


def first_of(names: Collection[str]) -> str:
    """The first SHOWN_NAMES of many names, and how many there are, for a message."""
    shown = ", ".join(list(names)[:SHOWN_NAMES])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN_NAMES else shown


def script_name() -> str:
    """The script that runs, with its folder: "train/distill.py"."""
    return "/".join(Path(sys.argv[0]).parts[-2:])


class InputError(ValueError):
    """The user's input is wrong. The message is one line: what is wrong, where, and what to do."""


class RunError(RuntimeError):
    """A run cannot continue although the user's input is right: a disk is full, a loss is NaN. One line, as above."""


class StoppedError(Exception):
    """A run was asked to stop and has stopped; the code that raises this has already printed why."""


class OneLineParser(argparse.ArgumentParser):
    """An ArgumentParser that raises a wrong flag as a one-line InputError, with the flag that was probably meant.

    Its help marks the flags that are required.

    foreign: flags of other scripts, which do not belong to this one.
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
        """The flags that this parser's help names."""
        shown = (action for action in self._actions if action.help != argparse.SUPPRESS)
        return [flag for action in shown for flag in action.option_strings]

    def unknown_flags(self) -> list[str]:
        """What was given as a flag and is none, without its value, in the order given."""
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
        """Which flag was probably meant, or that it belongs to another script; empty if it is like none."""
        name = "--" + given.lstrip(DASHES).replace("_", "-").lower()
        flags = self.flags()
        longer = [flag for flag in flags if flag.startswith(name)]
        if name not in flags and name in self.foreign:
            return f"{name} does not belong to {script_name()}; leave it out"
        near = [name] if name in flags else longer or difflib.get_close_matches(name, flags, n=1, cutoff=0.75)
        return f"did you mean {' or '.join(near)}?" if 0 < len(near) <= 3 else ""


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Turn what any library raises when it writes to a full or failing disk into one line.

    Raises:
        RunError: `path` cannot be written.
    """
    try:
        yield
    except Exception as error:
        reason = write_error_reason(error)
        if reason is None:
            raise
        what_to_do = "mend that and run it again, a training with --resume"
        raise RunError(f"{path} cannot be written ({reason}); {what_to_do}") from error


def write_error_reason(error: Exception) -> str | None:
    """The operating system's message for a failed write; None for an error of another kind."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    errno_match = re.search(r"os error (\d+)", str(error))  # safetensors
    if errno_match:
        return os.strerror(int(errno_match[1]))
    # torch's archive writer reports neither; a full disk is the usual reason.
    return "is the disk full?" if re.search("unexpected pos|file write failed|iostream error", str(error)) else None


def is_lost_peer_error(error: Exception) -> bool:
    """Whether a rank failed because another rank had ended."""
    return isinstance(error, RuntimeError) and any(message in str(error) for message in LOST_PEER_MESSAGES)


def print_error(message: str) -> None:
    """Print one line on stderr; a rank other than 0 first gives rank 0 the time to print the same error and exit."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:
        time.sleep(OTHER_RANKS_WAIT_SECONDS)
    start = f"\nerror (rank {rank})" if rank else "error"  # rank 0's progress bar may be on the current line
    print(f"{start}: {' '.join(printable(message).split())}", file=sys.stderr, flush=True)


def exit_process(status: int, run_exit_hooks: bool = True) -> NoReturn:
    """End a rank's process without the interpreter's own shutdown, in which threads of libraries sometimes abort.

    run_exit_hooks: run atexit's functions first, which leave the process group together with the other ranks; without
        them the process ends at once and waits for no other rank.
    """
    if run_exit_hooks:
        atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def exit_interrupted(kept: str) -> NoReturn:
    """End the process after Ctrl-C with one line; under the launcher rank 0 prints it.

    The process ends at once: the interpreter's own shutdown would wait for threads and workers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's and the launcher's may both arrive
    if os.environ.get("RANK", "0") == "0" and CALLER not in os.environ:
        print(f"\ninterrupted: {kept}", file=sys.stderr, flush=True)
    exit_process(INTERRUPTED_STATUS, run_exit_hooks=False)


def run_script(main: Callable[[], None], kept: str = "nothing was written") -> None:
    """Run a script's `main` and turn its errors into one line on stderr and an exit status.

    What it prints is escaped where it could act on a terminal (`kid.terminal`), its errors and tracebacks too.
    Status 2: the user's input is wrong. 1: the run cannot continue. 75: it was stopped and can be resumed. 130: it was
    interrupted by Ctrl-C. Under the DeepSpeed launcher only rank 0 prints errors, except for a rank that has an error
    of its own.

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
            # Keep the other rank's error as the last line: the launcher usually ends this rank before it prints.
            time.sleep(OTHER_RANKS_WAIT_SECONDS)
            print_error(f"another rank has ended; look for its error above ({error})")
        else:
            traceback.print_exc()
        exit_process(1, run_exit_hooks=False)
    if is_rank:
        exit_process(status)
    if status:
        sys.exit(status)
