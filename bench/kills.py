"""Kill each script at random moments, and start it twice at once, then check the results: `python bench/kills.py`.

Every script first runs undisturbed. Then, N times, it is killed at a random moment (SIGKILL, with or without its
workers) and run again to its end; the output must equal that of the undisturbed run, so incomplete files must not be
used. And N times it is started twice at once with the same output: each process must succeed or refuse with one line,
and the output must be complete. tests/distributed/test_survival.py does the same for training (KID_KILLS=20).
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

PORT = "{port}"  # in a command: replaced by a free port at every start
IGNORED = ("lock", "owner.json", "README.md")  # the owner of a folder, and a card with the command line


@dataclass(frozen=True)
class Script:
    """A command that writes `output` (a file or a folder). again: whether it accepts an existing output."""

    command: list[str]
    output: Path
    again: bool = True


def scripts(folder: Path) -> dict[str, Script]:
    """The scripts of eval/ and train/ that write something, applied to the files of `make_everything`."""
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
    """Name -> hash of every file of an output; the name is empty if the output is a single file."""
    if path.is_file():
        return {"": hashlib.sha256(path.read_bytes()).hexdigest()}
    files = (file for file in sorted(path.rglob("*")) if file.is_file() and file.name not in IGNORED)
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start(script: Script, cache: Path) -> subprocess.Popen:
    """Start the command in its own process group, with the given cache."""
    environment = {**os.environ, "KID_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    command = [word.replace(PORT, str(free_port())) for word in script.command]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def is_running(group: int) -> bool:
    """Whether any process of the group is running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def clear(script: Script) -> None:
    shutil.rmtree(script.output.parent, ignore_errors=True)
    script.output.parent.mkdir(parents=True)


def killed(script: Script, cache: Path, seconds: float, group: bool, expected: dict[str, str]) -> str:
    """What is wrong after killing the script and running it again; empty if nothing is."""
    clear(script)
    process = start(script, cache)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
    process.communicate()
    while is_running(process.pid):  # DeepSpeed's ranks outlive their launcher for a while and hold the output's lock
        time.sleep(0.2)
    if script.output.exists() and not script.again and contents(script.output) == expected:
        return ""  # it had finished
    again = start(script, cache)
    said = again.communicate()[0]
    if again.returncode:
        return f"the run after a kill failed with status {again.returncode}: {said.strip().splitlines()[-1:]}"
    return "" if contents(script.output) == expected else "the result after a kill differs"


def paired(script: Script, cache: Path, pause: float, expected: dict[str, str]) -> str:
    """What is wrong after starting the script twice at once; empty if nothing is."""
    clear(script)
    processes = [start(script, cache)]
    time.sleep(pause)
    processes.append(start(script, cache))
    said = [process.communicate()[0] for process in processes]
    codes = [process.returncode for process in processes]
    if any("Traceback" in text for text in said) or not set(codes) <= {0, 2} or 0 not in codes:
        return f"two at once ended with status {codes}: {[text.strip().splitlines()[-1:] for text in said]}"
    return "" if contents(script.output) == expected else "the result of two at once differs"


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="number of kills, and of pairs, of each script [20]")
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
            raise InputError(f"--scripts: unknown {' '.join(sorted(unknown))}; choose from {' '.join(every)}")
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
                    # Half of them with an empty cache, so that kills also happen while caches are written.
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
