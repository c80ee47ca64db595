"""Whether a run's checkpoints may be loaded. DeepSpeed unpickles them, so whoever can write one can run code as you."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from kid.errors import InputError

TRUST_VARIABLE = "KID_TRUST_CHECKPOINTS"  # "yes": load them whoever can write them
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OWNER_ONLY_MODE = 0o755  # of the folders of a run; the umask takes away more


def user_name(uid: int) -> str | None:
    """None where the system knows no name, as in some containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group_name(gid: int) -> str | None:
    """None where the system knows no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def is_own_group(gid: int, uid: int) -> bool:
    """Whether only this user and root are in a group: root's group, or the private group that many systems give a user,
    of the user's own name (or number, where the system knows no names) and without other members.
    """
    name = user_name(uid)
    if gid == 0 or name is None or group_name(gid) is None:
        return gid in (0, uid)
    return group_name(gid) == name and {*grp.getgrgid(gid).gr_mem} <= {name, "root"}


def who_else_writes(status: os.stat_result, uid: int) -> tuple[str, str] | None:
    """(who besides user `uid` and root can change a file or folder with this stat, command that ends it) or None.

    In a folder with the sticky bit, as /tmp has, others can add files but neither change nor replace those there.
    """
    if status.st_uid not in (0, uid):
        problem = f"belongs to another user, {user_name(status.st_uid) or status.st_uid}"
        return problem, f"chown -R {user_name(uid) or uid}"
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return None
    if status.st_mode & stat.S_IWOTH:
        return "may be written by every user", "chmod -R go-w"
    if status.st_mode & stat.S_IWGRP and not is_own_group(status.st_gid, uid):
        return f"may be written by the group {group_name(status.st_gid) or status.st_gid}", "chmod -R go-w"
    return None


def parts_to_trust(run: Path, checkpoint: Path | None) -> Iterator[Path]:
    """The run's directory, its checkpoints/, and a checkpoint with everything in it."""
    yield from filter(Path.exists, (run, run / "checkpoints"))
    if checkpoint:
        yield checkpoint
        yield from sorted(filter(Path.exists, checkpoint.rglob("*")))


def check_trusted(run: Path, checkpoint: Path | None) -> str | None:
    """A line to print about who else can write the checkpoint that a run is to resume from; None if nobody can.

    Args:
        checkpoint: None if the run has none. Nothing is loaded then, and the line says what a later resume will do.

    Raises:
        InputError: somebody else can write the checkpoint, and TRUST_VARIABLE is not "yes".
    """
    uid, told = os.geteuid(), os.environ.get(TRUST_VARIABLE) == "yes"
    for path in parts_to_trust(run, checkpoint):
        found = who_else_writes(path.lstat(), uid) or who_else_writes(path.stat(), uid)  # a link, what it points to
        if found is None:
            continue
        problem, command = found
        what_to_do = f"run {command} {shlex.quote(str(run))}, or set {TRUST_VARIABLE}=yes"
        if checkpoint is None:
            return None if told else f"{path} {problem}: --resume will refuse its checkpoints; {what_to_do}"
        runs_code = f"loading {checkpoint} runs whatever code it holds"
        if told:
            return f"{path} {problem}, and {runs_code}: allowed by {TRUST_VARIABLE}=yes"
        raise InputError(f"--resume: {path} {problem}, and {runs_code}; if you trust what is there, {what_to_do}")
    return None


def keep_to_owner(path: Path) -> None:
    """Take the right to write from the group and from others, whom the umask may let write."""
    mode = path.stat().st_mode
    if mode & OTHERS_WRITE:
        path.chmod(stat.S_IMODE(mode) & ~OTHERS_WRITE)
