"""What ends a run is said once, in one line, with an exit status that tells what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.launcher import ROOT
from safetensors import SafetensorError

from kid.errors import (
    CALLER,
    INTERRUPTED_STATUS,
    InputError,
    OneLineParser,
    RunError,
    is_lost_peer_error,
    report_write_errors,
    write_error_reason,
)


def script(raises: str, **environment: str) -> subprocess.CompletedProcess:
    """A script that raises, as it ends."""
    code = f"from kid.errors import *\ndef main(): raise {raises}\nrun_script(main)"
    clean = {name: value for name, value in os.environ.items() if name != "RANK"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("raises", "status", "said"),
    [
        ("InputError('no\\nfolder')", 2, "error: no folder\n"),
        ("RunError('full')", 1, "error: full\n"),
        ("StoppedError", 75, ""),
        ("KeyboardInterrupt", 130, "\ninterrupted: nothing was written\n"),
    ],
)
def test_the_status_tells_what_to_do(raises, status, said):
    for environment in ({}, {"RANK": "0"}):
        done = script(raises, **environment)
        assert (done.returncode, done.stderr) == (status, said)


def test_a_rank_leaves_the_others_when_it_ends_but_not_when_they_may_wait():
    """What leaves them is registered with atexit; its own interpreter's end is left out."""
    leaves = "(__import__('atexit').register(print, 'left'), {})[1]"
    for raises, status in (("InputError('x')", 2), ("StoppedError()", 75), ("SystemExit(0)", 0)):
        assert script(leaves.format(raises), RANK="0").stdout == "left\n", (raises, status)
    for raises in ("RunError('x')", "KeyError('x')"):
        assert script(leaves.format(raises), RANK="0").stdout == ""


def test_after_ctrl_c_one_process_speaks():
    """Rank 0 of several, and a script that others start leaves it to its caller."""
    assert script("KeyboardInterrupt", RANK="0").stderr == "\ninterrupted: nothing was written\n"
    for quiet in ({"RANK": "1"}, {CALLER: "eval/evaluate.py"}):
        done = script("KeyboardInterrupt", **quiet)
        assert (done.returncode, done.stderr) == (INTERRUPTED_STATUS, "")


def test_ctrl_c_does_not_wait_for_threads_that_work():
    code = """
import threading, time
from kid.errors import run_script

def main():
    threading.Thread(target=time.sleep, args=(60,)).start()
    raise KeyboardInterrupt

run_script(main, kept="all that is finished is kept")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (130, "\ninterrupted: all that is finished is kept\n")


def test_anything_else_keeps_its_traceback():
    for environment in ({}, {"RANK": "0"}, {"RANK": "1"}):
        done = script("KeyError('k')", **environment)
        assert done.returncode == 1 and done.stderr.startswith("Traceback") and done.stderr.endswith("KeyError: 'k'\n")


def test_the_operating_systems_words_are_kept(tmp_path):
    said = (
        r"run/x cannot be written \(No space left on device\); fix that and run the command again, for a training with"
    )
    with pytest.raises(RunError, match=said), report_write_errors("run/x"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(KeyError), report_write_errors("run/x"):
        raise KeyError


def test_what_libraries_raise_on_a_full_disk_is_known():
    """/dev/full is a disk without room; safetensors would put its file in the device's place."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("this system has no /dev/full")
    for write in (
        lambda: torch.save(torch.zeros(5000), "/dev/full"),
        lambda: torch.save(torch.zeros(1), "/dev/full"),
        lambda: Path("/dev/full").write_text("a" * 10000),
    ):
        with pytest.raises((RuntimeError, OSError)) as caught:
            write()
        assert write_error_reason(caught.value) in ("No space left on device", "is the disk full?"), caught.value
    of_safetensors = "Error while serializing: I/O error: No space left on device (os error 28)"
    assert write_error_reason(SafetensorError(of_safetensors)) == "No space left on device"
    assert write_error_reason(ValueError("a value")) is None


def test_a_peer_that_is_gone_is_told_from_an_error_of_ones_own():
    assert is_lost_peer_error(RuntimeError("[gloo/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1"))
    assert not is_lost_peer_error(RuntimeError("shape mismatch")) and not is_lost_peer_error(ValueError("Broken pipe"))


def parser(**options) -> OneLineParser:
    parser = OneLineParser(**options)
    for flag in ("--mask-ratio", "--mask-token", "--lr", "--batch-size", "-n"):
        parser.add_argument(flag)
    parser.add_argument("-r", "--required", required=True)
    parser.foreign = {"--teacher-outputs", "--mask-strategy"}
    return parser


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-r r --mask_ratio 1", "unrecognized arguments: --mask_ratio 1; see --help (did you mean --mask-ratio?)"),
        ("-r r --mask_ratio=0.3", "(did you mean --mask-ratio?)"),
        ("-r r --Mask-Ratio 0.3", "(did you mean --mask-ratio?)"),
        ("-r r \u2014mask-ratio 0.3", "(did you mean --mask-ratio?)"),
        ("-r r \u2013\u2013lr 0.3", "(did you mean --lr?)"),
        ("-r r -mask-ratio 0.3", "(did you mean --mask-ratio?)"),
        ("-r r --batch_sise 3", "(did you mean --batch-size?)"),
        ("-r r --mask 3", "(did you mean --mask-ratio or --mask-token?)"),
        ("-r r --batch_size --learn --lrr", "(--batch_size: did you mean --batch-size?; --lrr: did you mean --lr?)"),
        ("--requird r", "the following arguments are required: -r/--required; see --help (did you mean --required?)"),
        ("-r r --teacher_outputs f", "(--teacher-outputs is not a flag of train/some.py; remove it)"),
        ("-r r --nothing-like-it x", "unrecognized arguments: --nothing-like-it x; see --help"),
        ("-r r --lr", "argument --lr: expected one argument; see --help"),
    ],
)  # fmt: skip
def test_a_wrong_flag_is_answered_by_the_one_that_was_meant(words, said, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/project/train/some.py"])
    with pytest.raises(InputError) as caught:
        parser(allow_abbrev=False).parse_args(words.split())
    assert str(caught.value) == said or str(caught.value).endswith(f"; see --help {said}")


def test_what_argparse_takes_is_not_called_wrong():
    """Abbreviations, negative numbers, values with their flag in one word."""
    with pytest.raises(InputError, match=r"^unrecognized arguments: x; see --help$"):
        parser().parse_args(["--required", "r", "--batch", "3", "--lr", "-1", "-n5", "--mask-token=--lr", "x"])
