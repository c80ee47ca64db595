"""Which checkpoint a run goes on from: the newest that is whole and its own; each thing that can be wrong is named."""

import json
import shutil
import subprocess
import sys

import pytest
from helpers.launcher import ROOT

from kid.errors import InputError
from kid.run.checkpoint import (
    MANIFEST,
    convert_checkpoint,
    file_digest,
    files_written_by,
    find_checkpoint,
    list_checkpoints,
    newest_checkpoint,
    remove_old_checkpoints,
    remove_partial,
    verify_checkpoint,
)

IDENTITY = {"config": "c", "student": "s", "teacher": "t"}
STATES = "zero_pp_rank_1_mp_rank_00_optim_states.pt"


def write_checkpoint(run, step: int, name: str = "step-{}"):
    folder = run / "checkpoints" / name.format(step)
    folder.mkdir(parents=True)
    for file in (STATES, "zero_pp_rank_0_mp_rank_00_model_states.pt"):
        (folder / file).write_bytes(bytes(1000 + step))
    files = {path.name: file_digest(path) for path in folder.iterdir()}
    manifest = {"step": step, "world_size": 2, "identity": IDENTITY, "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def run(tmp_path):
    """With three checkpoints, and what a killed run had begun to write."""
    for step in (20, 100, 3):
        write_checkpoint(tmp_path, step)
    write_checkpoint(tmp_path, 200, "step-{}.partial")
    return tmp_path


def test_the_newest_by_number(run):
    assert newest_checkpoint(run).name == "step-100"
    found = find_checkpoint(run, IDENTITY)
    assert (found.checkpoint, found.world_size, found.remarks) == (run / "checkpoints" / "step-100", 2, [])
    remove_partial(run)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-100", "step-20", "step-3"]


def test_none_at_all(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    found = find_checkpoint(tmp_path, IDENTITY)
    assert (found.checkpoint, found.remarks) == (None, [])


def cut(folder):
    (folder / STATES).write_bytes(bytes(1000))


def flip(folder):
    (folder / STATES).write_bytes(bytes(1099) + b"\1")


def lose(folder):
    (folder / STATES).unlink()


def lose_manifest(folder):
    (folder / MANIFEST).unlink()


def tear_manifest(folder):
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:-5])


def of_another_tool(folder):
    (folder / MANIFEST).write_text('["step"]')


def of_another_run(folder):
    other = json.loads((folder / MANIFEST).read_text())
    other["identity"] |= {"teacher": "u", "config": "d"}
    (folder / MANIFEST).write_text(json.dumps(other))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, f"{STATES} has 1000 bytes instead of 1100"),
        (flip, f"{STATES} is not what was written"),
        (lose, f"{STATES} is missing"),
        (lose_manifest, "its complete.json cannot be used"),
        (tear_manifest, "its complete.json cannot be used"),
        (of_another_tool, "its complete.json cannot be used"),
        (of_another_run, "it belongs to a run with another config and another teacher"),
    ],
)
def test_one_that_cannot_be_used_is_passed_over(run, spoil, said):
    newest = run / "checkpoints" / "step-100"
    spoil(newest)
    assert verify_checkpoint(newest, IDENTITY)[0].startswith(said)
    found = find_checkpoint(run, IDENTITY)
    assert found.checkpoint.name == "step-20"
    (remark,) = found.remarks
    assert remark.startswith(f"{newest} is passed over: {said}")


def test_where_none_can_be_used_nothing_is_begun_anew(run):
    for folder in (run / "checkpoints").glob("step-*"):
        cut(folder)
    with pytest.raises(
        InputError, match=r"no checkpoint in .* can be used \(.*step-100 is passed over.*step-3 is .*remove"
    ):
        find_checkpoint(run, IDENTITY)


def test_each_file_is_looked_after_by_the_rank_that_wrote_it(run):
    folder = run / "checkpoints" / "step-3"
    (folder / "mp_rank_00_model_states.pt").touch()
    (folder / "bf16_zero_pp_rank_12_mp_rank_00_optim_states.pt").touch()
    names = [[path.name for path in files_written_by(folder, rank)] for rank in range(13)]
    assert names[0] == [MANIFEST, "mp_rank_00_model_states.pt", "zero_pp_rank_0_mp_rank_00_model_states.pt"]
    assert names[1] == [STATES] and names[12] == ["bf16_zero_pp_rank_12_mp_rank_00_optim_states.pt"]
    assert not any(names[2:12])


def test_what_deepspeed_cannot_convert_is_refused_with_the_number_of_ranks_to_launch(run):
    folder = run / "checkpoints" / "step-3"
    shutil.copy(folder / STATES, folder / "mp_rank_00_model_states.pt")
    with pytest.raises(InputError, match=r"step-3 was written by 2 ranks, and DeepSpeed cannot .*; launch 2 again"):
        convert_checkpoint(folder, 2)


def test_a_kill_at_any_moment_of_saving_leaves_whole_checkpoints_only(tmp_path):
    """Before each of its operations on files in turn; and the next run goes on as if nothing had been."""
    command = [sys.executable, ROOT / "tests" / "helpers" / "killed_saves.py", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    tries = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(tries) > 20 and [line["ended"] for line in tries] == [-9] * (len(tries) - 1) + [0]
    for line in tries:
        assert not any(line["found"].values()) and "step-2" in line["found"], line
        assert line["again"] == 0 and line["left"] == ["latest", "step-3", "step-4"]
    assert {"step-3" in line["found"] for line in tries} == {False, True}


def test_what_was_passed_over_goes_before_anything_good(run):
    """Resumed at 20, the run has saved 30: the newest two of what it stands on stay, not what lies ahead of it."""
    write_checkpoint(run, 30)
    remove_old_checkpoints(run, 30)
    assert [path.name for path in list_checkpoints(run)] == ["step-20", "step-30"]
