"""Kill each script at random moments, and start it twice at once, then look at what is there: `python bench/kills.py`.

Every script runs once undisturbed. Then, N times each: it is started and killed (SIGKILL, its workers with it or not)
at a random moment, run again to its end, and must leave what the undisturbed one left; nothing half-written may be
taken as good. And N times two of it are started together on one output: each ends in good order or refuses in one
line, and what is there afterwards is whole. Trainings are killed by tests/distributed/test_survival.py (KID_KILLS=20).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bit_flips import make_everything
from parts.running import ROOT, free_port
from rich.console import Console
from rich.table import Table

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically
from kid.progress import progress_bar

PORT = "{port}"  # in a command: another free port at every start
IGNORED = ("lock", "owner.json", "README.md")  # who held a folder, and a card with the command line


@dataclass(frozen=True)
class Script:
    """A command that writes `output` (a file or a folder), and whether the same command runs again over it."""

    command: list[str]
    output: Path
    again: bool = True


def scripts(folder: Path) -> dict[str, Script]:
    """The scripts of eval/ and train/ that write something, on what `make_everything` has made."""
    common = ["--benchmark", "spider", "--data", str(folder / "data")]
    made = {
        "score.py": ["eval/score.py", *common, "--predictions", folder / "gold.sql", "--test-suite", folder / "suite"],
        "predict.py": [
            "eval/predict.py", *common, "--model", folder / "run" / "adapter", "--max-completion-length", "24",
            "--batch-size", "2",
        ],
        "make_test_suite.py": ["eval/make_test_suite.py", *common, "--max-databases", "2", "--neighbours", "4"],
        "export.py": ["train/export.py", folder / "run", "--merge"],
        "exposure_bias.py": [
            "eval/exposure_bias.py", *common, "--student", folder / "run" / "adapter", "--teacher", folder / "student",
            "--questions-limit", "4", "--samples", "2", "--max-completion-length", "12",
        ],
        "report.py": ["eval/report.py", folder / "run", "--data", folder / "data"],
        "prune.py": ["train/prune.py", "--model", folder / "student", "--keep", "first", "--count", "1"],
    }  # fmt: skip
    made["generate.py"] = [
        "-m", "deepspeed.launcher.runner", "--num_gpus", "1", "--master_port", PORT, "train/generate.py",
        "--data", folder / "data", "--teacher", folder / "student", "--max-new-tokens", "24", "--dtype", "fp32",
        "--micro-batch-size", "2",
    ]  # fmt: skip
    flag = {"score.py": "--json", "exposure_bias.py": "--json", "generate.py": "--teacher-outputs"}
    found = {}
    for name, words in made.items():
        output = folder / "out" / name / "result"
        command = [sys.executable, *map(str, words), flag.get(name, "--output"), str(output)]
        found[name] = Script(command, output, again=name != "prune.py")
    return found


def contents(path: Path) -> dict[str, str]:
    """Name -> hash of every file of an output; a file is a folder of one."""
    if path.is_file():
        return {"": hashlib.sha256(path.read_bytes()).hexdigest()}
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name not in IGNORED)
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start(script: Script, cache: Path) -> subprocess.Popen:
    """The command in a group of its own, its cache where the caller says."""
    environment = {**os.environ, "KID_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [word.replace(PORT, str(free_port())) for word in script.command]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def is_running(group: int) -> bool:
    """Whether any process of a group is."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def clear(script: Script) -> None:
    shutil.rmtree(script.output.parent, ignore_errors=True)
    script.output.parent.mkdir(parents=True)


def killed(script: Script, cache: Path, seconds: float, group: bool, expected: dict[str, str]) -> str:
    """What is wrong after a kill and another run; empty if nothing is."""
    clear(script)
    process = start(script, cache)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.communicate()
    while is_running(process.pid):  # DeepSpeed's ranks end a while after their launcher, and hold the output's lock
        time.sleep(0.2)
    if script.output.exists() and not script.again and contents(script.output) == expected:
        return ""  # it was done
    again = start(script, cache)
    said = again.communicate()[0]
    if again.returncode:
        return f"the run after a kill ended with {again.returncode}: {said.strip().splitlines()[-1:]}"
    return "" if contents(script.output) == expected else "another result after a kill"


def paired(script: Script, cache: Path, pause: float, expected: dict[str, str]) -> str:
    """What is wrong after two that were started together; empty if nothing is."""
    clear(script)
    processes = [start(script, cache)]
    time.sleep(pause)
    processes.append(start(script, cache))
    said = [process.communicate()[0] for process in processes]
    codes = [process.returncode for process in processes]
    if any("Traceback" in text for text in said) or not set(codes) <= {0, 2} or 0 not in codes:
        return f"two at once ended with {codes}: {[text.strip().splitlines()[-1:] for text in said]}"
    return "" if contents(script.output) == expected else "another result of two at once"


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="kills, and pairs, of each script [20]")
    parser.add_argument("--scripts", nargs="+", metavar="NAME", help="only these, such as score.py [all]")
    parser.add_argument("--seed", type=int, default=0, help="random seed [0]")
    parser.add_argument("--json", type=Path, metavar="F", help="file to write the counts to")
    arguments = parser.parse_args()
    chance, found = random.Random(arguments.seed), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["KID_CACHE"] = str(folder / "cache")
        make_everything(folder)
        every = scripts(folder)
        if unknown := set(arguments.scripts or ()) - set(every):
            raise InputError(f"--scripts {' '.join(sorted(unknown))}: there are {' '.join(every)}")
        every = {name: script for name, script in every.items() if name in (arguments.scripts or every)}
        with progress_bar("kills", "run", 2 * arguments.times * len(every)) as bar:
            for title, script in every.items():
                clear(script)
                started = time.monotonic()
                undisturbed = start(script, folder / "cache")
                said = undisturbed.communicate()[0]
                assert undisturbed.returncode == 0, said
                seconds, expected = time.monotonic() - started, contents(script.output)
                faults = []
                for number in range(arguments.times):
                    # Half of them with nothing prepared: then the caches are what is being written.
                    cache = folder / "cache" if number % 2 else folder / f"cache-{title}-{number}"
                    faults.append(killed(script, cache, chance.uniform(0, seconds), number % 4 < 2, expected))
                    bar.update()
                for _ in range(arguments.times):
                    faults.append(paired(script, folder / "cache", chance.uniform(0, seconds / 3), expected))
                    bar.update()
                faults = [fault for fault in faults if fault]
                for fault in faults:
                    print(f"{title}: {fault}", file=sys.stderr)
                found[title] = {"kills": arguments.times, "pairs": arguments.times, "wrong": len(faults)}
    table = Table("script", "kills", "pairs", "wrong")
    for title, counts in found.items():
        table.add_row(title, *(str(counts[key]) for key in ("kills", "pairs", "wrong")))
    Console().print(table)
    if arguments.json:
        write_atomically(arguments.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_script(main)
