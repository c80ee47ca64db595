"""The workers that match values: one that cannot start is told apart from one that was killed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers.launcher import ROOT

SCRIPT = """
from pathlib import Path
from kid.minibench.tiny_models import benchmark_texts
{guard}
    texts = benchmark_texts("spider", "dev", Path({data!r}))
    print(len(texts), "texts")
"""


def run(tmp_path, data, guard):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(guard=guard, data=str(data)))
    return subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(folder, tmp_path):
    done = run(tmp_path, folder, "if True:")
    assert done.returncode and 'below `if __name__ == "__main__":`' in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_one_with_it_works(folder, tmp_path):
    done = run(tmp_path, folder, 'if __name__ == "__main__":')
    assert done.returncode == 0 and "texts" in done.stdout, done.stderr
