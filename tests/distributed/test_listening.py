"""A job on one node listens on the loopback address only: nobody else can join it, or answer in a rank's place."""

import os
import subprocess
import time

import psutil
from helpers.launcher import ROOT, launch_command
from helpers.run_files import metrics


def listening(process: psutil.Process) -> set[tuple[str, int]]:
    """The addresses on which a process listens now; none if it is gone."""
    try:
        found = process.net_connections(kind="inet")
    except psutil.Error:
        return set()
    return {tuple(each.laddr) for each in found if each.status == psutil.CONN_LISTEN}


def test_no_rank_listens_to_other_machines(flags, tmp_path):
    command = launch_command(2, "train/sft.py", *flags, "--output", tmp_path / "run")
    port = int(command[command.index("--master_port") + 1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    addresses: dict[int, set] = {}
    with (tmp_path / "log").open("w") as log:
        job = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        while job.poll() is None:
            try:
                processes = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                processes = []
            for process in processes:
                addresses.setdefault(process.pid, set()).update(listening(process))
            time.sleep(0.05)
    assert job.returncode == 0, (tmp_path / "log").read_text()
    assert len(metrics(tmp_path / "run")) == 6
    ranks = [found for found in addresses.values() if found]
    assert len(ranks) == 2 and ("127.0.0.1", port) in set.union(*ranks)
    assert {address for address, _ in set.union(*ranks)} == {"127.0.0.1"}
