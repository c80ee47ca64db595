"""Which checkpoint a run goes on from: the newest that is whole and its own; each thing that can be wrong is named."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers.launcher import ROOT
from transformers import PreTrainedConfig, get_cosine_schedule_with_warmup

from kid.data.cache import json_hash
from kid.errors import InputError
from kid.models.hashes import check_hashes
from kid.run.checkpoint import (
    MANIFEST,
    convert_checkpoint,
    export_trained,
    file_digest,
    files_written_by,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    remove_old_checkpoints,
    remove_partial,
    save_checkpoint,
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
    write_checkpoint(run, 300, "step-{}.bak1")  # a user's copy
    assert newest_checkpoint(run).name == "step-100"
    shutil.rmtree(run / "checkpoints" / "step-300.bak1")
    found = find_checkpoint(run, IDENTITY)
    assert (found.checkpoint, found.world_size, found.remarks) == (run / "checkpoints" / "step-100", 2, [])
    remove_partial(run)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-100", "step-20", "step-3"]


def test_a_checkpoint_of_another_training_set_is_skipped(run):
    """Checkpoints of older versions do not name theirs."""
    assert find_checkpoint(run, {**IDENTITY, "training set": "a"}).checkpoint.name == "step-100"
    manifest = run / "checkpoints" / "step-100" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "identity": {**IDENTITY, "training set": "a"}}))
    assert find_checkpoint(run, {**IDENTITY, "training set": "a"}).checkpoint.name == "step-100"
    found = find_checkpoint(run, {**IDENTITY, "training set": "b"})
    assert found.checkpoint.name == "step-20"
    assert found.remarks == [f"{manifest.parent} is skipped: it belongs to a run with a different training set"]


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
        (flip, f"{STATES} has changed since it was written"),
        (lose, f"{STATES} is missing"),
        (lose_manifest, "its complete.json is missing or damaged"),
        (tear_manifest, "its complete.json is missing or damaged"),
        (of_another_tool, "its complete.json is missing or damaged"),
        (of_another_run, "it belongs to a run with a different config and a different teacher"),
    ],
)
def test_one_that_cannot_be_used_is_passed_over(run, spoil, said):
    newest = run / "checkpoints" / "step-100"
    spoil(newest)
    assert verify_checkpoint(newest, IDENTITY)[0].startswith(said)
    found = find_checkpoint(run, IDENTITY)
    assert found.checkpoint.name == "step-20"
    (remark,) = found.remarks
    assert remark.startswith(f"{newest} is skipped: {said}")


def test_any_flipped_bit_of_a_manifest_is_noticed_or_harmless(run):
    """Its checksum covers what the manifest says; blanks between that may be others."""
    file = run / "checkpoints" / "step-100" / MANIFEST
    manifest = json.loads(file.read_text())
    whole = json.dumps({**manifest, "checksum": json_hash(manifest)}).encode()
    file.write_bytes(whole)
    assert verify_checkpoint(file.parent, IDENTITY) == (None, manifest)
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        reason, found = verify_checkpoint(file.parent, IDENTITY)
        assert reason or found == manifest


def test_where_none_can_be_used_nothing_is_begun_anew(run):
    for folder in (run / "checkpoints").glob("step-*"):
        cut(folder)
    with pytest.raises(
        InputError, match=r"no checkpoint in .* can be used \(.*step-100 is skipped.*step-3 is .*remove"
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
    with pytest.raises(
        InputError, match=r"step-3 was written by 2 ranks, and DeepSpeed cannot .*; resume with 2 ranks"
    ):
        convert_checkpoint(folder, 2)


@pytest.mark.slow
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


@pytest.mark.parametrize("name", ["checkpoints/step-7.partial", "checkpoints/universal-n1-7/x", "adapters/step-7.tmp"])
def test_links_among_what_is_removed_are_not_followed(name, tmp_path):
    """And folders of other names, or behind other links, are nobody's to remove."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "step-8.tmp").mkdir(parents=True)
    (elsewhere / "mine").write_text("x")
    link = (tmp_path / "run" / name).parent if "universal" in name else tmp_path / "run" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    (tmp_path / "run" / "notes").symlink_to(elsewhere)
    remove_partial(tmp_path / "run")
    assert not link.is_symlink() and (elsewhere / "mine").exists() and (elsewhere / "step-8.tmp").exists()


class Engine:
    """Writes one file, as DeepSpeed does."""

    def save_checkpoint(self, folder: str, tag: str, **_) -> None:
        os.makedirs(os.path.join(folder, tag))
        with open(os.path.join(folder, tag, STATES.replace("rank_1", "rank_0")), "w") as file:
            file.write("states")


class Trained(torch.nn.Linear):
    """A model that writes one file of weights; its tokenizer too."""

    config = PreTrainedConfig()

    def save_pretrained(self, folder, **_):
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_bytes(b"weights")


def test_a_save_replaces_links_by_what_it_writes(tmp_path, one_rank):
    """In the place of a checkpoint, of an export, and of what both are called while they are written."""
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("x")
    for name in ("checkpoints/step-7", "checkpoints/step-7.partial", "adapters/step-7", "adapters/step-7.tmp"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).symlink_to(elsewhere)
    model = Trained(2, 2)
    export_trained(model, model, run / "adapters" / "step-7")
    save_checkpoint(Engine(), run, 7, IDENTITY)
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]
    assert not any(path.is_symlink() for path in run.rglob("*"))
    assert verify_checkpoint(run / "checkpoints" / "step-7", IDENTITY)[0] is None
    assert sorted(path.name for path in (run / "adapters" / "step-7").iterdir()) == [
        "kid-hashes.json", "model.safetensors"
    ]  # fmt: skip


class Resumed:
    """An engine with a persistent buffer, whose checkpoint an older version wrote: under another schedule, and with a
    buffer that was not the base's."""

    def __init__(self):
        self.module = torch.nn.Linear(1, 1, bias=False)
        self.module.scale = torch.nn.Buffer(torch.tensor([0.5]))
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda done: (done + 1) / 10)

    def load_checkpoint(self, folder: str, tag: str, load_module_strict: bool):
        older = torch.optim.SGD([torch.zeros(1)], lr=0.1)
        before = get_cosine_schedule_with_warmup(older, 10, 20)
        for _ in range(3):
            older.step()
            before.step()
        self.optimizer.load_state_dict(older.state_dict())
        self.lr_scheduler.load_state_dict(before.state_dict())
        self.module.load_state_dict({"weight": torch.ones(1, 1), "scale": torch.ones(1)}, strict=load_module_strict)
        return folder, {}


def test_a_resumed_run_follows_the_schedule_and_keeps_the_buffers_of_its_base(tmp_path):
    engine = Resumed()
    load_checkpoint(engine, tmp_path / "checkpoints" / "step-3")
    assert engine.module.weight.item() == 1 and engine.module.scale.item() == 0.5
    rates = []
    for _ in range(4, 7):
        rates.append(engine.optimizer.param_groups[0]["lr"])
        engine.optimizer.step()
        engine.lr_scheduler.step()
    assert rates == pytest.approx([0.04, 0.05, 0.06])  # steps 4, 5 and 6 of 10


def test_a_link_among_old_checkpoints_goes_without_what_it_points_to(run, tmp_path):
    (run / "checkpoints" / "step-3").rename(tmp_path / "kept")
    (run / "checkpoints" / "step-3").symlink_to(tmp_path / "kept")
    remove_old_checkpoints(run, 100)
    assert [path.name for path in list_checkpoints(run)] == ["step-20", "step-100"]
    assert (tmp_path / "kept" / MANIFEST).exists() and not (run / "checkpoints" / "step-3.partial").is_symlink()


def test_an_export_is_hashed(tmp_path, one_rank):
    model = Trained(2, 2)
    export_trained(model, model, tmp_path / "model")
    check_hashes(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(InputError, match=r"model.safetensors has changed since it was written"):
        check_hashes(tmp_path / "model")
