"""What the settings of the SLURM scripts may hold; needs no cluster."""

import os
import subprocess

import pytest
from helpers.launcher import ROOT


def bash(script: str, **settings: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **settings}
    return subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("setting", ["OUTPUT", "LOGS", "REPORT", "DATA", "RECIPE", "TEACHER_RECIPE", "SIZES"])
@pytest.mark.parametrize("value", ["runs/a\nb", "runs/a\r", "\truns"])
def test_line_breaks_and_tabs_are_refused(setting, value):
    """Jobs read lines of runs and splits; half a name would be another run."""
    done = bash("source slurm/settings.sh; echo went on", **{setting: value})
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == f"error: {setting} contains a line break or a tab; use another name\n"


def test_other_names_are_taken_as_they_are():
    done = bash('source slurm/settings.sh; echo "$OUTPUT|$LOGS"', OUTPUT="runs/a b=c", LOGS="runs=x")
    assert done.stdout == "runs/a b=c|runs=x\n"


@pytest.mark.parametrize("folder", ["runs=x/a b", "runs/slurm", "{}/runs=x"])
def test_awk_reads_a_file_whatever_its_name(folder, tmp_path):
    path = folder.format(tmp_path)
    script = f'source slurm/launch.sh; cd "{tmp_path}"; mkdir -p "{path}"; echo said > "{path}/1.log"; '
    done = bash(script + f'awk \'{{print}}\' "$(operand "{path}/1.log")" < /dev/null')
    assert done.stdout == "said\n", done.stderr
