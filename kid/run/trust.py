"""Whether a checkpoint may be loaded: DeepSpeed unpickles it, so anyone who can write it can run code as you."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from kid.errors import InputError

TRUST_VARIABLE = "KID_TRUST_CHECKPOINTS"  # "yes": load checkpoints no matter who can write them
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OWNER_ONLY_MODE = 0o755  # mode of a run's folders; the umask may remove more permissions


def user_name(uid: int) -> str | None:
    """Return a user's name; None if the system has none, as in some containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group_name(gid: int) -> str | None:
    """Return a group's name; None if the system has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


def is_own_group(gid: int, uid: int) -> bool:
    """Whether only this user and root are in a group.

    It is root's group, or a private group as many systems create for each user: with the user's name (or number, if the
    system has no names) and without other members.
    """
    name = user_name(uid)
    if gid == 0 or name is None or group_name(gid) is None:
        return gid in (0, uid)
    return group_name(gid) == name and {*grp.getgrgid(gid).gr_mem} <= {name, "root"}


def who_else_writes(status: os.stat_result, uid: int) -> tuple[str, str] | None:
    """Return (who besides user `uid` and root can change a file or folder with this stat, command to fix it) or None.

    In a folder with the sticky bit, like /tmp, others can add files but not change or replace existing ones.
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
    """Yield the run's directory, its checkpoints/, and a checkpoint with everything in it."""
    yield from filter(Path.exists, (run, run / "checkpoints"))
    if checkpoint:
        yield checkpoint
        yield from sorted(filter(Path.exists, checkpoint.rglob("*")))


def check_trusted(run: Path, checkpoint: Path | None) -> str | None:
    """Return a warning about who else can write the checkpoint that a run resumes from; None if nobody can.

    Args:
        checkpoint: None if the run has none. Then nothing is loaded, and the warning is about a later resume.

    Raises:
        InputError: another user can write the checkpoint, and TRUST_VARIABLE is not "yes".
    """
    uid, told = os.geteuid(), os.environ.get(TRUST_VARIABLE) == "yes"
    for path in parts_to_trust(run, checkpoint):
        found = who_else_writes(path.lstat(), uid) or who_else_writes(path.stat(), uid)  # a link and its target
        if found is None:
            continue
        problem, command = found
        what_to_do = f"run {command} {shlex.quote(str(run))}, or set {TRUST_VARIABLE}=yes"
        if checkpoint is None:
            return None if told else f"{path} {problem}: --resume will refuse its checkpoints; {what_to_do}"
        runs_code = f"loading {checkpoint} runs any code in it"
        if told:
            return f"{path} {problem}, and {runs_code}: allowed by {TRUST_VARIABLE}=yes"
        raise InputError(f"--resume: {path} {problem}, and {runs_code}; if you trust it, {what_to_do}")
    return None


def keep_to_owner(path: Path) -> None:
    """Remove the group's and others' write permission, which the umask may have left."""
    mode = path.stat().st_mode
    if mode & OTHERS_WRITE:
        path.chmod(stat.S_IMODE(mode) & ~OTHERS_WRITE)
