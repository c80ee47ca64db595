"""A process that is killed while it builds an op does not keep the next one from it."""

import subprocess
import sys

import pytest
import torch.utils.cpp_extension
from helpers.launcher import ROOT

SOURCE = "int main() { return 0; }"
BUILD = """
import sys, torch.utils.cpp_extension
from pathlib import Path
from kid.build_lock import lock_builds
lock_builds()
folder = Path(sys.argv[1])
if sys.argv[2] == "hang":
    def hang(**_):
        print("building", flush=True)
        sys.stdin.read()
    torch.utils.cpp_extension._write_ninja_file_and_build_library = hang
torch.utils.cpp_extension.load("one", [str(folder / "one.cpp")], build_directory=str(folder), is_python_module=False,
                               is_standalone=True)
"""


@pytest.mark.slow
def test_what_a_killed_process_was_building_is_built_by_the_next(tmp_path):
    (tmp_path / "one.cpp").write_text(SOURCE)
    command = [sys.executable, "-c", BUILD, tmp_path]
    with subprocess.Popen(
        [*command, "hang"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "building\n"
        first.kill()
    (tmp_path / "lock").touch()  # and torch's own, of a process without ours
    done = subprocess.run([*command, "build"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "one"], check=False).returncode == 0
    assert "FileBaton" in vars(torch.utils.cpp_extension)  # what is replaced
