"""One job at a time in a run's directory, however the one before has ended."""

import json
import os
import subprocess
import sys

import pytest
from helpers.launcher import ROOT

from kid.errors import InputError
from kid.run.lock import run_lock

HOLD = (
    "import sys; from pathlib import Path; from kid.run.lock import run_lock\nwith run_lock(Path(sys.argv[1])):\n    "
)


@pytest.fixture
def holder(tmp_path):
    """Another process that has a folder, `tmp_path / "run"`, until it is killed."""
    command = [sys.executable, "-c", HOLD + "print('held', flush=True); sys.stdin.read()", tmp_path / "run"]
    environment = {**os.environ, "SLURM_JOB_ID": "41"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_job_is_refused_and_told_whose_it_is(holder, tmp_path):
    with pytest.raises(
        InputError, match=rf"in use by another job \(SLURM job 41, process {holder.pid} on \S+, since 20"
    ):
        run_lock(tmp_path / "run").__enter__()
    assert holder.poll() is None


def test_what_a_killed_job_has_left_is_taken_over_and_said(holder, tmp_path, capsys):
    holder.kill()
    holder.wait()
    with run_lock(tmp_path / "run"):
        assert f"taken over from a dead job (SLURM job 41, process {holder.pid} on" in capsys.readouterr().out
        assert json.loads((tmp_path / "run" / "owner.json").read_text())["pid"] == os.getpid()


def test_a_job_that_ends_leaves_nothing_to_take_over(tmp_path, capsys):
    with run_lock(tmp_path / "run"):
        (tmp_path / "run" / "config.yaml").touch()
    with run_lock(tmp_path / "run"):
        pass
    assert capsys.readouterr().out == "" and not (tmp_path / "run" / "owner.json").exists()
    assert (tmp_path / "run" / "config.yaml").exists()


def test_a_folder_made_for_a_job_that_writes_nothing_goes_with_it(tmp_path):
    with pytest.raises(RuntimeError, match="refused"), run_lock(tmp_path / "runs" / "run"):
        raise RuntimeError("refused")
    assert not (tmp_path / "runs" / "run").exists()


def test_an_owner_of_which_something_is_missing_and_a_path_that_is_no_folder(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for owner in ('{"pid": ', '{"pid": 1}'):
        (tmp_path / "run" / "owner.json").write_text(owner)
        with run_lock(tmp_path / "run"):
            assert "dead job (a process that is just starting or ending)" in capsys.readouterr().out
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder that you can write to; choose another"):
        run_lock(tmp_path / "file" / "run").__enter__()
