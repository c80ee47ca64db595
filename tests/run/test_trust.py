"""Whose checkpoints a run resumes from: loading one runs what it holds, so nobody else may be able to write it."""

import grp
import json
import os
import pwd
import stat
from types import SimpleNamespace

import pytest

from kid.errors import InputError
from kid.run import trust
from kid.run.checkpoint import MANIFEST, file_digest, save_checkpoint
from kid.run.lock import run_lock
from kid.run.trust import TRUST_VARIABLE, check_trusted, who_else_writes
from kid.training.trainer import choose_checkpoint

ME, OTHER, SHARED = 1000, 1001, 100
FOLDER, FILE = stat.S_IFDIR, stat.S_IFREG


@pytest.fixture(autouse=True)
def names(monkeypatch):
    """A machine with users me and other, each with a private group, and a group that both share."""
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)
    users = {0: "root", ME: "me", OTHER: "other"}
    groups = {0: ("root", []), ME: ("me", []), OTHER: ("other", []), SHARED: ("lab", ["me", "other"])}
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_name=users[uid]))
    monkeypatch.setattr(grp, "getgrgid", lambda gid: SimpleNamespace(gr_name=groups[gid][0], gr_mem=groups[gid][1]))
    return groups


def status(kind: int, mode: int, uid: int = ME, gid: int = ME) -> SimpleNamespace:
    return SimpleNamespace(st_mode=kind | mode, st_uid=uid, st_gid=gid)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (status(FOLDER, 0o755), None),
        (status(FOLDER, 0o775), None),  # the user's private group, as under umask 002
        (status(FILE, 0o664), None),
        (status(FOLDER, 0o775, gid=0), None),
        (status(FOLDER, 0o755, uid=0), None),
        (status(FOLDER, 0o1777, uid=0, gid=0), None),  # as /tmp
        (status(FOLDER, 0o1775, gid=SHARED), None),
        (status(stat.S_IFLNK, 0o777), None),  # what it points to has a stat of its own
        (status(FOLDER, 0o2750, gid=SHARED), None),
        (status(FOLDER, 0o775, gid=SHARED), ("may be written by the group lab", "chmod -R go-w")),
        (status(FOLDER, 0o775, gid=OTHER), ("may be written by the group other", "chmod -R go-w")),
        (status(FOLDER, 0o775, gid=4321), ("may be written by the group 4321", "chmod -R go-w")),
        (status(FILE, 0o664, gid=SHARED), ("may be written by the group lab", "chmod -R go-w")),
        (status(FOLDER, 0o757), ("may be written by every user", "chmod -R go-w")),
        (status(FILE, 0o1666), ("may be written by every user", "chmod -R go-w")),
        (status(FOLDER, 0o757, uid=0), ("may be written by every user", "chmod -R go-w")),
        (status(FOLDER, 0o700, uid=OTHER), ("belongs to another user, other", "chown -R me")),
        (status(stat.S_IFLNK, 0o777, uid=OTHER), ("belongs to another user, other", "chown -R me")),
        (status(FILE, 0o600, uid=5432), ("belongs to another user, 5432", "chown -R me")),
    ],
)
def test_who_else_can_write(found, said):
    assert who_else_writes(found, ME) == said


def test_a_private_group_with_other_members_is_shared(names):
    names[ME] = ("me", ["root"])
    assert who_else_writes(status(FOLDER, 0o775), ME) is None
    names[ME] = ("me", ["other"])
    assert who_else_writes(status(FOLDER, 0o775), ME)[0] == "may be written by the group me"


def test_a_user_without_a_name(names):
    """As in a container that runs under any number: its own number is its group, or root's is."""
    for gid, fine in ((0, True), (7777, True), (SHARED, False)):
        assert (who_else_writes(status(FOLDER, 0o775, 7777, gid), 7777) is None) == fine


@pytest.fixture
def run(tmp_path):
    """With a good checkpoint, and what a killed run has left."""
    folder = tmp_path / "run" / "checkpoints" / "step-4"
    (folder / "zero").mkdir(parents=True)
    (folder / "states.pt").write_bytes(b"states")
    manifest = {"world_size": 1, "identity": {}, "files": {"states.pt": file_digest(folder / "states.pt")}}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "run" / "checkpoints" / "step-5.partial").mkdir()
    for path in (tmp_path / "run").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (tmp_path / "run").chmod(0o755)
    return tmp_path / "run"


PARTS = ["", "checkpoints", "checkpoints/step-4", "checkpoints/step-4/states.pt", f"checkpoints/step-4/{MANIFEST}"]


@pytest.mark.parametrize("part", [*PARTS, "checkpoints/step-4/zero"])
def test_a_checkpoint_others_can_write_is_not_resumed_from_unless_told(part, run, one_rank, monkeypatch, capsys):
    checkpoint = run / "checkpoints" / "step-4"
    assert check_trusted(run, checkpoint) is None
    (run / part).chmod(0o777)
    with pytest.raises(InputError) as error:
        choose_checkpoint(run, {})
    said = str(error.value)
    assert said.startswith(f"--resume: {run / part} may be written by every user, and loading {checkpoint} runs")
    assert said.endswith(f"run chmod -R go-w {run}, or set KID_TRUST_CHECKPOINTS=yes") and "\n" not in said
    assert (run / "checkpoints" / "step-5.partial").exists()  # refused before anything was removed
    monkeypatch.setenv(TRUST_VARIABLE, "no")
    with pytest.raises(InputError):
        choose_checkpoint(run, {})
    monkeypatch.setenv(TRUST_VARIABLE, "yes")
    capsys.readouterr()
    assert choose_checkpoint(run, {}).checkpoint == checkpoint
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{run / part} may be written by every user") and "KID_TRUST_CHECKPOINTS=yes" in line
    assert not (run / "checkpoints" / "step-5.partial").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("part", PARTS)
def test_a_checkpoint_of_another_user(part, run, one_rank):
    os.chown(run / part, OTHER, OTHER)
    with pytest.raises(InputError, match=f"{run / part} belongs to another user, other, and .* run chown -R root "):
        choose_checkpoint(run, {})


def test_a_link_to_what_others_can_write(run, tmp_path):
    (run / "checkpoints").rename(tmp_path / "elsewhere")
    (run / "checkpoints").symlink_to(tmp_path / "elsewhere")
    assert check_trusted(run, run / "checkpoints" / "step-4") is None
    (tmp_path / "elsewhere").chmod(0o777)
    with pytest.raises(InputError, match=r"checkpoints may be written by every user"):
        check_trusted(run, run / "checkpoints" / "step-4")


def test_a_fresh_run_is_only_told_what_a_resume_will_say(tmp_path, one_rank, capsys, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    assert choose_checkpoint(tmp_path / "run", {}).checkpoint is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"{tmp_path / 'run'} may be written by every user: --resume will refuse its checkpoints; run"
    )
    monkeypatch.setenv(TRUST_VARIABLE, "yes")
    choose_checkpoint(tmp_path / "run", {})
    assert not capsys.readouterr().out


class Engine:
    """Writes one file, as DeepSpeed does."""

    def save_checkpoint(self, folder: str, tag: str, **_) -> None:
        os.makedirs(os.path.join(folder, tag))
        with open(os.path.join(folder, tag, "mp_rank_00_model_states.pt"), "w") as file:
            file.write("states")


def test_what_a_run_writes_under_a_loose_umask_it_can_resume_from(tmp_path, one_rank):
    before = os.umask(0)
    try:
        with run_lock(tmp_path / "run"):
            save_checkpoint(Engine(), tmp_path / "run", 3, {})
            found = choose_checkpoint(tmp_path / "run", {})
    finally:
        os.umask(before)
    assert found.checkpoint.name == "step-3"
    parts = [tmp_path / "run", *trust.parts_to_trust(tmp_path / "run", found.checkpoint)]
    assert len(parts) == 6 and not any(path.stat().st_mode & 0o022 for path in parts)
