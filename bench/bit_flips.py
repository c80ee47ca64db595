"""Flip random bits in the files of a small run, and count how many flips KID detects: `python bench/bit_flips.py`.

Creates a tiny run (adapter, checkpoint, export), a test suite and the caches of scoring and data preparation, which
takes a few minutes on two cores. Then it repeatedly flips one bit of one file, reads the file as KID does, and restores
it. A flip is noticed (an error, or the entry is created again), harmless (the content read is the same) or wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from parts.running import ROOT, launched
from rich.console import Console
from rich.table import Table

from kid.errors import InputError, OneLineParser, run_script
from kid.files import write_atomically

VERDICTS = ("noticed", "harmless", "wrong")
KINDS = ("gold cache", "prepared prompts", "value index", "test suite", "adapter", "export", "checkpoint")


def make_everything(folder: Path) -> None:
    """Create a tiny benchmark, model, run, export, suite and scores in `folder`, and caches in folder/cache."""
    from kid.minibench.build import build_minibench
    from kid.minibench.tiny_models import benchmark_texts, train_tokenizer, write_tiny_model

    data = folder / "data"
    build_minibench(data, seed=0)
    for name in ("train_spider", "dev"):
        questions = json.loads((data / f"{name}.json").read_text())
        (data / f"{name}.json").write_text(json.dumps(questions[:: len(questions) // 24][:24]))
    tokenizer = train_tokenizer(benchmark_texts("spider", "train", data), 600)
    write_tiny_model(folder / "student", tokenizer, hidden=32, layers=2, heads=2, seed=0)
    flags = ["--student", str(folder / "student"), "--lora-rank", "4", "--max-steps", "4", "--batch-size", "2"]
    flags += ["--micro-batch-size", "2", "--save-steps", "2"]
    common = ["--benchmark", "spider", "--data", str(data)]
    gold = "\n".join(item["query"] for item in json.loads((data / "dev.json").read_text()))
    (folder / "gold.sql").write_text(gold + "\n")
    suite = ["--output", str(folder / "suite"), "--max-databases", "2", "--neighbours", "4", "--workers", "2"]
    score = ["--predictions", str(folder / "gold.sql"), "--json", str(folder / "score.json")]
    for command in (
        launched("train/sft.py", folder / "run", data, *flags, ranks=1),
        [sys.executable, "train/export.py", str(folder / "run"), "--merge"],
        [sys.executable, "eval/make_test_suite.py", *common, *suite],
        [sys.executable, "eval/score.py", *common, *score, "--test-suite", str(folder / "suite")],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{' '.join(command[:4])} failed: {(done.stdout + done.stderr)[-1000:]}")


def files_under(*folders: Path) -> list[Path]:
    """All non-empty files; locks are empty."""
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if path.stat().st_size]


def readers(folder: Path) -> dict[str, tuple[list[Path], Callable[[Path], object]]]:
    """Kind -> (its files, their reader). A reader returns the content of a file, or None or InputError if damaged."""
    from kid.data import cache
    from kid.evaluation.gold_cache import read_results
    from kid.evaluation.scores import find_suites
    from kid.models.hashes import check_hashes
    from kid.models.pretrained import find_teacher
    from kid.run.checkpoint import verify_checkpoint

    caches, run, suite = folder / "cache", folder / "run", folder / "suite"
    db_ids = sorted(json.loads((suite / "suite.json").read_text())["databases"])
    databases = {db_id: folder / "data" / "database" / db_id / f"{db_id}.sqlite" for db_id in db_ids}

    def read_gold(file: Path) -> object:
        found = [read_results(file, count) for count in (1, 2, 3)]
        return next((results for results in found if results), None)

    def read_entry(file: Path) -> object:
        depth = len(file.relative_to(caches).parts)
        cache.CHECKED.clear()
        return None if cache.entry_fault(file.parents[depth - 3]) else file.read_bytes()

    def read_suite(file: Path) -> object:
        found = find_suites(suite, databases, db_ids)
        return {str(path): path.read_bytes() for paths in found.values() for path in paths}

    def read_weights(file: Path) -> object:
        top = next(parent for parent in file.parents if (parent / "kid-hashes.json").exists())
        check_hashes(top)
        if (top / "adapter_config.json").exists():
            find_teacher(str(top), "--model")  # the path of the base is not hashed, but the base must exist
        return {path: path.read_bytes() for path in files_under(top) if path.name not in ("README.md", top.name)}

    def read_checkpoint(file: Path) -> object:
        reason, manifest = verify_checkpoint(file.parent, {})
        return (
            None if reason else {**manifest, "bytes": [path.read_bytes() for path in sorted(file.parent.glob("*.pt"))]}
        )

    return {
        "gold cache": (files_under(caches / "gold"), read_gold),
        "prepared prompts": (files_under(*(caches / "prepared").glob("*/")), read_entry),
        "value index": (files_under(*(caches / "values").glob("*/")), read_entry),
        "test suite": (files_under(suite), read_suite),
        "adapter": (files_under(run / "adapter"), read_weights),
        "export": (files_under(run / "merged"), read_weights),
        "checkpoint": (files_under(*(run / "checkpoints").glob("step-*/")), read_checkpoint),
    }


def flip(file: Path, chance: random.Random) -> bytes:
    """Flip one random bit of a file; returns the original content."""
    content = file.read_bytes()
    damaged = bytearray(content)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    replace(file, bytes(damaged))
    return content


def replace(file: Path, content: bytes) -> None:
    """Replace a file by a new one, so that memory maps of the old file are not affected."""
    mode = file.stat().st_mode
    file.unlink()
    file.write_bytes(content)
    file.chmod(mode)


def outcome(read: Callable[[Path], object], file: Path, before: object) -> str:
    """The verdict on reading a damaged file: noticed, harmless or wrong."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            found = read(file)
    except InputError:
        return "noticed"
    if found is None:
        return "noticed"
    return "harmless" if found == before else "wrong"


def count_outcomes(folder: Path, flips: int, seed: int) -> dict[str, Counter]:
    """Kind -> how many of its flips were noticed, harmless and wrong."""
    chance, found = random.Random(seed), {}
    for kind, (files, read) in readers(folder).items():
        found[kind] = Counter()
        for number in range(flips // len(KINDS) + (kind == KINDS[0]) * (flips % len(KINDS))):
            # Half of the flips choose files by size, the others uniformly: a small manifest matters as much as weights.
            weights = [path.stat().st_size if number % 2 else 1 for path in files]
            (file,) = chance.choices(files, weights)
            before = read(file)
            content = flip(file, chance)
            verdict = outcome(read, file, before)
            if verdict == "wrong":
                print(f"{kind}: damage to {file.relative_to(folder)} was not noticed", file=sys.stderr)
            found[kind][verdict] += 1
            replace(file, content)
    return found


def main() -> None:
    parser = OneLineParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=3000, help="total over all kinds of files [3000]")
    parser.add_argument("--seed", type=int, default=0, help="random seed [0]")
    parser.add_argument("--json", type=Path, metavar="F", help="file to write the counts to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["KID_CACHE"] = str(folder / "cache")
        make_everything(folder)
        found = count_outcomes(folder, arguments.flips, arguments.seed)
        shutil.rmtree(folder / "cache")
    table = Table("file of", "flips", *VERDICTS)
    for kind, counts in found.items():
        table.add_row(kind, str(counts.total()), *(str(counts[verdict]) for verdict in VERDICTS))
    Console().print(table)
    if arguments.json:
        content = {"flips": arguments.flips, "seed": arguments.seed, "counts": found}
        write_atomically(arguments.json, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run_script(main)
